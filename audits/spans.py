"""A claim in a few words, and a caption cut at the ends of its claims, as pages and panels show them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from audits.extraction.words import quantity

Mark = Literal["contradicted", "supported", "unknown", "claim", ""]
ORDER: tuple[Mark, ...] = ("contradicted", "supported", "unknown", "claim")
"""Where claims overlap the first of these is shown: an error must not hide under what is right about it."""
DECIDED = ("supported", "contradicted")


@dataclass(frozen=True, slots=True)
class Piece:
    """Code points of a caption under one mark; `title` names the claims that stand there, with their evidence."""

    text: str
    mark: Mark = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim in a few words, its verdict (`claim` where nothing was judged), and what that rests on."""

    words: str
    mark: Mark
    evidence: str


def phrase(claim: Mapping[str, Any]) -> str:
    """A claim in a few words: `3 circles`, `red circle`, `circle left of star`, `"STOP"`.

    Args:
        claim: by the field names of `CLAIM_TYPE`; fields without a value may be missing.
    """
    kind = claim["kind"]
    if kind == "position":
        other = claim.get("object")
        where = claim.get("region") if other is None else f"{claim.get('relation')} {other}"
        return f"{claim.get('subject')} {where}"
    if kind == "text":
        return f'"{claim.get("text")}"'
    noun = str(claim.get("object"))
    if kind == "count":
        return quantity(int(claim.get("count") or 0), noun)
    if kind == "object":
        return noun
    value = str(claim.get(kind))
    article = (
        "" if value != noun else "an " if noun[:1] in "aeiou" else "a "
    )  # no word said twice: "an orange orange"
    return f"{article}{value} {noun}"


def statements(claims: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """The claims in the order of the caption; the contradicted ones first."""
    found = [
        Statement(phrase(claim), claim["verdict"] or "claim", claim["evidence"] or "") for claim in claims
    ]
    return sorted(found, key=lambda each: each.mark != "contradicted")


def pieces(caption: str, claims: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Cut a caption at the ends of its claims; joined, the pieces are the caption again.

    Neighbors under the same mark that share a claim stay together. A position that is not decided is not marked: its span covers
    all from one thing to the other, and they have marks already.

    Args:
        claims: as `phrase` takes them, with spans in code points of this caption; what lies beyond its end is cut off.
    """
    claims = [claim for claim in claims if claim["kind"] != "position" or claim.get("verdict") in DECIDED]
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for number, claim in enumerate(claims):
        start, end = (min(max(0, side), len(caption)) for side in claim["span"])
        if start < end:
            starts.setdefault(start, []).append(number)
            ends.setdefault(end, []).append(number)
    found: list[tuple[str, Mark, frozenset[int]]] = []
    here: set[int] = set()
    for start, end in pairwise(sorted({0, len(caption), *starts, *ends})):
        here = here.difference(ends.get(start, ())).union(starts.get(start, ()))
        marks = {claims[number].get("verdict") or "claim" for number in here}
        mark: Mark = next((each for each in ORDER if each in marks), "")
        text, over = caption[start:end], frozenset(here)
        if found and found[-1][1] == mark and (found[-1][2] & over or not mark):
            before = found.pop()
            text, over = before[0] + text, before[2] | over
        found.append((text, mark, over))
    return [
        part for text, mark, over in found for part in _trimmed(Piece(text, mark, _title(over, claims, mark)))
    ]


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


def _trimmed(part: Piece) -> Iterator[Piece]:
    """A marked piece with the white space at its ends outside the mark."""
    core = part.text.strip()
    if not part.mark or not core:
        yield Piece(part.text)
        return
    before, _, after = part.text.partition(core)
    yield from (
        each for each in (Piece(before), Piece(core, part.mark, part.title), Piece(after)) if each.text
    )


def _title(over: frozenset[int], claims: Sequence[Mapping[str, Any]], mark: Mark) -> str:
    """The claims on a piece that give it its mark, one a line, with the evidence of those that were judged."""
    lines = []
    for number in sorted(over):
        claim = claims[number]
        verdict = claim.get("verdict")
        if (verdict or "claim") == mark:
            lines.append(
                f"{phrase(claim)}: {verdict} ({claim.get('evidence')})" if verdict else phrase(claim)
            )
    return "\n".join(dict.fromkeys(lines))
