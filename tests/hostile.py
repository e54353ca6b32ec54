"""Mutated dataset folders and published versions through every command, from outside: `tests/test_mutations.py` runs it."""

import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.records import image_key
from tests.builders import png
from tests.calls import AVAILABLE
from tests.canary import Canary, Touch
from tests.forked import KILLED, TOO_LONG, Forks, Outcome
from tests.mutations import mutate, printable

MOST_BYTES = 2 * 2**30
MOST_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A mutation, the command that met it, and what was wrong with how that ended; None where nothing was."""

    mutation: str
    command: str
    outcome: Outcome
    problem: str | None


def problem_of(outcome: Outcome, touches: Sequence[Touch]) -> str | None:
    """What was wrong with how a command ended that met something strange; None where nothing was."""
    if touches:
        return f"touched what is not its own: {', '.join(map(str, touches))}"
    if outcome.code in TOO_LONG:
        return "it took too long"
    if outcome.peak > MOST_BYTES:
        return f"{outcome.peak / 2**30:.1f} GB of memory"
    if "Traceback" in outcome.errors:
        return outcome.errors.strip().splitlines()[-1] + "\n" + outcome.errors
    if outcome.code not in (0, 1, 2) or outcome.code == KILLED:
        return f"ended with {outcome.code}: {outcome.errors[-500:]}"
    if outcome.code == 1 and not outcome.errors.strip() and not outcome.output.strip():
        return "failed without a word"
    if not printable(outcome.errors) or not printable(outcome.output):
        return "control characters on the terminal"
    return None


class World:
    """A folder in the middle of its life, published once, and the commands on mutated copies of it."""

    def __init__(self, path: Path, forks: Forks, *, published: bool = False) -> None:
        self.path = path
        self.forks = forks
        self.canary = Canary(path / "precious")
        self.folder = path / "strange"
        self.out = path / "out"
        (path / "keys").write_text(image_key(png(0)))
        for words in self._life():
            outcome = forks.run(words)
            assert outcome.code == 0, (words, outcome.errors)
        self._finish(path / "done")
        self.repo = "tests/strange"
        self.files = path / "files"
        if published:
            self._publish()

    def _life(self) -> list[list[Any]]:
        folder = self.path / "base"
        return [
            ["recapdata", "ingest", "scenes:8,seed=1,human=3", folder, "--shard-rows", "4"],
            ["recapdata", "import-captions", folder, "alt", "alt_text"],
            ["recapdata", "recaption", folder, "recap", *SCRIPTED],
            ["audits", "run", folder, "--evidence", "annotations,colors", "--workers", "1"],
            ["python", "tests.hostile:correct", folder],
            ["recapdata", "remove", folder, "--keys", self.path / "keys"],
            ["recapdata", "recaption", folder, "pilot", *SCRIPTED, "--limit", "2"],
            ["python", "tests.hostile:license", folder],
        ]

    def _finish(self, done: Path) -> None:
        """The same without a set under way, so that it can be loaded and published."""
        shutil.copytree(self.path / "base", done)
        for words in (
            ["recapdata", "remove", done, "--captions", "pilot"],
            ["audits", "run", done, "--evidence", "annotations,colors", "--workers", "1"],
        ):
            outcome = self.forks.run(words)
            assert outcome.code == 0, (words, outcome.errors)

    def _publish(self) -> None:
        from huggingface_hub import snapshot_download

        words = ["recapdata", "publish", self.path / "done", self.repo, "--version", "1.0.0", "--yes"]
        outcome = self.forks.run(words)
        assert outcome.code == 0, outcome.errors
        snapshot_download(self.repo, repo_type="dataset", local_dir=self.files)
        shutil.rmtree(self.files / ".cache")
        self.sent = contents(self.files)

    def trial(self, seed: int, *, train: bool = False) -> Trial:
        """Mutate a copy and run a command on it.

        Where the canary was listed meanwhile, maybe by a process that has nothing to do with this one, the command is followed once more.
        """
        dice = random.Random(f"command {seed}")
        original = self.files if self.files.exists() else self.path / dice.choice(("base", "done"))
        mutation = self._prepare(original, seed)
        commands = self._on_version(self._commit()) if original == self.files else self._on_folder()
        if train:
            commands = self._training(str(self.folder))
        self.canary.events()
        words = dice.choice(commands)
        before = set(self.path.iterdir())
        outcome = self.forks.run(words, seconds=MOST_SECONDS)
        touches = self.canary.events()
        problem = problem_of(outcome, [each for each in touches if not each.is_listing])
        if problem is None and set(self.path.iterdir()) != before:
            problem = "something was made beside the folder"
        if problem is None and touches:
            self._prepare(original, seed)
            if self.opens_canary(words):
                problem = "listed what is not its own"
        command = " ".join(map(str, words))
        return Trial(mutation=mutation, command=command, outcome=outcome, problem=problem)

    def opens_canary(self, words: list[Any]) -> bool:
        """Whether a command, with all its threads and processes, opens anything of the canary; only Linux on x86-64 tells."""
        return AVAILABLE and self.forks.run(words, self.canary.path, opens=True).changes > 0

    def _prepare(self, original: Path, seed: int) -> str:
        """Put a mutated copy in its place; says what was mutated."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        shutil.copytree(original, self.folder)
        return mutate(self.folder, seed, self.canary.path, names=original != self.files)

    def _commit(self) -> str:
        """The mutated files as a commit of their own."""
        from huggingface_hub.errors import HfHubHTTPError

        now = contents(self.folder)
        try:
            return self._send(now)
        except (UnicodeDecodeError, ValueError, HfHubHTTPError):
            # No client sends such a card, or no Hub takes it.
            return self._send({**now, "README.md": contents(self.files)["README.md"]})

    def _send(self, now: dict[str, bytes]) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        operations: list[Any] = [
            CommitOperationAdd(name, content)
            for name, content in now.items()
            if self.sent.get(name) != content
        ]
        operations += [CommitOperationDelete(name) for name in self.sent if name not in now]
        commit = HfApi().create_commit(self.repo, operations, commit_message="strange", repo_type="dataset")
        self.sent = now
        return f"{self.repo}@{commit.oid}"

    def _on_folder(self) -> list[list[Any]]:
        folder, out = self.folder, self.out
        return [
            ["recapdata", "ingest", "scenes:4,seed=2", folder, "--append"],
            ["recapdata", "ingest", "scenes:8,seed=1,human=3", folder],
            ["recapdata", "recaption", folder, "pilot", *SCRIPTED],
            [
                "recapdata",
                "recaption",
                folder,
                "fixed",
                *SCRIPTED,
                "--where",
                "alt: contradicted > 0 or words < 9",
            ],
            ["recapdata", "recaption", folder, "recap", *SCRIPTED, "--retry-failed"],
            ["recapdata", "recaption", folder, "recap", *SCRIPTED, "--style", "long", "--overwrite"],
            ["recapdata", "merge-captions", folder, "merged", "pilot", "recap", "alt"],
            ["recapdata", "merge-captions", folder, "best", "recap", "alt", "--fewest-contradictions"],
            ["recapdata", "import-captions", folder, "human", "human_short"],
            ["recapdata", "import-captions", folder, "alt", "alt_text"],
            ["recapdata", "remove", folder, "--keys", self.path / "keys"],
            ["recapdata", "remove", folder, "--captions", "recap"],
            ["recapdata", "remove", folder, "--captions", "pilot"],
            ["recapdata", "publish", folder, "tests/other", "--version", "1.0.0"],
            ["recapdata", "diff", folder, self.path / "base"],
            ["audits", "run", folder, "--evidence", "annotations,colors", "--workers", "1"],
            ["audits", "run", folder, "--captions", "alt", "--workers", "1"],
            ["audits", "compare", folder, "alt", "recap"],
            ["audits", "compare", folder, self.path / "base"],
            ["audits", "report", folder, out / "report.html"],
            ["python", "tests.hostile:load", folder],
            ["python", "tests.hostile:edit", folder],
            ["python", "tests.hostile:correct", folder],
            ["python", "tests.hostile:sample", folder],
        ]

    def _on_version(self, name: str) -> list[list[Any]]:
        out = self.out
        return [
            ["recapdata", "diff", f"{self.repo}@v1.0.0", name],
            ["recapdata", "diff", name, self.path / "done"],
            ["recapdata", "ingest", f"hf:{name}", out / "taken"],
            ["audits", "run", name, "--out", out / "audit", "--workers", "1"],
            ["audits", "run", name, "--out", out / "audit", "--evidence", "annotations", "--workers", "1"],
            ["audits", "compare", name, "alt", "recap"],
            ["audits", "compare", f"{self.repo}@v1.0.0", name],
            ["audits", "report", name, out / "report.html"],
            ["recapdata", "publish", self.path / "done", self.repo, "--version", "1.1.0"],
            ["python", "tests.hostile:load", name],
            ["python", "tests.hostile:stream", name],
            ["python", "tests.hostile:sample", name],
        ]

    def _training(self, name: str) -> list[list[Any]]:
        captioner = [
            "recaptrain",
            "captioner",
            "--dataset",
            name,
            "--captions",
            "short=alt",
            "--base",
            "embedded",
        ]
        diffusion = [
            "recaptrain",
            "diffusion",
            "--dataset",
            name,
            "--mixture",
            "alt=0.5,recap=0.5",
            "--base",
            "embedded",
        ]
        return [[*each, "--steps", "1", self.out / "model"] for each in (captioner, diffusion)]


