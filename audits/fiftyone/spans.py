"""A caption cut at the ends of its claims, so that each piece can be shown in the color of its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from unicodedata import bidirectional

from audits.fiftyone.phrases import phrase

ORDER = ("contradicted", "supported", "unknown")
"""Where claims overlap, the first of these that is among their verdicts colors the piece."""
UNJUDGED = "unjudged"
"""What a piece under claims without a verdict counts as: nothing was grounded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a caption under the same claims.

    Attributes:
        verdict: None under no claim.
        about: the claims with what the evidence says of them, for a tooltip.
    """

    text: str
    verdict: str | None = None
    about: str = ""


def pieces(caption: str, claims: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """The caption in order; joined they are the caption again, whatever the spans say."""
    length = len(caption)
    spans = [(max(0, start), min(length, end)) for start, end in (claim["span"] for claim in claims)]
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for place, (start, end) in enumerate(spans):
        if start < end:
            starts.setdefault(start, []).append(place)
            ends.setdefault(end, []).append(place)
    found: list[Piece] = []
    open_claims: set[int] = set()
    cuts = sorted({0, length, *starts, *ends})
    for cut, following in pairwise(cuts):
        open_claims -= set(ends.get(cut, ()))
        open_claims |= set(starts.get(cut, ()))
        over = [claims[place] for place in sorted(open_claims)]
        found.append(Piece(caption[cut:following], _verdict(over), "; ".join(map(_about, over))))
    return found


def direction(text: str) -> Literal["ltr", "rtl"]:
    """Which way a caption runs: as its first letter does (the first strong character of Unicode's rule P2)."""
    strong = next((found for found in map(bidirectional, text) if found in ("L", "R", "AL")), "L")
    return "ltr" if strong == "L" else "rtl"


def _verdict(claims: Sequence[Mapping[str, Any]]) -> str | None:
    if not claims:
        return None
    verdicts = {claim.get("verdict") for claim in claims}
    return next((each for each in ORDER if each in verdicts), UNJUDGED)


def _about(claim: Mapping[str, Any]) -> str:
    verdict = claim.get("verdict")
    if verdict is None:
        return f"{claim['kind']}: {phrase(claim)}"
    return f"{claim['kind']}: {phrase(claim)}, {verdict} ({claim.get('evidence')})"
