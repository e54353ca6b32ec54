"""Figures with 95 % intervals by a bootstrap over prompts.

Votes on one prompt are alike, so prompts are drawn, and all votes on a prompt with it (see `recaptrain.evaluation.intervals`); drawing votes singly, as
packages of pairwise comparison do, gives intervals that are too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.intervals import CONFIDENCE, draws

REPLICATES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: NaN where there is none.
        low, high: infinite where too many repetitions have no finite value; None where there is no interval.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def infinite(self) -> bool:
        """Whether the figure or an end of its interval is."""
        return any(each is not None and math.isinf(each) for each in (self.value, self.low, self.high))

    def text(self, form: str = "{:.0f}", scale: float = 1.0) -> str:
        """`1043 [1012, 1075]`."""
        if math.isnan(self.value):
            return "–"
        if self.low is None or self.high is None:
            return _number(self.value, form, scale)
        value, low, high = (_number(each, form, scale) for each in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


def _number(value: float, form: str, scale: float) -> str:
    return form.format(value * scale) if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def resample(by_prompt: NDArray[np.float64], seed: int, replicates: int = REPLICATES) -> NDArray[np.float64]:
    """Sums over prompts in every repetition of the bootstrap, (replicates, …) of (prompts, …)."""
    flat = by_prompt.reshape(len(by_prompt), -1)
    sums = np.stack([counts @ flat for counts in draws(len(by_prompt), replicates, seed)])
    return sums.reshape(replicates, *by_prompt.shape[1:])


def estimate(value: float, replicates: NDArray[np.float64], prompts: int) -> Estimate:
    """A figure with its percentile interval; none of a single prompt, or where most repetitions have no value."""
    known = replicates[~np.isnan(replicates)]
    if prompts < 2 or len(known) < len(replicates) / 2:
        return Estimate(value=float(value), low=None, high=None)
    # Not between two repetitions: one of them may be infinite.
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf")
    return Estimate(value=float(value), low=float(low), high=float(high))


def majority_share(balances: Sequence[int]) -> Estimate | None:
    """Share of pictures with more successes than failures, with Wilson's interval; None without such pictures.

    Args:
        balances: successes minus failures of each picture; even splits are left out.
    """
    from scipy.stats import binomtest

    decided = [balance > 0 for balance in balances if balance]
    if not decided:
        return None
    interval = binomtest(sum(decided), len(decided)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(value=sum(decided) / len(decided), low=float(interval.low), high=float(interval.high))
