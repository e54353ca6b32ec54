"""Figures over seeds and relations over arms, on numbers whose answer is worked out by hand."""

import math

import numpy as np
import pytest

from recaptrain.evaluation.by_seed import Spread
from recaptrain.reproduction.analysis import NORMAL, Estimate, Measured, over_seeds, relate, spread_of


def run(seed: int, value: float, half: float) -> Measured:
    return Measured(seed=seed, value=value, low=value - half, high=value + half)


def known(value: float, error: float = 0.0) -> Estimate:
    return Estimate(
        value=value, error=error, low=value - NORMAL * error, high=value + NORMAL * error, seeds=3
    )


def test_where_the_spread_of_trainings_is_unknown_the_error_is_that_of_the_prompts() -> None:
    found = over_seeds([run(0, 50.0, NORMAL * 2)], None)
    assert (found.value, found.error, found.seeds) == (50.0, pytest.approx(2.0), 1)
    assert (found.low, found.high) == (pytest.approx(50 - 2 * NORMAL), pytest.approx(50 + 2 * NORMAL))


def test_the_spread_of_trainings_is_pooled_over_arms() -> None:
    """Deviations 1, 1 about 11 and 3, 3 about 23: (2 + 18) / 2; an arm trained once tells nothing."""
    arms = [[run(0, 10.0, 0), run(1, 12.0, 0)], [run(0, 20.0, 0), run(1, 26.0, 0)], [run(0, 5.0, 0)]]
    assert spread_of(arms) == Spread(variance=10.0, freedom=2)
    assert spread_of(arms[2:]) is None


def test_more_trainings_lessen_their_own_error_alone() -> None:
    """Variance 4 over three trainings is 4/3, the prompts' is 1 whatever their number: error² 7/3.

    Freedom 4 · (7/3)² / (4/3)² = 12.25, of which Student's t has the 97.5 % quantile 2.174 (between 2.179 of 12 and 2.160 of 13).
    """
    found = over_seeds(
        [run(seed, 10.0 + 2 * seed, NORMAL) for seed in range(3)], Spread(variance=4.0, freedom=4)
    )
    assert found.value == 12.0
    assert found.error == pytest.approx(math.sqrt(7 / 3))
    assert (found.high - found.value) / found.error == pytest.approx(2.1743, abs=1e-3)


def test_95_percent_intervals_of_few_trainings_hold_the_truth_as_often() -> None:
    """Three arms of two trainings each, prompts known to ± 1, trainings moved by 2: of 600 intervals 95 %, within four binomial errors (3.6 %)."""
    draw = np.random.default_rng(1)
    hits = []
    for _ in range(200):
        prompts = draw.normal(0, 1)
        arms = [[run(seed, prompts + draw.normal(0, 2), NORMAL) for seed in (0, 1)] for _ in range(3)]
        spread = spread_of(arms)
        hits += [each.low <= 0 <= each.high for each in (over_seeds(runs, spread) for runs in arms)]
    assert 0.914 <= sum(hits) / len(hits) <= 0.99


def test_an_interval_stays_within_what_the_figure_can_be() -> None:
    found = over_seeds([run(0, 99.0, NORMAL * 2)], None, least=0.0, most=100.0)
    assert (found.low, found.high) == (pytest.approx(99 - 2 * NORMAL), 100.0)


def test_a_figure_whose_interval_is_unknown_is_apart_from_none() -> None:
    found = over_seeds([run(0, 99.0, math.inf)], None, least=0.0, most=100.0)
    assert (found.low, found.high) == (0.0, 100.0)
    assert not found.separate_from(known(1.0, 0.1))


def test_intervals_that_touch_are_not_separate() -> None:
    low, high = known(0.0, 1.0), known(2 * NORMAL, 1.0)
    assert not low.separate_from(high)
    far = known(2 * NORMAL + 0.01, 1.0)
    assert low.separate_from(far)
    assert far.separate_from(low)


