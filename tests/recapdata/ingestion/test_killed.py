"""SIGKILL before a change to the folder, then the same command again: it ends as if nothing had happened, byte for byte."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.records import Counts
from tests.builders import png
from tests.calls import AVAILABLE
from tests.forked import KILLED, Forks
from tests.recapdata.ingestion.sources import files, leftovers

ROWS = 600
SHARD_ROWS = 100

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as process:
        yield process


def finish(forks: Forks, arguments: list[str | Path], under: Path) -> int:
    """Run a command to its end; returns how many changes it made."""
    outcome = forks.run(arguments, under)
    assert outcome.code == 0, outcome.errors
    return outcome.changes


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 rows: 10 by 10 the last picture repeats the first of its ten, and each 25th caption is blank."""
    path = tmp_path_factory.mktemp("source") / "rows.parquet"
    images = [png(number - 9 if number % 10 == 9 else number) for number in range(ROWS)]
    captions = ["" if number % 25 == 24 else f"caption {number}" for number in range(ROWS)]
    pq.write_table(pa.table({"image": images, "caption": captions}), path, row_group_size=250)
    return path


def ingesting(source: Path, path: Path) -> list[str | Path]:
    return ["recapdata", "ingest", f"urls:{source}", path, "--shard-rows", str(SHARD_ROWS)]


@pytest.fixture(scope="module")
def whole(forks: Forks, source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The dataset of an ingest that nothing interrupted, and how many changes it took."""
    path = tmp_path_factory.mktemp("whole") / "out"
    changes = finish(forks, ingesting(source, path), path)
    # Blank are 24, 49, …: 24 of 600; of the 60 repeats (9, 19, …) 24 + 25k is 9 mod 10 for every second k: 12.
    assert DatasetFolder.open(path).manifest.counts == Counts(600, 528, 48, 24)
    return path, changes


def test_an_ingest_killed_again_and_again(
    forks: Forks, source: Path, whole: tuple[Path, int], tmp_path: Path
) -> None:
    dice = random.Random(2)
    out = tmp_path / "out"
    for _ in range(
        6
    ):  # each goes on where the one before was killed, and has more than a tenth of the changes left
        at = dice.randint(1, whole[1] // 10)
        assert forks.run(ingesting(source, out), out, kill_at=at).code == KILLED
    finish(forks, ingesting(source, out), out)
    expected, found = files(whole[0]), files(out)
    assert found.keys() == expected.keys()
    assert [name for name, content in expected.items() if found[name] != content] == []
    assert leftovers(out) == []


def test_a_removal_and_an_import_killed_again_and_again(
    forks: Forks, whole: tuple[Path, int], tmp_path: Path
) -> None:
    dice = random.Random(3)
    keys = [key for shard in (0, 3, 5) for key in DatasetFolder.open(whole[0]).read_keys(shard)[::9]]
    (tmp_path / "keys").write_text("\n".join(keys))
    once, killed = tmp_path / "once", tmp_path / "killed"
    for path in (once, killed):
        shutil.copytree(whole[0], path)
    for command, *rest in (["import-captions", "alt", "caption"], ["remove", "--keys", tmp_path / "keys"]):
        changes = finish(forks, ["recapdata", command, once, *rest], once)
        for _ in range(3):
            at = dice.randint(1, changes // 4)
            assert forks.run(["recapdata", command, killed, *rest], killed, kill_at=at).code == KILLED
        finish(forks, ["recapdata", command, killed, *rest], killed)
    expected, found = files(once, dates=False), files(killed, dates=False)
    assert [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)] == []
    assert leftovers(killed) == []
