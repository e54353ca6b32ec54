"""Repositories as wholes, through the stock client."""

import pytest
from huggingface_hub import DatasetCard, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

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


def test_move(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    head = api.repo_info(repo_id).sha
    api.create_repo(f"{repo_id}.taken")
    api.move_repo(repo_id, f"{repo_id}.moved")
    assert not api.repo_exists(repo_id)
    assert api.repo_info(f"{repo_id}.moved").sha == head
    with pytest.raises(HfHubHTTPError, match="choose another name"):
        api.move_repo(f"{repo_id}.moved", f"{repo_id}.taken")


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
