"""Killed at any moment, the Hub starts again with the old head or the new one, and every file of it is there."""

import base64
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from recapdata.hub.process import Hub, running_hub, start_hub, stop_hub
from tests.waiting import HANGS

TOKEN = "hf_x"
REPO = "tests/killed"


def large(number: int) -> bytes:
    """The large object of a numbered commit: another content each time."""
    return hashlib.sha256(str(number).encode()).digest() * 3000


def commit(client: httpx2.Client, number: int, repo: str = REPO) -> str:
    """What the stock client sends for a commit, without its patience: any failure is raised at once."""
    content = large(number)
    oid = hashlib.sha256(content).hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}
    instructions = client.post(f"/{repo}.git/info/lfs/objects/batch", json=batch).raise_for_status().json()
    if actions := instructions["objects"][0].get("actions"):
        client.put(actions["upload"]["href"], content=content).raise_for_status()
    text = base64.b64encode(str(number).encode()).decode()
    rows: list[dict[str, object]] = [
        {"key": "header", "value": {"summary": f"commit {number}"}},
        {
            "key": "lfsFile",
            "value": {"path": "large.bin", "oid": oid, "size": len(content), "algo": "sha256"},
        },
        *(
            {"key": "file", "value": {"path": f"{i}/n.txt", "content": text, "encoding": "base64"}}
            for i in range(10)
        ),
    ]
    body = "\n".join(json.dumps(row) for row in rows)
    return client.post(f"/api/models/{repo}/commit/main", content=body).raise_for_status().json()["commitOid"]


@contextmanager
def talking_to(hub: Hub) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=hub.endpoint, headers={"authorization": f"Bearer {hub.token}"}, timeout=HANGS
    ) as client:
        yield client


def head(hub: Hub, folder: Path, repo: str = REPO) -> int:
    """The number of the head's commit, after every file of it has been downloaded and compared."""
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    history = api.list_repo_commits(repo)
    number = int(history[0].title.removeprefix("commit "))
    titles = [commit.title for commit in history]
    assert titles == [
        *(f"commit {n}" for n in range(number, -1, -1)),
        "initial commit",
    ]  # none lost, none twice
    snapshot = Path(api.snapshot_download(repo, cache_dir=folder, revision=history[0].commit_id))
    assert (snapshot / "large.bin").read_bytes() == large(number)
    assert {(snapshot / str(i) / "n.txt").read_text() for i in range(10)} == {str(number)}
    return number


def commit_until_it_dies(client: httpx2.Client, number: int) -> int:
    """Commit `number` + 1, + 2, …; returns the last that was answered."""
    while True:
        try:
            commit(client, number + 1)
        except httpx2.TransportError:
            return number
        number += 1


def test_killed_during_commits(tmp_path: Path) -> None:
    chance = random.Random(0)
    root = tmp_path / "hub"
    with running_hub(root, token=TOKEN) as hub:
        HfApi(endpoint=hub.endpoint, token=TOKEN).create_repo(REPO)
        with talking_to(hub) as client:
            commit(client, 0)
    acknowledged = 0
    for _ in range(6):
        hub = start_hub(root, token=TOKEN)
        killer = threading.Timer(chance.uniform(0.02, 0.25), hub.process.kill)
        with talking_to(hub) as client:
            number = head(hub, tmp_path)
            assert number in (
                acknowledged,
                acknowledged + 1,
            )  # the commit under way may have arrived unanswered
            acknowledged = number
            killer.start()
            acknowledged = commit_until_it_dies(client, acknowledged)
        stop_hub(hub)
    with running_hub(root, token=TOKEN) as hub, talking_to(hub) as client:
        number = head(hub, tmp_path)
        assert number in (acknowledged, acknowledged + 1)
        commit(client, number + 1)
        assert head(hub, tmp_path) == number + 1
        assert number > 1  # commits were really made between the kills, on the slowest machine too


# The Hub's own process, told to kill itself at one point of a commit.
STAGES = """
import os, signal, sys
from recapdata import atomic
from recapdata.hub import commits, objects
from recapdata.hub.__main__ import main
def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)
flush = atomic.flush
def die_at_folder(path): die() if path.is_dir() and "objects" in path.parts else flush(path)
where = sys.argv.pop(1)
if where == "while an object is written": objects.write_all = die
elif where == "before an object has its name": objects.ObjectStore.adopt = die
elif where == "before the folder is flushed": atomic.flush = die_at_folder
elif where == "between blobs and trees": commits._write_tree = die
elif where == "before the branch moves": commits.flush_objects = die
elif where == "after the branch moved": commits.flush_reference = die
else: raise SystemExit(where)
main()
"""


ARRIVES = {
    "while an object is written": False,
    "before an object has its name": False,
    "before the folder is flushed": False,
    "between blobs and trees": False,
    "before the branch moves": False,
    "after the branch moved": True,
}


