"""The audit's figures of the samples in a view, and for each figure the samples that a click on it shows.

They are those of the registry (`audits.figures`), computed by the database from the fields of the samples, so that they follow
whatever view a person is looking at; over the whole dataset they equal the summary's. What a figure from outside gives for a
caption is computed when the dataset is built, and kept in a field of its own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.fiftyone import require
from audits.fiftyone.fields import audit_field
from audits.figures import Figure, registered
from audits.sums import CAPTIONS, PerCaption, Rows, Sum, Term, numbers, values
from recapdata.versions.figures import FigureValue

Expression = Any
"""An aggregation expression of MongoDB."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a set: its value (None where it rests on nothing), and how many samples a click shows."""

    value: float | None
    samples: int
    unit: str

    def text(self) -> str:
        """As the table shows it."""
        if self.value is None:
            return "–"
        # A space at which no narrow column breaks the line.
        return FigureValue(value=self.value, unit=self.unit).text().replace(" ", "\N{NO-BREAK SPACE}")


def kept() -> dict[str, PerCaption]:
    """By field of a caption's audit, the functions of figures from outside whose numbers a sample keeps."""
    return {
        _field(figure, part): per_caption
        for figure in registered()
        for part, per_caption in (("top", figure.numerator), ("bottom", figure.denominator))
        if not isinstance(per_caption, Sum)
    }


def kept_values(audit: pa.RecordBatch, captions: pa.Array) -> list[dict[str, float]]:
    """By row the fields of `kept`, empty where there is no caption or no such figure."""
    functions = kept()
    found: list[dict[str, float]] = [{} for _ in range(audit.num_rows)]
    if not functions:
        return found
    there = pc.and_(pc.is_valid(audit.column("claims")), pc.is_valid(captions))
    rows = Rows(audit.append_column("caption", captions).filter(there))
    places = np.flatnonzero(there.to_numpy(zero_copy_only=False))
    for field, per_caption in functions.items():
        for place, number in zip(places, values(per_caption, rows).tolist(), strict=True):
            found[place][field] = number
    return found


def lines() -> list[Figure]:
    """The figures that the panel shows, in reading order, each made of fields of a sample; of a median it is the mean."""
    return [
        replace(
            figure,
            name=figure.name.replace("(median)", "(mean)"),
            numerator=_of_fields(figure, "top", figure.numerator),
            denominator=_of_fields(figure, "bottom", figure.denominator),
        )
        for figure in registered()
    ]


def _of_fields(figure: Figure, part: str, per_caption: PerCaption) -> Sum:
    return per_caption if isinstance(per_caption, Sum) else numbers(_field(figure, part))


def _field(figure: Figure, part: str) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '_', figure.name.lower()).strip('_')}_{part}"


def figures(view: Any, fields: Sequence[str]) -> list[list[Cell]]:
    """Per figure of `lines` the cells of the sets, over the samples of a view or dataset.

    Args:
        fields: the fields of the caption sets.
    """
    sums: dict[str, Expression] = {}

    def named(expression: Expression) -> str:
        return sums.setdefault(json.dumps(expression), f"n{len(sums)}")

    audits = [audit_field(each) for each in fields]
    shown = lines()
    places = [
        [
            (
                named(_sum(figure.numerator, audit)),
                named(_sum(figure.denominator, audit)),
                named({"$cond": [_behind(figure, audit), 1, 0]}),
            )
            for audit in audits
        ]
        for figure in shown
    ]
    stage = {"_id": None} | {name: {"$sum": json.loads(text)} for text, name in sums.items()}
    # FiftyOne's own aggregations sum one field each; only its private way to the database sums all of them in one pass.
    found = list(view._aggregate(post_pipeline=[{"$group": stage}])) if sums else []
    totals: Mapping[str, Any] = found[0] if found else dict.fromkeys(sums.values(), 0)
    return [
        [
            Cell(
                figure.scale * totals[top] / totals[bottom] if totals[bottom] else None,
                totals[behind],
                figure.unit,
            )
            for top, bottom, behind in cells
        ]
        for figure, cells in zip(shown, places, strict=True)
    ]


def shown_by(view: Any, figure: Figure, field: str) -> Any:
    """The view of the samples that a click on a figure of a set shows."""
    audit = audit_field(field)
    found = view.match({"$expr": _behind(figure, audit)})
    shows, _ = figure.behind
    if shows not in ("lowest", "highest"):
        return found
    return found.sort_by(_order(figure, audit), reverse=shows == "highest")


def _order(figure: Figure, audit: str) -> Any:
    """What the samples behind a mean are sorted by: a field where it is one, else the quotient."""
    top, bottom = figure.numerator, figure.denominator
    if isinstance(top, Sum) and len(top.plus) == 1 and (bottom == CAPTIONS or _is_known(bottom)):
        return f"{audit}.{top.plus[0].field}"
    return require().ViewExpression({"$divide": [_sum(top, audit), _sum(bottom, audit)]})


def _is_known(bottom: PerCaption) -> bool:
    return isinstance(bottom, Sum) and bottom.plus[0].of == "known"


def _behind(figure: Figure, audit: str) -> Expression:
    """Whether a caption is one of those behind a figure."""
    top, bottom = _sum(figure.numerator, audit), _sum(figure.denominator, audit)
    match figure.behind[0]:
        case "counted":
            return {"$gt": [top, 0]}
        case "short":
            return {"$lt": [top, bottom]}
        case _:
            return {"$gt": [bottom, 0]}


def _sum(per_caption: PerCaption, audit: str) -> Expression:
    """What a caption adds to a sum."""
    assert isinstance(per_caption, Sum)
    total = [_term(term, audit) for term in per_caption.plus]
    total += [{"$multiply": [-1, _term(term, audit)]} for term in per_caption.minus]
    added = {"$add": total} if len(total) > 1 else total[0]
    return added if per_caption.over is None else {"$cond": [{"$gt": [added, per_caption.over]}, 1, 0]}


def _term(term: Term, audit: str) -> Expression:
    path = f"${audit}.{term.field}"
    match term.of:
        case "number":
            return {"$toDouble": {"$ifNull": [path, 0]}}  # a truth value is a number here too
        case "known":
            return {"$cond": [{"$ne": [{"$ifNull": [path, None]}, None]}, 1, 0]}
        case "entries":
            return {"$size": {"$ifNull": [path, []]}}
        case "holds":
            return {"$cond": [{"$in": [term.entry, {"$ifNull": [path, []]}]}, 1, 0]}
