"""The audit's figures of the samples in a view, and for each figure the samples that a click on it shows.

They are those of the audit's summary, computed by the database from the counts on the samples, so that they follow whatever
view a person is looking at; over the whole dataset they equal the summary's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.fiftyone.fields import audit_field
from audits.summary import CLIP_CONTEXT
from recapdata.records import CLAIM_KINDS

Expression = Any
"""An aggregation expression of MongoDB."""
Of = Callable[[str], Expression]
"""An expression of the path of a set's audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure: the sum of `top` over that of `bottom`.

    Attributes:
        shows: a condition for the samples that a click shows; `shown` says in words what they are.
        lowest: a number of the audit by which they are sorted, the lowest first.
        share: shown as a percentage.
    """

    section: str
    name: str
    top: Of
    bottom: Of
    shows: Of
    shown: str
    lowest: str | None = None
    share: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a set: its value (None where it rests on nothing), and how many samples a click shows."""

    value: float | None
    samples: int
    share: bool = True

    def text(self) -> str:
        """As the table shows it."""
        if self.value is None:
            return "–"
        # A space at which no narrow column breaks the line.
        return f"{100 * self.value:.1f}\N{NO-BREAK SPACE}%" if self.share else f"{self.value:,.1f}"


def _number(name: str) -> Of:
    return lambda audit: {"$ifNull": [f"${audit}.{name}", 0]}


def _some(name: str) -> Of:
    return lambda audit: {"$gt": [_number(name)(audit), 0]}


def _sum(*names: str) -> Of:
    return lambda audit: {"$add": [_number(name)(audit) for name in names]}


def _one_if(condition: Of) -> Of:
    return lambda audit: {"$cond": [condition(audit), 1, 0]}


def _there(name: str) -> Of:
    return lambda audit: {"$ne": [{"$ifNull": [f"${audit}.{name}", None]}, None]}


def _less(name: str, other: str) -> Of:
    return lambda audit: {"$lt": [_number(name)(audit), _number(other)(audit)]}


def _any_of(name: str) -> Of:
    return lambda audit: {"$gt": [{"$size": {"$ifNull": [f"${audit}.{name}", []]}}, 0]}


def _over(audit: str) -> Expression:
    return {"$gt": [_number("clip_tokens")(audit), CLIP_CONTEXT]}


_CAPTIONS = _there("claims_total")


def _judges_objects(audit: str) -> Expression:
    return {"$gt": [_sum("supported_object", "contradicted_object")(audit), 0]}


def _mean(name: str, label: str) -> Line:
    return Line(
        section=REST,
        name=label,
        top=_number(name),
        bottom=_one_if(_there(name)),
        shows=_there(name),
        shown="the lowest first",
        lowest=name,
        share=False,
    )


COVERAGE = "Coverage"
PRECISION = "Precision"
RECALL = "Recall"
REST = "Length, hygiene, CLIP"
SECTIONS: Mapping[str, str] = {
    COVERAGE: "captions that speak of it",
    PRECISION: "claims that are true, of those that could be judged; and captions that invent an object",
    RECALL: "what is in the picture and in the caption",
    REST: "before any picture is looked at, and by CLIP",
}
LINES: Sequence[Line] = (
    *(
        Line(
            section=COVERAGE,
            name=kind,
            top=_one_if(_some(f"claims_{kind}")),
            bottom=_one_if(_CAPTIONS),
            shows=_some(f"claims_{kind}"),
            shown=f"captions with a claim of kind {kind}",
        )
        for kind in CLAIM_KINDS
    ),
    *(
        Line(
            section=PRECISION,
            name=kind,
            top=_number(f"supported_{kind}"),
            bottom=_sum(f"supported_{kind}", f"contradicted_{kind}"),
            shows=_some(f"contradicted_{kind}"),
            shown=f"captions with a wrong claim of kind {kind}",
        )
        for kind in CLAIM_KINDS
    ),
    Line(
        section=PRECISION,
        name="hallucinating",
        top=_one_if(_some("contradicted_object")),
        bottom=_one_if(_judges_objects),
        shows=_some("contradicted_object"),
        shown="captions that invent an object",
    ),
    *(
        Line(
            section=RECALL,
            name=f"{what}s",
            top=_number(f"{what}s_said"),
            bottom=_number(f"{what}s_present"),
            shows=_less(f"{what}s_said", f"{what}s_present"),
            shown=f"captions that leave out {what}s",
        )
        for what in ("object", "text")
    ),
    _mean("words", "words (mean)"),
    Line(
        section=REST,
        name=f"over {CLIP_CONTEXT} tokens",
        top=_one_if(_over),
        bottom=_one_if(_CAPTIONS),
        shows=_over,
        shown="captions that CLIP does not read to their end",
    ),
    Line(
        section=REST,
        name="flagged",
        top=_one_if(_any_of("flags")),
        bottom=_one_if(_CAPTIONS),
        shows=_any_of("flags"),
        shown="captions with a hygiene flag",
    ),
    _mean("clip_score", "CLIP score"),
    _mean("clip_margin", "CLIP margin"),
)


def figures(view: Any, fields: Sequence[str]) -> list[list[Cell]]:
    """Per line of `LINES` the cells of the sets, over the samples of a view or dataset.

    Args:
        fields: the fields of the caption sets.
    """
    sums: dict[str, Expression] = {}

    def named(expression: Expression) -> str:
        return sums.setdefault(json.dumps(expression), f"n{len(sums)}")

    audits = [audit_field(each) for each in fields]
    places = [
        [
            (named(line.top(audit)), named(line.bottom(audit)), named(_one_if(line.shows)(audit)))
            for audit in audits
        ]
        for line in LINES
    ]
    stage = {"_id": None} | {name: {"$sum": json.loads(text)} for text, name in sums.items()}
    found = list(view._aggregate(post_pipeline=[{"$group": stage}])) if sums else []
    values = found[0] if found else dict.fromkeys(sums.values(), 0)
    return [
        [
            Cell(values[top] / values[bottom] if values[bottom] else None, values[shown], line.share)
            for top, bottom, shown in cells
        ]
        for line, cells in zip(LINES, places, strict=True)
    ]


def shown_by(view: Any, line: Line, field: str) -> Any:
    """The view of the samples that a click on a figure of a set shows."""
    audit = audit_field(field)
    found = view.match({"$expr": line.shows(audit)})
    return found.sort_by(f"{audit}.{line.lowest}") if line.lowest else found
