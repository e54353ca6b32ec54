"""The registry of figures: every figure of an audit is one entry, which summary, comparison, report, card and panel read.

A figure is the quotient of two sums over captions (`audits.sums`). Figures from outside this package are named by an entry point of
the group `audits.figures`, or by a dotted path in the environment variable `RECAPDATA_FIGURES`, which every process of a command reads.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from audits.clip.counterfactuals import KINDS as LIES
from audits.sums import CAPTIONS, PerCaption, Rows, Sum, Term, known, numbers
from audits.text.coverage import CLIP_CONTEXT
from recapdata.dataset.audit_files import EXTENTS
from recapdata.errors import OptionError
from recapdata.records import CLAIM_KINDS, VERDICTS
from recapdata.registry import Registry
from recapdata.versions.comparable import PARTS
from recapdata.versions.figures import Better

VARIABLE = "RECAPDATA_FIGURES"
"""Environment variable with the dotted paths of figures from outside, `package.module:FIGURE`, commas between."""
EXTENSIONS = Registry(kind="figure", table={}, group="audits.figures")
SUPPORTED, CONTRADICTED, _ = VERDICTS


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that belong together: a heading for a page, a word for a table, and what the figures in it are."""

    title: str
    word: str
    about: str


GROUPS: Mapping[str, Group] = {
    "coverage": Group("What captions speak of", "Coverage", "share of captions that speak of it"),
    "length": Group("How much they say", "Length", "before any picture is looked at"),
    "texts": Group("What is wrong with the texts", "Hygiene", "by the texts alone"),
    "fit": Group("How well they fit their image", "CLIP", "by a CLIP model"),
    "truth": Group("Whether it is true", "Precision", "share of judged claims that the evidence supports"),
    "recall": Group("What is there and is said", "Recall", "share of what the evidence shows that is said"),
    "other": Group("Other figures", "Other", "added to this audit"),
}
"""In reading order."""

Shows = Literal["counted", "short", "lowest", "highest"]
"""The captions behind a figure: those counted in the numerator, those with less of it than of the denominator, or all, sorted."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `scale` × the sum of the numerator / the sum of the denominator.

    Attributes:
        unit: `share` (0–1, shown as a percentage), or what is counted.
        better: which way is better, `higher` or `lower`; None where neither is.
        rests_on: the parts of the audit that it depends on, names of `recapdata.versions.comparable.PARTS`: two audits are compared by
            it where these were made alike. Empty for all of them.
        group: where it is listed, a key of `GROUPS`.
        median: it is the median of the numerator (a whole number) instead, of which the panel shows the mean.
        alias: its name in the literature.
        hint: what it is, in a clause.
        glance: it stands on top of the report and in short tables; `drawn` as bars on the report.
        shows, shown: the captions that a click on it in the panel lists, and what to call them.

    Raises:
        ValueError: an unknown group, part or direction.
    """

    name: str
    numerator: PerCaption
    denominator: PerCaption = CAPTIONS
    unit: str = "share"
    better: Better | None = "higher"
    rests_on: tuple[str, ...] = ()
    group: str = "other"
    scale: float = 1.0
    median: bool = False
    alias: str = ""
    hint: str = ""
    glance: bool = False
    drawn: bool = False
    shows: Shows | None = None
    shown: str = ""

    def __post_init__(self) -> None:
        known_values: Sequence[tuple[str, Iterable[Any], Iterable[Any]]] = (
            ("group", [self.group], GROUPS),
            ("rests_on", self.rests_on, PARTS),
            ("better", [self.better], ("higher", "lower", None)),
        )
        for field, values, allowed in known_values:
            if unknown := [value for value in values if value not in allowed]:
                raise ValueError(f"figure {self.name}: {field} {unknown[0]!r} is none of {list(allowed)}")

    @property
    def title(self) -> str:
        """Its name with what the literature calls it."""
        return f"{self.name} ({self.alias})" if self.alias else self.name

    @property
    def behind(self) -> tuple[Shows, str]:
        """The captions behind it, and what to call them."""
        if self.unit == "share":
            shows: Shows = self.shows or ("short" if self.better == "higher" else "counted")
        else:
            shows = self.shows or ("highest" if self.better == "lower" else "lowest")
        words = {"counted": "captions that count", "short": "captions that fall short"}
        return shows, self.shown or words.get(shows, f"the {shows} first")


CLAIMS, JUDGED, MARGIN, CLIP = ("claims",), ("claims", "evidence"), ("claims", "margin"), ("clip",)
NO_BETTER = "share of captions that score no higher than themselves with one word made wrong"


