"""Several runs of one model by seed, as one: the mean of their figures, with an interval that another seed of training would keep.

    repetition = mean over runs of their repetitions of the bootstrap over prompts + t · s / √R

s² is the variance of the figure between runs of one model, pooled over the models that were measured together, each with R − 1 degrees of
freedom: as in an analysis of variance, all are taken to depend on seeds alike. t runs over the quantiles of Student's distribution with
all those degrees of freedom in a random order. All runs are resampled by the same prompts, which they share. Drawing runs with replacement,
beside prompts, would tell too little of their spread where they are few, as trainings are: of two it sees half the variance, and a 95 %
interval covers 70 to 80 % where trainings differ, this one 95 to 99 (`tests/recaptrain/evaluation/test_by_seed.py`). What prompts and
seeds do together is in both parts, so that the interval is rather too wide than too narrow. Two runs of one model alone tell next to
nothing of how it varies (t is 12.7), two of each of four models much more (2.8).

Several pictures of a prompt in one run need nothing of this: their seeds belong to the prompt, which is drawn with all of them
(`recaptrain.evaluation.intervals`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.evaluations import Evaluation, Figure, Measured, Replicates
from recaptrain.evaluation.intervals import percentile_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How much a figure varies between runs of one model.

    Attributes:
        freedom: degrees of freedom that the variance is known with.
    """

    variance: float
    freedom: int


def joined(models: Sequence[Sequence[Measured]], out: str | Path, seed: int) -> list[Measured]:
    """The runs of each model as one, whose pictures are those of the first; a model of one run as it is.

    Args:
        out: where their folders are.
        seed: of the order of the quantiles.
    """
    several = [runs for runs in models if len(runs) > 1]
    names = dict.fromkeys(figure.name for runs in several for figure in runs[0].evaluation.figures)
    varying = {name: pooled_spread([_values(runs, name) for runs in several]) for name in names}
    return [runs[0] if len(runs) == 1 else _joined(runs, varying, out, seed) for runs in models]


def _values(runs: Sequence[Measured], name: str) -> NDArray[np.float64]:
    """A figure of each run; empty where one has none."""
    own = [_named(run.evaluation, name) for run in runs]
    values = [figure.value for figure in own if figure is not None and figure.value is not None]
    return np.array(values if len(values) == len(runs) else [], float)


def pooled_spread(models: Iterable[NDArray[np.float64]]) -> Spread | None:
    """The variance of all models' values about their means: two or three runs of one model alone hardly tell it.

    That chance moves all models alike is an assumption. None where no model has two values.
    """
    known = [values for values in models if len(values)]
    freedom = sum(len(values) - 1 for values in known)
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in known)
    return Spread(variance=squares / freedom, freedom=freedom) if freedom else None


def _joined(
    runs: Sequence[Measured], varying: Mapping[str, Spread | None], out: str | Path, seed: int
) -> Measured:
    first = runs[0].evaluation
    figures, replicates = [], {}
    for figure in first.figures:
        own = [_named(run.evaluation, figure.name) for run in runs]
        spread: NDArray[np.float64] = np.array([])
        if len(_values(runs, figure.name)):
            values = [run.replicates[figure.name].values for run in runs]
            between = varying[figure.name]
            if between is not None and all(map(len, values)):
                order = _seed(seed, first.name, figure.name)
                spread = repetitions(np.stack(values), between, order)
        replicates[figure.name] = replace(runs[0].replicates[figure.name], values=spread)
        figures.append(_figure(figure, own, runs, replicates[figure.name]))
    evaluation = replace(
        first,
        source=", ".join(run.evaluation.source for run in runs),
        runs=len(runs),
        pictures=sum(run.evaluation.pictures for run in runs),
        unreadable=sum(run.evaluation.unreadable for run in runs),
        errors={
            f"{run.evaluation.source}/{name}": error
            for run in runs
            for name, error in run.evaluation.errors.items()
        },
        not_applicable={
            name: sum(run.evaluation.not_applicable.get(name, 0) for run in runs)
            for name in first.not_applicable
        },
        made_with={
            name: value
            for name, value in first.made_with.items()
            if all(run.evaluation.made_with.get(name) == value for run in runs)
        },
        figures=figures,
        cautions=list(dict.fromkeys(each for run in runs for each in run.evaluation.cautions)),
    )
    folder = replace(runs[0].pictures, source=evaluation.source).folder(out)
    return Measured(folder=folder, pictures=runs[0].pictures, evaluation=evaluation, replicates=replicates)


def repetitions(replicates: NDArray[np.float64], between: Spread, seed: int) -> NDArray[np.float64]:
    """Repetitions [r] of the mean over R runs, of which prompts and seeds both are uncertain.

    Args:
        replicates: of each run its repetitions of the bootstrap over prompts, [R, r].
    """
    from scipy.stats import t

    number, count = replicates.shape
    quantiles = t.ppf((np.arange(count) + 0.5) / count, between.freedom)
    moved = np.random.default_rng(seed).permutation(quantiles) * (between.variance / number) ** 0.5
    return np.asarray(replicates.mean(0) + moved, np.float64)


def _named(evaluation: Evaluation, name: str) -> Figure | None:
    return next((figure for figure in evaluation.figures if figure.name == name), None)


def _figure(
    first: Figure, own: Sequence[Figure | None], runs: Sequence[Measured], made: Replicates
) -> Figure:
    """The mean of the runs' figures; without a value where a run has none, or was measured with something else."""
    there = [figure for figure in own if figure is not None]
    why = ""
    for figure, run in zip(own, runs, strict=True):
        if figure is None or figure.value is None:
            why = why or f"{run.evaluation.source} has none"
        elif dict(figure.identity) != dict(first.identity):
            why = why or f"{run.evaluation.source} was measured with something else"
    values = [figure.value for figure in there if figure.value is not None]
    interval = percentile_interval(made.values)
    low, high = interval or (None, None)
    if interval is not None:  # Student's tails know no bounds
        least, most = (0.0, 100.0) if first.unit == "%" else (made.statistic.least, None)
        low, high = (float(each) for each in np.clip(interval, least, most))
    return replace(
        first,
        value=None if why else float(np.mean(values)),
        low=None if why else low,
        high=None if why else high,
        n=sum(figure.n for figure in there),
        not_applicable=sum(figure.not_applicable for figure in there),
        unreadable=sum(figure.unreadable for figure in there),
        by_run=[None if figure is None else figure.value for figure in own],
        why=why,
    )


def _seed(seed: int, *names: str) -> int:
    """The same at every run, another for each model and figure, whose seeds have nothing to do with each other."""
    digest = hashlib.blake2b("\0".join([str(seed), *names]).encode("utf8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest())
