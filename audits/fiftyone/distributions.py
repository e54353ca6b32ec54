"""How a number of the audit is distributed over the captions of a view, counted by the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from audits.fiftyone.fields import audit_field

BARS = 30


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of the audit; whole numbers get bars of whole width."""

    name: str
    label: str
    whole: bool = True


MEASURES: Sequence[Measure] = (
    Measure("words", "Words"),
    Measure("clip_tokens", "CLIP tokens"),
    Measure("claims_total", "Claims"),
    Measure("contradicted", "Contradicted claims"),
    Measure("clip_score", "CLIP score", whole=False),
    Measure("clip_margin", "CLIP margin", whole=False),
)


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: the same bars for all sets, `heights[set][bar]` captions in each."""

    centers: tuple[float, ...]
    width: float
    heights: tuple[tuple[int, ...], ...]


def distribution(view: Any, measure: Measure, fields: Sequence[str]) -> Bars | None:
    """The histogram of a measure for each caption set; None where no caption of the view has it."""
    paths = [f"${audit_field(field)}.{measure.name}" for field in fields]
    bounds = {"_id": None, "low": {"$min": {"$min": paths}}, "high": {"$max": {"$max": paths}}}
    # As for the figures, FiftyOne's private way to the database: its own histograms do not share their bars among fields.
    found = list(view._aggregate(post_pipeline=[{"$group": bounds}]))
    if not found or found[0]["low"] is None:
        return None
    low, high = float(found[0]["low"]), float(found[0]["high"])
    width = (high - low) / BARS or 1.0
    if measure.whole:
        width = float(ceil((high - low + 1) / BARS))
        low -= 0.5  # a whole number stands in the middle of a bar
    bars = max(1, ceil((high - low) / width + (0 if measure.whole else 1e-9)))
    heights = [_heights(view, path, low, width, bars) for path in paths]
    centers = tuple(low + width * (bar + 0.5) for bar in range(bars))
    return Bars(centers, width, tuple(heights))


def _heights(view: Any, path: str, low: float, width: float, bars: int) -> tuple[int, ...]:
    place = {"$min": [{"$floor": {"$divide": [{"$subtract": [path, low]}, width]}}, bars - 1]}
    stages = [
        {"$match": {"$expr": {"$ne": [{"$ifNull": [path, None]}, None]}}},
        {"$group": {"_id": place, "count": {"$sum": 1}}},
    ]
    counts = {int(each["_id"]): each["count"] for each in view._aggregate(post_pipeline=stages)}
    return tuple(counts.get(bar, 0) for bar in range(bars))


def within(view: Any, measure: Measure, field: str, low: float, high: float) -> Any:
    """The samples whose captions lie in a bar, the upper end included so that the last bar is whole."""
    path = f"{audit_field(field)}.{measure.name}"
    return view.match({path: {"$gte": low, "$lte" if not measure.whole else "$lt": high}})
