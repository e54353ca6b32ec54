"""Hand-written parts of a dataset card: recognized in the repository's README.md, kept in the next version's.

The template writes every section between two markers, HTML comments that nobody sees on the page:

    <!-- recapdata:begin load -->
    <!-- recapdata:end load -->

What stands outside is somebody's own and stays where it is. Inside, the text is held against what recapdata wrote (the README.md of
the version's tag, which never changes): added lines move out of the markers and stay beside their section; lines that were
edited or deleted are written anew, and the plan names each. Of the YAML head, fields that recapdata does not write stay, and so do
those of `EDITABLE` that somebody changed, which a third marker remembers.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from recapdata.errors import PublishRefused

README = "README.md"
EDITABLE = ("pretty_name", "language", "annotations_creators", "task_categories", "tags")
"""Fields of the head that recapdata proposes, and somebody may change for good."""
FIXED = ("license", "license_name", "license_link", "size_categories")
"""Fields that follow from the version."""
LISTED = ("configs", "dataset_info")
"""Fields with an entry per config; entries of other configs than recapdata's own stay."""
SIMILAR = 0.6
"""From this ratio on a line is taken for an edited one, not for a new one (see `difflib`)."""
SHOWN_CHARACTERS = 160

_MARKER = re.compile(r"<!-- recapdata:(begin|end|yours) ([a-z_ -]+) -->")
_HEADINGS = {
    "Load this version": "load",
    "Caption sets": "sets",
    "Audit": "audit",
    "Where the images come from": "sources",
    "Changelog": "changelog",
    "Citation": "citation",
}
"""Sections of cards that were written without markers."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a card: those of a section of the template, or somebody's own where `section` is None."""

    section: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEdits:
    """What people wrote into a card.

    Attributes:
        pieces: own lines and sections in the order of the page; the lines of sections are of no further use.
        head: the fields of the YAML head as they are.
        written: the fields as recapdata wrote them.
        taken: fields of `EDITABLE` that were changed by hand, now or before an earlier version.
        lost: edits that are written over, a phrase each.
    """

    pieces: tuple[Piece, ...] = ()
    head: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def kept(self) -> list[str]:
        """What stays, a phrase each: a text by its first line, a field by its name."""
        texts = [_shown(line) for piece in self.pieces if piece.section is None for line in piece.lines[:1]]
        own = [name for name in self.head if name not in (*EDITABLE, *FIXED, *LISTED)]
        entries = [f"{field} of {name}" for field in LISTED for name in self._own_entries(field)]
        return [*texts, *own, *self.taken, *entries]

    def _own_entries(self, name: str) -> dict[str, Any]:
        """Entries of a listed field for configs that recapdata does not write."""
        return {
            config: entry for config, entry in _entries(self.head.get(name)).items() if config not in CONFIGS
        }


CONFIGS = ("default", "captions", "audit")


def find_edits(card: str | None, written: str | None) -> CardEdits:
    """What differs between a card and the one that recapdata wrote.

    Args:
        card: the README.md as it is; None where there is none.
        written: as recapdata wrote it last, with what people had written until then; None where no version was published.

    Raises:
        PublishRefused: the head of the card cannot be read.
    """
    if card is None:
        return CardEdits()
    head, body = read_head(card)
    old_head, old_body = read_head(written or "")
    old = _pieces(old_body) or _by_headings(old_body)
    pieces = _pieces(body) or _by_alignment(body, old)
    sections = {piece.section: piece.lines for piece in old if piece.section}
    found: list[Piece] = []
    lost = [
        f"section {name!r} was taken out and comes back"
        for name in sections
        if name not in {piece.section for piece in pieces}
    ]
    for piece in pieces:
        if piece.section is None:
            found.append(piece)
            continue
        before, after, gone = _section_edits(sections.get(piece.section, piece.lines), piece.lines)
        found += [Piece(None, before), piece, Piece(None, after)]
        lost += [f"{phrase} (section {piece.section})" for phrase in gone]
    taken = [name for name in EDITABLE if name in head and head[name] != old_head.get(name)]
    if written is not None:
        taken += [name for name in EDITABLE if name in old_head and name not in head]
    return CardEdits(
        pieces=tuple(Piece(each.section, each.lines) for each in found if each.section or each.lines),
        head=head,
        written=old_head,
        taken=tuple(dict.fromkeys([*_remembered(body), *taken])),
        lost=(*lost, *_lost_fields(head, old_head), *_lost_comments(card, written or "")),
    )


