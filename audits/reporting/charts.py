"""Figures and histograms as coordinates of small drawings, so that the template has nothing to compute.

All drawings are `WIDTH` units wide; coordinates are rounded to tenths, so that a page has the same bytes everywhere. They are no
matplotlib figures: the page's style sheet colors them for light, dark and print, and every bar tells its numbers under the pointer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recapdata.versions.figures import FigureValue

WIDTH = 360
NAMES = 112
"""Width that is kept for the names of sets."""
TEXTS = 52
"""Width that is kept for the numbers."""
ROW = 22
BINS = 36
HEIGHT = 110
PALETTE = 6
"""Colors for sets, in the template; a set has the same one in every drawing, and its name beside it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure of one set: the bar ends at x, the interval runs from low to high (in units of the drawing)."""

    name: str
    color: int
    y: float
    x: float
    low: float
    high: float
    text: str
    told: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of all sets, on a scale from 0 to 100 %."""

    title: str
    height: float
    bars: Sequence[Bar]
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Column:
    """One bin of a histogram; `beyond` says that it lies beyond the mark."""

    x: float
    y: float
    width: float
    height: float
    beyond: bool
    told: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long the captions of one set are.

    Attributes:
        median: where the median stands, and its text.
        mark: where the mark stands, with its text; None where there is none.
    """

    title: str
    color: int
    columns: Sequence[Column]
    ticks: Sequence[tuple[float, str]]
    median: tuple[float, str]
    mark: tuple[float, str] | None
    summary: str


def panels(names: Sequence[str], figures: Mapping[str, Mapping[str, FigureValue]]) -> list[Panel]:
    """A drawing for each of these shares that any set has, with a bar for each set that has it."""
    found = []
    for name in names:
        sets = [
            (number, set_name, each[name])
            for number, (set_name, each) in enumerate(figures.items())
            if name in each
        ]
        if sets:
            bars = [
                _bar(row, number, set_name, figure) for row, (number, set_name, figure) in enumerate(sets)
            ]
            ticks = [(_along(share / 100), f"{share}") for share in (0, 50, 100)]
            found.append(Panel(name, ROW * len(bars) + 16, bars, ticks))
    return found


def _bar(row: int, number: int, set_name: str, figure: FigureValue) -> Bar:
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return Bar(
        name=set_name if len(set_name) <= 17 else f"{set_name[:16]}…",
        color=number % PALETTE,
        y=ROW * row,
        x=_along(figure.value),
        low=_along(low),
        high=_along(high),
        text=f"{100 * figure.value:.1f}",
        told=f"{set_name}: {figure.text()}",
    )


def _along(share: float) -> float:
    return round(NAMES + (WIDTH - NAMES - TEXTS) * min(max(share, 0.0), 1.0), 1)


def histograms(
    counts: Mapping[str, np.ndarray], unit: str, mark: tuple[int, str] | None = None
) -> list[Histogram]:
    """A histogram for each set on common scales; the last bin holds all that is longer.

    Args:
        counts: by set [n] captions of length 0 … n − 1.
        mark: a length to mark, and how.
    """
    present = {name: each for name, each in counts.items() if each.sum()}
    if not present:
        return []
    longest = max(int(np.searchsorted(np.cumsum(each), 0.99 * each.sum())) for each in present.values())
    if mark is not None:
        longest = max(longest, mark[0] + mark[0] // 8)
    step = max(-(-(longest + 1) // BINS), 1)
    bins = -(-(longest + 1) // step)
    shares = {name: _binned(each, step, bins) for name, each in present.items()}
    top = max(float(each.max()) for each in shares.values())
    numbers = {name: number for number, name in enumerate(counts)}
    return [
        _histogram(name, numbers[name] % PALETTE, present[name], shares[name] / top, step, unit, mark)
        for name in present
    ]


def _binned(counts: np.ndarray, step: int, bins: int) -> np.ndarray:
    padded = np.zeros(max(bins * step, len(counts)), float)
    padded[: len(counts)] = counts
    inside = padded[: bins * step].reshape(bins, step).sum(axis=1)
    inside[-1] += padded[bins * step :].sum()
    return inside / counts.sum()


def _histogram(
    name: str,
    color: int,
    counts: np.ndarray,
    heights: np.ndarray,
    step: int,
    unit: str,
    mark: tuple[int, str] | None,
) -> Histogram:
    bins, total = len(heights), int(counts.sum())
    width = WIDTH / bins
    inside = _binned(counts, step, bins)
    columns = []
    for number, height in enumerate(heights):
        first, last = number * step, (number + 1) * step - 1
        lengths = f"{first}" if step == 1 else f"{first}–{last}"
        told = f"{lengths if number < bins - 1 else f'{first} and more'} {unit}: {100 * inside[number]:.1f} %"
        high = round(HEIGHT * float(height), 1)
        if height > 0:
            high = max(high, 1.0)  # what is there is seen
        columns.append(
            Column(
                x=round(number * width, 1),
                y=round(HEIGHT - high, 1),
                width=round(max(width - 1, 0.5), 1),
                height=high,
                beyond=mark is not None and first > mark[0],
                told=told,
            )
        )
    middle = int(np.searchsorted(np.cumsum(counts), total / 2))
    every = _tick_step(bins * step)
    ticks = [(round(at / step * width, 1), str(at)) for at in range(0, bins * step, every)]
    return Histogram(
        title=name,
        color=color,
        columns=columns,
        ticks=ticks,
        median=(round(min((middle + 0.5) / step * width, WIDTH - 1), 1), f"median {middle}"),
        mark=None if mark is None else (round((mark[0] + 1) / step * width, 1), mark[1]),
        summary=f"{name}: {unit} of {total:,} captions, median {middle}",
    )


def _tick_step(length: int) -> int:
    return next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000) if length / step <= 8)
