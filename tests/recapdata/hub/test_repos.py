"""Repositories as wholes, through the stock client."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, DatasetCard, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import get_session

from recapdata.hub.process import Hub

CARD = """---
license: cc-by-4.0
language:
- en
task_categories:
- text-to-image
size_categories: n<1K
tags: [recaptioned]
configs:
- config_name: default
  data_files: data/train-*.parquet
---
# A card
"""


def test_a_new_repository_has_a_first_commit_and_belongs_to_its_kind(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    url = api.create_repo(repo_id, repo_type="dataset")
    assert (url.repo_id, url.repo_type, url.endpoint) == (repo_id, "dataset", hub.endpoint)
    info = api.dataset_info(repo_id)
    assert [file.rfilename for file in info.siblings or []] == [".gitattributes"]
    assert (info.private, info.author) == (False, repo_id.split("/")[0])
    assert api.repo_exists(repo_id, repo_type="dataset")
    assert not api.repo_exists(
        repo_id, repo_type="model"
    )  # a model of the same name would be another repository


def test_a_name_without_namespace_is_the_users(hub: Hub, repo_id: str) -> None:
    name = repo_id.split("/")[1]
    assert HfApi().create_repo(name).repo_id == f"me/{name}"


def test_creating_twice_conflicts_unless_it_may_exist(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    first = api.create_repo(repo_id)
    assert api.create_repo(repo_id, exist_ok=True) == first
    with pytest.raises(HfHubHTTPError, match="already created this model repo") as raised:
        api.create_repo(repo_id)
    assert raised.value.response.status_code == 409


def test_delete(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.delete_repo(repo_id)
    assert not api.repo_exists(repo_id)
    api.delete_repo(repo_id, missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(repo_id)
    api.create_repo(repo_id)  # the name is free again


def test_a_renamed_repository_answers_under_every_name_that_it_had(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.create_commit(repo_id, [CommitOperationAdd("a b.bin", b"12345")], commit_message="large")
    second, third = f"{repo_id}.second", f"{repo_id}.third"
    api.move_repo(repo_id, second)
    api.move_repo(second, third)
    head = api.repo_info(third).sha
    for name in (repo_id, second, third):
        info = api.repo_info(name)
        assert (info.id, info.sha) == (third, head)
        assert Path(api.hf_hub_download(name, "a b.bin", force_download=True)).read_bytes() == b"12345"
        assert [file.path for file in api.list_repo_tree(name, recursive=True)] == [
            ".gitattributes",
            "a b.bin",
        ]
    api.create_commit(repo_id, [CommitOperationAdd("more", b"1")], commit_message="under its first name")
    assert api.file_exists(third, "more")


def test_a_name_that_is_given_anew_leads_to_its_new_repository(hub: Hub, repo_id: str) -> None:
    api, second = HfApi(), f"{repo_id}.second"
    api.create_repo(repo_id)
    api.move_repo(repo_id, second)
    api.create_repo(repo_id)
    assert api.repo_info(repo_id).id == repo_id
    api.delete_repo(repo_id)
    assert not api.repo_exists(repo_id)
    api.move_repo(second, f"{repo_id}.third")
    api.delete_repo(f"{repo_id}.third")
    api.create_repo(f"{repo_id}.third")
    assert not api.repo_exists(second)  # another repository of the same name is none of its business


def test_a_name_that_is_taken_is_not_given_again(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.create_repo(f"{repo_id}.taken")
    with pytest.raises(HfHubHTTPError, match=r"A model repository called .* already exists"):
        api.move_repo(repo_id, f"{repo_id}.TAKEN")
    api.move_repo(repo_id, repo_id.upper().replace("TESTS/", "tests/"))  # another case is another spelling
    assert api.repo_info(repo_id).id == repo_id.upper().replace("TESTS/", "tests/")


def test_the_new_name_of_a_private_repository_is_not_told(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id, private=True)
    HfApi().move_repo(repo_id, f"{repo_id}.secret")
    with pytest.raises(RepositoryNotFoundError) as raised:
        HfApi(token=False).model_info(repo_id)
    assert "secret" not in str(raised.value) + str(raised.value.response.headers)


def test_names_are_one_in_whatever_case(hub: Hub, repo_id: str) -> None:
    api, other = HfApi(), repo_id.swapcase()
    api.create_repo(repo_id)
    api.create_commit(other, [CommitOperationAdd("a", b"1")], commit_message="in another case")
    assert api.model_info(other).id == repo_id
    assert Path(api.hf_hub_download(other, "a")).read_bytes() == b"1"
    with pytest.raises(HfHubHTTPError, match=f"already created this model repo: {repo_id}"):
        api.create_repo(other)
    assert repo_id in [model.id for model in api.list_models(author="TESTS")]


def test_names_without_a_namespace(hub: Hub, tmp_path: Path) -> None:
    """Every request about one raises the error of a repository that is not there."""
    api = HfApi()
    for ask in (
        lambda: api.create_commit("gpt2", [CommitOperationAdd("a", b"1")], commit_message="no"),
        lambda: api.list_repo_refs("gpt2"),
        lambda: list(api.list_repo_commits("gpt2")),
        lambda: list(api.list_repo_tree("gpt2", "d")),
        lambda: api.get_paths_info("gpt2", ["a"]),
        lambda: api.create_tag("gpt2", tag="v1"),
        lambda: api.delete_branch("gpt2", branch="b"),
        lambda: api.update_repo_settings("gpt2", private=True),
        lambda: api.auth_check("gpt2", write=True),
    ):
        with pytest.raises(RepositoryNotFoundError):
            ask()
    assert not api.repo_exists("gpt2")


def test_storage_of_all_repositories(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset", private=True)
    api.upload_file(path_or_fileobj=b"12345", path_in_repo="a.bin", repo_id=repo_id, repo_type="dataset")
    sizes = {file.path: file.size for file in api.list_repo_tree(repo_id, repo_type="dataset")}
    for rows in (list(api.list_user_repos()), list(api.list_user_repos(namespace="tests"))):
        (mine,) = (row for row in rows if row.id == repo_id)
        assert (mine.type, mine.visibility, mine.storage) == ("dataset", "private", sum(sizes.values()))
        assert 0 < mine.storage_percent <= 100


def test_large_files_of_all_branches(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    for branch, name in (("main", "a.bin"), ("side", "b.bin")):
        api.create_branch(repo_id, branch=branch, exist_ok=True)
        api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id=repo_id, revision=branch)
    files = {file.filename: file.ref for file in api.list_lfs_files(repo_id)}
    assert files == {"a.bin": "refs/heads/main", "b.bin": "refs/heads/side"}
    with pytest.raises(HfHubHTTPError, match="never rewrites history"):
        api.permanently_delete_lfs_files(repo_id, api.list_lfs_files(repo_id))


def test_every_answer_carries_the_number_of_its_request(hub: Hub) -> None:
    with pytest.raises(RepositoryNotFoundError, match=r"\(Request ID: [\w-]+"):
        HfApi().model_info("tests/none")
    for given, number in (("abc-1", "abc-1"), ("a b", None), ("x" * 200, None)):
        answer = get_session().get(f"{hub.endpoint}/", headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) == (number is not None)


def test_visibility(hub: Hub, repo_id: str) -> None:
    api, anonymous = HfApi(), HfApi(token=False)
    api.create_repo(repo_id, private=True)
    assert api.model_info(repo_id).private is True
    assert not anonymous.repo_exists(repo_id)
    api.update_repo_settings(repo_id, private=False)
    assert anonymous.repo_exists(repo_id)
    api.update_repo_settings(repo_id, private=True)
    assert not anonymous.repo_exists(repo_id)


def test_what_this_hub_has_not_is_refused_in_words(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    with pytest.raises(HfHubHTTPError, match="models and datasets, no spaces"):
        api.create_repo(repo_id, repo_type="space", space_sdk="static")
    api.create_repo(repo_id)
    with pytest.raises(HfHubHTTPError, match="no gated repositories"):
        api.update_repo_settings(repo_id, gated="auto")
    with pytest.raises(HfHubHTTPError, match="never rewrites history"):
        api.super_squash_history(repo_id)
    with pytest.raises(HfHubHTTPError, match="no pull requests"):
        api.create_pull_request(repo_id, title="please")
    assert list(api.get_repo_discussions(repo_id)) == []
    with pytest.raises(HfHubHTTPError, match="does not serve GET /api/spaces"):
        list(api.list_spaces())


def test_the_card_is_read(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    api.upload_file(
        repo_id=repo_id, repo_type="dataset", path_in_repo="README.md", path_or_fileobj=CARD.encode()
    )
    info = api.dataset_info(repo_id)
    assert info.card_data is not None
    assert info.card_data["license"] == "cc-by-4.0"
    assert info.card_data["configs"] == [{"config_name": "default", "data_files": "data/train-*.parquet"}]
    assert info.tags == [
        "recaptioned",
        "language:en",
        "license:cc-by-4.0",
        "size_categories:n<1K",
        "task_categories:text-to-image",
    ]
    assert DatasetCard.load(repo_id).data.license == "cc-by-4.0"
    only = api.dataset_info(repo_id, expand=["cardData", "private"])
    assert (only.private, only.sha) == (False, None)
    assert only.card_data is not None


def test_lists_show_what_the_caller_may_see(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    namespace = f"{repo_id.split('/')[1]}"[:60].strip("-")
    api.create_repo(f"{namespace}/plain", repo_type="dataset")
    api.create_repo(f"{namespace}/hidden", repo_type="dataset", private=True)
    api.create_repo(f"{namespace}/model")
    api.upload_file(
        repo_id=f"{namespace}/hidden",
        repo_type="dataset",
        path_in_repo="README.md",
        path_or_fileobj=CARD.encode(),
    )

    def names(**filters: object) -> list[str]:
        return sorted(row.id.split("/")[1] for row in api.list_datasets(author=namespace, **filters))  # type: ignore[arg-type]

    assert names() == ["hidden", "plain"]
    assert names(token=False) == ["plain"]
    assert names(search="HID") == ["hidden"]
    assert names(filter="license:cc-by-4.0") == ["hidden"]
    assert names(task_categories="text-to-image") == ["hidden"]
    assert names(filter="license:mit") == []
    assert [row.id for row in api.list_models(author=namespace)] == [f"{namespace}/model"]
    full = next(iter(api.list_datasets(author=namespace, search="plain", full=True)))
    assert [file.rfilename for file in full.siblings or []] == [".gitattributes"]
    last_first = [row.id for row in api.list_datasets(author=namespace, sort="created_at", limit=1)]
    assert len(last_first) == 1


def test_a_broken_card_is_refused_before_the_upload(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    broken = b"---\nlicense: [mit\n---\n"
    with pytest.raises(ValueError, match=r"Invalid metadata in README.md"):
        api.upload_file(
            repo_id=repo_id, repo_type="dataset", path_in_repo="README.md", path_or_fileobj=broken
        )
    twice = "---\nconfigs:\n- config_name: a\n- config_name: a\n---\n"
    with pytest.raises(ValueError, match="the same"):
        DatasetCard(twice).validate()
    DatasetCard(CARD).validate()
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        api.upload_file(
            repo_id=repo_id, repo_type="dataset", path_in_repo="README.md", path_or_fileobj=b"# none"
        )


@pytest.mark.parametrize(
    "name", ["..", ".", "a..b", "a--b", "-a", "a.git", "api/x", "datasets/x", "a/..%2f..%2fx", "é"]
)
def test_names_that_could_leave_the_folder_are_refused(hub: Hub, name: str) -> None:
    from huggingface_hub.utils import get_session

    namespace, _, last = name.rpartition("/")
    headers = {"authorization": f"Bearer {hub.token}"}
    body = {"name": last, "organization": namespace or "tests", "type": "model"}
    response = get_session().post(f"{hub.endpoint}/api/repos/create", json=body, headers=headers)
    assert response.status_code == 400, response.text
    assert "traceback" not in response.text.lower()
