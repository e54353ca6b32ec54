"""`git clone` and `git fetch` with the real git, and where its large files are, as git-lfs asks."""

import hashlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd as Add
from huggingface_hub import CommitOperationDelete as Delete
from huggingface_hub import HfApi

from recapdata.hub.process import Hub

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
LARGE = b"large" * 1000


def git(*words: str, folder: Path | None = None, fails: bool = False) -> str:
    env = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def address(hub: Hub, repo_id: str) -> str:
    """A repository of three commits, one of which is a version."""
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    for number in range(2):
        additions = [Add(f"d/e/{each}.txt", f"{number} {each}".encode()) for each in range(300)]
        api.create_commit(
            repo_id, [*additions, Add("a.bin", LARGE)], commit_message=f"commit {number}", repo_type="dataset"
        )
    api.create_tag(repo_id, tag="v1.0.0", tag_message="one", repo_type="dataset")
    return f"{hub.endpoint}/datasets/{repo_id}"


def with_token(hub: Hub, address: str) -> str:
    return address.replace("http://", f"http://me:{hub.token}@")


def test_clone_and_fetch(address: str, repo_id: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", address, str(clone))
    git("fsck", "--full", folder=clone)
    assert (clone / "d/e/299.txt").read_text() == "1 299"
    assert f"oid sha256:{hashlib.sha256(LARGE).hexdigest()}" in (clone / "a.bin").read_text()
    assert git("tag", "--list", folder=clone).split() == ["v1.0.0"]
    assert len(git("log", "--format=%h", folder=clone).split()) == 3
    HfApi().create_commit(
        repo_id, [Delete("d/e/0.txt"), Add("new", b"1")], commit_message="more", repo_type="dataset"
    )
    git("pull", "--quiet", folder=clone)
    git("fsck", "--full", folder=clone)
    assert (clone / "new").exists()
    assert not (clone / "d/e/0.txt").exists()
    git("pull", folder=clone)


def test_clone_of_a_version_and_a_shallow_one(address: str, repo_id: str, tmp_path: Path) -> None:
    git("clone", "--depth", "1", f"{address}.git", str(tmp_path / "shallow"))
    assert git("log", "--format=%s", folder=tmp_path / "shallow").split("\n")[0] == "commit 1"
    assert len(git("log", "--format=%h", folder=tmp_path / "shallow").split()) == 1
    HfApi().create_commit(repo_id, [Add("new", b"1")], commit_message="more", repo_type="dataset")
    git("pull", "--quiet", folder=tmp_path / "shallow")
    git("fetch", "--quiet", "--depth", "3", folder=tmp_path / "shallow")
    git("fsck", folder=tmp_path / "shallow")
    git("clone", "--depth", "2", "--branch", "v1.0.0", address, str(tmp_path / "version"))
    assert not (tmp_path / "version" / "new").exists()


def test_a_clone_follows_a_new_name(hub: Hub, address: str, repo_id: str, tmp_path: Path) -> None:
    HfApi().move_repo(repo_id, f"{repo_id}.new", repo_type="dataset")
    git("clone", "--quiet", address, str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "d/e/1.txt").exists()


def test_private_repositories_need_the_token(hub: Hub, address: str, repo_id: str, tmp_path: Path) -> None:
    HfApi().update_repo_settings(repo_id, private=True, repo_type="dataset")
    git("clone", address, str(tmp_path / "no"), fails=True)
    git("clone", "--quiet", with_token(hub, address), str(tmp_path / "yes"))
    assert (tmp_path / "yes" / "d/e/1.txt").exists()


def test_nothing_is_pushed(hub: Hub, address: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", with_token(hub, address), str(clone))
    git("-c", "user.name=me", "-c", "user.email=me@x", "commit", "--allow-empty", "-m", "x", folder=clone)
    assert "403" in git("push", folder=clone, fails=True)


def test_requests_that_are_none(hub: Hub, address: str) -> None:
    want = "want " + "f" * 40
    for body in (
        b"",
        b"zzzz",
        b"0032want nothing",
        f"{len(want) + 4:04x}{want}0009done\n".encode(),
        b"0032want " + b"../" * 13,
        b"0015deepen 99999999999",
        b"0004" * 200_000,
    ):
        ask = urllib.request.Request(f"{address}/git-upload-pack", body, method="POST")
        try:
            with urllib.request.urlopen(ask, timeout=30) as answer:
                assert answer.status == 200
        except urllib.error.HTTPError as error:
            assert error.code == 400, body[:40]  # noqa: PT017


def test_large_files_are_had_as_git_lfs_asks(hub: Hub, address: str, repo_id: str) -> None:
    def batch(token: str | None, sha256: str) -> dict:
        body = json.dumps({"operation": "download", "objects": [{"oid": sha256, "size": 1}]}).encode()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        ask = urllib.request.Request(f"{address}.git/info/lfs/objects/batch", body, headers)
        with urllib.request.urlopen(ask) as answer:
            return json.load(answer)["objects"][0]

    other = f"{repo_id}.private"
    HfApi().create_repo(other, private=True)
    HfApi().upload_file(repo_id=other, path_in_repo="b.bin", path_or_fileobj=b"not for everybody")
    row = batch(None, hashlib.sha256(LARGE).hexdigest())
    with urllib.request.urlopen(row["actions"]["download"]["href"]) as answer:
        assert answer.read() == LARGE
    assert row["size"] == len(LARGE)
    for sha256 in (hashlib.sha256(b"not for everybody").hexdigest(), "f" * 64, "../../token"):
        assert batch(hub.token, sha256)["error"]["code"] == 404  # another repository's is not told