def test_killed_at_each_stage(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    repos = {where: f"tests/{where.replace(' ', '-')}" for where in ARRIVES}
    with running_hub(root, token=TOKEN) as hub, talking_to(hub) as client:
        for repo in repos.values():
            HfApi(endpoint=hub.endpoint, token=TOKEN).create_repo(repo)
            commit(client, 0, repo)
    for where, repo in repos.items():
        dying = start_dying_hub(root, where)
        with talking_to(dying) as client, pytest.raises(httpx2.TransportError):
            commit(client, 1, repo)
        assert dying.process.wait(HANGS) == -signal.SIGKILL
        stop_hub(dying)
    with running_hub(root, token=TOKEN) as hub, talking_to(hub) as client:
        assert {where: head(hub, tmp_path, repo) == 1 for where, repo in repos.items()} == ARRIVES
        for repo in repos.values():
            commit(client, 1, repo)  # the same request again finishes it, or finds it done
            assert head(hub, tmp_path, repo) == 1
        assert list((root / "incoming").iterdir()) == []


def start_dying_hub(root: Path, where: str) -> Hub:
    child = subprocess.Popen(
        [sys.executable, "-c", STAGES, where, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "RECAPDATA_HUB_TOKEN": TOKEN},
    )
    assert child.stdout is not None
    endpoint = json.loads(child.stdout.readline())["endpoint"]
    return Hub(endpoint=endpoint, token=TOKEN, root=root, process=child)


def test_what_a_killed_process_leaves_is_no_hindrance(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with running_hub(root, token=TOKEN) as hub:
        HfApi(endpoint=hub.endpoint, token=TOKEN).create_repo(REPO)
    repository = root / "repos" / "models" / "tests" / "killed.git"
    left = [
        repository / "refs" / "heads" / "main.lock",
        repository / "HEAD.lock",
        repository / "config.lock",
        repository / "objects" / "tmp_object_git2_x",
        repository / "objects" / "ab" / "tmp_obj_x",
        root / "incoming" / "0123.parts",
        root / "incoming" / "half.git" / "HEAD",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")
    with running_hub(root, token=TOKEN) as hub, talking_to(hub) as client:
        assert not any(path.exists() for path in left)
        commit(client, 0)


def test_clients_at_once_lose_nothing(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)

    def work(who: int) -> None:
        for i in range(5):
            operations = [
                CommitOperationAdd(f"{who}/{i}.txt", f"{who} {i}".encode()),
                CommitOperationAdd(f"{who}/last.bin", f"{who} {i}".encode() * 1000),
                CommitOperationAdd("shared.txt", f"{who} {i}".encode()),
            ]
            HfApi().create_commit(repo_id, operations, commit_message=f"{who} {i}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    titles = [commit.title for commit in api.list_repo_commits(repo_id)]
    assert sorted(titles) == sorted([*(f"{who} {i}" for who in range(4) for i in range(5)), "initial commit"])
    names = {f"{who}/{i}.txt" for who in range(4) for i in range(5)} | {f"{who}/last.bin" for who in range(4)}
    assert set(api.list_repo_files(repo_id)) == names | {"shared.txt", ".gitattributes"}
    shared = Path(api.hf_hub_download(repo_id, "shared.txt")).read_text()
    assert shared == titles[0]  # the last commit's


def test_of_clients_with_the_same_parent_one_wins(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    parent = api.repo_info(repo_id).sha

    def attempt(who: int) -> int:
        try:
            HfApi().create_commit(
                repo_id,
                [CommitOperationAdd("a.txt", str(who).encode())],
                commit_message=str(who),
                parent_commit=parent,
            )
        except HfHubHTTPError as error:
            return error.response.status_code
        return 200

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(4)))
    assert sorted(answers) == [200, 412, 412, 412]
    assert Path(api.hf_hub_download(repo_id, "a.txt")).read_text() == str(answers.index(200))


def test_a_reader_beside_a_writer_sees_whole_commits(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    end = threading.Event()

    def write() -> None:
        number = 0
        while not end.is_set():
            content = f"{number}".encode() * 100
            operations = [CommitOperationAdd(f"{name}.{number % 3}.bin", content) for name in "ab"]
            operations += [CommitOperationAdd(f"{name}.txt", content) for name in "ab"]
            HfApi().create_commit(repo_id, operations, commit_message=str(number))
            number += 1

    with ThreadPoolExecutor(1) as pool:
        writing, began = pool.submit(write), time.monotonic()
        seen: set[str] = set()
        ends = time.monotonic() + HANGS
        while len(seen) < 3 or time.monotonic() < began + 3:
            assert time.monotonic() < ends
            assert not writing.done(), writing.exception()
            folder = Path(HfApi().snapshot_download(repo_id, cache_dir=tmp_path))
            names = {path.name for path in folder.iterdir()}
            for name in names:
                if name.startswith("a."):
                    assert (folder / name).read_bytes() == (folder / name.replace("a.", "b.")).read_bytes()
            seen.add(folder.name)
        end.set()
        writing.result()
