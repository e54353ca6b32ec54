"""The Fréchet distance of two sets of features, as Gaussians (Heusel et al. 2017):

    ‖μ − μ_r‖² + tr Σ + tr Σ_r − 2·tr (Σ_r^½ Σ Σ_r^½)^½

Covariances are divided by n − 1, all is in float64. The estimate is too large by an amount that grows as n falls and depends on the features,
so that figures compare at the same n only (Chong & Forsyth 2020), and resampled ones, which hold fewer distinct pictures, are larger
still: the interval's repetitions are moved so that their mean is the figure, and the interval ends at zero, below which no distance lies.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean [d] and covariance [d, d] of features, with the root of the latter, which is worked out once."""

    mean: Floats
    covariance: Floats

    @cached_property
    def root(self) -> Floats:
        """The symmetric square root of the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T, np.float64)


def gaussian(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of features [n, d], n ≥ 2."""
    values = np.asarray(features, np.float64)
    mean = values.mean(0)
    moved = values - mean
    return Gaussian(mean, moved.T @ moved / (len(values) - 1))


def frechet(one: Gaussian, other: Gaussian) -> float:
    """The distance of two Gaussians."""
    difference = one.mean - other.mean
    inner = other.root @ one.covariance @ other.root
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(inner), 0, None)).sum()
    spread = np.trace(one.covariance) + np.trace(other.covariance)
    return max(float(difference @ difference + spread - 2 * overlap), 0.0)


class FrechetTo:
    """How often each row of features counts → the distance of their Gaussian from a reference's; NaN of fewer than two."""

    def __init__(self, features: NDArray[np.floating], reference: Gaussian) -> None:
        self._features = np.asarray(features, np.float64)
        self._reference = reference
        # tr (Σ_r^½ Σ Σ_r^½)^½ is the sum of the roots of the eigenvalues of either product of these rows with themselves.
        self._turned = self._features @ reference.root

    def __call__(self, weights: NDArray[np.int64]) -> float:
        """The distance for weights [n]."""
        rows = np.flatnonzero(weights)
        counts = weights[rows].astype(np.float64)
        total = counts.sum()
        if total < 2:
            return float("nan")
        features, turned = self._features[rows], self._turned[rows]
        mean = counts @ features / total
        spread = float((counts @ (features - mean) ** 2).sum() / (total - 1))
        scaled = np.sqrt(counts / (total - 1))[:, None] * (turned - counts @ turned / total)
        product = scaled @ scaled.T if len(scaled) < scaled.shape[1] else scaled.T @ scaled
        overlap = np.sqrt(np.clip(np.linalg.eigvalsh(product), 0, None)).sum()
        difference = mean - self._reference.mean
        spread += float(np.trace(self._reference.covariance))
        return max(float(difference @ difference + spread - 2 * overlap), 0.0)
