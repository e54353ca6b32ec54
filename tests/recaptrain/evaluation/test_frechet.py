"""The Fréchet distance by its closed form and against torch-fidelity's own."""

import numpy as np
import pytest

from recaptrain.evaluation.frechet import FrechetTo, frechet, gaussian
from recaptrain.evaluation.intervals import percentile_interval


def cross(a: float, b: float, at: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Four points around a place: mean `at`, covariance diag(2a², 2b²) / 3."""
    return np.array([(a, 0), (-a, 0), (0, b), (0, -b)], float) + at


def test_two_gaussians_by_the_closed_form() -> None:
    """Diagonal covariances commute: ‖Δμ‖² + Σ (√s − √r)² = 3² + 4² + 2/3·(3 − 1)² + 2/3·(2 − 6)²."""
    one, other = cross(3, 2, at=(3, 4)), cross(1, 6)
    expected = 9 + 16 + 2 / 3 * 4 + 2 / 3 * 16
    assert frechet(gaussian(one), gaussian(other)) == pytest.approx(expected, rel=1e-12)
    assert FrechetTo(one, gaussian(other))(np.ones(4, int)) == pytest.approx(expected, rel=1e-12)


def test_a_turned_covariance() -> None:
    """Turning both sets leaves the distance, turning one by a right angle exchanges its axes: 2/3·((3 − 6)² + (2 − 1)²)."""
    angle = np.array([[0.6, -0.8], [0.8, 0.6]])
    one, other = cross(3, 2) @ angle.T, cross(1, 6) @ angle.T
    assert frechet(gaussian(one), gaussian(other)) == pytest.approx(2 / 3 * (4 + 16))
    quarter = np.array([[0, -1], [1, 0]])
    assert frechet(gaussian(cross(3, 2)), gaussian(cross(1, 6) @ quarter.T)) == pytest.approx(2 / 3 * (9 + 1))


@pytest.mark.parametrize("n", [200, 9])
def test_as_torch_fidelity_has_it(n: int) -> None:
    """Also of fewer pictures than dimensions, where the roots of what is rounded off are its own."""
    import torch
    from torch_fidelity.metric_fid import (
        KEY_METRIC_FID,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )

    random = np.random.default_rng(0)
    mix = random.normal(size=(16, 16))
    one, other = random.normal(size=(n, 16)) @ mix + 1, random.normal(size=(150, 16))
    theirs = fid_statistics_to_metric(
        *(fid_features_to_statistics(torch.from_numpy(each)) for each in (one, other)), verbose=False
    )[KEY_METRIC_FID]
    assert FrechetTo(one, gaussian(other))(np.ones(n, int)) == pytest.approx(theirs, rel=1e-5)


def test_a_row_that_counts_twice_is_there_twice() -> None:
    random = np.random.default_rng(1)
    rows, reference = random.normal(size=(12, 3)), gaussian(random.normal(size=(30, 3)))
    weights = random.integers(0, 4, 12)
    repeated = frechet(gaussian(np.repeat(rows, weights, 0)), reference)
    assert FrechetTo(rows, reference)(weights) == pytest.approx(repeated)
    assert np.isnan(FrechetTo(rows, reference)(np.eye(12, dtype=int)[0]))


@pytest.mark.parametrize("dimensions", [2, 12])
def test_influence_by_hand(dimensions: int) -> None:
    """Rows ±3 and ±2 on two axes have the covariance 2/3 · (9, 4); the reference's is s² on every axis, and their means are zero.

    So the last term's matrix is s Σ^-½, and a row a on an axis has (a² − s a² / √(2a²/3)) · 4/3 = (a² − s a √1.5) · 4/3. Of 4 rows in 12
    dimensions the covariance is singular, and the other product is used.
    """
    rows = np.zeros((4, dimensions))
    rows[:2, 0], rows[2:, 1] = (3, -3), (2, -2)
    axes = np.eye(dimensions)
    reference = gaussian(np.concatenate([axes, -axes]))
    s = (2 / (2 * dimensions - 1)) ** 0.5
    expected = [4 / 3 * (a * a - s * a * 1.5**0.5) for a in (3, 3, 2, 2)]
    assert FrechetTo(rows, reference).influence == pytest.approx(expected)


def test_a_moved_mean_has_its_influence() -> None:
    """On one axis, c = ±1 about 5 against a reference of 2 ± 1: both deviations are √2, so that 2 · 3 · c is all."""
    distance = FrechetTo(np.array([[4.0], [6.0]]), gaussian(np.array([[1.0], [3.0]])))
    assert distance.influence == pytest.approx([-6, 6])
    both = distance.linear(np.array([[1, 3], [0, 2]]), np.array([0, 0]))  # two crops of the first picture
    assert both == pytest.approx([9, np.nan], nan_ok=True)
    assert distance.linear(np.array([[1, 1], [2, 0], [0, 2], [0, 0]])) == pytest.approx(
        [9, 3, 15, np.nan], nan_ok=True
    )


def test_the_linear_part_follows_the_distance() -> None:
    """Of 500 pictures in 4 dimensions what is left over is small: resampled, both move together, and as far."""
    random = np.random.default_rng(3)
    mix = random.normal(size=(4, 4))
    reference = gaussian(random.normal(size=(500, 4)))
    distance = FrechetTo(random.normal(size=(500, 4)) @ mix + 0.3, reference)
    weights = random.multinomial(500, np.full(500, 1 / 500), 200)
    linear, whole = distance.linear(weights), np.array([distance(each) for each in weights])
    assert np.corrcoef(linear, whole)[0, 1] > 0.99
    assert linear.std() == pytest.approx(whole.std(), rel=0.1)


def test_the_interval_covers() -> None:
    """The mean distance of so many pictures, as 400 simulations have it, is in 90 to 99 of 100 intervals; 30 in 20 dimensions are few."""
    random = np.random.default_rng(4)
    for n, dimensions in ((100, 4), (30, 20)):
        reference = gaussian(random.normal(size=(1000, dimensions)))
        sample = [FrechetTo(random.normal(size=(n, dimensions)) * 1.3 + 0.2, reference) for _ in range(400)]
        expected = np.mean([each.whole for each in sample])
        weights = random.multinomial(n, np.full(n, 1 / n), 200)
        intervals = [percentile_interval(each.linear(weights)) for each in sample[:100]]
        assert 90 <= sum(low <= expected <= high for low, high in intervals) <= 99


def test_a_reference_against_itself_is_surely_no_distance() -> None:
    rows = np.random.default_rng(5).normal(size=(50, 6))
    distance = FrechetTo(rows, gaussian(rows))
    assert not distance.influence.any()
    assert distance.whole == pytest.approx(0, abs=1e-9)
