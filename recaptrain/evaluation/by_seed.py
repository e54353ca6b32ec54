"""Several runs of one model by seed, as one: the mean of their figures, with an interval that another seed of training would keep.

    repetition = mean over runs of their repetitions of the bootstrap over prompts + t · s / √R

s is the standard deviation of the R runs' figures, t runs over the quantiles of Student's distribution with R − 1 degrees of freedom in
a random order. All runs are resampled by the same prompts, which they share. Drawing runs with replacement, beside prompts, would tell
too little of their spread where they are few, as trainings are: of two it sees half the variance, and a 95 % interval covers 70 to 80 % where
trainings differ, this one 95 to 99 (`tests/recaptrain/evaluation/test_by_seed.py`). What prompts and seeds do together is in both
parts, so that the interval is rather too wide than too narrow.

Several pictures of a prompt in one run need nothing of this: their seeds belong to the prompt, which is drawn with all of them
(`recaptrain.evaluation.intervals`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recapdata.errors import OptionError
from recaptrain.evaluation.evaluations import Evaluation, Figure, Measured, Replicates
from recaptrain.evaluation.intervals import percentile_interval


def joined(runs: Sequence[Measured], out: str | Path, seed: int) -> Measured:
    """One run made of several of one name; its pictures are those of the first.

    Args:
        out: where its folder is.
        seed: of the order of the quantiles.

    Raises:
        OptionError: the runs are of other prompts, or of other numbers of pictures of them.
    """
    first = runs[0].evaluation
    for other in (run.evaluation for run in runs[1:]):
        if other.prompts_digest != first.prompts_digest:
            raise OptionError(
                f"{first.source} and {other.source} are both called {first.name}, as runs of one model by seed are, and hold other "
                "prompts, or other numbers of pictures of them; name them apart, or draw the same prompts"
            )
    figures, replicates = [], {}
    for figure in first.figures:
        own = [_named(run.evaluation, figure.name) for run in runs]
        values = [run.replicates[figure.name].values for run in runs if figure.name in run.replicates]
        spread: NDArray[np.float64] = np.array([])
        if all(each is not None and each.value is not None for each in own) and all(map(len, values)):
            found = np.array([each.value for each in own if each is not None], float)
            spread = repetitions(found, np.stack(values), _seed(seed, first.name, figure.name))
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


def repetitions(
    values: NDArray[np.float64], replicates: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Repetitions [r] of the mean over R ≥ 2 runs, of which prompts and seeds both are uncertain.

    Args:
        values: the figure of each run, [R].
        replicates: its repetitions of the bootstrap over prompts, [R, r].
    """
    from scipy.stats import t

    number, count = replicates.shape
    quantiles = t.ppf((np.arange(count) + 0.5) / count, number - 1)
    error = float(values.std(ddof=1)) / number**0.5
    moved = np.random.default_rng(seed).permutation(quantiles) * error
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
    low, high = percentile_interval(made.values) or (None, None)
    if low is not None and made.statistic.least is not None:
        low = max(low, made.statistic.least)
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
