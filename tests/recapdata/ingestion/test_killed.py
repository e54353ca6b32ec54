"""SIGKILL at random moments, then the same command again: the folder ends as if nothing had happened, byte for byte."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.records import Counts
from tests.builders import png
from tests.recapdata.ingestion.sources import files, leftovers

ROWS = 3000
COMMAND = [sys.executable, "-c", "from recapdata.cli import main; main()"]


def start(*arguments: str | Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(*arguments: str | Path) -> None:
    process = start(*arguments)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 0, error.decode()


def kill_often(arguments: list[str | Path], grows: Path, dice: random.Random, times: int) -> int:
    """Start the command and kill it a moment after something new appears below `grows`; returns how often it was alive."""
    killed = 0
    for _ in range(times):
        before = sum(1 for _ in grows.rglob("*"))
        process = start(*arguments)
        while process.poll() is None and sum(1 for _ in grows.rglob("*")) <= before:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.15)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    return killed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 rows: 10 by 10 the last picture repeats the first of its ten, and each 25th caption is blank."""
    path = tmp_path_factory.mktemp("source") / "rows.parquet"
    images = [png(number - 9 if number % 10 == 9 else number) for number in range(ROWS)]
    captions = ["" if number % 25 == 24 else f"caption {number}" for number in range(ROWS)]
    pq.write_table(pa.table({"image": images, "caption": captions}), path, row_group_size=250)
    return path


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of an ingest that nothing interrupted."""
    path = tmp_path_factory.mktemp("whole") / "out"
    finish("ingest", f"urls:{source}", path, "--shard-rows", "100")
    # Blank are 24, 49, …: 120 of 3,000; of the 300 repeats (9, 19, …) 24 + 25k is 9 mod 10 for every second k: 60.
    assert DatasetFolder.open(path).manifest.counts == Counts(3000, 2640, 240, 120)
    return path


def test_an_ingest_killed_again_and_again(source: Path, whole: Path, tmp_path: Path) -> None:
    dice = random.Random(2)
    command: list[str | Path] = ["ingest", f"urls:{source}", tmp_path / "out", "--shard-rows", "100"]
    assert kill_often(command, tmp_path, dice, 4) >= 2
    finish(*command)
    expected, found = files(whole), files(tmp_path / "out")
    assert found.keys() == expected.keys()
    assert [name for name, content in expected.items() if found[name] != content] == []
    assert leftovers(tmp_path / "out") == []


def test_a_removal_and_an_import_killed_again_and_again(whole: Path, tmp_path: Path) -> None:
    dice = random.Random(3)
    keys = [key for shard in (0, 3, 7, 20) for key in DatasetFolder.open(whole).read_keys(shard)[::9]]
    (tmp_path / "keys").write_text("\n".join(keys))
    commands: list[list[str]] = [
        ["import-captions", "alt", "caption"],
        ["remove", "--keys", str(tmp_path / "keys")],
    ]
    for name in ("once", "killed"):
        path = tmp_path / name
        shutil.copytree(whole, path)
        for command, *rest in commands:
            arguments: list[str | Path] = [command, path, *rest]
            if name == "killed":
                kill_often(arguments, path, dice, 1)
            finish(*arguments)
    once, killed = (files(tmp_path / name, dates=False) for name in ("once", "killed"))
    assert [name for name in once.keys() | killed.keys() if once.get(name) != killed.get(name)] == []
    assert leftovers(tmp_path / "killed") == []
