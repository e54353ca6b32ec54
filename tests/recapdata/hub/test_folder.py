"""The Hub's folder and its process: who may open it, what starting and stopping leave."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest
from huggingface_hub import HfApi

from recapdata.errors import HubError
from recapdata.hub.folder import opened
from recapdata.hub.listening import listening_socket
from recapdata.hub.process import Hub, client_env, running_hub
from recapdata.hub.refusals import Refusal
from recapdata.hub.repositories import RepoId
from tests.waiting import HANGS, until


def test_the_token_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with opened(root, token=None, user="me") as folder:
        own = folder.token
    assert own.startswith("hf_")
    assert (root / "token").stat().st_mode & 0o777 == 0o600
    with opened(root, token=None, user="me") as folder:
        assert folder.token == own
    with opened(root, token="hf_given", user="me") as folder:
        assert folder.token == "hf_given"
    assert (root / "token").read_text() == own


def test_only_a_hubs_folder_is_touched(tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.jpg").write_bytes(b"a")
    with (
        pytest.raises(HubError, match="neither empty nor a Hub's folder"),
        opened(other, token=None, user="me"),
    ):
        pass
    assert [path.name for path in other.iterdir()] == ["a.jpg"]
    with (
        pytest.raises(HubError, match="cannot be a Hub's folder"),
        opened(other / "a.jpg", token=None, user="me"),
    ):
        pass


def test_a_repository_is_not_looked_for_in_the_folders_above(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path))  # the Hub lies in somebody's project
    repo_id = RepoId("models", "me", "x")
    with opened(tmp_path / "hub", token=None, user="me") as folder:
        folder.repositories.path(repo_id).mkdir(parents=True)
        with pytest.raises(Refusal, match="Repository not found"):
            folder.repositories.open(repo_id)


def test_a_users_name_is_one(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="cannot be a user's name"), opened(tmp_path, token=None, user="a/b"):
        pass


def test_a_folder_of_another_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(HubError, match="format 99"), opened(tmp_path, token=None, user="me"):
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub"):
        with (
            pytest.raises(HubError, match="Another process serves"),
            opened(tmp_path / "hub", token=None, user="me"),
        ):
            pass
        with pytest.raises(HubError, match="Another process serves"), running_hub(tmp_path / "hub"):
            pass


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", user="ann") as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        assert api.whoami()["name"] == "ann"
        api.create_repo("ds", repo_type="dataset", private=True)
        oid = api.upload_file(
            repo_id="ann/ds", repo_type="dataset", path_in_repo="a.parquet", path_or_fileobj=b"a"
        ).oid
        api.create_tag("ann/ds", tag="v1", repo_type="dataset")
    with running_hub(tmp_path / "hub", user="ann") as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        info = api.dataset_info("ann/ds", revision="v1")
        assert (info.sha, info.private) == (oid, True)
        path = api.hf_hub_download("ann/ds", "a.parquet", repo_type="dataset", cache_dir=tmp_path / "cache")
        assert Path(path).read_bytes() == b"a"
        assert api.list_repo_commits("ann/ds", repo_type="dataset")[0].authors == ["ann"]


def test_a_hub_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom recapdata.hub.process import start_hub\n"
        "hub = start_hub(Path(sys.argv[1]))\nprint(hub.process.pid, flush=True)\ntime.sleep(3600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "hub")], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: _ended(pid))


def _ended(pid: int) -> bool:
    """Whether a process is gone, or has ended where nobody is there to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_configured_proxy_is_not_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert list(client_env("http://127.0.0.1:8750", "t")) == ["HF_ENDPOINT", "HF_TOKEN", "HF_HUB_DISABLE_XET"]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert client_env("http://127.0.0.1:8750", "t")["no_proxy"] == "example.org,127.0.0.1"
    done = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import HfApi; print(HfApi().whoami()['name'])"],
        env={**os.environ, **hub.env},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "me\n", done.stderr
    monkeypatch.setenv("NO_PROXY", "*")
    assert "no_proxy" not in client_env("http://127.0.0.1:8750", "t")


def console(*options: str) -> list[str]:
    return [sys.executable, "-c", "from recapdata.cli import main; main()", "hub", *options]


def test_the_command_prints_what_to_export_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    child = subprocess.Popen(
        console("--root", str(root), "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    exports = dict(child.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(3))
    assert list(exports) == ["HF_ENDPOINT", "HF_TOKEN", "HF_HUB_DISABLE_XET"]
    done = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import HfApi; print(HfApi().create_repo('x'))"],
        env={**os.environ, **exports},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{exports['HF_ENDPOINT']}/me/x"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=HANGS)
    assert child.returncode == 0
    assert str(root) in said
    assert "Traceback" not in said


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            console("--root", str(tmp_path / "hub"), "--port", str(port)),
            capture_output=True,
            text=True,
            timeout=HANGS,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: Port {port} on 127.0.0.1 is taken")
    assert len(done.stderr.splitlines()) == 1


def test_answers_are_not_held_back(tmp_path: Path) -> None:
    """asyncio switches Nagle's algorithm off only on sockets that name their protocol: 1 ms an answer, not 44."""
    with listening_socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_the_space_of_deleted_repositories_is_given_back(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    gone = "on a branch that is gone"
    contents = {"deleted": b"d" * 1000, "shared": b"s" * 1000, "kept": b"k" * 1000, gone: b"b"}
    with running_hub(root) as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        for repo, names in (("me/a", ("deleted", "shared")), ("me/b", ("shared", "kept"))):
            api.create_repo(repo)
            for name in names:
                api.upload_file(repo_id=repo, path_in_repo=f"{name}.bin", path_or_fileobj=contents[name])
        api.create_branch("me/b", branch="gone")
        commit = api.upload_file(
            repo_id="me/b", revision="gone", path_in_repo="g.bin", path_or_fileobj=contents[gone]
        )
        api.delete_branch("me/b", branch="gone")
        api.delete_repo("me/a")

    def held() -> set[str]:
        names = {path.name for path in (root / "objects").rglob("*") if path.is_file()}
        return {name for name, content in contents.items() if hashlib.sha256(content).hexdigest() in names}

    with running_hub(root):
        assert held() == set(contents)  # too young: an upload may wait for its commit over a restart
    for path in (root / "objects").rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))
    with running_hub(root) as hub:
        assert held() == set(contents) - {"deleted"}
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        got = api.hf_hub_download("me/b", "g.bin", revision=commit.oid, cache_dir=tmp_path / "cache")
        assert Path(got).read_bytes() == contents[gone]
    assert not (root / "repos" / "deletions").exists()
