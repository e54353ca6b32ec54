"""What the measurements of an experiment say: a figure of each arm with its interval, and how audit figures relate to trained ones."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.by_seed import Spread, pooled_spread

DRAWS = 4000
"""Repetitions that an interval is read from."""
NORMAL = 1.959964
"""Normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure of one trained model.

    Attributes:
        low, high: its 95 % interval over prompts; infinite where it is unknown.
    """

    seed: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure of an arm over its trainings.

    Attributes:
        error: standard error, of the prompts and of the trainings together; infinite where that of the prompts is unknown.
        low, high: 95 % interval, within what the figure can be.
        seeds: number of trainings.
        spread: of one training to the next, pooled over arms; None where it is unknown, and of what is not trained.
    """

    value: float
    error: float
    low: float
    high: float
    seeds: int
    spread: Spread | None = None

    def separate_from(self, other: "Estimate") -> bool:
        """Whether the two intervals have no value in common."""
        return self.low > other.high or other.low > self.high

    @property
    def training_error(self) -> float:
        """Standard error of the trainings alone, on the prompts that every arm is asked for; 0 where there is no spread."""
        return math.sqrt(self.spread.variance / self.seeds) if self.spread else 0.0

    def half_interval(self, other: "Estimate | None" = None) -> float | None:
        """Half the 95 % interval, over trainings on the same prompts, of the figure or of its difference from another arm; None where it is unknown."""
        from scipy.stats import t

        both = [each for each in (self, other) if each is not None]
        spread = next((each.spread for each in both if each.spread), None)  # one for all arms
        if spread is None:
            return None
        return float(t.ppf(0.975, spread.freedom)) * math.hypot(*(each.training_error for each in both))


def spread_of(arms: Iterable[Sequence[Measured]]) -> Spread | None:
    """How much chance moves a figure from one training to the next of the same arm; None where no arm was trained twice."""
    return pooled_spread(np.array([run.value for run in runs]) for runs in arms)


def over_seeds(
    runs: Sequence[Measured], spread: Spread | None, *, least: float = -math.inf, most: float = math.inf
) -> Estimate:
    """The mean over the trainings of one arm.

    All trainings are measured on the same prompts, so the error of the prompts does not shrink with more of them, and their own does:
    error² = mean of the runs' variances over prompts + variance between trainings / number of trainings. The interval takes Student's t with the
    degrees of freedom of Welch and Satterthwaite (those of the prompts are taken as many).

    Args:
        spread: of one training to the next; None where it is unknown, or where there is nothing trained, and left out then.
        least, most: what the figure can be; Student's tails know no bounds.

    Raises:
        ValueError: no runs.
    """
    from scipy.stats import t

    if not runs:
        raise ValueError("no runs")
    value = float(np.mean([run.value for run in runs]))
    prompts = float(np.mean([((run.high - run.low) / (2 * NORMAL)) ** 2 for run in runs]))
    trainings = spread.variance / len(runs) if spread else 0.0
    error = math.sqrt(prompts + trainings)
    freedom = spread.freedom * error**4 / trainings**2 if spread and trainings else math.inf
    half = float(t.ppf(0.975, freedom)) * error
    low, high = max(value - half, least), min(value + half, most)
    return Estimate(value=value, error=error, low=low, high=high, seeds=len(runs), spread=spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How an audit figure of the captions relates to a figure of the models trained on them, over arms.

    Attributes:
        kind: of arms: those of one kind and the one that it is held against; empty for all.
        rank: Spearman's ρ, -1 to 1, with the 95 % interval that the errors of the trained figures leave; NaN where either is
            the same in every arm.
        slope: change of the trained figure per unit of the audit's, by least squares.
    """

    audit: str
    trained: str
    kind: str = ""
    arms: int
    rank: float
    rank_low: float
    rank_high: float
    slope: float
    slope_low: float
    slope_high: float

    def change(self, by: float) -> tuple[float, float, float]:
        """How much the trained figure changes where the audit's does by so much, with its 95 % interval."""
        low, high = sorted((by * self.slope_low, by * self.slope_high))
        return by * self.slope, low, high


def relate(
    audit: str,
    trained: str,
    known: Mapping[str, float],
    measured: Mapping[str, Estimate],
    *,
    kind: str = "",
    seed: int = 0,
) -> Relation:
    """Relate an audit figure, known before training, to what training yielded.

    The audit's figures are held exact: it was made on every caption that was trained on. The trained ones are as uncertain as chance makes a training, where
    any arm was trained twice (of Student's t, its scale unknown for all arms alike): the prompts are the same for every arm, and so is what is easy
    or hard about them. Where each arm was trained once, by the prompts, which is rather too much. Either noise is added to figures that have it already, so
    that the interval of ρ reaches nearer to nought than the truth is.

    Args:
        known: the audit's figure by arm.
        measured: the trained figure by arm; arms that are not in both are left out.

    Raises:
        ValueError: fewer than three arms.
    """
    arms = [arm for arm in known if arm in measured]
    if len(arms) < 3:
        raise ValueError(f"{audit} and {trained} are known of {len(arms)} arms; a relation needs three")
    x = np.array([known[arm] for arm in arms])
    y = np.array([measured[arm].value for arm in arms])
    draws = y + _deviations([measured[arm] for arm in arms], np.random.default_rng(seed))
    ranks, slopes = _spearman(x, np.vstack([y, draws])), _slope(x, np.vstack([y, draws]))
    rank_low, rank_high = np.quantile(ranks[1:], [0.025, 0.975])
    slope_low, slope_high = np.quantile(slopes[1:], [0.025, 0.975])
    return Relation(
        audit=audit,
        trained=trained,
        kind=kind,
        arms=len(arms),
        rank=float(ranks[0]),
        rank_low=float(rank_low),
        rank_high=float(rank_high),
        slope=float(slopes[0]),
        slope_low=float(slope_low),
        slope_high=float(slope_high),
    )


def _deviations(arms: Sequence[Estimate], random: np.random.Generator) -> NDArray[np.float64]:
    """How far the figures of arms may be from the truth, [DRAWS, arms]."""
    deviations = random.standard_normal((DRAWS, len(arms)))
    spread = arms[0].spread  # one for all arms
    if spread is None:
        return deviations * np.array([arm.error for arm in arms])
    scale = np.sqrt(spread.freedom / random.chisquare(spread.freedom, (DRAWS, 1)))
    return deviations * scale * np.array([arm.training_error for arm in arms])


def _spearman(x: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's ρ of `x` with each row: Pearson's correlation of the ranks, ties sharing their mean rank."""
    from scipy.stats import rankdata

    return _correlation(rankdata(x), rankdata(rows, axis=1))


def _correlation(x: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    left, right = x - x.mean(), rows - rows.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (right @ left) / np.sqrt((left @ left) * (right * right).sum(1))


def _slope(x: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centered = x - x.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return (rows - rows.mean(1, keepdims=True)) @ centered / (centered @ centered)
