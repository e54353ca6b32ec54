"""The way in: what becomes a large object, how it is received, and what is refused."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.lfs import lfs_upload, post_lfs_batch_info
from huggingface_hub.utils import build_hf_headers, get_session

from recapdata.hub import objects
from recapdata.hub.process import Hub
from recapdata.hub.refusals import Refusal

Add = CommitOperationAdd


@pytest.fixture
def api(hub: Hub, repo_id: str) -> HfApi:
    api = HfApi()
    api.create_repo(repo_id)
    return api


def is_large(api: HfApi, repo_id: str, path: str) -> bool:
    (info,) = api.get_paths_info(repo_id, path)
    return info.lfs is not None


def batch(hub: Hub, repo_id: str, *rows: dict[str, object], **fields: object) -> dict:  # type: ignore[type-arg]
    body = {"operation": "upload", "transfers": ["basic", "multipart"], "objects": list(rows), **fields}
    url = f"{hub.endpoint}/{repo_id}.git/info/lfs/objects/batch"
    return get_session().post(url, json=body, headers=build_hf_headers()).json()


def stored(hub: Hub, content: bytes) -> Path:
    name = hashlib.sha256(content).hexdigest()
    return hub.root / "objects" / name[:2] / name[2:4] / name


def test_kind_and_size_decide_what_is_large(api: HfApi, repo_id: str) -> None:
    large = ["t.parquet", "m.safetensors", "i.png", "i.jpg", "a.tar.gz", "a.zip", "run/events.out.tfevents.1"]
    small = ["a.txt", "b.json", "README.md", "c.csv", "none"]
    adds = [Add(path, b"---\nlicense: mit\n---\n") for path in large + small]
    api.create_commit(repo_id, [*adds, Add("big.csv", b"1,2\n" * (3 * 2**20))], commit_message="all")
    assert [path for path in large + small if is_large(api, repo_id, path)] == large
    assert is_large(api, repo_id, "big.csv")  # 12 MB


def test_the_repositorys_own_gitattributes_are_read(api: HfApi, repo_id: str) -> None:
    api.create_commit(repo_id, [Add(".gitattributes", b"*.csv filter=lfs\n")], commit_message="rules")
    api.create_commit(repo_id, [Add("a.csv", b"1"), Add("a.parquet", b"1")], commit_message="files")
    assert (is_large(api, repo_id, "a.csv"), is_large(api, repo_id, "a.parquet")) == (True, False)


def test_gitignore_is_honored(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    for name, text in (
        (".gitignore", "*.log\n/out/\n!keep.log\n"),
        ("a.log", ""),
        ("keep.log", "k"),
        ("a.txt", "a"),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.txt").write_text("x")
    api.upload_folder(repo_id=repo_id, folder_path=tmp_path)
    assert sorted(api.list_repo_files(repo_id)) == [".gitattributes", ".gitignore", "a.txt", "keep.log"]
    api.upload_file(
        repo_id=repo_id, path_in_repo="later.log", path_or_fileobj=b"x"
    )  # by the rules committed above
    assert not api.file_exists(repo_id, "later.log")


def test_one_content_is_kept_once(api: HfApi, hub: Hub, repo_id: str) -> None:
    content = repo_id.encode() * 1000
    api.upload_file(repo_id=repo_id, path_in_repo="a.bin", path_or_fileobj=content)
    path = stored(hub, content)
    before = path.stat()
    assert before.st_mode & 0o777 == 0o444
    api.create_repo(f"{repo_id}.2", repo_type="dataset")
    api.upload_file(
        repo_id=f"{repo_id}.2", repo_type="dataset", path_in_repo="b.bin", path_or_fileobj=content
    )
    assert path.stat().st_ino == before.st_ino  # not even written again
    api.delete_repo(repo_id)
    assert Path(api.hf_hub_download(f"{repo_id}.2", "b.bin", repo_type="dataset")).read_bytes() == content
    row = {"oid": path.name, "size": len(content) + 1}
    assert "holds this object" in batch(hub, f"datasets/{repo_id}.2", row)["objects"][0]["error"]["message"]


def test_what_is_not_what_it_says_is_not_kept(api: HfApi, hub: Hub, repo_id: str) -> None:
    promised = repo_id.encode()
    row = {"oid": hashlib.sha256(promised).hexdigest(), "size": len(promised)}
    href = batch(hub, repo_id, row)["objects"][0]["actions"]["upload"]["href"]
    for sent, words in (
        (promised[:-1], "bytes came"),
        (promised + b"x", "More bytes came"),
        (promised[::-1], "have SHA-256"),
    ):
        answer = get_session().put(href, content=sent)
        assert (answer.status_code, words in answer.json()["error"]) == (400, True)
    assert not stored(hub, promised).exists()
    assert list((hub.root / "incoming").iterdir()) == []
    assert get_session().put(href, content=promised).status_code == 200
    assert stored(hub, promised).read_bytes() == promised


def test_upload_links_cannot_be_made_up(api: HfApi, hub: Hub, repo_id: str) -> None:
    content = repo_id.encode()
    row = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    href = batch(hub, repo_id, row)["objects"][0]["actions"]["upload"]["href"]
    other = hashlib.sha256(b"other").hexdigest()
    for changed in (
        href.replace(row["oid"], other),
        href.replace("size=", "size=1"),
        href.replace("until=", "until=9"),
        href.split("?")[0],
        href.replace("signature=", "signature=é"),
    ):
        assert get_session().put(changed, content=content).status_code == 403
    assert not stored(hub, content).exists()


def test_batches_that_make_no_sense(api: HfApi, hub: Hub, repo_id: str) -> None:
    for row in (
        {"oid": "../../token", "size": 1},
        {"oid": "A" * 64, "size": 1},
        {"oid": "a" * 64, "size": -1},
        {},
    ):
        assert batch(hub, repo_id, row)["objects"][0]["error"]["code"] == 422
    assert "upload or download" in batch(hub, repo_id, operation="verify")["error"]


def test_in_parts(api: HfApi, hub: Hub, repo_id: str) -> None:
    """A client that asks for parts gets them; here one part, since a part has 256 MB."""
    operation = Add("a.bin", repo_id.encode() * 100)
    actions, errors, transfer = post_lfs_batch_info(
        [operation.upload_info], None, "model", repo_id, transfers=["multipart"]
    )
    assert (errors, transfer) == ([], "multipart")
    lfs_upload(operation, actions[0])
    assert stored(hub, repo_id.encode() * 100).exists()
    with pytest.raises(Exception, match="not known"):  # the same links once more
        lfs_upload(operation, actions[0])


def test_parts_lie_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 4)
    store = objects.ObjectStore(tmp_path / "objects", tmp_path)
    content = b"0123456789"
    pointer = objects.Pointer(hashlib.sha256(content).hexdigest(), 10)

    async def stream(data: bytes) -> AsyncIterator[bytes]:
        for i in range(len(data)):
            yield data[i : i + 1]

    name = store.begin_parts()
    for number in (3, 1, 2):  # in any order
        asyncio.run(store.receive_part(name, number, stream(content[(number - 1) * 4 : number * 4])))
    store.complete_parts(name, pointer)
    assert store.path(pointer.sha256).read_bytes() == content
    with pytest.raises(Refusal, match="More bytes came"):
        asyncio.run(store.receive_part(store.begin_parts(), 1, stream(b"12345")))
    with pytest.raises(Refusal, match="not known"):
        store.parts("../objects")


def test_pointers() -> None:
    pointer = objects.Pointer("ab" * 32, 12)
    assert objects.parse_pointer(pointer.text()) == pointer
    assert len(pointer.text()) <= objects.POINTER_MAX_BYTES
    for other in (
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        pointer.text() + b"x",
        pointer.text()[:-1],
    ):
        assert objects.parse_pointer(other) is None
