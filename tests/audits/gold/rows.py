"""Gold rows: read from JSON lines, and turned into what the audit is given."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from audits.evidence import Evidence, Record, Scope
from audits.evidence.annotations import CROWDS, Annotations
from audits.lexicon import load_lexicon

FOLDER = Path(__file__).parent
LENGTHS = ("short", "long")
"""The files of gold captions, by the length of what they hold."""

FIELDS = {
    "object": "objects",
    "count": "counts",
    "color": "colors",
    "size": "sizes",
    "position": "positions",
    "region": "regions",
    "text": "texts",
}
"""Kinds of gold claims: those of `CLAIM_KINDS`, with the regions of the picture apart from positions between things."""

Gold = tuple[Any, ...]
"""The fields of one gold claim; a string may hold several answers parted by `|`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A caption with its gold claims, and the evidence and verdicts that some have.

    Attributes:
        claims: by the kinds of `FIELDS`.
        optional: claims that are neither right nor wrong: names (of one field), pairs and triples of the other kinds.
    """

    id: str
    kind: str
    caption: str
    claims: Mapping[str, tuple[Gold, ...]]
    optional: tuple[Gold, ...] = ()
    evidence: Evidence | None = None
    verdicts: Mapping[str, Any] = field(default_factory=dict)


def read_rows(length: str) -> list[Row]:
    """The rows of one of `LENGTHS`."""
    path = FOLDER / f"{length}.jsonl"
    lines = path.read_text(encoding="utf8").splitlines()
    return [as_row(json.loads(line)) for line in lines if line.strip()]


def as_row(values: Mapping[str, Any]) -> Row:
    """One row from its JSON."""
    claims = values["claims"]
    if unknown := set(claims) - {*FIELDS.values(), "optional"}:
        raise ValueError(f"{values['id']}: no kinds of claims: {', '.join(sorted(unknown))}")
    return Row(
        id=values["id"],
        kind=values["kind"],
        caption=values["caption"],
        claims={kind: tuple(map(_gold, claims.get(name, ()))) for kind, name in FIELDS.items()},
        optional=tuple(map(_gold, claims.get("optional", ()))),
        evidence=_evidence(values) if "objects" in values else None,
        verdicts=values.get("verdicts", {}),
    )


def _gold(value: Any) -> Gold:
    return (value,) if isinstance(value, str) else tuple(value)


def _evidence(values: Mapping[str, Any]) -> Evidence:
    """What annotations of COCO's classes make of a row's `objects`; colors are known where a box is given one."""
    objects, crowds = [], []
    for each in values["objects"]:
        if isinstance(each, Mapping):
            objects.append(_object(**each))
            continue
        category, count, *crowd = each
        objects += [_object(category) for _ in range(count)]
        crowds += [category] if crowd else []
    known = {name for name in ("color", "size", "text") if any(each[name] for each in objects)}
    source = Annotations(
        scope=Scope(classes=_vocabulary(), attributes=frozenset(known)), hashes={}, columns=(), listed=True
    )
    width, height = values.get("size", (640, 480))
    row = {"objects": objects, CROWDS: crowds, "width": width, "height": height}
    (evidence,) = source.collect([Record(values=row)])
    assert evidence is not None
    return evidence


def _object(category: str, **known: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(("bbox", "color", "size", "text", "mask")),
        **known,
        "category": category,
    }


@cache
def _vocabulary() -> frozenset[str]:
    return load_lexicon().vocabulary(frozenset({"person", "toothbrush"}))