def test_a_difference_is_as_uncertain_as_trainings_are() -> None:
    """Variance 4: two trainings leave 2, four 1; Student's t of 10 degrees of freedom is 2.228. The base is not trained."""
    spread = Spread(variance=4.0, freedom=10)
    two = over_seeds([run(0, 1.0, 9.0), run(1, 1.0, 9.0)], spread)
    four = over_seeds([run(seed, 3.0, 9.0) for seed in range(4)], spread)
    base = over_seeds([run(0, 0.0, 9.0)], None)
    assert two.half_interval(four) == four.half_interval(two) == pytest.approx(2.228 * math.sqrt(3), abs=1e-3)
    assert four.half_interval(base) == base.half_interval(four) == pytest.approx(2.228, abs=1e-3)
    assert four.half_interval() == pytest.approx(2.228, abs=1e-3)
    assert base.half_interval(base) is None
    assert base.half_interval() is None


def test_a_line_is_found_without_error() -> None:
    audit = {"a": 0.7, "b": 0.8, "c": 0.9, "d": 1.0}
    found = relate("precision", "soa", audit, {arm: known(10 + 50 * value) for arm, value in audit.items()})
    assert (found.rank, found.rank_low, found.rank_high) == (
        pytest.approx(1),
        pytest.approx(1),
        pytest.approx(1),
    )
    assert (found.slope, found.slope_low, found.slope_high) == (pytest.approx(50),) * 3
    assert found.arms == 4


def test_one_pair_out_of_order_of_four() -> None:
    """Ranks 1 2 3 4 against 1 2 4 3: ρ = 1 − 6·2/(4·15) = 0.8."""
    audit = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    measured = {"a": known(5.0), "b": known(6.0), "c": known(9.0), "d": known(8.0)}
    assert relate("x", "y", audit, measured).rank == pytest.approx(0.8)


def test_errors_widen_the_interval_and_ties_have_no_order() -> None:
    audit = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "elsewhere": 5.0}
    noisy = {arm: known(value, 3.0) for arm, value in audit.items() if arm in "abcd"}
    found = relate("x", "y", audit, noisy)
    assert found.rank == pytest.approx(1)
    assert found.rank_low < 0
    assert found.slope_low < 0 < found.slope_high
    assert found.arms == 4
    assert math.isnan(relate("x", "y", dict.fromkeys("abcd", 1.0), noisy).rank)


def test_prompts_that_all_arms_share_do_not_blur_their_order() -> None:
    """Figures 1 apart, known to ± 3 over prompts: of trainings that chance moves by 0.1, the order holds; by 1.5, it does not."""
    audit = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}

    def between(deviation: float) -> dict[str, Estimate]:
        spread = Spread(variance=2 * deviation**2, freedom=8)
        return {arm: over_seeds([run(0, y, 6.0), run(1, y, 6.0)], spread) for arm, y in audit.items()}

    assert relate("x", "y", audit, between(0.1)).rank_low == pytest.approx(1)
    assert relate("x", "y", audit, between(1.5)).rank_low < 0.5


def test_slopes_of_few_trainings_hold_the_truth_as_often() -> None:
    """Five arms on a line of slope 0, two trainings each: of 300 intervals 95 %, within four binomial errors (5 %)."""
    draw, audit = np.random.default_rng(2), {name: float(place) for place, name in enumerate("abcde")}
    hits = []
    for number in range(300):
        prompts = draw.normal(0, 5)
        arms = {arm: [run(seed, prompts + draw.normal(0, 2), NORMAL * 5) for seed in (0, 1)] for arm in audit}
        spread = spread_of(arms.values())
        measured = {arm: over_seeds(runs, spread) for arm, runs in arms.items()}
        found = relate("x", "y", audit, measured, seed=number)
        hits.append(found.slope_low <= 0 <= found.slope_high)
    assert 0.9 <= sum(hits) / len(hits) <= 0.995


def test_two_arms_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 arms"):
        relate("x", "y", {"a": 1.0, "b": 2.0}, {"a": known(1.0), "b": known(2.0)})
