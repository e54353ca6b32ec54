"""The chosen rows of the page: each with its picture, the boxes of what is there, and the captions of all sets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.audited import AuditedSet
from audits.reporting.boxes import Box, boxes
from audits.reporting.pictures import Picture, thumbnail
from audits.reporting.survey import Chosen
from audits.spans import Piece, Statement, cut, pieces, statements
from recapdata.dataset.target import Target

BYTES = 8
"""Bytes of the page that a code point of a caption takes with its marks, at the most that was seen."""
FOLDED = 600
"""Code points of a caption that are shown before the rest is folded away."""
LONGEST = 20_000
"""Code points of a caption that the page holds at all."""
LISTED = 40
"""Claims of a caption that are listed."""
COLUMNS = ("key", "image", "width", "height", "source", "objects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """The caption of one set for one picture; `caption` is None where it has none.

    Attributes:
        subject: whether the row was chosen for this set's sake.
        head, tail: its pieces, those of a long one after its beginning folded away; `beyond` characters are left out.
        wrong: contradicted claims, `claims` all of them (the first `LISTED`), `more` how many are not listed.
        remarks: what it leaves out and what else is the matter with it, name and text.
        numbers: its scores, name and text.
    """

    set_name: str
    caption: str | None
    subject: bool = False
    head: Sequence[Piece] = ()
    tail: Sequence[Piece] = ()
    beyond: int = 0
    wrong: Sequence[Statement] = ()
    claims: Sequence[Statement] = ()
    more: int = 0
    remarks: Sequence[tuple[str, str]] = ()
    numbers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One picture of a gallery with what the sets say of it."""

    key: str
    source: str
    picture: Picture
    boxes: Sequence[Box]
    tellings: Sequence[Telling]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A section of the page: why these rows were chosen, and the rows."""

    title: str
    note: str
    cards: Sequence[Card]


def fill(
    target: Target,
    audited: Mapping[str, AuditedSet],
    chosen: Mapping[str, Sequence[Chosen]],
    budget: tuple[int, int],
    advance: Callable[..., None],
) -> dict[str, list[Card]]:
    """The cards of every gallery: `chosen` rows by the set for whose sake they are shown (empty for none).

    Args:
        budget: bytes that all pictures together may take, and all captions.
    """
    wanted = {(row.shard, row.place) for rows in chosen.values() for row in rows}
    share = budget[0] // max(sum(map(len, chosen.values())), 1)
    read: dict[tuple[int, int], tuple[Mapping[str, Any], Picture]] = {}
    rows: dict[tuple[str, int, int], tuple[Mapping[str, Any], str | None]] = {}
    for shard in sorted({shard for shard, _ in wanted}):
        places = sorted(place for number, place in wanted if number == shard)
        for place, record in zip(places, target.take(shard, places, COLUMNS), strict=True):
            image = (record["image"] or {}).get("bytes")
            read[shard, place] = record, thumbnail(image, share, max_pixels=target.max_pixels)
            advance(1)
        for name, each in audited.items():
            if shard in each.paths:
                found = zip(each.rows(shard, places), each.captions(shard, places), strict=True)
                rows |= {(name, shard, place): row for place, row in zip(places, found, strict=True)}
    shown = [
        len(rows[name, row.shard, row.place][1] or "")
        for these in chosen.values()
        for row in these
        for name in audited
        if (name, row.shard, row.place) in rows
    ]
    longest = limit(shown, budget[1] // BYTES)
    return {
        subject: [_card(row, subject, read[row.shard, row.place], audited, rows, longest) for row in these]
        for subject, these in chosen.items()
    }


def limit(lengths: Sequence[int], budget: int) -> int:
    """The code points to which captions of these lengths are cut so that all together have no more than `budget`."""
    left = budget
    for number, length in enumerate(sorted(lengths)):
        each = left // (len(lengths) - number)
        if length > each:
            return min(each, LONGEST)
        left -= length
    return LONGEST


def _card(
    row: Chosen,
    subject: str,
    read: tuple[Mapping[str, Any], Picture],
    audited: Iterable[str],
    rows: Mapping[tuple[str, int, int], tuple[Mapping[str, Any], str | None]],
    longest: int,
) -> Card:
    record, picture = read
    audits = {name: rows.get((name, row.shard, row.place), ({}, None)) for name in audited}
    tellings = [
        _telling(name, audit, caption, subject=name == subject, longest=longest)
        for name, (audit, caption) in audits.items()
    ]
    tellings.sort(key=lambda each: not each.subject)
    shown = [audit for audit, caption in audits.values() if caption is not None]
    return Card(
        key=record["key"],
        source=record.get("source") or "",
        picture=picture,
        boxes=boxes(record.get("objects"), shown, (picture.width, picture.height)),
        tellings=tellings,
    )


def _telling(
    name: str, audit: Mapping[str, Any], caption: str | None, *, subject: bool, longest: int
) -> Telling:
    if caption is None or audit.get("claims") is None:
        return Telling(set_name=name, caption=caption, subject=subject, head=[Piece(caption or "")])
    kept = caption[:longest]
    head, tail = cut(pieces(kept, audit["claims"]), FOLDED if len(kept) > FOLDED * 4 // 3 else LONGEST)
    found = statements(audit["claims"])
    scores = audit["scores"]
    return Telling(
        set_name=name,
        caption=caption,
        subject=subject,
        head=head,
        tail=tail,
        beyond=len(caption) - len(kept),
        wrong=[each for each in found if each.mark == "contradicted"][:LISTED],
        claims=found[:LISTED],
        more=max(len(found) - LISTED, 0),
        remarks=_remarks(caption, scores),
        numbers=_numbers(scores),
    )


def _remarks(caption: str, scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is there and not said, and what else the audit found."""
    found = [
        ("not said", ", ".join((scores.get("missed") or ())[:LISTED])),
        ("names lost from alt text", ", ".join((scores.get("entities_lost") or ())[:LISTED])),
        ("flags", ", ".join(scores.get("flags") or ()).replace("_", " ")),
        ("not done", scores.get("error") or ""),
    ]
    if scores.get("low_margin") and scores.get("clip_lie"):
        found.append(("scores no higher than with", exchanged(caption, scores["clip_lie"])))
    return [(name, text) for name, text in found if text]


def exchanged(caption: str, lie: str) -> str:
    """What the lie says in place of what: `“below” for “above”`."""
    said, told = caption.split(), lie.split()
    first = next(
        (place for place, (one, other) in enumerate(zip(said, told, strict=False)) if one != other), 0
    )
    last = 0
    while last < min(len(said), len(told)) - first - 1 and said[-1 - last] == told[-1 - last]:
        last += 1
    parts = (" ".join(words[first : len(words) - last])[:200] for words in (told, said))
    return " for ".join(f"“{part}”" for part in parts)


def _numbers(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [("words", str(scores["words"])), ("CLIP tokens", str(scores["clip_tokens"]))]
    for name, field in (("CLIP score", "clip_score"), ("margin", "clip_margin")):
        if scores.get(field) is not None:
            found.append((name, f"{scores[field]:.1f}".replace("-", "−")))
    return found
