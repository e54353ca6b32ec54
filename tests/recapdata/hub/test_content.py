"""Files of a revision: lists, look-ups and downloads, through the stock client and as bare HTTP."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, snapshot_download
from huggingface_hub.errors import RemoteEntryNotFoundError
from huggingface_hub.utils import get_session

from recapdata.hub.process import Hub

TEXT = b"0123456789" * 10
LARGE = bytes(range(256)) * 1000  # as .bin, a large object; 256,000 bytes


@pytest.fixture(scope="module")
def repo(hub: Hub) -> str:
    """A model with a text, a large object, folders, and names that need quoting; two commits."""
    api = HfApi()
    name = "tests/content"
    api.create_repo(name)
    first = [CommitOperationAdd("text.txt", TEXT), CommitOperationAdd("data/large.bin", LARGE)]
    api.create_commit(name, first, commit_message="first")
    second = [
        CommitOperationAdd("data/sub folder/é %.txt", b"quoted"),
        CommitOperationAdd("data/page.html", b"<script>alert(1)</script>"),
        CommitOperationAdd("empty.txt", b""),
    ]
    api.create_commit(name, second, commit_message="second")
    return name


def get(hub: Hub, path: str, method: str = "GET", **headers: str):  # type: ignore[no-untyped-def]
    return get_session().request(
        method, f"{hub.endpoint}/{path}", headers={"accept-encoding": "identity", **headers}
    )


def test_tree(hub: Hub, repo: str) -> None:
    api = HfApi()
    top = [entry.path for entry in api.list_repo_tree(repo)]
    assert top == [".gitattributes", "data", "empty.txt", "text.txt"]
    below = {entry.path: entry for entry in api.list_repo_tree(repo, "data", recursive=True, expand=True)}
    assert set(below) == {"data/large.bin", "data/page.html", "data/sub folder", "data/sub folder/é %.txt"}
    large = below["data/large.bin"]
    assert (large.size, large.lfs.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert (large.last_commit.title, below["data/sub folder"].last_commit.title) == ("first", "second")
    assert [entry.path for entry in api.list_repo_tree(repo, "data/sub folder")] == [
        "data/sub folder/é %.txt"
    ]
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(repo, "text.txt"))


def test_a_tree_of_many_pages_is_of_one_commit(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    adds = [CommitOperationAdd(f"{i:04}.txt", b"x") for i in range(1050)]
    api.create_commit(repo_id, adds, commit_message="many")
    pages = api._iter_repo_tree_pages(repo_id)  # page by page, as HfFileSystem lists large folders
    first, finished = next(iter(pages))
    assert (len(first), finished) == (1000, False)
    listing = api.list_repo_tree(repo_id)
    seen = [next(iter(listing)).path]
    api.delete_file("1049.txt", repo_id)
    seen += [entry.path for entry in listing]
    assert seen == [".gitattributes", *(f"{i:04}.txt" for i in range(1050))]
    assert sum(1 for _ in api.list_repo_tree(repo_id, expand=True)) == 1050  # 22 pages


def test_paths_info(hub: Hub, repo: str) -> None:
    infos = HfApi().get_paths_info(
        repo, ["text.txt", "data", "none", "data/sub folder/é %.txt", "../x"], expand=True
    )
    assert [info.path for info in infos] == ["text.txt", "data", "data/sub folder/é %.txt"]
    assert infos[0].blob_id == hashlib.sha1(b"blob 100\0" + TEXT).hexdigest()  # what git calls the content
    assert infos[0].last_commit.title == "first"


def test_download_headers(hub: Hub, repo: str) -> None:
    head = HfApi().repo_info(repo).sha
    blob = hashlib.sha1(b"blob 100\0" + TEXT).hexdigest()
    sha256 = hashlib.sha256(LARGE).hexdigest()
    text = get(hub, f"{repo}/resolve/main/text.txt", "HEAD")
    assert (text.status_code, text.headers["etag"], text.headers["content-length"]) == (
        200,
        f'"{blob}"',
        "100",
    )
    large = get(hub, f"{repo}/resolve/main/data/large.bin", "HEAD")
    assert (large.headers["etag"], large.headers["content-length"]) == (f'"{sha256}"', "256000")
    assert (large.headers["x-linked-etag"], large.headers["x-linked-size"]) == (f'"{sha256}"', "256000")
    assert text.headers["x-repo-commit"] == large.headers["x-repo-commit"] == head
    missing = get(hub, f"{repo}/resolve/main/none.txt", "HEAD")
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
    assert missing.headers["x-repo-commit"] == head
    pointer = get(hub, f"{repo}/raw/main/data/large.bin")
    assert pointer.text == f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 256000\n"
    unchanged = get(hub, f"{repo}/resolve/main/data/large.bin", **{"if-none-match": f'"{sha256}"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize(("path", "whole"), [("text.txt", TEXT), ("data/large.bin", LARGE)])
def test_ranges(hub: Hub, repo: str, path: str, whole: bytes) -> None:
    size = len(whole)
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=50-{size + 1000}", 50, size),
    ):
        answer = get(hub, f"{repo}/resolve/main/{path}", range=asked)
        assert answer.status_code == 206
        assert answer.content == whole[start:stop]
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    beyond = get(hub, f"{repo}/resolve/main/{path}", range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert get(hub, f"{repo}/resolve/main/{path}").content == whole


def test_a_page_in_a_repository_is_never_a_page_of_the_hub(hub: Hub, repo: str) -> None:
    answer = get(hub, f"{repo}/resolve/main/data/page.html")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_hf_hub_download(hub: Hub, repo: str, tmp_path: Path) -> None:
    api = HfApi()
    for path, expected in (
        ("text.txt", TEXT),
        ("data/large.bin", LARGE),
        ("data/sub folder/é %.txt", b"quoted"),
    ):
        assert Path(api.hf_hub_download(repo, path, cache_dir=tmp_path)).read_bytes() == expected
    assert Path(api.hf_hub_download(repo, "empty.txt", local_dir=tmp_path / "local")).read_bytes() == b""
    first = api.list_repo_commits(repo)[1].commit_id
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download(repo, "empty.txt", revision=first, cache_dir=tmp_path)
    # The client remembers, under the commit that the answer named, that there is no such file.
    assert (tmp_path / f"models--{repo.replace('/', '--')}" / ".no_exist" / first / "empty.txt").exists()


def test_snapshot_download(hub: Hub, repo: str, tmp_path: Path) -> None:
    folder = Path(snapshot_download(repo, cache_dir=tmp_path, allow_patterns=["data/*", "*.txt"]))
    assert (folder / "data" / "large.bin").read_bytes() == LARGE
    assert (folder / "data" / "sub folder" / "é %.txt").read_bytes() == b"quoted"
    assert folder.name == HfApi().repo_info(repo).sha
    first = HfApi().list_repo_commits(repo)[1].commit_id
    old = Path(snapshot_download(repo, cache_dir=tmp_path, revision=first[:12]))
    assert sorted(path.name for path in old.rglob("*") if path.is_file()) == [
        ".gitattributes",
        "large.bin",
        "text.txt",
    ]


def test_file_system(hub: Hub, repo: str) -> None:
    fs = HfFileSystem()
    assert fs.glob(f"{repo}/data/*") == [
        f"{repo}/data/{name}" for name in ("large.bin", "page.html", "sub folder")
    ]
    with fs.open(f"{repo}/data/large.bin", block_size=1000) as file:  # read by ranges
        file.seek(100_000)
        assert file.read(300) == LARGE[100_000:100_300]
    with fs.open(f"{repo}@main/text.txt") as file:
        assert file.read() == TEXT
    assert fs.info(f"{repo}/text.txt")["size"] == 100


@pytest.mark.parametrize(
    "path",
    [
        "../../../token",
        "..%2F..%2F..%2Ftoken",
        "data/../../token",
        "%2e%2e/%2e%2e/token",
        ".git/config",
        "/etc/passwd",
        "data//large.bin",
        "data",
        "%ff",
        "a%00b",
    ],
)
def test_no_path_leaves_the_repository(hub: Hub, repo: str, path: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(
        hub.endpoint.removeprefix("http://")
    )  # sends the path as it stands
    connection.request("GET", f"/{repo}/resolve/main/{path}")
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status in (400, 404), body
    assert answer.headers["content-type"] == "application/json"
    assert hub.token.encode() not in body


def test_an_address_that_the_hub_does_not_have(hub: Hub) -> None:
    for method, path in (
        ("GET", "api/collections/x"),
        ("POST", "api/models"),
        ("GET", "x/y/z"),
        ("DELETE", ""),
    ):
        answer = get(hub, path, method)
        assert answer.status_code == 404
        assert "does not serve" in answer.json()["error"]
    assert hub.endpoint in get(hub, "").text


def test_when_the_hub_is_gone_the_cache_is_used(hub: Hub, repo: str, tmp_path: Path) -> None:
    kept = HfApi().hf_hub_download(repo, "text.txt", cache_dir=tmp_path)
    nowhere = HfApi(endpoint="http://127.0.0.1:9")
    assert nowhere.hf_hub_download(repo, "text.txt", cache_dir=tmp_path) == kept


def test_a_large_tree_is_paged_without_walking_it_again(tmp_path: Path) -> None:
    """Three folders in 2,500 files: pages of 1,000, each beginning behind the last path of the one before."""
    import pygit2

    from recapdata.hub import history

    repo = pygit2.init_repository(str(tmp_path / "r.git"), bare=True)
    blob = repo.create_blob(b"x")
    top = repo.TreeBuilder()
    for folder in ("a", "a-b", "b"):  # git sorts folders as if their names ended in a slash: a-b, a, b
        inside = repo.TreeBuilder()
        for number in range(800):
            inside.insert(f"{number:05d}", blob, pygit2.enums.FileMode.BLOB)
        top.insert(folder, inside.write(), pygit2.enums.FileMode.TREE)
    for number in range(100):
        top.insert(f"a{number:03d}", blob, pygit2.enums.FileMode.BLOB)
    tree = repo[top.write()]
    whole = [entry.path for entry in history.walk(repo, tree, recursive=True)]
    assert len(whole) == 3 * 801 + 100
    for place in (0, 1, 799, 800, 801, 900, 901, 1702, len(whole) - 1):
        rest = [entry.path for entry in history.walk(repo, tree, recursive=True, after=whole[place])]
        assert rest == whole[place + 1 :]
    flat = [entry.path for entry in history.walk(repo, tree, recursive=False)]
    assert [e.path for e in history.walk(repo, tree, recursive=False, after=flat[1])] == flat[2:]
