"""Figures as tables: runs in rows and figures in columns, as RECAP's table has them, and all figures with their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recaptrain.evaluation.evaluations import Difference, Evaluation, Figure, figure_names

RECAP = {
    "fid": "FID",
    "ofid": "O-FID",
    "soa-c": "SOA-C",
    "soa-i": "SOA-I",
    "ca": "CA",
    "pa": "PA",
    "rp": "RP",
}
"""RECAP's seven figures in the order of its table."""
ARROWS = {"higher": "↑", "lower": "↓", None: ""}
SHOWN_OF_MODEL = ("steps", "guidance", "seed", "shuffled")
"""What of a run's settings stands beside its model."""
REVISION = 12
"""Digits of a revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure of one run.

    Attributes:
        mark: `better` or `worse` than the first run where the interval of the difference excludes zero; empty otherwise.
        told: number of pictures, and the difference from the first run.
    """

    value: str
    interval: str = ""
    mark: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure: its title with unit and direction, and what a reader of it must know."""

    title: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one run; None for one that it has not.

    Attributes:
        made: model or dataset, with revision and settings.
    """

    name: str
    made: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """RECAP's figures, then the first figure of every other metric; a row per run, in the order given."""

    columns: Sequence[Column]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All figures of one metric: of each its column and a cell per run."""

    metric: str
    rows: Sequence[tuple[Column, Sequence[Cell | None]]]


def overview(runs: Sequence[Evaluation], differences: Sequence[Difference]) -> Overview:
    """The table in RECAP's form."""
    metric_of = {figure.name: figure.metric for run in runs for figure in run.figures}
    names = [name for name in RECAP if name in metric_of]
    shown = {metric_of[name] for name in names}
    for name, metric in metric_of.items():
        if metric not in shown:
            names.append(name)
            shown.add(metric)
    by_run = _by_name(runs)
    found = {(each.b, each.figure): each for each in differences}
    return Overview(
        columns=[_column(name, by_run) for name in names],
        rows=[
            Row(
                name=run.name,
                made=made_with(run.made_with, run.runs),
                cells=[_cell(own.get(name), found.get((run.name, name))) for name in names],
            )
            for run, own in zip(runs, by_run, strict=True)
        ],
    )


def groups(runs: Sequence[Evaluation], differences: Sequence[Difference]) -> list[Group]:
    """All figures, metric by metric."""
    metric_of = {figure.name: figure.metric for run in runs for figure in run.figures}
    by_run = _by_name(runs)
    found = {(each.b, each.figure): each for each in differences}
    rows: dict[str, list[tuple[Column, list[Cell | None]]]] = {}
    for name in figure_names(runs):
        cells = [
            _cell(own.get(name), found.get((run.name, name))) for run, own in zip(runs, by_run, strict=True)
        ]
        rows.setdefault(metric_of[name], []).append((_column(name, by_run), cells))
    return [Group(metric=metric, rows=own) for metric, own in rows.items()]


def _by_name(runs: Sequence[Evaluation]) -> list[dict[str, Figure]]:
    return [{figure.name: figure for figure in run.figures} for run in runs]


def _column(name: str, by_run: Sequence[Mapping[str, Figure]]) -> Column:
    figure = next(own[name] for own in by_run if name in own)
    parts = [RECAP.get(name, name), figure.unit, ARROWS[figure.better]]
    hints = [{"higher": "higher is better", "lower": "lower is better", None: ""}[figure.better], figure.note]
    return Column(title=" ".join(filter(None, parts)), hint="; ".join(filter(None, hints)))


def _cell(figure: Figure | None, difference: Difference | None) -> Cell | None:
    if figure is None:
        return None
    told = [f"{figure.n:,} pictures"]
    if figure.by_run:
        told.append(
            "runs by seed: " + ", ".join("–" if each is None else f"{each:.4g}" for each in figure.by_run)
        )
    if figure.value is None:
        return Cell(value="no value", told=figure.why)
    mark = ""
    if difference is not None and difference.value is not None:
        told.append(f"{difference.text()} against {difference.a}: {difference.verdict()}")
        mark = {difference.a: "worse", difference.b: "better", None: ""}[difference.winner]
    elif difference is not None:
        told.append(f"not compared with {difference.a}: {difference.why}")
    interval = "" if figure.low is None else f"[{figure.low:.4g}, {figure.high:.4g}]"
    return Cell(value=f"{figure.value:.4g}", interval=interval, mark=mark, told="; ".join(told))


def made_with(values: Mapping[str, Any], runs: int = 1) -> str:
    """What pictures were made with, in a line: model with revision and settings, or dataset with commit and set.

    Args:
        runs: of the model by seed.
    """
    if "dataset" in values:
        commit = f" at {_short(values['commit'])}" if values.get("commit") else ""
        parts = [f"real images of {values['dataset']}{commit}, captions {values.get('set')}"]
    else:
        revision = f" at {_short(values['revision'])}" if values.get("revision") else ""
        parts = [f"{values['model']}{revision}"] if values.get("model") else []
    parts += [f"{name} {values[name]}" for name in SHOWN_OF_MODEL if values.get(name) is not None]
    if runs > 1:
        parts.append(f"{runs} runs by seed")
    return ", ".join(parts) or "no record of how they were made"


def _short(revision: Any) -> str:
    return str(revision).removeprefix("sha256:")[:REVISION]
