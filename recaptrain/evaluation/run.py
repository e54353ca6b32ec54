"""Measures pictures: read → rows of each metric → figures with intervals → table, JSON, differences between runs."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.atomic import check_folder, write_atomic
from recapdata.console import progress
from recapdata.display import shown_as_text
from recapdata.errors import OptionError
from recapdata.extras import require
from recaptrain.evaluation.intervals import percentile_interval, replicate
from recaptrain.evaluation.measuring import MEASURED, NOTHING, UNREADABLE, measure
from recaptrain.evaluation.metrics import Metric, Statistic, open_metric
from recaptrain.evaluation.pictures import Pictures, read_pictures
from recaptrain.evaluation.seen import open_store
from recaptrain.evaluation.settings import EvaluateSettings

if TYPE_CHECKING:
    import pandas as pd

FIGURES = "evaluation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one run.

    Attributes:
        low, high: 95 % interval; None where there is none, as of a single prompt.
        n: pictures that it rests on.
        not_applicable: pictures whose prompts the metric has nothing to say of.
        identity: what the metric rests on.
    """

    name: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    not_applicable: int
    unreadable: int
    unit: str
    better: str | None
    note: str
    identity: Mapping[str, Any]

    def text(self) -> str:
        """`81.2 % [78.0, 84.1]`."""
        shown = f"{self.value:.4g}{f' {self.unit}' if self.unit else ''}"
        return shown if self.low is None else f"{shown} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of one run, and what it was made with.

    Attributes:
        prompts: how many there are; `prompts_digest` a hash over them and how many pictures each has.
        not_applicable: by metric the pictures whose prompts it has nothing to say of; of all of them there are no figures.
    """

    name: str
    source: str
    pictures: int
    prompts: int
    prompts_digest: str
    unreadable: int
    not_applicable: Mapping[str, int]
    made_with: Mapping[str, Any]
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure of two runs, paired by prompt.

    Attributes:
        value, low, high: b − a with its 95 % interval; None where the two are not compared, and `why` says why.
    """

    figure: str
    a: str
    b: str
    value: float | None
    low: float | None
    high: float | None
    better: str | None
    why: str = ""

    def verdict(self) -> str:
        """Which is better, where the interval leaves out nought."""
        if self.value is None:
            return f"not compared: {self.why}"
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "no difference shown"
        if self.better is None:
            return "different"
        return f"{self.b if (self.value > 0) == (self.better == 'higher') else self.a} is better"


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class EvaluateSummary:
    """What was measured."""

    out: str
    evaluations: Sequence[Evaluation]
    differences: Sequence[Difference]
    seconds: float

    @property
    def table(self) -> "pd.DataFrame":
        """A row per run and figure: images, figure, value, low, high, n, not_applicable, unreadable, unit, better, metric."""
        import pandas as pd

        names = ("value", "low", "high", "n", "not_applicable", "unreadable", "unit", "better", "metric")
        return pd.DataFrame(
            [
                {"images": run.name, "figure": each.name, **{name: getattr(each, name) for name in names}}
                for run in self.evaluations
                for each in run.figures
            ]
        )

    def text(self) -> str:
        """The closing table for the terminal."""
        return "\n".join(_lines(self))


