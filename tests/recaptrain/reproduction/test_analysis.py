"""Figures over seeds and relations over arms, on numbers whose answer is worked out by hand."""

import math

import pytest

from recaptrain.reproduction.analysis import NORMAL, Estimate, Measured, over_seeds, relate


def run(seed: int, value: float, half: float) -> Measured:
    return Measured(seed=seed, value=value, low=value - half, high=value + half)


def exact(value: float) -> Estimate:
    return Estimate(value=value, error=0.0, seeds=3)


def test_one_seed_has_the_error_of_its_prompts() -> None:
    found = over_seeds([run(0, 50.0, NORMAL * 2)])
    assert (found.value, found.error, found.seeds) == (50.0, pytest.approx(2.0), 1)
    assert (found.low, found.high) == (pytest.approx(50 - 2 * NORMAL), pytest.approx(50 + 2 * NORMAL))


def test_more_seeds_lessen_their_own_error_alone() -> None:
    """Values 10, 12, 14: variance 4, over three seeds 4/3; the prompts' variance is 1 whatever the number of seeds."""
    found = over_seeds([run(seed, 10.0 + 2 * seed, NORMAL) for seed in range(3)])
    assert found.value == 12.0
    assert found.error == pytest.approx(math.sqrt(1 + 4 / 3))


def test_intervals_that_touch_are_not_separate() -> None:
    low, high = Estimate(value=0.0, error=1.0, seeds=1), Estimate(value=2 * NORMAL, error=1.0, seeds=1)
    assert not low.separate_from(high)
    far = Estimate(value=2 * NORMAL + 0.01, error=1.0, seeds=1)
    assert low.separate_from(far)
    assert far.separate_from(low)


def test_a_line_is_found_without_error() -> None:
    known = {"a": 0.7, "b": 0.8, "c": 0.9, "d": 1.0}
    found = relate("precision", "soa", known, {arm: exact(10 + 50 * value) for arm, value in known.items()})
    assert (found.rank, found.rank_low, found.rank_high) == (
        pytest.approx(1),
        pytest.approx(1),
        pytest.approx(1),
    )
    assert (found.slope, found.slope_low, found.slope_high) == (pytest.approx(50),) * 3
    assert found.arms == 4


def test_one_pair_out_of_order_of_four() -> None:
    """Ranks 1 2 3 4 against 1 2 4 3: ρ = 1 − 6·2/(4·15) = 0.8."""
    known = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    measured = {"a": exact(5.0), "b": exact(6.0), "c": exact(9.0), "d": exact(8.0)}
    assert relate("x", "y", known, measured).rank == pytest.approx(0.8)


def test_errors_widen_the_interval_and_ties_have_no_order() -> None:
    known = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "elsewhere": 5.0}
    noisy = {arm: Estimate(value=value, error=3.0, seeds=2) for arm, value in known.items() if arm in "abcd"}
    found = relate("x", "y", known, noisy)
    assert found.rank == pytest.approx(1)
    assert found.rank_low < 0
    assert found.slope_low < 0 < found.slope_high
    assert found.arms == 4
    assert math.isnan(relate("x", "y", dict.fromkeys("abcd", 1.0), noisy).rank)


def test_two_arms_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 arms"):
        relate("x", "y", {"a": 1.0, "b": 2.0}, {"a": exact(1.0), "b": exact(2.0)})