def _recall(name: str, what: str, shown: str, **more: Any) -> Figure:
    """The share of what is there of a class that is said."""
    said, present = (numbers(what.format(part)) for part in ("said", "present"))
    return Figure(
        name, said, present, rests_on=JUDGED, group="recall", hint=GROUPS["recall"].about, drawn=True,
        shown=f"captions that leave out {shown}", **more,
    )  # fmt: skip


def _clip(name: str, field: str, **more: Any) -> Figure:
    """The mean of a CLIP score over the captions that have it."""
    return Figure(name, numbers(field), known(field), "points", rests_on=CLIP, group="fit", **more)


TABLE: tuple[Figure, ...] = (
    *(
        Figure(
            f"{kind} coverage", numbers(f"claims_{kind}", over=0), rests_on=CLAIMS, group="coverage",
            hint=GROUPS["coverage"].about, drawn=True, shows="counted", shown=f"captions with a claim of kind {kind}",
        )
        for kind in CLAIM_KINDS
    ),
    Figure("claims per caption", numbers("claims_total"), unit="claims", rests_on=CLAIMS, group="length", glance=True),
    Figure(
        "claims per 100 words", numbers("claims_total"), numbers("words"), "claims", None, ("claims", "coverage"), "length",
        scale=100.0,
    ),
    Figure("words (median)", numbers("words"), CAPTIONS, "words", None, ("coverage",), "length", median=True, glance=True),
    Figure(
        f"over {CLIP_CONTEXT} CLIP tokens", numbers("clip_tokens", over=CLIP_CONTEXT), better="lower",
        rests_on=("coverage",), group="length", shown="captions that CLIP does not read to their end",
    ),
    # That many share a caption grows with the set, so it is a figure of its own and no worse hygiene.
    Figure(
        "hygiene flags", Sum((Term("flags", "entries"),), minus=(Term("copies", "known"),), over=0), better="lower",
        rests_on=("hygiene",), group="texts", glance=True, shown="captions with a hygiene flag",
    ),
    Figure(
        "captions on many images", known("copies"), better=None, rests_on=("copies",), group="texts",
        shown="captions that stand on many images",
    ),
    _clip("CLIP score", "clip_score", glance=True),
    _clip("CLIP score (Hessel)", "clip_score_hessel"),
    _clip("CLIP score, mean of sentences", "clip_sentence_mean"),
    _clip("CLIP score, worst sentence", "clip_sentence_min"),
    Figure(
        "captions longer than the scorer reads", numbers("clip_over_context"), known("clip_over_context"), better="lower",
        rests_on=CLIP, group="fit", shown="captions that the scorer does not read to their end",
    ),
    # A caption that says more can be lied about in more ways, so these two are no better or worse by themselves; by kind they are.
    Figure(
        "CLIP margin over the nearest lie", numbers("clip_margin"), known("clip_margin"), "points", None, MARGIN, "fit",
        hint="100·cos of the caption less that of the caption with one word made wrong",
    ),
    Figure(
        "captions no better than their lie", Sum((Term("low_margin", "entries"),), over=0), known("clip_margin"), better=None,
        rests_on=MARGIN, group="fit", hint=NO_BETTER, shown="captions of which a lie scores no lower",
    ),
    *(
        Figure(
            f"no better than a lie: {kind}", Sum((Term("low_margin", "holds", kind),)), Sum((Term("lied_about", "holds", kind),)),
            better="lower", rests_on=MARGIN, group="fit", shown=f"captions of which a lie about {kind} scores no lower",
        )
        for kind in LIES
    ),
    *(
        Figure(
            f"{kind} precision", numbers(f"{SUPPORTED}_{kind}"), numbers(f"{SUPPORTED}_{kind}", f"{CONTRADICTED}_{kind}"),
            rests_on=JUDGED, group="truth", hint=GROUPS["truth"].about, glance=kind == "object", drawn=True,
            shown=f"captions with a wrong claim of kind {kind}",
        )
        for kind in CLAIM_KINDS
    ),
    # CHAIR_s and CHAIR_i (Rohrbach et al. 2018), over the captions and the mentions that the evidence can judge.
    Figure(
        "hallucination rate", numbers(f"{CONTRADICTED}_object", over=0),
        numbers(f"{SUPPORTED}_object", f"{CONTRADICTED}_object", over=0), better="lower", rests_on=JUDGED, group="truth",
        alias="CHAIR_s", glance=True, drawn=True, shown="captions that invent an object",
        hint="CHAIR_s: share of captions, of those whose objects can be judged, with an object that is not there",
    ),
    Figure(
        "hallucinated mentions", numbers(f"{CONTRADICTED}_object"), numbers(f"{SUPPORTED}_object", f"{CONTRADICTED}_object"),
        better="lower", rests_on=JUDGED, group="truth", alias="CHAIR_i", shown="captions that invent an object",
        hint="CHAIR_i: share of judged mentions of objects that are not there",
    ),
    Figure(
        "claims judged", numbers(SUPPORTED, CONTRADICTED), numbers(*VERDICTS), better=None, rests_on=JUDGED, group="truth",
        shown="captions with a judged claim",
    ),
    *(
        Figure(
            f"{kind} claims judged", numbers(f"{SUPPORTED}_{kind}", f"{CONTRADICTED}_{kind}"),
            numbers(*(f"{verdict}_{kind}" for verdict in VERDICTS)),
            better=None, rests_on=JUDGED, group="truth", shown=f"captions with a judged claim of kind {kind}",
            hint="share of these claims that the evidence can tell; precision speaks of them only",
        )
        for kind in CLAIM_KINDS
    ),
    _recall("object recall", "objects_{}", "objects", glance=True),
    *(_recall(f"object recall ({size})", f"objects_{{}}_{size}", f"{size} objects") for size in EXTENTS),
    _recall("count recall", "counts_{}", "how many there are"),
    _recall("color recall", "colors_{}", "colors"),
    _recall("text recall", "texts_{}", "texts"),
    Figure(
        "named entities kept from alt text", numbers("entities_kept"), numbers("entities_present"), rests_on=("names",),
        group="recall", hint="share of the proper names of the alt text that are said",
        shown="captions that lost a name of the alt text",
    ),
)  # fmt: skip
"""The figures of this package in reading order. A figure whose denominator is nought (nothing grounded, no CLIP) is left out."""


