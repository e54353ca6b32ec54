"""A whole comparison of two datasets with a tiny pipeline, stopped before each of its commands in turn."""

import json
from dataclasses import replace
from threading import Lock

import pytest

from recapdata.dataset.folder import hold
from recapdata.errors import DatasetBusy, InputError, OptionError
from recapdata.options import identity
from recaptrain.reproduction import commands
from recaptrain.reproduction.run import MEASUREMENTS, _before, _rows, reproduce
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


BASE = {"seeds": 1, "checkpoints": [2], "prompts": 3, "kinds": ["prompts"]}


def written(out, its, **changes):
    """A folder as a reproduction leaves it that has planned and done nothing yet."""
    out.mkdir()
    known = {"settings": identity(its), "given": {"prompts": 5}, "base_commit": None, "plan": BASE}
    (out / "reproduction.json").write_text(json.dumps({**known, **changes}))
    return out


def test_the_same_command_goes_on_where_there_were_fewer_prompts_than_it_asked_for(tmp_path) -> None:
    """Of five that were asked for there are three: both numbers are this run's, four is another's."""
    settings = ReproduceSettings()
    out = written(tmp_path / "out", settings)
    for prompts in (None, 5, 3):
        assert _before(out, replace(settings, prompts=prompts))["given"] == {
            "seeds": None, "steps": None, "prompts": 5
        }  # fmt: skip
    with pytest.raises(OptionError, match=r"other settings \(prompts\)"):
        _before(out, replace(settings, prompts=4))


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": {**BASE, "checkpoints": []}}, {"plan": {**BASE, "seeds": "x"}}, {"plan": {**BASE, "prompts": -1}}, {"plan": []},
        {"plan": {**BASE, "checkpoints": [2.5]}}, {"given": []}, {"given": {"steps": "x"}}, {"given": {"seeds": 0}}, {"settings": 3},
        {"base_commit": ["--help"]},
    ],
)  # fmt: skip
def test_a_plan_that_is_none_is_said(tmp_path, changes) -> None:
    settings = ReproduceSettings()
    with pytest.raises(OptionError, match=r"cannot be read .*; use another folder"):
        _before(written(tmp_path / "out", settings, **changes), settings)


@pytest.mark.parametrize(
    "summary",
    [{}, {"evaluations": 3}, {"evaluations": [{"name": "x", "figures": [{"name": "rp", "value": "much"}]}]}],
)
def test_a_summary_that_is_none_is_said(summary) -> None:
    with pytest.raises(InputError, match="a summary of recaptrain evaluate that is none"):
        list(_rows(summary, "base", 0, 0))


def test_one_process_to_a_folder(tmp_path) -> None:
    settings = ReproduceSettings()
    out = written(tmp_path / "out", settings)
    with hold(out), pytest.raises(DatasetBusy):
        reproduce(settings, out)
