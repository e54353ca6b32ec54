"""Outcome of an evaluation: figures of each run with their intervals, differences between runs, and their text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.display import one_line, shown_as_text
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.pictures import Pictures

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ERRORS, MOST_SAID = 3, 150
"""Pictures whose errors are said, and characters of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one run.

    Attributes:
        value: None where there is none, and `why` says why.
        low, high: 95 % interval; None where there is none, as of a single prompt.
        n: pictures that it rests on.
        by_run: of a model's runs by seed the figure of each, whose mean the value is; empty of a single run.
        not_applicable: pictures whose prompts the metric has nothing to say of.
        identity: what the metric rests on.
    """

    name: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    not_applicable: int
    unreadable: int
    unit: str
    better: str | None
    note: str
    identity: Mapping[str, Any]
    why: str = ""
    by_run: Sequence[float | None] = ()

    def text(self) -> str:
        """`81.2 % [78.0, 84.1]`."""
        if self.value is None:
            return "no value"
        shown = f"{self.value:.4g}{f' {self.unit}' if self.unit else ''}"
        return shown if self.low is None else f"{shown} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of one run, and what it was made with.

    Attributes:
        runs: of the model by seed, which were taken together.
        prompts: how many there are; `prompts_digest` a hash over them and how many pictures each has.
        errors: why images of the run cannot be decoded, `Type: message`, by their pictures' ids.
        not_applicable: by metric the pictures whose prompts it has nothing to say of.
        without_figures: by metric why it gives no figure at all.
        cautions: what a reader of the figures must know before all else.
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
    without_figures: Mapping[str, str]
    cautions: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    runs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure of two runs, paired by prompt.

    Attributes:
        value, low, high: b − a with its 95 % interval; None where the two are not compared, and `why` says why.
        n: pictures of each that it rests on, where that is not what the figures themselves rest on.
    """

    figure: str
    a: str
    b: str
    value: float | None
    low: float | None
    high: float | None
    better: str | None
    why: str = ""
    n: int | None = None

    @property
    def winner(self) -> str | None:
        """The run that is better, where the interval excludes zero; None otherwise."""
        if self.value is None or self.low is None or self.high is None or self.better is None:
            return None
        if self.low <= 0 <= self.high:
            return None
        return self.b if (self.value > 0) == (self.better == "higher") else self.a

    def verdict(self) -> str:
        """Which is better, where the interval excludes zero."""
        if self.value is None:
            return f"not compared: {self.why}"
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "no difference shown"
        return "different" if self.winner is None else f"{self.winner} is better"

    def text(self) -> str:
        """`+3.1 [+1.2, +5.0]`, of two that are compared."""
        assert self.value is not None
        interval = "" if self.low is None else f" [{self.low:+.4g}, {self.high:+.4g}]"
        return f"{self.value:+.4g}{interval}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicates:
    """A figure as a function of weights, with its bootstrap repetitions.

    Attributes:
        prompt_of: number of the prompt of each row.
        values: the figure in every repetition; empty of a single prompt.
    """

    statistic: Statistic
    prompt_of: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run with what its differences and its page are made of: pictures, and replicates by figure."""

    folder: Path
    pictures: Pictures
    evaluation: Evaluation
    replicates: Mapping[str, Replicates]


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class EvaluateSummary:
    """What was measured.

    Attributes:
        report: path of the page; None where none was asked for.
    """

    out: str
    evaluations: Sequence[Evaluation]
    differences: Sequence[Difference]
    report: str | None
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


def figure_names(runs: Sequence[Evaluation]) -> list[str]:
    """The figures that any of these runs has, in their order."""
    return list(dict.fromkeys(figure.name for run in runs for figure in run.figures))


def not_compared(differences: Sequence[Difference]) -> list[str]:
    """A sentence for each reason for which runs are not compared."""
    figures: dict[tuple[str, str, str], list[str]] = {}
    for each in differences:
        if each.why:
            figures.setdefault((each.a, each.b, each.why), []).append(each.figure)
    return [
        f"{b} and {a} are not compared by {', '.join(names)}: {why}" for (a, b, why), names in figures.items()
    ]


def notes(runs: Sequence[Evaluation]) -> list[str]:
    """What a reader must know of figures, and why some have no value, a sentence each; of which runs, where it is not of all."""
    noted: dict[tuple[str, str], list[str]] = {}
    having: dict[str, int] = {}
    for run in runs:
        for each in run.figures:
            having[each.name] = having.get(each.name, 0) + 1
            if each.note and each.note != each.why:
                noted.setdefault((each.name, each.note), []).append(run.name)
    found = [
        f"{figure}: {note}" if len(names) == having[figure] else f"{figure}, {', '.join(names)}: {note}"
        for (figure, note), names in noted.items()
    ]
    found += [
        f"{each.name} has no value for {run.name}: {each.why}"
        for run in runs
        for each in run.figures
        if each.why
    ]
    found += [f"{name}, {run.name}: {why}" for run in runs for name, why in run.without_figures.items()]
    return list(dict.fromkeys(found))


def _lines(summary: EvaluateSummary) -> Iterator[str]:
    runs = summary.evaluations
    names = figure_names(runs)
    by_run = [{figure.name: figure for figure in run.figures} for run in runs]
    columns = [["", *names]]
    columns += [
        [run.name, *(own[name].text() if name in own else "–" for name in names)]
        for run, own in zip(runs, by_run, strict=True)
    ]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield f"({intervals(runs)})"
    yield from (f"{run.name}: {counts(run)}" for run in runs)
    yield from notes(runs)
    for each in summary.differences:
        if each.value is not None:
            yield f"{each.figure}: {each.b} − {each.a} {each.text()}, {each.verdict()}"
    yield from not_compared(summary.differences)
    yield f"rows and figures in {summary.out}"
    if summary.report is not None:
        yield f"page: {summary.report}, needs nothing beside it"


def intervals(runs: Sequence[Evaluation]) -> str:
    """What the intervals rest on."""
    several = [run.name for run in runs if run.runs > 1]
    over = f"; of {', '.join(several)} over runs by seed, too" if several else ""
    return f"95 % intervals by a bootstrap over prompts{over}"


def counts(run: Evaluation) -> str:
    """How many pictures there are, and which of them count where."""
    parts = [f"{run.pictures:,} pictures of {run.prompts:,} prompts"]
    if run.runs > 1:
        parts[0] += f" in {run.runs} runs by seed, whose mean the figures are"
    if run.unreadable:
        said = [f"{one_line(name)}: {one_line(error)}"[:MOST_SAID] for name, error in run.errors.items()]
        more = (
            [f"and {len(said) - SHOWN_ERRORS:,} more in evaluation.json"] if len(said) > SHOWN_ERRORS else []
        )
        why = f" ({'; '.join(said[:SHOWN_ERRORS] + more)})" if said else ""
        parts.append(f"{run.unreadable:,} cannot be decoded and count nowhere{why}")
    parts += [
        f"{metric} has nothing to say of {count:,} of them"
        for metric, count in run.not_applicable.items()
        if count and metric not in run.without_figures
    ]
    return "; ".join(parts)
