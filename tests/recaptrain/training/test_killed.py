"""A training killed before any system call that changes its folder goes on with `--resume` and ends with the same weights.

And so does the cache of `--text-cache`: killed midway, each of its files is whole or absent.
"""

import random
import shutil
from pathlib import Path

import pytest
import torch

from recapdata.models.sources import resolve_model
from recaptrain.diffusion import text_states
from recaptrain.diffusion.lora import open_pipeline
from recaptrain.diffusion.text_states import TextEncoding, TextStates, encode_captions
from tests.calls import AVAILABLE
from tests.forked import Forks
from tests.recaptrain.pipelines import build_pipeline, build_scenes

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


CAPTIONS = [f"{count} red circles" for count in range(5)]


def encode_two_by_two(base: str, root: str) -> TextStates:
    """The states of five captions, in files of two."""
    encoding = TextEncoding(pipeline=open_pipeline(resolve_model(base, kind="diffusion")))
    file, text_states.FILE = text_states.FILE, 2 * encoding.bytes_of(1)
    try:
        return encode_captions(encoding, CAPTIONS, Path(root), "ds")
    finally:
        text_states.FILE = file


def test_a_cache_of_captions_that_was_killed_is_whole_or_absent(tmp_path: Path, forks: Forks) -> None:
    """Of five captions in files of two, a state has 0, 2, 4 or 5; what is there is not made again, and what is not is."""
    base, root = str(build_pipeline(tmp_path / "tiny")), tmp_path / "cache"
    words = ["python", f"{__name__}:encode_two_by_two", base, str(root)]
    outcome = forks.run(words, root, copies=str(tmp_path / "states"))
    assert outcome.code == 0, outcome.errors
    expected = encode_two_by_two(base, str(root)).read(CAPTIONS)
    assert expected is not None
    had = []
    for state in sorted((tmp_path / "states").iterdir()):
        before = sorted(state.rglob("*.arrow"))
        kept = {path: path.read_bytes() for path in before}
        states = encode_two_by_two(base, str(state))
        had.append(sum(table.num_rows for table in states.tables[: len(before)]))
        assert {path: path.read_bytes() for path in before} == kept
        read = states.read(CAPTIONS)
        assert read is not None
        assert torch.equal(read.states, expected.states)
        assert len(states.places) == len(CAPTIONS)
    assert set(had) == {0, 2, 4, 5}
