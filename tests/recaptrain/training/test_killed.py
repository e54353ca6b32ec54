"""A training killed before any system call that changes its folder goes on with `--resume` and ends with the same weights."""

import random
import shutil
from pathlib import Path

import pytest

from tests.calls import AVAILABLE
from tests.forked import Forks
from tests.recaptrain.pipelines import build_scenes

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")


class Training:
    """Two steps of the embedded captioner with a checkpoint after each."""

    def __init__(self, path: Path, forks: Forks) -> None:
        self.path = path
        self.out = path / "out"
        self.forks = forks
        self.dataset = build_scenes(path / "ds", rows=6, shard_rows=4).path
        self.words = [
            "recaptrain",
            "captioner",
            *("--dataset", self.dataset, "--captions", "short=short", "--base", "embedded"),
            *("--steps", "2", "--checkpoint-every", "1", "--validate-every", "1", "--batch-size", "2"),
            *("--samples", "0", "--mixed-precision", "no", "--resume"),
            self.out,
        ]
        outcome = forks.run(self.words, self.out, copies=str(path / "states"))
        assert outcome.code == 0, outcome.errors
        self.weights = self.read()

    def states(self) -> list[Path]:
        """The states that a SIGKILL of it can leave."""
        return sorted((self.path / "states").iterdir())

    def read(self) -> dict[str, bytes]:
        """The weights of the model that was made."""
        return {each.name: each.read_bytes() for each in sorted(self.out.glob("*.safetensors"))}

    def trial(self, state: Path) -> None:
        """Go on from a state."""
        shutil.rmtree(self.out)
        if not (state / ".none").exists():
            shutil.copytree(state, self.out)
        outcome = self.forks.run(self.words)
        assert outcome.code == 0, outcome.errors
        assert self.weights
        assert self.read() == self.weights, f"other weights, killed before change {state.name}"
        assert not list(self.out.rglob("*.partial"))
        assert not list(self.out.rglob("*.tmp"))


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Training:
    return Training(tmp_path_factory.mktemp("training"), forks)


@pytest.mark.slow
def test_every_kill(training: Training) -> None:
    for state in training.states():
        training.trial(state)


def test_a_kill(training: Training) -> None:
    training.trial(random.Random(0).choice(training.states()))
