"""The Fréchet distance of two sets of features, as Gaussians (Heusel et al. 2017):

    ‖μ − μ_r‖² + tr Σ + tr Σ_r − 2·tr (Σ_r^½ Σ Σ_r^½)^½

Covariances are divided by n − 1, all is in float64, in blocks of rows, so that no second copy of the features is made. The estimate is too
large by an amount that grows as n falls and depends on the features, so that figures compare at the same n only (Chong & Forsyth
2020). Resampled distances, which rest on fewer distinct pictures, would be larger still, spread too widely, and ask for an eigenvalue problem each
(2,048 dimensions and 10,000 pictures: 230 s of a core for 100). The interval's repetitions are those of the distance's linear part instead: of each row
x, with c = x − μ, its influence (Davison & Hinkley 1997, §2.7)

    2 (μ − μ_r)·c  +  n/(n − 1) · cᵀ(1 − A)c,     A = Σ_r^½ (Σ_r^½ Σ Σ_r^½)^-½ Σ_r^½

so that a repetition is a weighted sum. Simulated, its spread is within a fifth of the distance's own where that of whole distances is up to twice as
wide, which is where pictures are few for their dimensions. The interval ends at zero, below which no distance lies.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOISE = 1e-9
"""Of an influence's parts what is left of them counts as nothing below it."""
BLOCK = 512
"""Rows in float64 at once."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean [d] and covariance [d, d] of n features, with the root of the latter, which is worked out once."""

    mean: Floats
    covariance: Floats
    n: int

    @cached_property
    def root(self) -> Floats:
        """The symmetric square root of the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T, np.float64)


def gaussian(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of features [n, d]; of fewer than two the covariance is zero."""
    blocks = (features[at : at + BLOCK] for at in range(0, len(features), BLOCK))
    return gaussian_of(blocks, features.shape[1])


def gaussian_of(chunks: Iterable[NDArray[np.floating]], dimensions: int) -> Gaussian:
    """The same of features that come in chunks [·, d], joined pairwise (Chan, Golub & LeVeque 1983)."""
    n, mean, scatter = 0, np.zeros(dimensions), np.zeros((dimensions, dimensions))
    for chunk in chunks:
        if not len(chunk):
            continue
        values = np.asarray(chunk, np.float64)
        own = values.mean(0)
        moved = values - own
        apart, total = own - mean, n + len(values)
        scatter += moved.T @ moved + np.outer(apart, apart) * (n * len(values) / total)
        mean += apart * (len(values) / total)
        n = total
    return Gaussian(mean, scatter / max(n - 1, 1), n)


def frechet(one: Gaussian, other: Gaussian) -> float:
    """The distance of two Gaussians."""
    inner = other.root @ one.covariance @ other.root
    return _distance(one.mean - other.mean, float(np.trace(one.covariance)), inner, other)


def _distance(difference: Floats, spread: float, inner: Floats, other: Gaussian) -> float:
    """The distance by the difference of means, tr Σ, and a matrix with the eigenvalues of Σ_r^½ Σ Σ_r^½ that are not zero."""
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(inner), 0, None)).sum()
    return max(float(difference @ difference + spread + np.trace(other.covariance) - 2 * overlap), 0.0)


class FrechetTo:
    """How often each row of features counts → the distance of their Gaussian from a reference's; NaN of fewer than two."""

    def __init__(self, features: NDArray[np.floating], reference: Gaussian) -> None:
        self._features = features
        self._reference = reference

    def linear(self, weights: NDArray[np.int64], column_of: NDArray[np.intp] | None = None) -> Floats:
        """The linear part of the distances [r] about all rows counting once; NaN where none counts.

        Args:
            weights: [r, n], or fewer columns than rows with
            column_of: the column by which each row counts, as crops do by their pictures.
        """
        columns = np.arange(len(self._features)) if column_of is None else column_of
        sums = np.bincount(columns, self.influence, weights.shape[1])
        numbers = np.bincount(columns, minlength=weights.shape[1]).astype(np.float64)
        sums_and_numbers = np.stack([sums, numbers], 1)
        both = np.array([each @ sums_and_numbers for each in weights])
        with np.errstate(invalid="ignore"):
            return np.asarray(self.whole + both[:, 0] / both[:, 1] - self.influence.mean(), np.float64)

    @cached_property
    def whole(self) -> float:
        """The distance of all rows."""
        return self._of(np.ones(len(self._features), np.int64))

    @cached_property
    def influence(self) -> Floats:
        """What each row adds to the distance, [n], as it counts a little more."""
        n, root = len(self._features), self._reference.root
        mean = sum(own @ block for own, block in self._blocks(np.arange(n), np.ones(n))) / n

        def moved() -> Iterator[Floats]:
            return (block - mean for _, block in self._blocks(np.arange(n), np.ones(n)))

        # With Y = CΣ_r^½ the last term is, of all rows, the diagonal of Y (YᵀY / (n − 1))^-½ Yᵀ, by either product of Y with itself.
        if n < len(root):
            turned = np.concatenate(list(moved())) @ root
            values, vectors = np.linalg.eigh(turned @ turned.T / (n - 1))
            overlap = (n - 1) * (vectors**2 @ np.sqrt(np.clip(values, 0, None)))
        else:
            covariance = sum(block.T @ block for block in moved()) / (n - 1)
            values, vectors = np.linalg.eigh(root @ covariance @ root)
            there = values > values[-1] * len(root) * np.finfo(float).eps
            halves = root @ (vectors[:, there] / values[there] ** 0.25)
            overlap = np.concatenate([((block @ halves) ** 2).sum(1) for block in moved()])
        shift = mean - self._reference.mean
        own = np.concatenate([2 * block @ shift + (block**2).sum(1) * n / (n - 1) for block in moved()])
        found = own - overlap * n / (n - 1)
        # Of a reference against itself both are equal, and their difference is noise of the last digits.
        return np.where(np.abs(found) > NOISE * np.abs(own).max(), found, 0.0)

    def __call__(self, weights: NDArray[np.int64]) -> float:
        """The distance for weights [n]."""
        return self.whole if (weights == 1).all() else self._of(weights)

    def _of(self, weights: NDArray[np.int64]) -> float:
        rows = np.flatnonzero(weights)
        counts = weights[rows].astype(np.float64)
        total = float(counts.sum())
        if total < 2:
            return float("nan")
        mean = sum(own @ block for own, block in self._blocks(rows, counts)) / total
        shares = np.sqrt(counts / (total - 1))
        root = self._reference.root
        # tr (Σ_r^½ Σ Σ_r^½)^½ is the sum of the roots of the eigenvalues of either product of the turned rows with themselves.
        if len(rows) < len(root):
            moved = shares[:, None] * (np.asarray(self._features[rows], np.float64) - mean)
            spread, turned = float((moved**2).sum()), moved @ root
            inner = turned @ turned.T
        else:
            covariance = np.zeros_like(root)
            for own, block in self._blocks(rows, shares):
                moved = own[:, None] * (block - mean)
                covariance += moved.T @ moved
            spread, inner = float(np.trace(covariance)), root @ covariance @ root
        return _distance(mean - self._reference.mean, spread, inner, self._reference)

    def _blocks(self, rows: NDArray[np.intp], values: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Values of these rows, and their features in float64, block by block."""
        for at in range(0, len(rows), BLOCK):
            some = rows[at : at + BLOCK]
            yield values[at : at + BLOCK], np.asarray(self._features[some], np.float64)