SCRIPTED = ("--captioner", "scripted", "--workers", "0", "--batch-size", "2")


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name."""
    return {
        each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()
    }


# --- commands that are no program's ----------------------------------------------------------------------------------------


def license(directory: str) -> None:
    """Give a folder a license."""
    from dataclasses import replace

    from recapdata.dataset.folder import DatasetFolder

    folder = DatasetFolder.open(directory)
    folder.save_manifest(replace(folder.manifest, license="cc0-1.0"))


def load(name: str) -> None:
    """Read every record, pictures too."""
    import recapdata

    repo_id, _, revision = name.partition("@")
    for row in recapdata.load(repo_id, revision=revision or None):
        assert row["image"].size


def stream(name: str) -> None:
    """The same, streamed, with captions drawn."""
    import recapdata

    repo_id, _, revision = name.partition("@")
    for row in recapdata.load(
        repo_id, revision=revision or None, streaming=True, mixture="alt=0.5,recap=0.5"
    ):
        assert row["image"].size


def look(name: str) -> None:
    """List the folder behind a name."""
    assert os.listdir(name)


def edit(directory: str) -> None:
    """Edit a caption as the App does, and bring the set up to date."""
    from recapdata.caption_sets.edits import complete_edited, edit_caption
    from recapdata.dataset.folder import DatasetFolder

    key = DatasetFolder.open(directory).read_keys(0)[0]
    edit_caption(directory, key, "by hand", of="alt")
    complete_edited(directory)


def correct(directory: str) -> None:
    """Find a verdict right, and read what people found."""
    from audits.corrections import Correction, add_correction, agreement, read_corrections
    from recapdata.dataset.folder import DatasetFolder

    key = DatasetFolder.open(directory).read_keys(0)[0]
    add_correction(
        directory,
        Correction(
            key=key,
            set_name="alt",
            kind="object",
            span=(0, 3),
            claim={"object": "bird"},
            verdict="supported",
            right=True,
            sample=True,
        ),
    )
    assert agreement(read_corrections(directory)).text()


def sample(name: str) -> None:
    """What the view in FiftyOne reads: records, captions and audits side by side."""
    from recapdata.dataset.target import open_dataset

    target = open_dataset(name)
    assert repr(target)
    target.summary()
    for shard in target.shards():
        for _ in target.read(shard, ["key", "objects", *target.set_names()]):
            pass
        target.take(shard, [0], ["key", "image"])
        for set_name in target.set_names():
            target.read_audit(set_name, shard)
