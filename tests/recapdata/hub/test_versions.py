"""Branches, tags and history, through the stock client."""

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from recapdata.hub.process import Hub


@pytest.fixture
def api(hub: Hub, repo_id: str) -> HfApi:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    return api


def put(api: HfApi, repo_id: str, path: str, content: bytes = b"x", **options: str) -> str:
    commit = api.upload_file(
        repo_id=repo_id, repo_type="dataset", path_in_repo=path, path_or_fileobj=content, **options
    )
    return commit.oid


def test_a_tag_stays_where_it_was_set(api: HfApi, repo_id: str) -> None:
    first = put(api, repo_id, "a.txt", b"1")
    api.create_tag(repo_id, tag="v1.0.0", tag_message="the first", repo_type="dataset")
    second = put(api, repo_id, "a.txt", b"2")
    api.create_tag(repo_id, tag="light", revision=first[:8], repo_type="dataset")
    refs = api.list_repo_refs(repo_id, repo_type="dataset")
    assert {tag.name: tag.target_commit for tag in refs.tags} == {"v1.0.0": first, "light": first}
    assert {branch.name: branch.target_commit for branch in refs.branches} == {"main": second}
    assert api.dataset_info(repo_id, revision="v1.0.0").sha == first
    assert api.dataset_info(repo_id, revision=first[:8]).sha == first
    assert api.dataset_info(repo_id, revision="refs/heads/main").sha == second


def test_tags_are_not_moved_but_can_be_deleted(api: HfApi, repo_id: str) -> None:
    api.create_tag(repo_id, tag="v1", repo_type="dataset")
    api.create_tag(repo_id, tag="v1", repo_type="dataset", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="Reference refs/tags/v1 already exists") as raised:
        api.create_tag(repo_id, tag="v1", repo_type="dataset")
    assert raised.value.response.status_code == 409
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo_id, tag="v2", revision="nowhere", repo_type="dataset")
    api.delete_tag(repo_id, tag="v1", repo_type="dataset")
    assert not api.revision_exists(repo_id, "v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo_id, tag="v1", repo_type="dataset")


def test_a_branch_goes_its_own_way(api: HfApi, repo_id: str) -> None:
    first = put(api, repo_id, "a.txt")
    put(api, repo_id, "b.txt")
    api.create_branch(repo_id, branch="feature/x", revision=first, repo_type="dataset")
    api.create_branch(repo_id, branch="feature/x", repo_type="dataset", exist_ok=True)
    put(api, repo_id, "c.txt", revision="feature/x")
    assert sorted(api.list_repo_files(repo_id, repo_type="dataset", revision="feature/x")) == [
        ".gitattributes",
        "a.txt",
        "c.txt",
    ]
    assert api.file_exists(repo_id, "b.txt", repo_type="dataset")
    assert not api.file_exists(repo_id, "b.txt", repo_type="dataset", revision="feature/x")
    api.delete_branch(repo_id, branch="feature/x", repo_type="dataset")
    assert not api.revision_exists(repo_id, "feature/x", repo_type="dataset")
    api.create_branch(repo_id, branch="feature", repo_type="dataset")  # no empty folder is in its way


def test_names_are_unique_among_branches_and_tags(api: HfApi, repo_id: str) -> None:
    api.create_tag(repo_id, tag="v1", repo_type="dataset")
    api.create_branch(repo_id, branch="b", repo_type="dataset")
    for refused, status in (
        (lambda: api.create_branch(repo_id, branch="v1", repo_type="dataset"), 409),
        (lambda: api.create_tag(repo_id, tag="b", repo_type="dataset"), 409),
        (lambda: api.create_branch(repo_id, branch="b/c", repo_type="dataset"), 409),
        (lambda: api.create_branch(repo_id, branch="main", repo_type="dataset"), 409),
        (lambda: api.create_branch(repo_id, branch="refs/pr/1", repo_type="dataset"), 400),
        (lambda: api.create_branch(repo_id, branch="../../x", repo_type="dataset"), 400),
        (lambda: api.create_tag(repo_id, tag="a b", repo_type="dataset"), 400),
        (lambda: api.create_tag(repo_id, tag="0" * 40, repo_type="dataset"), 400),
        (lambda: api.delete_branch(repo_id, branch="main", repo_type="dataset"), 403),
        (lambda: api.delete_branch(repo_id, branch="none", repo_type="dataset"), 404),
    ):
        with pytest.raises(HfHubHTTPError) as raised:
            refused()
        assert raised.value.response.status_code == status
    assert {b.name for b in api.list_repo_refs(repo_id, repo_type="dataset").branches} == {"main", "b"}


def test_commits_go_to_branches_only(api: HfApi, repo_id: str) -> None:
    head = put(api, repo_id, "a.txt")
    api.create_tag(repo_id, tag="v1", repo_type="dataset")
    for revision in ("v1", head):
        with pytest.raises(HfHubHTTPError, match="is no branch"):
            put(api, repo_id, "b.txt", revision=revision)
    with pytest.raises(RevisionNotFoundError):
        put(api, repo_id, "b.txt", revision="nowhere")


@pytest.mark.parametrize(
    "revision", ["none", "HEAD", "main~1", "main@{0}", "../main", "0" * 40, "refs/pr/1", "refs/heads"]
)
def test_what_is_no_revision(api: HfApi, repo_id: str, revision: str) -> None:
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(repo_id, revision=revision)


def test_history_last_first_over_pages(api: HfApi, repo_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [put(api, repo_id, "a.txt", str(i).encode(), commit_message=f"commit {i}") for i in range(101)]
    described = put(
        api, repo_id, "a.txt", b"end", commit_message="the last", commit_description="with\n\nmore words"
    )
    history = api.list_repo_commits(repo_id, repo_type="dataset", formatted=True)
    assert len(history) == 103  # the first commit is the repository's own
    assert [commit.commit_id for commit in history] == [described, *reversed(ids), history[-1].commit_id]
    assert (history[0].title, history[0].message) == ("the last", "with\n\nmore words")
    assert (history[1].title, history[1].message, history[1].authors) == ("commit 100", "", ["me"])
    assert history[-1].title == "initial commit"
    before = api.list_repo_commits(repo_id, repo_type="dataset", revision=ids[0])
    assert [commit.commit_id for commit in before] == [ids[0], history[-1].commit_id]
