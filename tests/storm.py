"""Every writing command, in every state that a SIGKILL of it can leave, with every command after it: `tests/test_storm.py` runs it.

A trial takes a folder as a killed command left it, runs another command, then both again; at the end both have done their work, or
said in one line what to do, and the folder holds what they come to.
"""

import io
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from recapdata.caption_sets.importing import import_captions
from recapdata.dataset.folder import CORRECTIONS, DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.ingestion import IngestOptions, ingest
from recapdata.records import Counts, image_key
from tests.builders import png, write_audit
from tests.forked import KILLED, Forks, Outcome
from tests.recapdata.ingestion.sources import files, leftovers

ALL = os.environ.get("RECAPDATA_TEST_STORM") == "all"
"""Whether the slow tests try everything, which takes hours, or some of it evenly."""
# Pictures in the order of the rows; a None stands for a row with a blank caption, which becomes a failure.
FIRST = [0, 1, 0, 2, 3, None, 5, 6, 7, 5]  # shards 0 1 2 3 | 5 6 7
SECOND = [13, 0, 14, None, 16, 17, 18, 13]  # shards 13 14 16 17 | 18
REMOVED = [0, 6, 13, 99]
WRONG = 'alt: "1" in caption or "6" in caption'
"""What `fix` writes anew: one picture of each shard, of which one may be taken out."""
COUNTS = {
    # whether the second source is in, whether the keys are taken out: items, records, duplicates, failures, removed
    (False, False): Counts(10, 7, 2, 1, 0),
    (False, True): Counts(10, 5, 1, 1, 3),  # 0 stood in two rows, 6 in one
    (True, False): Counts(18, 12, 4, 2, 0),
    (True, True): Counts(18, 9, 1, 2, 6),  # 13 stood in two rows, and 0 in a third
}
WRITING = (
    "ingest",
    "append",
    "import",
    "overwrite",
    "recaption",
    "fix",
    "merge",
    "edit",
    "remove",
    "remove set",
    "audit",
    "correct",
)
"""The commands that write to a folder, by what they do; `fix` is `recaption --where`, which fills its gaps from the set it speaks of."""
SETS = {"import": "more", "recaption": "recap", "fix": "fixed", "merge": "merged", "edit": "edited"}
"""The caption sets that commands make."""
READING = ("load", "diff", "publish")
"""Commands that only read it; `publish` shows its plan."""
AFTER = (*WRITING, *READING)
REFUSALS = (
    "has no caption set",
    "has no caption sets",
    "holds no record with the key",  # the edit of a record that is taken out
    "finish it by running its command again",
    "is not a dataset folder",
    "has no finished captions for shard",
    "holds no records",
    "has no captions yet; finish it",
    "is of captions that have changed since",  # a publication or a `fix`, where the audit has to be run again
    "is not audited in",
    "so there is nothing to audit",  # a `fix` of a set that is being overwritten
)
"""What a command may say in place of doing its work; each says what to do."""