def registered() -> tuple[Figure, ...]:
    """All figures in reading order, group by group; those from outside come last in theirs.

    Raises:
        OptionError: a figure from outside cannot be loaded, is no `Figure`, or has the name of another.
    """
    own = tuple(path.strip() for path in os.environ.get(VARIABLE, "").split(",") if path.strip())
    found = (*TABLE, *_outside(own, tuple(sys.path)))
    places = list(GROUPS)
    return tuple(sorted(found, key=lambda figure: places.index(figure.group)))


@cache
def _outside(paths: tuple[str, ...], searched: tuple[str, ...]) -> tuple[Figure, ...]:
    """The figures of installed packages and of dotted paths, looked up once for a module search path."""
    found: list[Figure] = []
    for name in dict.fromkeys([*EXTENSIONS.names(), *paths]):
        figure = EXTENSIONS.load(name)
        if not isinstance(figure, Figure):
            raise OptionError(f"{name} is a {type(figure).__name__} and not an audits.figures.Figure")
        if figure.name in {each.name for each in (*TABLE, *found)}:
            raise OptionError(
                f"{name}: there is another figure {figure.name!r}; give this one a name of its own"
            )
        found.append(
            replace(
                figure,
                numerator=_checked(figure, figure.numerator),
                denominator=_checked(figure, figure.denominator),
            )
        )
    return tuple(found)


def _checked(figure: Figure, per_caption: PerCaption) -> PerCaption:
    """A function from outside that is held to give a finite number for every caption."""
    if isinstance(per_caption, Sum):
        return per_caption

    def checked(rows: Rows) -> np.ndarray:
        try:
            values = np.asarray(per_caption(rows), dtype=float)
        except Exception as error:
            raise OptionError(
                f"the figure {figure.name!r} failed: {type(error).__name__}: {error}"
            ) from error
        if values.shape != (len(rows),) or not np.isfinite(values).all():
            raise OptionError(
                f"the figure {figure.name!r} gave an array of shape {values.shape} for {len(rows)} captions; it has to give one "
                "finite number for each"
            )
        return values

    return checked


def reads_captions() -> bool:
    """Whether any figure is made by a function, for which captions are read beside their audits."""
    return any(
        not isinstance(each, Sum)
        for figure in registered()
        for each in (figure.numerator, figure.denominator)
    )


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Names of figures as tables list them; those that are registered here no more come last."""
    wanted = dict.fromkeys(names)
    mine = [figure.name for figure in registered() if figure.name in wanted]
    return [*mine, *(name for name in wanted if name not in mine)]


def title(name: str) -> str:
    """The name of a figure as tables show it, with what the literature calls it."""
    return next((figure.title for figure in registered() if figure.name == name), name)
