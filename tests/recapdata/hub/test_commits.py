"""Commits through the stock client: what they do, and what they refuse."""

import base64
import json
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError
from huggingface_hub.utils import get_session

from recapdata.hub.process import Hub

Add, Copy, Delete = CommitOperationAdd, CommitOperationCopy, CommitOperationDelete


@pytest.fixture
def api(hub: Hub, repo_id: str) -> HfApi:
    api = HfApi()
    api.create_repo(repo_id)
    return api


def files(api: HfApi, repo_id: str, revision: str = "main") -> list[str]:
    return sorted(set(api.list_repo_files(repo_id, revision=revision)) - {".gitattributes"})


def content(api: HfApi, repo_id: str, path: str, revision: str = "main") -> bytes:
    return Path(api.hf_hub_download(repo_id, path, revision=revision)).read_bytes()


def raw_commit(hub: Hub, repo_id: str, *rows: dict[str, object], revision: str = "main") -> tuple[int, str]:
    """A commit as no well-behaved client would send it; returns status and error."""
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    url = f"{hub.endpoint}/api/models/{repo_id}/commit/{revision}"
    response = get_session().post(url, content=body, headers={"authorization": f"Bearer {hub.token}"})
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json().get("error", "")


def file_row(path: str, data: bytes = b"x") -> dict[str, object]:
    return {
        "key": "file",
        "value": {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"},
    }


HEADER = {"key": "header", "value": {"summary": "raw", "description": ""}}


def test_one_commit_adds_changes_deletes_and_copies(api: HfApi, repo_id: str) -> None:
    api.create_commit(
        repo_id,
        [
            Add("keep.txt", b"keep"),
            Add("old/a.txt", b"a"),
            Add("old/b.bin", b"b" * 1000),
            Add("empty.txt", b""),
        ],
        commit_message="first",
    )
    before = api.repo_info(repo_id).sha
    commit = api.create_commit(
        repo_id,
        [
            Add("keep.txt", b"changed"),
            Add("new/deep/c.txt", b"c"),
            Copy("old/b.bin", "new/b.bin"),
            Copy("old/a.txt", "new/a.txt"),
            Delete("old/"),
            Delete("empty.txt"),
        ],
        commit_message="second",
    )
    assert files(api, repo_id) == ["keep.txt", "new/a.txt", "new/b.bin", "new/deep/c.txt"]
    assert content(api, repo_id, "keep.txt") == b"changed"
    assert content(api, repo_id, "new/b.bin") == b"b" * 1000
    assert content(api, repo_id, "new/a.txt") == b"a"
    assert files(api, repo_id, before) == ["empty.txt", "keep.txt", "old/a.txt", "old/b.bin"]
    assert commit.oid == api.repo_info(repo_id).sha
    assert (commit.repo_url.repo_id, commit.pr_url) == (repo_id, None)


def test_convenience_methods(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "skip.log").write_text("no")
    api.upload_folder(repo_id=repo_id, folder_path=tmp_path, path_in_repo="up", ignore_patterns="*.log")
    assert files(api, repo_id) == ["up/a.txt", "up/sub/b.txt"]
    (tmp_path / "a.txt").unlink()
    api.upload_folder(repo_id=repo_id, folder_path=tmp_path, path_in_repo="up", delete_patterns="*.txt")
    assert files(api, repo_id) == ["up/skip.log", "up/sub/b.txt"]
    api.delete_file("up/skip.log", repo_id)
    api.delete_folder("up", repo_id)
    assert files(api, repo_id) == []


def test_nothing_changed_makes_no_commit(api: HfApi, hub: Hub, repo_id: str) -> None:
    api.create_commit(repo_id, [Add("a.txt", b"a"), Add("b.bin", b"b")], commit_message="first")
    head = api.repo_info(repo_id).sha
    again = api.create_commit(repo_id, [Add("a.txt", b"a"), Add("b.bin", b"b")], commit_message="again")
    assert again.oid == head
    assert raw_commit(hub, repo_id, HEADER, file_row("a.txt", b"a")) == (200, "")  # a request sent twice
    assert api.repo_info(repo_id).sha == head


def test_a_parent_that_is_no_longer_the_head_is_refused(api: HfApi, repo_id: str) -> None:
    first = api.create_commit(repo_id, [Add("a.txt", b"1")], commit_message="first").oid
    second = api.create_commit(
        repo_id, [Add("a.txt", b"2")], commit_message="second", parent_commit=first
    ).oid
    with pytest.raises(HfHubHTTPError, match=f"main is at {second}") as raised:
        api.create_commit(repo_id, [Add("a.txt", b"3")], commit_message="third", parent_commit=first)
    assert raised.value.response.status_code == 412
    assert content(api, repo_id, "a.txt") == b"2"
    api.create_commit(repo_id, [Add("a.txt", b"3")], commit_message="third", parent_commit=second[:7])


def test_pull_requests_are_refused(api: HfApi, repo_id: str) -> None:
    with pytest.raises(HfHubHTTPError, match="no pull requests"):
        api.create_commit(repo_id, [Add("a.txt", b"1")], commit_message="first", create_pr=True)


def test_deleting_what_is_not_there(api: HfApi, repo_id: str) -> None:
    api.create_commit(repo_id, [Add("d/a.txt", b"1")], commit_message="first")
    for path in ("none.txt", "d/none.txt", "none/"):
        with pytest.raises(RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
            api.create_commit(repo_id, [Add("b.txt", b"b"), Delete(path)], commit_message="no")
    assert files(api, repo_id) == ["d/a.txt"]  # the rest of such a commit is not there either


def test_a_file_and_a_folder_never_share_a_name(api: HfApi, hub: Hub, repo_id: str) -> None:
    api.create_commit(repo_id, [Add("d/a.txt", b"1"), Add("f", b"f")], commit_message="first")
    for path, words in (("d", "is a folder"), ("f/x.txt", "is a file")):
        with pytest.raises(HfHubHTTPError, match=words):
            api.create_commit(repo_id, [Add(path, b"no")], commit_message="no")
    assert raw_commit(hub, repo_id, HEADER, file_row("x"), file_row("x/y"))[0] == 400
    api.create_commit(
        repo_id, [Delete("d/"), Add("d", b"file"), Delete("f"), Add("f/x.txt", b"x")], commit_message="swap"
    )
    assert files(api, repo_id) == ["d", "f/x.txt"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a//b", ".git/config", "a/.GIT/x", ".", "", "a\nb", "a\0b"]
)
def test_paths_that_are_none(api: HfApi, hub: Hub, repo_id: str, path: str) -> None:
    before = api.repo_info(repo_id).sha
    status, error = raw_commit(hub, repo_id, HEADER, file_row(path))
    assert status == 422
    assert "path" in error
    assert api.repo_info(repo_id).sha == before


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([file_row("a.txt")], "needs a message"),
        ([HEADER, {"key": "rename", "value": {"path": "a"}}], "no commit operation 'rename'"),
        ([HEADER, {"value": {}}], "no operation"),
        ([{"key": "header", "value": {"summary": "a\0b"}}], "has to be text"),
        ([{"key": "header", "value": {"summary": "\ud800"}}], "has to be text"),
        ([{"key": "header", "value": {"summary": "x", "parentCommit": "0"}}], "7 to 40 digits"),
        ([HEADER, file_row("\ud800")], "path"),
        (
            [HEADER, {"key": "file", "value": {"path": "a", "content": "§", "encoding": "base64"}}],
            "no base64",
        ),
        ([HEADER, {"key": "lfsFile", "value": {"path": "a", "oid": "0" * 64, "size": 1}}], "does not hold"),
        (
            [HEADER, {"key": "lfsFile", "value": {"path": "a", "oid": "../../token", "size": 1}}],
            "does not hold",
        ),
        (
            [
                HEADER,
                file_row(
                    "a",
                    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n",
                ),
            ],
            "does not hold",
        ),
    ],
)
def test_malformed_commits(
    api: HfApi, hub: Hub, repo_id: str, rows: list[dict[str, object]], words: str
) -> None:
    status, error = raw_commit(hub, repo_id, *rows)
    assert (status in (400, 422), words in error) == (True, True), error
    assert files(api, repo_id) == []


