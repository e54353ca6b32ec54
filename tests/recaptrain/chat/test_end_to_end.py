"""`upsample` and `judge` with a real small server, and killed before changes of files."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recaptrain.evaluation.judge.run import judge
from recaptrain.evaluation.judge.settings import JudgeSettings
from recaptrain.generation.upsampling.run import upsample
from recaptrain.generation.upsampling.settings import UpsampleSettings
from tests.calls import AVAILABLE
from tests.chat_servers import StumblingServer, serving, text_of, transformers_serving
from tests.forked import Forks, Outcome
from tests.recaptrain.evaluation.judge.pictures import generated, strict


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks(("asking",)) as running:
        yield running


@pytest.mark.slow
def test_a_real_server(tmp_path: Path) -> None:
    """Random weights say nothing that makes sense: what counts is that every answer is kept, and none taken for a no."""
    prompts, out = tmp_path / "prompts.txt", tmp_path / "long.jsonl"
    prompts.write_text("red 10\nred 20\n", encoding="utf8")
    pictures = generated(tmp_path / "p", [10, 20, 30])
    with transformers_serving(tmp_path / "served") as address:
        done = upsample(
            prompts, out, UpsampleSettings(model=address, max_tokens=6, cache=str(tmp_path / "cache"))
        )
        (judged,) = judge(
            [str(pictures)],
            JudgeSettings(model=address, max_tokens=6, shuffled=2, out=str(tmp_path / "verdicts")),
        ).runs
    assert (done.prompts, done.rewritten + done.failed) == (2, 2)
    assert len(out.read_text(encoding="utf8").splitlines()) == 2
    everything = judged.rates[0]
    assert everything.n + everything.unparsable + everything.failed == 3
    assert everything.verdicts["incorrect"] == 0
    assert judged.judge["model"] == address.partition("#")[2]


class Killed:
    """A command, its end, and the states that a SIGKILL of it can leave."""

    def __init__(
        self, path: Path, forks: Forks, words: list[object], out: Path, server: StumblingServer
    ) -> None:
        self.forks, self.out, self.server = forks, out, server
        self.words = [str(word) for word in words]
        self.copies = path / "states"
        outcome = self.run(under=out, copies=str(self.copies))
        assert outcome.code == 0, outcome.errors
        self.result = self.read()

    def run(self, **options: object) -> Outcome:
        return self.forks.run(self.words, **options)  # type: ignore[arg-type]

    def states(self) -> list[Path]:
        return sorted(self.copies.iterdir())

    def read(self) -> dict[str, object]:
        """What was made: verdicts, figures and rewritten prompts; how many were asked for now differs."""
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in sorted(self.out.rglob("*.jsonl"))
            if path.name != "answers.jsonl"
        }

    def trial(self, state: Path) -> None:
        """Go on from a state: the same end, and no request whose answer was on the disk."""
        shutil.rmtree(self.out)
        self.out.mkdir() if (state / ".none").exists() else shutil.copytree(state, self.out)
        kept = set()
        for journal in self.out.rglob("answers.jsonl"):
            for line in journal.read_bytes().split(b"\n")[:-1]:  # what stands behind the last is torn
                row = json.loads(line)
                kept.add((row["prompt"], row.get("pixels")))
        self.server.asked.clear()
        outcome = self.run()
        assert outcome.code == 0, outcome.errors
        assert self.read() == self.result, f"another end, killed before change {state.name}"
        assert sum(self.server.asked.values()) == self.total - len(kept)
        assert not list(self.out.rglob("*.tmp"))

    total = 5


def _judge(path: Path, forks: Forks, server: StumblingServer) -> Killed:
    """Three pictures and two of them under other prompts: five requests."""
    pictures, out = generated(path / "p", [10, 20, 30]), path / "out"
    server.answer = strict
    words = ["recaptrain", "judge", pictures, "--model", server.address, "--out", out, "--shuffled", "2"]
    return Killed(path, forks, words, out, server)


def _upsample(path: Path, forks: Forks, server: StumblingServer) -> Killed:
    """Five prompts."""
    prompts, out = path / "prompts.txt", path / "out"
    prompts.write_text("".join(f"red {number}\n" for number in range(5)), encoding="utf8")
    out.mkdir()
    server.answer = lambda request: "A very " + text_of(request).split('"')[1]
    words = [
        "recaptrain",
        "upsample",
        prompts,
        out / "long.jsonl",
        "--model",
        server.address,
        "--cache",
        out / "cache",
    ]
    return Killed(path, forks, words, out, server)


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")
@pytest.mark.parametrize("command", [_judge, _upsample], ids=["judge", "upsample"])
def test_killed_anywhere(
    command: Callable[[Path, Forks, StumblingServer], Killed], forks: Forks, tmp_path: Path
) -> None:
    with serving(StumblingServer(about=text_of)) as server:
        killed = command(tmp_path, forks, server)
        states = killed.states()
        assert len(states) > 10
        for state in [states[0], states[-1], *random.Random(0).sample(states[1:-1], 4)]:
            killed.trial(state)
