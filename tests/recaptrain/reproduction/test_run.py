"""A whole comparison of two datasets with a tiny pipeline, stopped before each of its commands in turn."""

import json
from threading import Lock

import pytest

from recapdata.errors import OptionError
from recaptrain.reproduction import commands
from recaptrain.reproduction.run import MEASUREMENTS, reproduce
from recaptrain.reproduction.settings import ReproduceSettings
from tests.forked import Forks
from tests.recaptrain.pipelines import build_pipeline, build_scenes


class Stopped(BaseException):
    """In the place of a SIGKILL between two commands."""


@pytest.fixture(scope="module")
def forks():
    with Forks(("recapdata", "audits", "recaptrain")) as process:
        yield process


@pytest.fixture
def real(forks, monkeypatch):
    """Commands as forks, which start at once; `left` of them are run, then the process ends."""
    lock, left = Lock(), [1000]

    def run(words, log, *, env):
        with lock:
            if not left[0]:
                raise Stopped
            left[0] -= 1
            outcome = forks.run([*words, "--json"], seconds=300)
        assert outcome.code == 0, outcome.errors
        return json.loads(outcome.output.strip().splitlines()[-1])

    monkeypatch.setattr(commands, "run_command", run)
    return left


@pytest.mark.slow
def test_stopped_before_every_command_it_comes_to_the_same_table(tmp_path, real) -> None:
    data, base = tmp_path / "data", build_pipeline(tmp_path / "base")
    build_scenes(data, rows=24, shard_rows=24)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ring\na blue star\na green cross\n")
    settings = ReproduceSettings(
        datasets=(f"{data}:short", f"{data}:long"), prompts_from=str(prompts), base=str(base), seeds=1, steps=4, checkpoints=2,
        batch_size=4, workers=1,
    )  # fmt: skip
    stopped = tmp_path / "stopped"
    for _ in range(30):
        real[0] = 1
        try:
            found = reproduce(settings, stopped)
            break
        except Stopped:
            continue
    whole = tmp_path / "whole"
    real[0] = 1000
    reproduce(settings, whole)
    assert (stopped / MEASUREMENTS).read_bytes() == (whole / MEASUREMENTS).read_bytes()
    ran = [len((each / commands.COMMANDS).read_text().splitlines()) for each in (stopped, whole)]
    assert ran == [
        16,
        16,
    ]  # two audits; base: draw, measure; two arms at two checkpoints: train, draw, measure
    rows = [json.loads(line) for line in (whole / MEASUREMENTS).open()]
    assert {(row["arm"], row["step"]) for row in rows} == {
        ("base", 0), *((name, step) for name in settings.datasets for step in (2, 4)),
    }  # fmt: skip
    assert "the audit had said of" in found.text()
    page = (stopped / "results.html").read_text()
    assert page.count("http") == page.count("http-equiv")
    with pytest.raises(OptionError, match="other settings"):
        reproduce(
            ReproduceSettings(datasets=settings.datasets, prompts_from=str(prompts), base=str(base), lr=1e-3),
            stopped,
        )