def merge_card(card: str, edits: CardEdits) -> str:
    """A card as the template wrote it, with what people wrote."""
    from huggingface_hub.utils import yaml_dump

    head, body = read_head(card)
    new = {piece.section: piece for piece in _pieces(body)}
    order = list(new)
    pieces = [piece for piece in edits.pieces if piece.section is None or piece.section in new]
    for place, name in enumerate(order):
        here = [piece.section for piece in pieces]
        if name in here:
            continue
        before = [here.index(each) + 1 for each in order[:place] if each in here]
        first = next((at for at, each in enumerate(here) if each), len(pieces))
        pieces.insert(max(before, default=first), new[name])
    parts = [f"<!-- recapdata:yours {' '.join(edits.taken)} -->"] if edits.taken else []
    for piece in pieces:
        text = "\n".join((new[piece.section] if piece.section else piece).lines)
        parts.append(
            f"<!-- recapdata:begin {piece.section} -->\n{text}\n<!-- recapdata:end {piece.section} -->"
            if piece.section
            else text
        )
    return f"---\n{yaml_dump(_merged_head(head, edits), sort_keys=False)}---\n\n" + "\n\n".join(parts) + "\n"


def read_head(card: str) -> tuple[dict[str, Any], list[str]]:
    """The fields of the YAML head, and the lines of the text.

    Raises:
        PublishRefused: the head is no mapping in YAML.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    text = card.removeprefix("\ufeff").replace("\r\n", "\n")
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        return {}, text.splitlines()
    try:
        head = yaml.safe_load(match[2])
        if not isinstance(head, dict | None):
            raise yaml.YAMLError(f"it is {type(head).__name__}, no mapping of fields to values")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise PublishRefused(
            f"the head of README.md in the repository cannot be read ({what}), so what was written there by hand could not be "
            "kept; mend or delete that file on the Hub first"
        ) from error
    return {str(name): value for name, value in (head or {}).items()}, text[match.end() :].splitlines()


def _pieces(lines: Iterable[str]) -> list[Piece]:
    """The pieces of a card with markers; none where it has no markers."""
    pieces: list[Piece] = []
    section: str | None = None
    pending: list[str] = []

    def close() -> None:
        text = tuple(_stripped(pending))
        known = section in {piece.section for piece in pieces}  # a copy of a section is somebody's own text
        if text or section:
            pieces.append(Piece(None if known else section, text))
        pending.clear()

    for line in lines:
        marker = _MARKER.fullmatch(line.strip())
        if marker is None:
            pending.append(line.rstrip())
        elif marker[1] != "yours" and (marker[1] == "begin" or marker[2] == section):
            close()
            section = marker[2] if marker[1] == "begin" else None
    close()
    return pieces if any(piece.section for piece in pieces) else []


def _by_headings(lines: Iterable[str]) -> list[Piece]:
    """The sections of a card that recapdata wrote without markers."""
    sections: dict[str, list[str]] = {"intro": []}
    name = "intro"
    for line in lines:
        name = _HEADINGS.get(line.removeprefix("## ").strip(), name) if line.startswith("## ") else name
        sections.setdefault(name, []).append(line.rstrip())
    return [Piece(name, tuple(text)) for name, lines in sections.items() if (text := _stripped(lines))]


def _by_alignment(lines: Sequence[str], old: Sequence[Piece]) -> list[Piece]:
    """The pieces of a card without markers: its lines go to the pieces of the old card to whose lines they are aligned."""
    owner = [number for number, piece in enumerate(old) for _ in piece.lines]
    before = [line for piece in old for line in piece.lines]
    if not owner:
        return [Piece(None, text)] if (text := tuple(_stripped(lines))) else []
    groups: list[list[str]] = [[] for _ in old]
    new = [line.rstrip() for line in lines]
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, new, autojunk=False).get_opcodes():
        for offset, line in enumerate(new[j1:j2]):
            at = min(i1 + offset, i2 - 1) if i2 > i1 else i1
            groups[owner[min(at, len(owner) - 1)]].append(line)
    return [
        Piece(piece.section, tuple(_stripped(group)))
        for piece, group in zip(old, groups, strict=True)
        if any(group)
    ]


def _section_edits(
    old: Sequence[str], new: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Lines added at the beginning of a section, lines added elsewhere in it, and a phrase for every other edit."""
    before: list[str] = []
    after: list[str] = []
    lost: list[str] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone = [line for line in old[i1:i2] if line.strip()]
        added: list[str] = []
        for line in new[j1:j2]:
            near = difflib.get_close_matches(line, gone, n=1, cutoff=SIMILAR) if line.strip() else []
            if near:
                gone.remove(near[0])
                lost.append(f"the edited line {_shown(line)!r} is written anew")
            else:
                added.append(line)
        lost += [f"the deleted line {_shown(line)!r} comes back" for line in gone]
        if any(line.strip() for line in added):
            (before if i1 == 0 else after).extend([*added, ""])
    return tuple(_stripped(before)), tuple(_stripped(after)), lost