def test_too_large_for_a_commit_body(api: HfApi, hub: Hub, repo_id: str) -> None:
    status, error = raw_commit(hub, repo_id, HEADER, file_row("a.txt", b"0" * (11 * 2**20)))
    assert status == 413
    assert "large object" in error


def test_names_of_all_the_world(api: HfApi, repo_id: str) -> None:
    paths = ["写真/猫.txt", "a b.txt", "é.txt", "👩‍🎨.txt", "a\u00a0b.txt", "#?%&+.txt", "back\\slash.txt"]
    api.create_commit(
        repo_id, [CommitOperationAdd(path, path.encode()) for path in paths], commit_message="names 猫"
    )
    assert set(files(api, repo_id)) == set(paths)
    for path in paths[:-1]:  # a backslash is refused by the client's own download
        assert content(api, repo_id, path) == path.encode()
    assert api.list_repo_commits(repo_id)[0].title == "names 猫"


def test_many_files_in_one_commit(api: HfApi, repo_id: str) -> None:
    """A thousand and more: two pages of a tree, five of preupload."""
    operations = [Add(f"f{i % 7}/{i:04}.txt", f"{i}".encode()) for i in range(1100)]
    api.create_commit(repo_id, operations, commit_message="many")
    assert len(files(api, repo_id)) == 1100
    assert content(api, repo_id, "f1/1002.txt") == b"1002"


def test_a_folder_is_deleted_by_its_bare_name(api: HfApi, repo_id: str) -> None:
    api.create_commit(repo_id, [Add("d/a.txt", b"1"), Add("d/e/b.txt", b"2")], commit_message="first")
    api.create_commit(repo_id, [Add("d2", b"3"), Delete("d")], commit_message="second")
    assert api.list_repo_files(repo_id) == [".gitattributes", "d2"]


def test_a_branch_under_its_full_name(api: HfApi, repo_id: str) -> None:
    api.create_commit(repo_id, [Add("a", b"1")], commit_message="first", revision="refs/heads/main")
    assert content(api, repo_id, "a", "refs/heads/main") == b"1"
    assert api.model_info(repo_id, revision="refs/heads/main").sha == api.model_info(repo_id).sha
    api.create_branch(repo_id, branch="b")
    api.delete_branch(repo_id, branch="refs/heads/b")
    assert [branch.name for branch in api.list_repo_refs(repo_id).branches] == ["main"]
