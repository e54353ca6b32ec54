"""60 steps over three epochs are, bit for bit, 25 steps, a SIGKILL, and 35 more: on one process and on two, with accumulation."""

import hashlib
from pathlib import Path

import pytest

from recaptrain.training.run_folder import RunFolder
from tests.forked import KILLED, Forks
from tests.recaptrain.pipelines import build_pipeline, build_scenes

STEPS, SAVED, KILLED_AFTER, ACCUMULATE, EPOCHS = 60, 25, 28, 2, 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


def words(dataset, base, out, *more):
    return [
        *("recaptrain", "diffusion", "--dataset", dataset, "--base", base, "--mixture", "short=1,long=1;length=random;dropout=0.1"),
        *("--steps", STEPS, "--batch-size", 1, "--accumulate", ACCUMULATE, "--lr", "1e-3", "--lr-scheduler", "cosine"),
        *("--train", "unet", "--ema-decay", "0.9", "--fit", "stretch", "--flip"),
        *("--checkpoint-every", SAVED, "--samples", 0, "--mixed-precision", "no", "--seed", 3, *more, out),
    ]  # fmt: skip


def launch(forks: Forks, processes: int, given: list, *, kill_after: int | str = ""):
    launched = ["python", "tests.recaptrain.processes:launch", processes, kill_after, *given]
    return forks.run([str(each) for each in launched], seconds=300)


def weights(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.glob("*/*.safetensors"))
    }


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, base, forks, processes):
    """An epoch is 40 micro-batches of one picture a process: the checkpoint is in the middle of the second of three."""
    rows = STEPS * ACCUMULATE * processes // EPOCHS
    dataset = build_scenes(tmp_path / "ds", rows=rows, shard_rows=64).path
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    outcome = launch(forks, processes, words(dataset, base, whole))
    assert outcome.code == 0, outcome.errors

    outcome = launch(forks, processes, words(dataset, base, broken), kill_after=KILLED_AFTER)
    assert outcome.code == KILLED, outcome.errors
    run = RunFolder(broken / "training")
    assert run.steps() == [SAVED]
    assert len(run.losses()) == KILLED_AFTER
    assert not weights(broken)
    outcome = launch(forks, processes, words(dataset, base, broken, "--resume"))
    assert outcome.code == 0, outcome.errors

    expected = RunFolder(whole / "training").losses()
    assert len(expected) == STEPS
    assert len(set(expected)) == STEPS
    assert run.losses() == expected
    assert [start["after_step"] for start in run.starts()] == [0, SAVED]
    assert run.starts()[1]["processes"] == processes
    assert weights(broken) == weights(whole)
    assert len(weights(whole)) == 3
