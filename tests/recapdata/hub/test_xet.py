"""A client that comes with Xet switched on: told in one line what to export, at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from recapdata.hub.process import Hub
from tests.waiting import HANGS

UPLOADS = {
    "file": "HfApi().upload_file(repo_id=REPO, path_in_repo='x.bin', path_or_fileobj=b'x')",
    "folder": "HfApi().upload_folder(repo_id=REPO, folder_path=FOLDER)",
    "text": "HfApi().upload_file(repo_id=REPO, path_in_repo='x.txt', path_or_fileobj=b'x')",
    "download": "print(open(HfApi().hf_hub_download(REPO, 'there.bin')).read())",
}


def with_xet(hub: Hub, what: str, repo_id: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
    script = (
        f"from huggingface_hub import HfApi\nREPO, FOLDER = {repo_id!r}, {str(folder)!r}\n{UPLOADS[what]}"
    )
    return subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=HANGS
    )


@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_upload_says_what_to_export(hub: Hub, repo_id: str, tmp_path: Path, what: str) -> None:
    HfApi().create_repo(repo_id)
    (tmp_path / "x.bin").write_bytes(b"x")
    began = time.monotonic()
    with_xet(hub, "text", repo_id, tmp_path)
    alone = (
        time.monotonic() - began
    )  # that takes starting the client, as long as that takes on this machine now
    began = time.monotonic()
    done = with_xet(hub, what, repo_id, tmp_path)
    assert done.returncode != 0
    assert "run: export HF_HUB_DISABLE_XET=1" in done.stderr.splitlines()[-1]
    assert time.monotonic() - began < 20 + 5 * alone  # no retries


def test_what_needs_no_xet_works(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    HfApi().create_repo(repo_id)
    HfApi().upload_file(repo_id=repo_id, path_in_repo="there.bin", path_or_fileobj=b"there")
    for what in ("text", "download"):
        done = with_xet(hub, what, repo_id, tmp_path)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "there"
