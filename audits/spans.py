"""A caption cut into pieces by what the claims on them came to, for a page that shows verdicts in place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from audits.fiftyone.phrases import phrase

Mark = Literal["contradicted", "supported", "unknown", "claim", ""]
ORDER: tuple[Mark, ...] = ("contradicted", "supported", "unknown", "claim", "")
"""Where claims overlap the first of these is shown: an error must not hide under what is right about it."""
DECIDED = ("supported", "contradicted")
FOLDED = 600
"""Code points of a caption that are shown before the rest is folded away."""
LONGEST = 20_000
"""Code points of a caption that the page holds at all."""
LISTED = 40
"""Claims of a caption that are listed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Code points of a caption under one mark; `title` says which claims stand there, with their evidence."""

    text: str
    mark: Mark
    title: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim in a few words, its verdict (`claim` where nothing was judged), and what that rests on."""

    words: str
    mark: Mark
    evidence: str


def statements(claims: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """The claims in the order of the caption; the contradicted ones first."""
    found = [
        Statement(phrase(claim), claim["verdict"] or "claim", claim["evidence"] or "") for claim in claims
    ]
    return sorted(found, key=lambda each: each.mark != "contradicted")


def pieces(caption: str, claims: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Cut a caption at the borders of its claims; neighbors under the same mark that share a claim stay together.

    A position that is not decided is not marked: its span covers all from one thing to the other, and they have marks already.

    Args:
        claims: `CLAIM_TYPE` values whose spans are code points of this caption.
    """
    claims = [claim for claim in claims if claim["kind"] != "position" or claim["verdict"] in DECIDED]
    borders = sorted({0, len(caption), *(end for claim in claims for end in claim["span"])})
    found: list[tuple[str, Mark, frozenset[int]]] = []
    mark: Mark
    for start, end in pairwise(borders):
        if start >= len(caption):
            break
        here = frozenset(
            number
            for number, claim in enumerate(claims)
            if claim["span"][0] < end and start < claim["span"][1]
        )
        marks = {claims[number]["verdict"] or "claim" for number in here}
        mark = next((each for each in ORDER if each in marks), "")
        text = caption[start:end]
        if found and found[-1][1] == mark and (found[-1][2] & here or not mark):
            text, here = found[-1][0] + text, found[-1][2] | here
            found.pop()
        found.append((text, mark, here))
    return [
        part for text, mark, here in found for part in _trimmed(Piece(text, mark, _title(here, claims, mark)))
    ]


def _trimmed(part: Piece) -> Iterator[Piece]:
    """A marked piece with the white space at its ends outside the mark."""
    core = part.text.strip()
    if not part.mark or len(core) == len(part.text) or not core:
        yield part if core or not part.mark else Piece(part.text, "", "")
        return
    start = part.text.index(core)
    ends = part.text[:start], part.text[start + len(core) :]
    yield from (each for each in (Piece(ends[0], "", ""), Piece(core, part.mark, part.title)) if each.text)
    if ends[1]:
        yield Piece(ends[1], "", "")


def cut(parts: Sequence[Piece], length: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces up to a length in code points, and the rest; a piece across the border is cut in two."""
    head: list[Piece] = []
    for number, part in enumerate(parts):
        if len(part.text) > length:
            tail = [Piece(part.text[length:], part.mark, part.title), *parts[number + 1 :]]
            return [*head, Piece(part.text[:length], part.mark, part.title)] if length else head, tail
        head.append(part)
        length -= len(part.text)
    return head, []


def _title(here: frozenset[int], claims: Sequence[Mapping[str, Any]], mark: Mark) -> str:
    """What hovering tells: the claims on a piece, each with its verdict and evidence."""
    told = (claims[number] for number in sorted(here))
    lines = [
        f"{phrase(claim)}: {claim['verdict']} ({claim['evidence']})" if claim["verdict"] else phrase(claim)
        for claim in told
        if mark in ("claim", "") or claim["verdict"] == mark
    ]
    return "\n".join(dict.fromkeys(lines))
