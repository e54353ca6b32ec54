"""Every writing command, killed before any of its changes to the folder: the next one goes on, and so does the command itself.

The test draws some of the kills; `python -m tests.benchmarks.every_kill` goes through all of them, with every command after each.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.caption_sets.importing import import_captions
from recapdata.dataset.folder import DatasetFolder
from recapdata.ingestion import IngestOptions, ingest
from recapdata.records import Counts, image_key
from tests.builders import png, write_audit
from tests.recapdata.ingestion.sources import leftovers
from tests.recapdata.killing import KILLED, Killing

# Pictures in the order of the rows; a None stands for a row with a blank caption, which becomes a failure.
FIRST = [0, 1, 0, 2, 3, None, 5, 6, 7, 5, 8, None, 10, 11, 12, 0]  # shards 0 1 2 3 | 5 6 7 8 | 10 11 12
SECOND = [13, 0, 14, None, 16, 17, 18, 13]  # shards 13 14 16 17 | 18
REMOVED = [0, 6, 12, 13, 99]
COUNTS = {
    # whether the second source is in, whether the keys are taken out: items, records, duplicates, failures, removed
    (False, False): Counts(16, 11, 3, 2, 0),
    (False, True): Counts(16, 8, 1, 2, 5),  # 0 stood in three rows, 6 and 12 in one
    (True, False): Counts(24, 16, 5, 3, 0),
    (True, True): Counts(24, 12, 1, 3, 8),  # 13 stood in two rows, and 0 in a fourth
}
COMMANDS = ("ingest", "append", "import", "remove", "remove set", "recaption")
"""The commands, by what they do."""


class Scene:
    """The sources, a folder as it was before, and the commands on a copy of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, pictures in (("first", FIRST), ("second", SECOND)):
            images = [png(200 + place if each is None else each) for place, each in enumerate(pictures)]
            captions = ["" if each is None else f"caption {each}" for each in pictures]
            pq.write_table(pa.table({"image": images, "caption": captions}), path / f"{name}.parquet")
        (path / "keys").write_text("\n".join(image_key(png(each)) for each in REMOVED))
        self.before = path / "before"
        ingest(f"urls:{path / 'first.parquet'}", self.before, options=IngestOptions(shard_rows=4))
        import_captions(self.before, "old", "caption")
        write_audit(DatasetFolder.open(self.before), ["old"])

    def command(self, name: str, directory: Path) -> list[str | Path]:
        """The words of a command."""
        rows = ["--shard-rows", "4"]
        return {
            "ingest": ["ingest", f"urls:{self.path / 'first.parquet'}", directory, *rows],
            "append": ["ingest", f"urls:{self.path / 'second.parquet'}", directory, "--append", *rows],
            "import": ["import-captions", directory, "alt", "caption"],
            "remove": ["remove", directory, "--keys", self.path / "keys"],
            "remove set": ["remove", directory, "--captions", "old"],
            "recaption": [
                "recaption",
                directory,
                "recap",
                "--captioner",
                "scripted",
                "--workers",
                "0",
                "--batch-size",
                "2",
            ],
        }[name]

    def start(self, name: str, directory: Path) -> None:
        """The folder as it is before a command: none at all before the first ingest."""
        shutil.rmtree(directory, ignore_errors=True)
        if name != "ingest":
            shutil.copytree(self.before, directory)


def changes(killing: Killing, scene: Scene, name: str) -> int:
    """How many changes a command makes."""
    directory = scene.path / "whole"
    scene.start(name, directory)
    outcome = killing.run(scene.command(name, directory), directory)
    assert outcome.code == 0, outcome.said
    return outcome.changes


def kill_and_go_on(killing: Killing, scene: Scene, name: str, at: int, then: str) -> None:
    """Kill a command before a change, run another one, then both until they are through; and look at what is there."""
    directory = scene.path / "out"
    scene.start(name, directory)
    assert killing.run(scene.command(name, directory), directory, at).code == KILLED
    done = set()
    for each in (then, name, then):
        words = scene.command(each, directory)
        outcome = killing.run(words, directory)
        if (
            outcome.code and "give --append" in outcome.said
        ):  # the other source took the place of one that never began
            outcome = killing.run([*words, "--append"], directory)
        assert "Traceback" not in outcome.said, outcome.said
        if outcome.code == 0:
            done.add(each)
        elif each == "remove set" and "has no caption set 'old'" in outcome.said:
            done.add(each)  # it is out, or was never in
    assert done == {name, then}, f"refused for ever: {outcome.said}"
    check(directory, {name, then})
    assert leftovers(directory) == []


def check(directory: Path, commands: set[str]) -> None:
    """Hold the folder against what the commands come to, whatever happened between."""
    folder = DatasetFolder.open(directory)
    second, removed = "append" in commands, "remove" in commands
    pictures = [*FIRST, *(SECOND if second else ())]
    expected = {image_key(png(each)): each for each in pictures if each is not None}
    if removed:
        for each in REMOVED:
            expected.pop(image_key(png(each)), None)
    keys = [key for shard in folder.shards() for key in folder.read_keys(shard)]
    assert len(keys) == len(set(keys))
    assert set(keys) == expected.keys()
    counts = COUNTS[second, removed]
    assert folder.manifest.counts == folder.count(counts.items) == counts
    sets = folder.manifest.sets.keys()
    assert ("alt" in sets, "recap" in sets) == ("import" in commands, "recaption" in commands)
    for name in sets:
        for shard in folder.shards():
            if name == "old" and not folder.caption_shard(name, shard).is_file():
                continue  # the set was imported before the rows were appended
            rows = folder.read_captions(name, shard).to_pylist()
            assert [row["key"] for row in rows] == folder.read_keys(shard)
            if name != "recap":
                assert [row["caption"] for row in rows] == [f"caption {expected[row['key']]}" for row in rows]
            assert all(row["caption"] and row["error"] is None for row in rows)
    for path in (directory / "audits").glob("*/train-*.parquet"):
        shard = int(path.stem.removeprefix("train-"))
        assert pq.read_table(path).column("key").to_pylist() == folder.read_keys(shard)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def killing() -> Iterator[Killing]:
    with Killing() as process:
        yield process


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_killed_at_any_change(killing: Killing, scene: Scene, name: str) -> None:
    dice = random.Random(name)
    total = changes(killing, scene, name)
    assert total > 5
    for at in sorted(dice.sample(range(1, total + 1), 9)):
        kill_and_go_on(killing, scene, name, at, dice.choice(COMMANDS))
