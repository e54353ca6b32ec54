"""The page of results: tables, and the figures of the models with their intervals as a drawing."""

import math
from typing import Any

from recapdata.templates import render
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.results import (
    HumansResults,
    intervals,
    notes,
    pair_table,
    rater_table,
    table,
)

WIDTH, LEFT, RIGHT, ROW, FOOT = 820, 230, 30, 34, 30
"""Of the drawing: its width, the columns left for names and right of the scale, a row, and the scale's numbers."""
TICKS = 5
LEAST_SPAN = 200
"""Of the scale of Elo, so that models that lie together do so in the drawing, and an interval without an end goes off on its own side."""


def results_page(results: HumansResults) -> str:
    """The page as HTML."""
    return render(
        "humans/results.html.j2",
        results=results,
        question=PROTOCOLS[results.protocol].question,
        plot=_plot(results),
        tables=[
            ("Models", table(results) if results.ratings else []),
            ("Against each other", pair_table(results)),
            ("Raters", rater_table(results)),
        ],
        intervals=intervals(results),
        notes=list(notes(results)),
    )


def _plot(results: HumansResults) -> dict[str, Any] | None:
    """The figures of the models on one scale; None where they are not finite, or there is only one."""
    success = not PROTOCOLS[results.protocol].pairwise
    found = [(each.name, each.rate if success else each.elo) for each in results.models]
    if len(found) < 2:
        return None
    rows = []
    for name, figure in found:
        if figure is None or not math.isfinite(figure.value):
            return None
        low = figure.value if figure.low is None else figure.low
        high = figure.value if figure.high is None else figure.high
        rows.append((name, figure.value, low, high))
    ends = [end for row in rows for end in row[1:] if math.isfinite(end)]
    least, most = (0.0, 1.0) if success else (min(ends), max(ends))
    if not success and most - least < LEAST_SPAN:
        middle = (least + most) / 2
        least, most = middle - LEAST_SPAN / 2, middle + LEAST_SPAN / 2
    step = 0.2 if success else _step(most - least)
    least, most = math.floor(least / step + 1e-9) * step, math.ceil(most / step - 1e-9) * step

    def x(value: float) -> float:
        share = min(max((value - least) / (most - least), 0.0), 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    ticks = [least + number * step for number in range(round((most - least) / step) + 1)]
    return {
        "title": "Success rate" if success else "Elo",
        "width": WIDTH,
        "left": LEFT,
        "height": ROW * len(rows) + FOOT,
        "rows": [
            {"name": name, "x": x(value), "low": x(low), "high": x(high), "y": ROW * number + ROW // 2}
            for number, (name, value, low, high) in enumerate(rows)
        ],
        "ticks": [
            {"x": x(tick), "text": f"{100 * tick:.0f} %" if success else f"{tick:.0f}"} for tick in ticks
        ],
    }


def _step(span: float) -> float:
    """A round distance of ticks: 1, 2 or 5 times a power of ten."""
    raw = max(span, 1.0) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
