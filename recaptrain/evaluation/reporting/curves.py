"""Figures over the checkpoints of a training run, as coordinates of small drawings, so that the template has nothing to compute.

A run belongs to a checkpoint where its name says so, `NAME@STEP=FOLDER`, or else where its pictures were made by a model whose folder, or
revision, ends in the step: `checkpoint-500`, `step-500`. Runs of one NAME, or of one parent folder, are a curve; a run without a step
(a baseline, real images) is a level across.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from recaptrain.evaluation.evaluations import Evaluation, Figure, figure_names
from recaptrain.evaluation.reporting.axes import Axis
from recaptrain.evaluation.reporting.tables import ARROWS, RECAP

PALETTE = 6
_NAMED = re.compile(r"(.+)@(\d{1,12})")
_CHECKPOINT = re.compile(r"(?:.*[-_.])?(?:checkpoint|step|steps)[-_]?(\d{1,12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A checkpoint: where it stands, its interval from `low` to `high`, and its numbers."""

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The checkpoints of one training run, by step."""

    name: str
    color: int
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """As SVG has it."""
        return "M" + "L".join(f"{each.x} {each.y}" for each in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A run that is no checkpoint."""

    name: str
    color: int
    y: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One figure over checkpoints.

    Attributes:
        across, up: places of the ticks and their texts.
    """

    title: str
    summary: str
    lines: Sequence[Line]
    levels: Sequence[Level]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]


def checkpoint(run: Evaluation) -> tuple[str, int] | None:
    """The training run that pictures belong to, and the step of its checkpoint; None where they belong to none."""
    if named := _NAMED.fullmatch(run.name):
        return named[1], int(named[2])
    model, revision = (str(run.made_with.get(name) or "") for name in ("model", "revision"))
    path = PurePosixPath(model.replace("\\", "/"))
    if found := _CHECKPOINT.fullmatch(path.name):
        return str(path.parent), int(found[1])
    if found := _CHECKPOINT.fullmatch(revision):
        return model, int(found[1])
    return None


def colors(runs: Sequence[Evaluation]) -> list[int]:
    """The color of each run: the same for the checkpoints of one training run."""
    series = [found[0] if (found := checkpoint(run)) else f"\0{run.name}" for run in runs]
    order = {name: number for number, name in enumerate(dict.fromkeys(series))}
    return [order[name] % PALETTE for name in series]


def curves(runs: Sequence[Evaluation]) -> list[Curve]:
    """A drawing for each figure that two checkpoints of one training run have."""
    return [curve for name in figure_names(runs) if (curve := _curve(name, runs)) is not None]


def _curve(name: str, runs: Sequence[Evaluation]) -> Curve | None:
    series: dict[str, list[tuple[int, Figure]]] = {}
    levels: list[tuple[str, int, Figure]] = []
    shades: dict[str, int] = {}
    for run, color in zip(runs, colors(runs), strict=True):
        figure = next((each for each in run.figures if each.name == name and each.value is not None), None)
        if figure is None:
            continue
        found = checkpoint(run)
        if found is None:
            levels.append((run.name, color, figure))
        else:
            series.setdefault(found[0], []).append((found[1], figure))
            shades[found[0]] = color
    if not any(len(points) > 1 for points in series.values()):
        return None
    figures = [figure for points in series.values() for _, figure in points]
    figures += [figure for *_, figure in levels]
    steps = [step for points in series.values() for step, _ in points]
    up, across = Axis.over(_bounds(figures)), Axis.over(steps)
    first = figures[0]
    title = " ".join(filter(None, (RECAP.get(name, name), first.unit, ARROWS[first.better])))
    return Curve(
        title=title,
        summary=f"{title} over {len(set(steps))} checkpoints",
        lines=[
            Line(
                name=_label(series_name),
                color=shades[series_name],
                points=[
                    _point(_label(series_name), step, figure, across, up)
                    for step, figure in sorted(points, key=lambda each: each[0])
                ],
            )
            for series_name, points in series.items()
        ],
        levels=[
            Level(name=level, color=color, y=up.up(_value(figure)), told=f"{level}: {figure.text()}")
            for level, color, figure in levels
        ],
        across=across.labels_along,
        up=up.labels_up,
    )


def _label(series: str) -> str:
    """A training run as it is called: the last part of its folder."""
    return PurePosixPath(series).name or series


def _bounds(figures: Sequence[Figure]) -> list[float]:
    bounds = [each for figure in figures for each in (figure.value, figure.low, figure.high)]
    return [each for each in bounds if each is not None]


def _value(figure: Figure) -> float:
    assert figure.value is not None  # figures without one are left out before
    return figure.value


def _point(name: str, step: int, figure: Figure, across: Axis, up: Axis) -> Point:
    y = up.up(_value(figure))
    return Point(
        x=across.along(step),
        y=y,
        low=y if figure.low is None else up.up(figure.low),
        high=y if figure.high is None else up.up(figure.high),
        told=f"{name}, step {step:,}: {figure.text()}",
    )


def legend(runs: Sequence[Evaluation]) -> Mapping[str, tuple[int, bool]]:
    """Names with their colors, and whether they are levels."""
    return {
        (_label(found[0]) if found else run.name): (color, found is None)
        for run, color in zip(runs, colors(runs), strict=True)
        for found in [checkpoint(run)]
    }