def _merged_head(ours: Mapping[str, Any], edits: CardEdits) -> dict[str, Any]:
    head = dict(ours)
    for name in edits.taken:
        value = edits.head.get(name)
        if (
            name == "tags" and isinstance(value, list) and not edits.written
        ):  # of a card from before the first version
            value = list(dict.fromkeys([*value, *ours[name]]))
        head[name] = value
    head = {name: value for name, value in head.items() if value is not None}
    for name in LISTED:
        if own := edits._own_entries(name):
            head[name] = [*_entries(ours.get(name)).values(), *own.values()]
    return head | {
        name: value for name, value in edits.head.items() if name not in (*EDITABLE, *FIXED, *LISTED)
    }


def _lost_fields(head: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
    """A phrase for every field that was changed by hand and follows from the version."""
    lost = [
        f"{name}: {_shown(str(head[name]))} in its head follows from the version and is written anew"
        for name in FIXED
        if name in head and head[name] != written.get(name)
    ]
    for name in LISTED:
        new, old = _entries(head.get(name)), _entries(written.get(name))
        lost += [
            f"{name} of {config} in its head follows from the version and is written anew"
            for config in CONFIGS
            if config in new and new[config] != old.get(config)
        ]
    return lost


def _lost_comments(card: str, written: str) -> list[str]:
    """A phrase for every comment in the YAML head, which is written as values."""
    comments, earlier = (
        {line.strip() for line in text.split("\n---", 1)[0].splitlines() if line.lstrip().startswith("#")}
        if text.lstrip("\ufeff \n").startswith("---")
        else set()
        for text in (card, written)
    )
    return [f"the comment {_shown(line)!r} in its head is left out" for line in sorted(comments - earlier)]


def _entries(value: object) -> dict[str, Any]:
    """The entries of a listed field by their config; a single entry may stand without a list."""
    rows = value if isinstance(value, list) else [value]
    return {str(row.get("config_name", "default")): row for row in rows if isinstance(row, dict)}


def _remembered(lines: Iterable[str]) -> list[str]:
    """The fields that the marker `yours` names."""
    markers = (_MARKER.fullmatch(line.strip()) for line in lines)
    return [
        name
        for marker in markers
        if marker and marker[1] == "yours"
        for name in marker[2].split()
        if name in EDITABLE
    ]


def _stripped(lines: Sequence[str]) -> list[str]:
    """The lines without empty ones at either end."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").split("\n") if any(lines) else []


def _shown(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
