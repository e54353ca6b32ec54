"""Claims and verdicts against gold: counts of right, wrong and missed per caption, and their figures with intervals."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import binomtest, bootstrap

from audits.extraction import claims as extract
from audits.grounding.verdicts import ground
from recapdata.records import Claim
from tests.audits.gold.rows import FIELDS, Gold, Row

WHOLE = "whole name"
KINDS = ("object", WHOLE, *(kind for kind in FIELDS if kind != "object"))
"""Rows of the table: the kinds of `FIELDS`, and objects once more by their whole names."""

FAMILIES = {
    "left": ["left of"],
    "right": ["right of"],
    "above": ["above", "over", "over the top of"],
    "below": ["below", "under", "beneath", "underneath", "at the bottom of"],
    "on": [
        "on",
        "on top of",
        "atop",
        "onto",
        "upon",
        "on the front of",
        "on the back of",
        "covering",
        "attached to",
    ],
    "in": [
        "in",
        "inside",
        "within",
        "into",
        "in the middle of",
        "among",
        "in the back of",
        "in the center of",
        "filling",
    ],
    "near": ["near", "next to", "at", "by", "beside", "on the side of", "close to", "alongside"],
    "behind": ["behind", "at the back of"],
    "front": ["in front of"],
    "around": ["around", "surrounding"],
    "along": ["along", "lining"],
    "from": ["from", "off", "hanging from"],
}
"""Relations that say the same of a picture; one that is not listed is a family of its own."""

CONVERSES = {"containing": "in"}
"""Relations that say with their ends exchanged what another says."""

_FAMILY = {relation: family for family, relations in FAMILIES.items() for relation in relations}

MATERIALS = frozenset([
    "aluminum", "bamboo", "bark", "brass", "brick", "bronze", "cardboard", "cast", "cement", "ceramic",
    "chrome", "clay", "cobblestone", "concrete", "copper", "cotton", "denim", "dirt", "felt", "fur",
    "glass", "gold", "granite", "grass", "gravel", "iron", "ivory", "knit", "lace", "leather", "linen",
    "marble", "metal", "mud", "oak", "paper", "pine", "plastic", "porcelain", "rattan", "rubber", "sand",
    "satin", "silk", "silver", "slate", "stainless", "steel", "stone", "straw", "terracotta", "tile",
    "tin", "velvet", "vinyl", "wax", "wicker", "wire", "wood", "wool"
])  # fmt: skip
"""Before a name they may be said or not: "paper lantern" and "lantern" are one whole name."""

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind's claims of one caption: right, wrong and missed."""

    right: tuple[Gold, ...]
    wrong: tuple[Gold, ...]
    missed: tuple[Gold, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


# --- claims --------------------------------------------------------------------------------------------------------------


def extracted(rows: Sequence[Row]) -> list[list[Claim]]:
    """The project's claims of each caption."""
    return list(extract([row.caption for row in rows]))


def compare(row: Row, claims: Iterable[Claim], kind: str) -> Comparison:
    """The claims of one of `KINDS` against the gold ones, each gold claim met by one claim at most."""
    whole = kind == WHOLE
    kind = "object" if whole else kind
    left = list(dict.fromkeys(_said(claims, kind)))
    missing = list(row.claims[kind])
    right: list[Gold] = []
    for whole_names in (True,) if whole else (True, False):
        for said in list(left):
            gold = next((each for each in missing if _meets(said, each, kind, whole=whole_names)), None)
            if gold is not None:
                missing.remove(gold)
                left.remove(said)
                right.append(said)
    wrong = [said for said in left if not _excused(said, row, kind, whole=whole)]
    return Comparison(tuple(right), tuple(wrong), tuple(missing))


def _said(claims: Iterable[Claim], kind: str) -> Iterator[Gold]:
    for claim in claims:
        match claim.kind:
            case "position" if claim.region is not None and claim.relation is None:
                fields: Gold = (claim.subject, claim.region)
            case "position" if claim.relation in CONVERSES:
                fields = (claim.object, CONVERSES[claim.relation], claim.subject)
            case "position":
                fields = (claim.subject, claim.relation, claim.object)
            case "count":
                fields = (claim.object, claim.count)
            case "color" | "size":
                fields = (claim.object, claim.color or claim.size)
            case "text":
                fields = (claim.text,)
            case _:
                fields = (claim.object,)
        actual = "region" if claim.kind == "position" and len(fields) == 2 else claim.kind
        if actual == kind:
            yield fields


def _excused(said: Gold, row: Row, kind: str, *, whole: bool) -> bool:
    """Whether a claim without a gold one of its own is neither right nor wrong: optional, or said before."""
    if any(_same(name, other, whole=False) for name, other in product(_names(said, kind), _optional(row))):
        return True
    others = [*row.claims[kind], *(each for each in row.optional if len(each) == len(said))]
    return any(_meets(said, other, kind, whole=whole) for other in others)


def _names(said: Gold, kind: str) -> list[str]:
    return [name for position in _NAMES[kind] if (name := said[position])]


def _optional(row: Row) -> list[str]:
    """The optional objects, but for those whose noun is a gold object's as well."""
    heads = {head(answer) for (name,) in row.claims["object"] for answer in name.split("|")}
    return [name for (name,) in (each for each in row.optional if len(each) == 1) if head(name) not in heads]


_NAMES = {"position": (0, 2), "text": ()} | {
    kind: (0,) for kind in FIELDS if kind not in ("position", "text")
}
"""Which fields of a claim are names of things."""


def _meets(said: Gold, gold: Gold, kind: str, *, whole: bool) -> bool:
    if len(said) != len(gold):
        return False
    names = _NAMES[kind]
    for position, (one, other) in enumerate(zip(said, gold, strict=True)):
        if position in names:
            if not _same(one, other, whole=whole):
                return False
        elif not any(_value(one, kind) == _value(answer, kind) for answer in _answers(other)):
            return False
    return True


def _same(name: str, gold: str, *, whole: bool) -> bool:
    """Whether a name is one of the gold answers: as a whole, or by the noun that heads it."""
    name = name.lower()
    answers = [each.lower() for each in gold.split("|")]
    if whole:
        return name in answers or _bare(name) in {_bare(each) for each in answers}
    return head(name) in {head(each) for each in answers}


def _bare(name: str) -> str:
    """A name without the materials before it."""
    words = name.split()
    while len(words) > 1 and words[0] in MATERIALS:
        words = words[1:]
    return " ".join(words)


def head(name: str) -> str:
    """The noun that heads a name: the last before "of"."""
    return name.split(" of ")[0].split()[-1]


def _answers(gold: object) -> list[str]:
    return str(gold).split("|")


def _value(value: object, kind: str) -> str:
    """A field that is no name, as it is compared."""
    text = str(value)
    if kind == "position":
        return _FAMILY.get(text, text)
    if kind == "color":
        return text.lower().split()[-1]
    return text if kind == "text" else text.lower()


# --- figures -------------------------------------------------------------------------------------------------------------


def figures(comparisons: Sequence[Comparison]) -> dict[str, Figure]:
    """Precision, recall and F1 over captions, with percentile bootstrap intervals (captions are drawn, not claims)."""
    counts = np.array(
        [[len(each.right), len(each.wrong), len(each.missed)] for each in comparisons], dtype=float
    )
    columns = tuple(counts.T)
    found = {}
    for name, (wrong, missed) in {"precision": (1, 0), "recall": (0, 1), "F1": (0.5, 0.5)}.items():
        statistic = partial(_share, of_wrong=wrong, of_missed=missed)
        drawn = bootstrap(
            columns,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=0,
        )
        interval = drawn.confidence_interval
        found[name] = Figure(float(statistic(*columns)), float(interval.low), float(interval.high))
    return found


def _share(
    right: np.ndarray,
    wrong: np.ndarray,
    missed: np.ndarray,
    axis: int = -1,
    *,
    of_wrong: float,
    of_missed: float,
) -> np.ndarray:
    """The right claims as a share of themselves and weighted mistakes; all of them where there is neither."""
    right, wrong, missed = (each.sum(axis=axis) for each in (right, wrong, missed))
    whole = right + of_wrong * wrong + of_missed * missed
    return np.divide(right, whole, out=np.ones_like(whole), where=whole > 0)


# --- verdicts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """One caption with evidence: its verdicts, and what is wrong with them.

    Attributes:
        contradicted: true claims that were called false.
        unsupported: names that the evidence shows and no claim of which was supported.
        lies: false claims, by name: whether one was contradicted.
    """

    row: Row
    claims: tuple[Claim, ...]
    contradicted: tuple[Claim, ...]
    unsupported: tuple[str, ...]
    lies: Mapping[str, bool]

    @property
    def true(self) -> bool:
        """Whether nothing in the caption is false."""
        return not self.lies


def judge(row: Row, claims: Sequence[Claim]) -> Judged:
    """Ground the claims in the row's evidence and hold the verdicts against its own."""
    assert row.evidence is not None
    judged = ground(claims, [row.evidence]).claims
    verdicts = row.verdicts
    lie = verdicts.get("lie")
    lies = verdicts.get("contradicted", ())
    calm = verdicts.get("not_contradicted", ())
    calm = None if calm == "all" else [*calm, *verdicts.get("supported", ())]
    against = [claim for claim in judged if claim.verdict == "contradicted"]
    return Judged(
        row=row,
        claims=judged,
        contradicted=tuple(
            claim
            for claim in against
            if (lie is None or claim.kind != lie) and (calm is None or _speaks_of(claim, calm))
        ),
        unsupported=tuple(
            name
            for name in verdicts.get("supported", ())
            if not any(claim.verdict == "supported" and _speaks_of(claim, [name]) for claim in judged)
        ),
        lies={
            name: any((lie is None or claim.kind == lie) and _speaks_of(claim, [name]) for claim in against)
            for name in lies
        },
    )


def _speaks_of(claim: Claim, names: Sequence[str]) -> bool:
    name = claim.subject if claim.kind == "position" else claim.object
    return name is not None and any(_same(name, each, whole=False) for each in names)


def proportion(numbers: Iterable[bool]) -> Figure:
    """A share with its Wilson interval."""
    tally = Counter(numbers)
    total = tally.total()
    interval = binomtest(tally[True], total).proportion_ci(method="wilson")
    return Figure(tally[True] / total, float(interval.low), float(interval.high))
