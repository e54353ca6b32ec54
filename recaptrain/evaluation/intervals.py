"""Confidence intervals by the bootstrap over prompts.

Pictures of one prompt are alike, so prompts are drawn and all their pictures with them (cluster bootstrap, Davison & Hinkley 1997, §3.8). Seeds are in it: of a
prompts with b pictures each the mean's variance is (σ_prompt² + σ_seed² / b) / a, and its repetitions' is that times (a − 1) / a; drawing
pictures within drawn prompts as well would add σ_seed² / ab · (b − 1) / b once more. Runs of one model by seed are another matter
(`recaptrain.evaluation.by_seed`): what a training's seed does to all prompts alike is in no single run. The draws depend on the
seed and the number of prompts alone: every figure, and every run on the same prompts, is resampled alike, which makes differences paired.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.metrics import Statistic

CONFIDENCE = 0.95
AT_ONCE = 500
"""Repetitions whose weights are in memory at once: 20 MB of ten thousand pictures. As many as those of a discrepancy, which goes over all pairs
of pictures once for all that are given."""


def draws(prompts: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each prompt counts, (prompts,), in every repetition: as many drawn as there are, with replacement."""
    random = np.random.default_rng((seed, prompts))
    shares = np.full(prompts, 1 / prompts)
    for _ in range(replicates):
        yield random.multinomial(prompts, shares)


def replicate(
    statistic: Statistic, prompt_of: NDArray[np.int64], prompts: int, seed: int
) -> NDArray[np.float64]:
    """The figure in every repetition, (replicates,); NaN where a repetition has none.

    Args:
        prompt_of: number of the prompt of each row.
        prompts: of the run, whether they have a row or not.
    """
    counts = draws(prompts, statistic.replicates, seed)
    if statistic.values is not None:
        found = np.concatenate([statistic.values(each) for each in _weights(counts, statistic, prompt_of)])
    else:
        found = np.array([statistic.value(each[prompt_of]) for each in counts], float)
    if statistic.centered and np.isfinite(found).any():
        found = found + (statistic.value(np.ones(len(prompt_of), np.int64)) - np.nanmean(found))
    return found


def _weights(
    counts: Iterator[NDArray[np.int64]], statistic: Statistic, prompt_of: NDArray[np.int64]
) -> Iterator[NDArray[np.int32]]:
    """How often each row counts in the repetitions, [·, rows], some of them at once, in memory that those after them take over."""
    weights = np.empty((min(AT_ONCE, statistic.replicates), len(prompt_of)), np.int32)
    for start in range(0, statistic.replicates, AT_ONCE):
        part = weights[: statistic.replicates - start]
        for row in part:
            row[:] = next(counts)[prompt_of]
        yield part


def percentile_interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 95 % percentile interval of repetitions; None where fewer than half of them have a value."""
    finite = values[np.isfinite(values)]
    if len(finite) < max(2, len(values) / 2):
        return None
    low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def weighted_mean(values: Sequence[float] | NDArray[np.float64]) -> "Mean":
    """The mean of rows as a function of their weights; rows that are NaN are left out."""
    return Mean(np.asarray(values, float))


class Mean:
    """Weights → weighted mean."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._there = np.isfinite(values)
        self._values = np.where(self._there, values, 0.0)

    def __call__(self, weights: NDArray[np.int64]) -> float:
        total = float(weights[self._there].sum())
        return float(weights @ self._values) / total if total else float("nan")
