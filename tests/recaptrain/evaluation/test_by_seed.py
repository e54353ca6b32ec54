"""Runs of one model by seed, and what intervals cover: simulated figures of known variance."""

import math
from pathlib import Path

import numpy as np
import pytest

from recapdata.errors import OptionError
from recaptrain.evaluation.by_seed import Spread, pooled_spread, repetitions
from recaptrain.evaluation.intervals import percentile_interval, replicate, weighted_mean
from recaptrain.evaluation.metrics import Statistic
from tests.recaptrain.evaluation.test_run import generated, run

PROMPTS, TRIALS = 40, 100


def replicated(values):
    """Repetitions of the mean of pictures, [prompts, pictures of each]."""
    prompt_of = np.repeat(np.arange(len(values)), values.shape[1])
    statistic = Statistic(name="mean", n=values.size, value=weighted_mean(values.ravel()), replicates=200)
    return replicate(statistic, prompt_of, len(values), seed=0)


def covered(draw):
    """Of 100 simulations of a mean of 0 how many intervals hold it; `draw` gives the repetitions of one."""
    random = np.random.default_rng(1)
    intervals = [percentile_interval(draw(random)) for _ in range(TRIALS)]
    return sum(low <= 0 <= high for low, high in intervals)


@pytest.mark.parametrize(("pictures", "of_prompts", "of_seeds"), [(1, 3, 1), (2, 1, 3), (4, 1, 3), (4, 0, 3)])
def test_several_pictures_of_a_prompt_are_covered(pictures, of_prompts, of_seeds):
    def draw(random):
        own = random.normal(0, of_prompts, (PROMPTS, 1))
        return replicated(own + random.normal(0, of_seeds, (PROMPTS, pictures)))

    assert 90 <= covered(draw) <= 99


@pytest.mark.parametrize(
    ("runs", "of_trainings", "of_prompts", "of_both"),
    [(2, 1, 3, 0), (2, 2, 3, 3), (3, 1, 3, 1), (5, 2, 3, 3)],
)
def test_runs_by_seed_are_covered(runs, of_trainings, of_prompts, of_both):
    def values(random):
        shared = random.normal(0, of_prompts, PROMPTS)
        trainings = random.normal(0, of_trainings, (runs, 1))
        return shared + trainings + random.normal(0, of_both, (runs, PROMPTS))

    def draw(random):
        found = values(random)
        between = pooled_spread([found.mean(1)])
        return repetitions(np.stack([replicated(each[:, None]) for each in found]), between, seed=3)

    def of_prompts_alone(random):
        return np.mean([replicated(each[:, None]) for each in values(random)], axis=0)

    assert 90 <= covered(draw) <= 99
    assert covered(of_prompts_alone) < 85


def test_two_runs_without_prompts_are_students_interval():
    """Of 10 and 20 the standard error is 5, and Student's 97.5 % quantile with one degree of freedom tan(0.475 π) = 12.7."""
    replicates = np.array([[10.0] * 1000, [20.0] * 1000])
    found = repetitions(replicates, pooled_spread([np.array([10.0, 20.0])]), seed=0)
    low, high = percentile_interval(found)
    half = 5 * math.tan(0.475 * math.pi)
    assert (low, high) == pytest.approx((15 - half, 15 + half), rel=0.03)


def test_variance_is_pooled_over_models() -> None:
    """Squares about the means 15 and 4 are 50 and 8, with 1 and 2 degrees of freedom; a model without a value adds none."""
    between = pooled_spread([np.array([10.0, 20.0]), np.array([2.0, 4.0, 6.0]), np.array([])])
    assert between == Spread(variance=pytest.approx(58 / 3), freedom=3)


def test_runs_of_one_name_are_taken_together(tmp_path: Path) -> None:
    grays = {name: 10 + 20 * number for number, name in enumerate("abcdefgh")}
    folders = [
        generated(tmp_path / f"r{shift}", {name: gray + shift for name, gray in grays.items()})
        for shift in (0, 4, 30, 33)
    ]
    one, other, three, four = folders
    found = run(f"v1={one}", f"v2={three}", f"v1={other}", f"v2={four}", out=tmp_path / "out")
    assert [(each.name, each.runs, each.pictures) for each in found.evaluations] == [
        ("v1", 2, 16),
        ("v2", 2, 16),
    ]
    (first,), (second,) = (each.figures for each in found.evaluations)
    assert (first.value, list(first.by_run), first.n) == (82.0, [80.0, 84.0], 16)
    assert (second.value, list(second.by_run)) == (111.5, [110.0, 113.0])
    (alone,) = run(one, out=tmp_path / "alone").evaluations[0].figures
    assert first.high - first.low > alone.high - alone.low
    (difference,) = found.differences
    # Prompts cancel. Squares about the means are 8 and 4.5, with a degree of freedom each: s is 2.5, the difference's error √(2 s² / 2) = 2.5,
    # and Student's 97.5 % quantile with 2 degrees 4.3.
    assert difference.value == 29.5
    half = 4.303 * 2.5
    assert (29.5 - difference.low, difference.high - 29.5) == pytest.approx((half, half), rel=0.35)
    assert difference.verdict() == "v2 is better"
    assert "16 pictures of 8 prompts in 2 runs by seed, whose mean the figures are" in found.text()
    assert "of v1, v2 over runs by seed, too" in found.text()
    assert len(list((tmp_path / "out").glob("v*/evaluation.json"))) == 6
    again = run(f"v1={one}", f"v2={three}", f"v1={other}", f"v2={four}", out=tmp_path / "out")
    assert again.evaluations == found.evaluations


def test_what_is_no_run_by_seed_is_refused(tmp_path: Path) -> None:
    a, b = generated(tmp_path / "a", {"a": 10, "b": 20}), generated(tmp_path / "b", {"a": 10, "c": 20})
    with pytest.raises(
        OptionError, match="both called v, as runs of one model by seed are, and hold other prompts"
    ):
        run(f"v={a}", f"v={b}", out=tmp_path / "out")
    with pytest.raises(OptionError, match="v names one folder twice"):
        run(f"v={a}", f"v={b}/../a", out=tmp_path / "out")
    with pytest.raises(
        OptionError, match=r"two of the pictures are called a; .*by seed are named a=FOLDER each"
    ):
        run(a, f"a={b}", out=tmp_path / "out")


def test_a_figure_that_a_run_has_not_has_no_value(tmp_path: Path) -> None:
    bright = generated(tmp_path / "bright", {"a": 10, "b": 20})
    black = generated(tmp_path / "black", {"a": 0, "b": 0})
    metric = "tests.recaptrain.evaluation.brightness:open_logarithm"
    page = tmp_path / "page.html"
    found = run(f"v={bright}", f"v={black}", out=tmp_path / "out", metric=metric, report=str(page))
    (figure,) = found.evaluations[0].figures
    assert (figure.value, figure.low, figure.by_run[1]) == (None, None, None)
    assert f"logarithm has no value for v: {black} has none" in found.text()
    assert "m at r, 2 runs by seed" in page.read_text(encoding="utf8")
