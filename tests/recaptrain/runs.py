"""The trainers' commands in every state that a SIGKILL of them can leave, and on folders that were mutated to do harm.

`tests/recaptrain/test_runs.py` runs it. A command reads folders that may be anybody's and writes one; given again it goes on with what is there.
"""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.canary import Canary
from tests.chat_servers import StumblingServer, text_of
from tests.forked import Forks, Outcome
from tests.hostile import MOST_SECONDS, Trial, problem_of
from tests.mutations import mutate
from tests.recaptrain.evaluation.judge.pictures import generated, strict
from tests.recaptrain.pipelines import build_pipeline, build_scenes

Content = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, the folder that it writes, and those that it reads.

    Attributes:
        out: may hold something before it begins.
        result: what was made, as far as two runs may be compared.
    """

    words: Sequence[object]
    out: Path
    inputs: Sequence[Path]
    result: Callable[[Path], Content]


class Runs:
    """Commands in a folder of their own.

    Args:
        server: is asked by those that ask a chat model.
    """

    def __init__(self, path: Path, forks: Forks, server: StumblingServer | None = None) -> None:
        self.path, self.forks, self.server = path, forks, server
        self.canary = Canary(path / "precious")
        self._made: dict[str, tuple[Command, list[Path], Content]] = {}

    def made(self, name: str) -> tuple[Command, list[Path], Content]:
        """A command, the states that a SIGKILL of it can leave, and what it makes if nothing disturbs it."""
        if name not in self._made:
            command = COMMANDS[name](self.path / name, self)
            self._keep(command, "before")
            copies = self.path / name / "states"
            outcome = self.run(command, under=command.out, copies=str(copies))
            assert outcome.code == 0, outcome.errors
            self._keep(command, "after")
            result = command.result(command.out)
            assert result
            self._made[name] = command, sorted(copies.iterdir()), result
        return self._made[name]

    def run(self, command: Command, **options: object) -> Outcome:
        """Run a command on what is there."""
        return self.forks.run([str(word) for word in command.words], **options)  # type: ignore[arg-type]

    def killed(self, name: str, state: Path) -> None:
        """A command was killed and left this state: given again it ends as if nothing had been, and leaves nothing about."""
        command, _, result = self.made(name)
        _replace(command.out, state)
        for folder in command.inputs:
            _replace(folder, _kept(folder, "after"))
        outcome = self.run(command)
        assert outcome.code == 0, f"{name} killed before change {state.name}: {outcome.errors}"
        again = command.result(command.out)
        differing = [each for each in result.keys() | again.keys() if result.get(each) != again.get(each)]
        assert differing == [], f"{name} killed before change {state.name}"
        left = [each for each in command.out.rglob("*") if each.name.endswith((".tmp", ".partial"))]
        assert left == [], f"{name} killed before change {state.name}"

    def strange(self, name: str, seed: int) -> Trial:
        """Mutate what a command reads, or what it made, and run it."""
        command, _, _ = self.made(name)
        dice = random.Random(f"{name} {seed}")
        folder = dice.choice([command.out, command.out, *command.inputs])
        for each in (command.out, *command.inputs):
            _replace(each, _kept(each, "after" if each is folder else dice.choice(("before", "after"))))
        mutation = mutate(folder, seed, self.canary.path)
        self.canary.events()
        places = (self.path, self.path / name)
        before = {command.out, *(each for place in places for each in place.iterdir())}
        outcome = self.run(command, seconds=MOST_SECONDS)
        touches = [each for each in self.canary.events() if not each.is_listing]
        if any(isinstance(word, Path) and word.is_symlink() for word in command.words):
            touches = []  # what the command names is the user's to lead where they like
        problem = problem_of(outcome, touches)
        if problem is None and not before.issuperset(each for place in places for each in place.iterdir()):
            problem = "something was made beside the folder"
        words = " ".join(map(str, command.words))
        return Trial(mutation=f"{folder.name}: {mutation}", command=words, outcome=outcome, problem=problem)

    def linked(self, name: str) -> list[str]:
        """Each file and folder of what a command made led elsewhere by a link, one after the other; what was touched there.

        Those that the command names are the user's to lead where they like.
        """
        command, _, _ = self.made(name)
        made = _kept(command.out, "after")
        found = []
        for path in sorted(made.rglob("*")):
            for folder in (command.out, *command.inputs):
                _replace(folder, _kept(folder, "after"))
            link = command.out / path.relative_to(made)
            if link in command.words:
                continue
            leads = self.canary.path / ("alt" if link.is_dir() else "key")
            _remove(link)
            link.symlink_to(leads)
            self.canary.events()
            problem = problem_of(
                self.run(command), [each for each in self.canary.events() if not each.is_listing]
            )
            if problem is not None:
                found.append(f"{link.relative_to(command.out)} -> {leads.name}: {problem}")
        return found

    def _keep(self, command: Command, when: str) -> None:
        for folder in (command.out, *command.inputs):
            _copy(folder, _kept(folder, when))


def _kept(folder: Path, when: str) -> Path:
    return folder.parent / when / folder.name


def _copy(folder: Path, to: Path) -> None:
    if folder.exists():
        shutil.copytree(folder, to, symlinks=True)
    else:
        to.mkdir(parents=True)
        (to / ".none").touch()


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _replace(folder: Path, by: Path) -> None:
    _remove(folder)
    if not (by / ".none").exists():
        shutil.copytree(by, folder, symlinks=True)


# --- commands --------------------------------------------------------------------------------------------------------------


def _evaluate(path: Path, runs: Runs) -> Command:
    """Two folders of three pictures, compared."""
    folders = [generated(path / name, reds) for name, reds in (("a", [10, 20, 30]), ("b", [40, 50, 60]))]
    metric = "tests.recaptrain.evaluation.brightness:open_brightness"
    out = path / "out"
    words = [
        "recaptrain",
        "evaluate",
        *folders,
        "--metrics",
        metric,
        "--out",
        out,
        "--report",
        out / "page.html",
    ]
    return Command(words=words, out=out, inputs=folders, result=_figures)


def _judge(path: Path, runs: Runs) -> Command:
    """Three pictures, and two of them under other prompts."""
    assert runs.server is not None
    pictures, out = generated(path / "p", [10, 20, 30]), path / "out"
    words = ["recaptrain", "judge", pictures, "--model", runs.server.address, "--out", out, "--shuffled", "2"]
    return Command(words=words, out=out, inputs=[pictures], result=_verdicts)


def _upsample(path: Path, runs: Runs) -> Command:
    """Three prompts; the cache of answers lies in the folder."""
    assert runs.server is not None
    given, out = path / "given", path / "out"
    given.mkdir(parents=True)
    out.mkdir()
    (given / "prompts.txt").write_text('"red 1"\n"red 2"\n"red 3"\n', encoding="utf8")
    options = ["--model", runs.server.address, "--cache", out / "cache"]
    words = ["recaptrain", "upsample", given / "prompts.txt", out / "long.jsonl", *options]
    return Command(words=words, out=out, inputs=[given], result=_verdicts)


def _votes(path: Path) -> tuple[list[Path], Path]:
    """Two folders of pictures, and two people's votes on them."""
    folders = [generated(path / name, [10, 20]) for name in ("one", "two")]
    given = path / "given"
    given.mkdir()
    vote: dict[str, Any] = {
        "protocol": "prompt-following",
        "caption": "original",
        "image": 0,
        "a": "one",
        "b": "two",
    }
    rows = [
        {**vote, "prompt": f"red {red}", "left": "two", "winner": winner, "success": None, "rater": rater, "seconds": 1.5, "at": 1e9}
        for rater, winner in (("Ada", "one"), ("Eve", None))
        for red in (10, 20)
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (given / "votes.jsonl").write_text(lines, encoding="utf8")
    return folders, given


def _humans_import(path: Path, runs: Runs) -> Command:
    folders, given = _votes(path)
    words = ["recaptrain", "humans", *folders, "--out", path / "out", "--import", given / "votes.jsonl"]
    return Command(words=words, out=path / "out", inputs=[*folders, given], result=_ratings)


def _humans_export(path: Path, runs: Runs) -> Command:
    """Of votes that were imported before."""
    folders, given = _votes(path)
    out = path / "out"
    humans = ["recaptrain", "humans", *folders, "--out", out]
    outcome = runs.forks.run([*humans, "--import", given / "votes.jsonl"])
    assert outcome.code == 0, outcome.errors
    return Command(
        words=[*humans, "--export", out / "votes.jsonl"], out=out, inputs=folders, result=_verdicts
    )


def _generate(path: Path, runs: Runs) -> Command:
    """Two pictures by a pipeline of random weights."""
    model, given, out = build_pipeline(path / "model"), path / "given", path / "out"
    given.mkdir()
    (given / "prompts.txt").write_text("a red circle\na blue star\n", encoding="utf8")
    options = ["--steps", "1", "--guidance", "1", "--batch-size", "1"]
    words = ["recaptrain", "generate", model, given / "prompts.txt", out, *options]
    return Command(words=words, out=out, inputs=[model, given], result=_pictures)


def _diffusion(path: Path, runs: Runs) -> Command:
    """Two steps on four scenes, with a checkpoint after each."""
    model, dataset, out = (
        build_pipeline(path / "model"),
        build_scenes(path / "ds", rows=4, shard_rows=4).path,
        path / "out",
    )
    words = [
        "recaptrain",
        "diffusion",
        "--dataset",
        dataset,
        "--mixture",
        "alt",
        "--base",
        model,
        "--resume",
        out,
    ]
    words += [
        "--steps",
        "2",
        "--checkpoint-every",
        "1",
        "--batch-size",
        "2",
        "--samples",
        "0",
        "--mixed-precision",
        "no",
    ]
    words += ["--latent-cache", path / "out" / "cache"]
    return Command(words=words, out=out, inputs=[model, dataset], result=_weights)


COMMANDS: Mapping[str, Callable[[Path, Runs], Command]] = {
    "evaluate": _evaluate,
    "judge": _judge,
    "upsample": _upsample,
    "import": _humans_import,
    "export": _humans_export,
    "generate": _generate,
    "diffusion": _diffusion,
}
"""By name; `import` and `export` are those of `humans`."""
LIGHT = ("evaluate", "judge", "upsample", "import", "export")
"""Those that run no model."""


def answer(request: dict[str, Any]) -> str:
    """What the server says: a verdict on a picture, or a longer prompt."""
    pictures = isinstance(request["messages"][-1]["content"], list)
    return strict(request) if pictures else "A very " + text_of(request).split('"')[1]


def _files(out: Path, *patterns: str) -> Content:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for each in patterns
        for path in sorted(out.rglob(each))
    }


def _figures(out: Path) -> Content:
    return _files(out, "evaluation.json", "page.html")


def _verdicts(out: Path) -> Content:
    return {
        name: content
        for name, content in _files(out, "*.jsonl").items()
        if not name.endswith("answers.jsonl")
    }


def _pictures(out: Path) -> Content:
    return _files(out, "*.png", "metadata.jsonl")


def _weights(out: Path) -> Content:
    return {
        name: content for name, content in _files(out, "*.safetensors").items() if "checkpoint" not in name
    }


def _ratings(out: Path) -> Content:
    """The votes that count."""
    with closing(sqlite3.connect(out / "ratings.sqlite")) as database:
        rows = database.execute(
            "SELECT r.name, v.question, v.answer FROM votes v JOIN raters r ON r.id = v.rater WHERE v.undone IS NULL ORDER BY 1, 2"
        ).fetchall()
    return {"votes": rows} if rows else {}