class Scene:
    """The sources, a folder as it was before, and the commands on a copy of it."""

    def __init__(self, path: Path, forks: Forks) -> None:
        self.path = path
        self.forks = forks
        self.directory = path / "out"
        for name, pictures in (("first", FIRST), ("second", SECOND)):
            images = [png(200 + place if each is None else each) for place, each in enumerate(pictures)]
            captions = ["" if each is None else f"caption {each}" for each in pictures]
            pq.write_table(pa.table({"image": images, "caption": captions}), path / f"{name}.parquet")
        (path / "keys").write_text("\n".join(image_key(png(each)) for each in REMOVED))
        self.before = path / "before"
        ingest(f"urls:{path / 'first.parquet'}", self.before, options=IngestOptions(shard_rows=4))
        for name in ("alt", "old"):
            import_captions(self.before, name, "caption")
        write_audit(DatasetFolder.open(self.before), ["alt", "old"])
        for set_name, picture in (("old", 0), ("alt", 0), ("old", 1), ("alt", 1)):
            correct(self.before, set_name, picture)

    def words(self, name: str) -> list[str | Path]:
        """The words of a command."""
        rows = ["--shard-rows", "4"]
        out, scripted = self.directory, ["--captioner", "scripted", "--workers", "0", "--batch-size", "2"]
        return {
            "ingest": ["recapdata", "ingest", f"urls:{self.path / 'first.parquet'}", out, *rows],
            "append": ["recapdata", "ingest", f"urls:{self.path / 'second.parquet'}", out, "--append", *rows],
            "import": ["recapdata", "import-captions", out, "more", "caption"],
            "overwrite": ["recapdata", "recaption", out, "alt", *scripted, "--overwrite"],
            "remove": ["recapdata", "remove", out, "--keys", self.path / "keys"],
            "remove set": ["recapdata", "remove", out, "--captions", "old"],
            "recaption": ["recapdata", "recaption", out, "recap", *scripted],
            "fix": ["recapdata", "recaption", out, "fixed", *scripted, "--where", WRONG],
            "merge": ["recapdata", "merge-captions", out, "merged", "alt", "old"],
            "edit": ["python", "tests.storm:edit", out],
            "audit": ["audits", "run", out, "--captions", "alt", "--workers", "1"],
            "correct": ["python", "tests.storm:correct", out],
            "load": ["python", "tests.storm:load", out],
            "diff": ["recapdata", "diff", out, self.before],
            "publish": [
                "recapdata",
                "publish",
                out,
                "tests/storm",
                "--version",
                "1.0.0",
                "--license",
                "cc0-1.0",
            ],
        }[name]

    def start(self, name: str, state: Path | None = None) -> None:
        """The folder as it is before a command, none at all before the first ingest; or as a killed one left it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if state is not None:
            if not (state / ".none").exists():
                shutil.copytree(state, self.directory, symlinks=True)
        elif name != "ingest":
            shutil.copytree(self.before, self.directory)

    def run(self, name: str) -> Outcome:
        """Run a command on the folder."""
        outcome = self.forks.run(self.words(name))
        if name == "ingest" and outcome.code == 1 and "give --append" in outcome.errors:
            # the second source took the place of one of which nothing had come in
            outcome = self.forks.run([*self.words(name), "--append"])
        assert "Traceback" not in outcome.errors, outcome.errors
        return outcome

    def states(self, name: str, *, whole: bool = False) -> list[Path]:
        """The states that a SIGKILL of a command can leave, in their order; the last is that of its end. Nobody may change them."""
        copies = self.path / ("whole" if whole else "states") / name.replace(" ", "-")
        if copies.exists():
            return sorted(copies.iterdir())
        self.start(name)
        outcome = self.forks.run(self.words(name), self.directory, copies=str(copies), whole=whole)
        assert outcome.code == 0, outcome.errors
        return sorted(copies.iterdir())

    def trial(self, name: str, state: Path, then: str) -> None:
        """A command was killed: run another one, then both until they are through; and look at what is there."""
        self.start(name, state)
        self.finish(name, then)

    def killed(self, name: str, then: str) -> None:
        """The same after a SIGKILL of the command itself, wherever its threads and processes are, in the middle of its changes."""
        self.start(name)
        changes = self.forks.run(self.words(name), self.directory).changes
        self.start(name)
        outcome = self.forks.run(self.words(name), self.directory, kill_at=(changes + 1) // 2)
        assert outcome.code == KILLED, outcome
        self.finish(name, then)

    def finish(self, name: str, then: str) -> None:
        """After a command that was killed run another one, then both until they are through; and look at what is there."""
        ends = {then: self.run(then), name: self.run(name)}
        if ends[then].code == 1:
            ends[then] = self.run(then)
        for each, outcome in ends.items():
            self.check_end(each, outcome)
        refused = {each for each, outcome in ends.items() if outcome.code == 1}
        self.check({name, then} - refused, refused)
        under_way = tuple(f"captions/{SETS[each]}/" for each in refused if each in SETS)
        assert [each for each in leftovers(self.directory) if not each.startswith(under_way)] == []

    def check_end(self, name: str, outcome: Outcome) -> None:
        """A command did its work, or said in a line why not."""
        done = 2 if name == "publish" else 0
        if outcome.code != done:
            assert outcome.code == 1, f"{name} ended with {outcome.code}: {outcome.errors}"
            lines = [line for line in outcome.errors.splitlines() if line.startswith("error: ")]
            assert len(lines) == 1, f"{name}: {outcome.errors}"
            assert any(each in lines[0] for each in REFUSALS), f"{name} refused for ever: {lines[0]}"

    def check(self, done: set[str], refused: set[str]) -> None:
        """Hold the folder against what the commands come to, whatever happened between; a set that is refused now may be under way."""
        folder = DatasetFolder.open(self.directory)
        second, removed = "append" in done, "remove" in done
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
        sets = folder.manifest.sets
        for command, name in SETS.items():
            assert command in refused or (name in sets) == (command in done)
        if "remove set" in done:
            assert "old" not in sets
            for part in ("captions", "audits"):
                assert not (self.directory / part / "old").exists()
        for name in sets:
            self._check_set(folder, name, expected)
        for path in (self.directory / "audits").glob("*/train-*.parquet"):
            shard = int(path.stem.removeprefix("train-"))
            assert pq.read_table(path).column("key").to_pylist() == folder.read_keys(shard)
        if (self.directory / CORRECTIONS).is_file():
            from audits.corrections import read_corrections

            for correction in read_corrections(self.directory):
                assert correction.set_name in (sets if "remove set" in done else ("alt", "old"))
                assert correction.key in expected

    def _check_set(self, folder: DatasetFolder, name: str, expected: dict[str, int]) -> None:
        by_model = sets_by_model(folder)
        for shard in folder.shards():
            if not folder.caption_shard(name, shard).is_file():
                continue  # it was made before the rows were appended
            rows = folder.read_captions(name, shard).to_pylist()
            assert [row["key"] for row in rows] == folder.read_keys(shard)
            for row in rows:
                picture = expected[row["key"]]
                ours, theirs = f"caption {picture}", scripted_words(picture)
                if name == "merged" and row["caption"] is None:
                    assert row["error"].startswith("NoCaption"), row  # appended since, and no source has it
                    continue
                assert row["error"] is None
                if row["finish_reason"] == "edit":
                    assert row["caption"] == "by hand"
                elif row["origin"] is not None:  # whoever's words they were, when they were taken over
                    assert name in ("edited", "fixed", "merged")
                    assert row["caption"] in (ours, theirs, "by hand")
                else:
                    assert row["caption"] == (theirs if name in by_model else ours)

    def publishing(self, repo_id: str) -> list[str | Path]:
        """The words that publish the folder."""
        return [*self.words("publish")[:3], repo_id, *self.words("publish")[4:], "--yes"]

    def publication(self, repo_id: str, kill_at: int | None = None) -> Outcome:
        """Publish a copy of the folder; with `kill_at` it dies before that change of a file or sending of a packet."""
        self.start("publish")
        return self.forks.run(self.publishing(repo_id), self.directory, sends=True, kill_at=kill_at)

    def publication_trial(self, repo_id: str, kill_at: int, then: str) -> None:
        """A publication was killed: run another command, then publish again; and look at what is there."""
        killed = self.publication(repo_id, kill_at)
        assert killed.code in (KILLED, 0), (
            killed.errors
        )  # its threads do not send in the same order each time
        self.check_end(then, self.run(then))
        again = self.forks.run(self.publishing(repo_id))
        assert "Traceback" not in again.errors, again.errors
        if again.code:
            lines = [line for line in again.errors.splitlines() if line.startswith("error: ")]
            if "exists already" in lines[0]:  # all was sent, and the folder has changed since
                assert then in WRITING, again.errors
                self._check_version(repo_id, self.before)
            else:
                assert any(each in lines[0] for each in REFUSALS), again.errors
            return
        self._check_version(repo_id, self.directory)
        assert leftovers(self.directory) == []

    def _check_version(self, repo_id: str, directory: Path) -> None:
        from huggingface_hub import HfApi

        refs = HfApi().list_repo_refs(repo_id, repo_type="dataset")
        assert [tag.name for tag in refs.tags] == ["v1.0.0"]
        local, remote = open_dataset(directory), open_dataset(f"{repo_id}@v1.0.0")
        assert remote.shards() == local.shards()
        columns = ["key", *local.set_names()]
        for shard in local.shards():
            rows = [pa.Table.from_batches(each.read(shard, columns)) for each in (local, remote)]
            assert rows[0].equals(rows[1])

    def undisturbed(self, name: str) -> dict[str, bytes]:
        """The files after a command that nothing disturbed."""
        self.start(name)
        outcome = self.run(name)
        assert outcome.code == 0, outcome.errors
        return self.contents()

    def contents(self) -> dict[str, bytes]:
        """The files by name, without dates; a line of the corrections that is there again says no more than once."""
        content = files(self.directory, dates=False)
        if CORRECTIONS in content:
            content[CORRECTIONS] = b"".join(dict.fromkeys(content[CORRECTIONS].splitlines(keepends=True)))
        return content


def scripted_words(picture: int) -> str:
    """What the scripted captioner says of a picture."""
    with Image.open(io.BytesIO(png(picture))) as image:
        red, green, blue = image.getpixel((0, 0))
    return f"short {red} {green} {blue}"


def sets_by_model(folder: DatasetFolder) -> set[str]:
    """The sets that the scripted captioner wrote."""
    return {name for name, provenance in folder.manifest.sets.items() if provenance.writer == "model"}


Each = TypeVar("Each")


def evenly(states: Sequence[Each], most: int) -> Sequence[Each]:
    """At most so many of a sequence, evenly, with its first and its last; the whole of it where everything is tried."""
    if ALL or len(states) <= most:
        return states
    return [states[place * (len(states) - 1) // (most - 1)] for place in range(most)]


def sampled(scene: Scene, name: str, trials: int) -> Iterator[tuple[Path, str]]:
    """Some states of a command with a command after each, drawn from a seed."""
    dice = random.Random(name)
    states = scene.states(name)
    for state in dice.sample(states, min(trials, len(states))):
        yield state, dice.choice(AFTER)


# --- commands that are no program's ----------------------------------------------------------------------------------------


def edit(directory: str) -> None:
    """Edit the caption of picture 7, as the App does."""
    from recapdata.caption_sets.edits import edit_caption

    edit_caption(directory, image_key(png(7)), "by hand", of="alt")


def correct(directory: str | Path, set_name: str = "alt", picture: int = 7) -> None:
    """Find a verdict on a picture right, as the App does."""
    from audits.corrections import Correction, add_correction

    add_correction(
        directory,
        Correction(
            key=image_key(png(picture)),
            set_name=set_name,
            kind="object",
            span=(0, 3),
            claim={"object": "bird"},
            verdict="supported",
            right=True,
            date="2026-01-01T00:00:00Z",
        ),
    )


def load(directory: str) -> None:
    """Read every record of a folder."""
    import recapdata

    for row in recapdata.load(directory):
        assert row["key"]
