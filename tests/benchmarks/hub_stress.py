"""Stress of the embedded Hub by the stock client: throughput, several clients at once, SIGKILL during commits.

    python -m tests.benchmarks.hub_stress [--megabytes 200] [--clients 4] [--kills 30]

Prints one line per measurement and exits with an error at the first byte, file or commit that is lost. Throughput is set
against a plain copy of the same file (read, hashed, written and flushed), the least that an upload can cost.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recapdata.hub.process import running_hub, start_hub, stop_hub

os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

CLIENT = """
import sys
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi
who, path, cache = sys.argv[1:]
api = HfApi()
for i in range(10):
    operations = [CommitOperationAdd(f"{who}/{i}/{n}.txt", f"{who} {i} {n}".encode()) for n in range(5)]
    if i == 5:
        operations.append(CommitOperationAdd(f"{who}/large.bin", path))
    api.create_commit("bench/clients", operations, commit_message=f"{who} {i}", repo_type="dataset")
got = api.hf_hub_download("bench/clients", f"{who}/large.bin", repo_type="dataset", cache_dir=cache)
assert Path(got).read_bytes() == Path(path).read_bytes()
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--kills", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hub-stress-") as folder:
        work = Path(folder)
        os.environ["HF_HOME"] = str(work / "hf")
        throughput(work, options.megabytes)
        clients_at_once(work, options.clients, options.megabytes)
        kills(work, options.kills)


def random_file(path: Path, megabytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(2**20))
    return path


def plain_copy(source: Path, target: Path) -> float:
    """Seconds to read, hash, write and flush a file."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(2**20):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return time.perf_counter() - began


def peak_megabytes(pid: int) -> float:
    """The highest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def throughput(work: Path, megabytes: int) -> None:
    from huggingface_hub import HfApi

    source = random_file(work / "large.bin", megabytes)
    copy = min(plain_copy(source, work / "copy.bin") for _ in range(2))
    with running_hub(work / "hub") as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        api.create_repo("bench/throughput", repo_type="dataset")
        idle = peak_megabytes(hub.process.pid)
        repo = {"repo_id": "bench/throughput", "repo_type": "dataset"}
        began = time.perf_counter()
        api.upload_file(path_or_fileobj=source, path_in_repo="large.bin", **repo)
        up = time.perf_counter() - began
        began = time.perf_counter()
        got = Path(api.hf_hub_download(filename="large.bin", cache_dir=work / "cache", **repo))
        down = time.perf_counter() - began
        assert got.read_bytes() == source.read_bytes()
        began = time.perf_counter()
        for i in range(50):
            api.upload_file(path_or_fileobj=b"%d" % i, path_in_repo="small.txt", **repo)
        small = (time.perf_counter() - began) / 50
        memory = peak_megabytes(hub.process.pid) - idle
    rate = {name: megabytes / seconds for name, seconds in (("copy", copy), ("up", up), ("down", down))}
    print(
        f"throughput: {megabytes} MiB  plain copy {rate['copy']:.0f} MiB/s  upload {rate['up']:.0f} MiB/s  "
        f"download {rate['down']:.0f} MiB/s  small commit {small * 1000:.0f} ms  Hub's memory +{memory:.0f} MiB"
    )


def clients_at_once(work: Path, count: int, megabytes: int) -> None:
    from huggingface_hub import HfApi

    sources = [random_file(work / f"{who}.bin", megabytes) for who in range(count)]
    with running_hub(work / "hub") as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        api.create_repo("bench/clients", repo_type="dataset")
        idle = peak_megabytes(hub.process.pid)
        env = {**os.environ, **hub.env}
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                [sys.executable, "-c", CLIENT, str(who), str(source), str(work / f"cache-{who}")], env=env
            )
            for who, source in enumerate(sources)
        ]
        assert [child.wait() for child in running] == [0] * count
        took = time.perf_counter() - began
        titles = {c.title for c in api.list_repo_commits("bench/clients", repo_type="dataset")}
        assert titles == {f"{who} {i}" for who in range(count) for i in range(10)} | {"initial commit"}
        names = set(api.list_repo_files("bench/clients", repo_type="dataset"))
        assert len(names) == count * (10 * 5 + 1) + 1, len(names)
        memory = peak_megabytes(hub.process.pid) - idle
    print(
        f"{count} clients at once: {count * 10} commits, {count} × {megabytes} MiB up and down in {took:.1f} s "
        f"({2 * count * megabytes / took:.0f} MiB/s)  nothing lost  Hub's memory +{memory:.0f} MiB"
    )


def kills(work: Path, count: int) -> None:
    """The client makes numbered commits; the Hub is killed and started again at random moments."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import logging

    logging.set_verbosity(logging.CRITICAL)  # of its retries while the Hub is away
    chance = random.Random(0)
    root = work / "killed"
    hub = start_hub(root, token="hf_stress")
    port = int(hub.endpoint.rsplit(":", 1)[1])
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    api.create_repo("bench/killed")
    end, progress = threading.Event(), [-1]
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(commit_on_and_on, api, end, progress)
        for _ in range(count):
            before = progress[0]
            while progress[0] < before + 2 and not writing.done():  # the client is at work again
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.2))
            hub.process.kill()
            stop_hub(hub)
            hub = start_hub(root, token="hf_stress", port=port)
        end.set()
        unanswered = writing.result()
    checked = check_every_commit(api, progress[0], work / "cache-killed")
    stop_hub(hub)
    print(
        f"{count} × SIGKILL: {progress[0] + 1} commits, {unanswered} of them arrived without an answer, "
        f"{checked} files of {progress[0] + 1} revisions compared, nothing lost"
    )


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * 20_000


def commit_on_and_on(api, end: threading.Event, progress: list[int]) -> int:  # type: ignore[no-untyped-def]
    """Commit 0, 1, 2, …; returns how many arrived although their answer did not."""
    import httpx2
    from huggingface_hub import CommitOperationAdd

    unanswered = 0
    while not end.is_set():
        number = progress[0] + 1
        operations = [CommitOperationAdd("large.bin", content(number))]
        operations += [CommitOperationAdd(f"{i}.txt", str(number).encode()) for i in range(20)]
        try:
            api.create_commit("bench/killed", operations, commit_message=str(number))
        except (
            httpx2.TransportError,
            RuntimeError,
        ):  # RuntimeError: the client's own, around a failed upload
            last = head_title(api)
            assert last in (str(number - 1), str(number), "initial commit"), (last, number)
            if last != str(number):
                continue
            unanswered += 1
        progress[0] = number
    return unanswered


def head_title(api) -> str:  # type: ignore[no-untyped-def]
    """The last commit's title, as soon as the Hub is there again (the client itself waits for it)."""
    return str(api.list_repo_commits("bench/killed")[0].title)


def check_every_commit(api, last: int, cache: Path) -> int:  # type: ignore[no-untyped-def]
    """Compare all files of all commits with what was sent; returns how many."""
    history = api.list_repo_commits("bench/killed")
    assert [commit.title for commit in history] == [*(str(n) for n in range(last, -1, -1)), "initial commit"]
    checked = 0
    for commit in history[:-1]:
        number = int(commit.title)
        folder = Path(api.snapshot_download("bench/killed", revision=commit.commit_id, cache_dir=cache))
        assert (folder / "large.bin").read_bytes() == content(number)
        for i in range(20):
            assert (folder / f"{i}.txt").read_text() == str(number)
            checked += 1
        checked += 1
    return checked


if __name__ == "__main__":
    main()