def evaluate(sources: Sequence[str], settings: EvaluateSettings) -> EvaluateSummary:
    """Measure pictures; with more than one source, compare the others with the first.

    Args:
        sources: see `read_pictures`.

    Raises:
        InputError: no pictures.
        OptionError: no such metric, two runs of one name, an option that a metric needs is missing.
        MissingExtra: a metric needs an optional part of the installation.
    """
    require("torch_fidelity", extra="evaluate")
    began = time.monotonic()
    check_folder(Path(settings.out))
    runs = [
        read_pictures(source, prompts=settings.prompts, shuffle=settings.shuffle, seed=settings.seed)
        for source in sources
    ]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise OptionError(f"two of the pictures are called {_twice(names)}; write NAME=FOLDER")
    measured = [_measured(run, settings) for run in runs]
    for each in measured:
        content = json.dumps(asdict(each.evaluation), indent=2, ensure_ascii=False, default=str)
        write_atomic(each.folder / FIGURES, content.encode())
    return EvaluateSummary(
        out=settings.out,
        evaluations=[each.evaluation for each in measured],
        differences=[
            difference
            for other in measured[1:]
            for difference in _differences(measured[0], other, settings.seed)
        ],
        seconds=round(time.monotonic() - began, 1),
    )


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A run with what its differences are made of: statistic, prompt of each row, and repetitions, by figure."""

    folder: Path
    pictures: Pictures
    evaluation: Evaluation
    statistics: Mapping[str, tuple[Statistic, NDArray[np.int64], NDArray[np.float64]]]


def _measured(run: Pictures, settings: EvaluateSettings) -> _Measured:
    metrics = [open_metric(name, settings, run) for name in dict.fromkeys(settings.metrics)]
    place = hashlib.sha256(str(Path(run.source).absolute()).encode()).hexdigest()[:8]
    folder = Path(settings.out) / f"{run.name.replace(':', '-')}-{place}"
    with progress(f"measuring {run.name}", total=len(run.items)) as advance:
        rows = measure(run.items, metrics, folder, advance=advance)
    open_store(settings).save()
    prompts, figures, statistics, unreadable = run.prompts, [], {}, 0
    not_applicable: dict[str, int] = {}
    for metric in metrics:
        table = rows[metric.name]
        states = table.column("state").to_pylist()
        own = table.filter([state == MEASURED for state in states])
        prompt_of = np.array([prompts[name] for name in own.column("prompt_id").to_pylist()], np.int64)
        unreadable, not_applicable[metric.name] = states.count(UNREADABLE), states.count(NOTHING)
        for statistic in metric.figures(own) if len(own) else ():
            found = (
                replicate(statistic, prompt_of, len(prompts), settings.seed)
                if len(prompts) > 1
                else np.array([])
            )
            statistics[statistic.name] = (statistic, prompt_of, found)
            low, high = percentile_interval(found) or (None, None)
            figures.append(_figure(metric, statistic, low, high, len(own), states))
    evaluation = Evaluation(
        name=run.name,
        source=run.source,
        pictures=len(run.items),
        prompts=len(prompts),
        prompts_digest=run.prompts_digest,
        unreadable=unreadable,
        not_applicable=not_applicable,
        made_with=run.made_with,
        figures=figures,
    )
    return _Measured(folder=folder, pictures=run, evaluation=evaluation, statistics=statistics)


def _figure(
    metric: Metric,
    statistic: Statistic,
    low: float | None,
    high: float | None,
    rows: int,
    states: Sequence[str],
) -> Figure:
    return Figure(
        name=statistic.name,
        metric=metric.name,
        value=statistic.value(np.ones(rows, np.int64)),
        low=low,
        high=high,
        n=statistic.n,
        not_applicable=states.count(NOTHING),
        unreadable=states.count(UNREADABLE),
        unit=statistic.unit,
        better=statistic.better,
        note=statistic.note,
        identity=metric.identity,
    )


def _differences(a: _Measured, b: _Measured, seed: int) -> Iterator[Difference]:
    """Each figure that both have, b − a, resampled alike."""
    others = {figure.name: figure for figure in b.evaluation.figures}
    for figure in a.evaluation.figures:
        if (other := others.get(figure.name)) is None:
            continue
        why = _incomparable(a, b, figure, other)
        low = high = value = None
        if not why:
            value = other.value - figure.value
            change = b.statistics[figure.name][2] - a.statistics[figure.name][2]
            low, high = percentile_interval(change) or (None, None)
        yield Difference(
            figure=figure.name,
            a=a.evaluation.name,
            b=b.evaluation.name,
            value=value,
            low=low,
            high=high,
            better=figure.better,
            why=why,
        )


def _incomparable(a: _Measured, b: _Measured, figure: Figure, other: Figure) -> str:
    """Why a figure of two runs is not compared; empty where it is."""
    if a.evaluation.prompts_digest != b.evaluation.prompts_digest:
        return "other prompts, or other numbers of pictures of them"
    differing = [
        name
        for name in {**figure.identity, **other.identity}
        if figure.identity.get(name) != other.identity.get(name)
    ]
    if differing:
        return "; ".join(
            f"{name}: {figure.identity.get(name)} there, {other.identity.get(name)} here"
            for name in differing
        )
    return ""


def _lines(summary: EvaluateSummary) -> Iterator[str]:
    runs = summary.evaluations
    names = list(dict.fromkeys(figure.name for run in runs for figure in run.figures))
    by_run = [{figure.name: figure for figure in run.figures} for run in runs]
    columns = [["", *names]]
    columns += [
        [run.name, *(own[name].text() if name in own else "–" for name in names)]
        for run, own in zip(runs, by_run, strict=True)
    ]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield "(95 % intervals by a bootstrap over prompts)"
    for run in runs:
        parts = [f"{run.name}: {run.pictures:,} pictures of {run.prompts:,} prompts"]
        if run.unreadable:
            parts.append(f"{run.unreadable:,} cannot be decoded and count nowhere")
        parts += [
            f"{metric} has nothing to say of {'any' if count == run.pictures - run.unreadable else f'{count:,}'} of them"
            for metric, count in run.not_applicable.items()
            if count
        ]
        yield "; ".join(parts)
    yield from dict.fromkeys(
        f"{figure.name}: {figure.note}" for run in runs for figure in run.figures if figure.note
    )
    for each in summary.differences:
        if each.value is not None:
            shown = f"{each.value:+.4g}" + (
                "" if each.low is None else f" [{each.low:+.4g}, {each.high:+.4g}]"
            )
            yield f"{each.figure}: {each.b} − {each.a} {shown}, {each.verdict()}"
    reasons = {(each.a, each.b, each.why): each for each in summary.differences if each.why}
    for a, b, why in reasons:
        figures = [each.figure for each in summary.differences if (each.a, each.b, each.why) == (a, b, why)]
        yield f"{b} and {a} are not compared by {', '.join(figures)}: {why}"
    yield f"rows and figures in {summary.out}"
