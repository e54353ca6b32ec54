"""The Fréchet distance by its closed form and against torch-fidelity's own."""

import numpy as np
import pytest

from recaptrain.evaluation.frechet import FrechetTo, frechet, gaussian


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
