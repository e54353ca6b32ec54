"""What was seen in a picture as boxes, with names where they do not hide each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.boxed import seen_once

BOXES = 40
"""Boxes drawn on a picture, the largest first."""
LABELED = 10
"""Of these so many at most with their names."""
LETTERS = 26
"""Height of a name: the longer side of the picture by this."""
ADVANCE = 0.68
"""Width of a letter in units of its height, with room to spare."""

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A name in the picture, its line beginning at x, y."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where something is, in pixels of the original.

    Attributes:
        label: its class and color, or the word written there; None where there is no room for it.
        told: the same as text.
        missed: whether none of the captions shown speaks of it.
        source: `annotations`, or the evidence source that saw it.
    """

    x: float
    y: float
    width: float
    height: float
    label: Label | None
    told: str
    missed: bool
    source: str


def boxes(
    objects: Sequence[Mapping[str, Any]] | None, audits: Sequence[Mapping[str, Any]], size: tuple[int, int]
) -> list[Box]:
    """What the annotations and other evidence saw, the largest first.

    Args:
        audits: the audit rows of the captions shown.
        size: width and height of the picture.
    """
    missed = _missed_by_all(audits)
    taken: list[Rectangle] = []
    found = []
    for source, each, color in _seen(objects, audits)[:BOXES]:
        x, y, width, height = (round(float(side), 1) for side in each["bbox"])
        text = each.get("text")
        name = f"“{text}”" if text else " ".join(filter(None, (color, each["category"])))
        label = None
        if len(taken) < LABELED and name:
            label = _placed(name, (x, y, x + width, y + height), size, taken)
        found.append(
            Box(
                x=x,
                y=y,
                width=width,
                height=height,
                label=label,
                told=name,
                missed=_named(each) in missed,
                source=source,
            )
        )
    return found


def _seen(
    objects: Sequence[Mapping[str, Any]] | None, audits: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Mapping[str, Any], str]]:
    """Source, thing and color of what has a box, the largest first."""
    detections = next((audit["detections"] for audit in audits if audit.get("detections")), ())
    annotated, others = seen_once(objects or (), detections)
    seen = [("annotations", each, each.get("color") or "") for each in annotated or ()]
    for each in others or ():
        seen.append((each["source"], each, ", ".join(each.get("colors") or ())))
    boxed = [each for each in seen if each[1]["bbox"] is not None]
    return sorted(boxed, key=lambda each: -each[1]["bbox"][2] * each[1]["bbox"][3])


def _placed(name: str, box: Rectangle, size: tuple[int, int], taken: list[Rectangle]) -> Label | None:
    """A place for a name at one of the box's corners that no other name has, added to those taken."""
    height = max(size) / LETTERS
    width = ADVANCE * height * len(name)
    for x in (box[0], box[2] - width):
        for y in (box[1] - 0.3 * height, box[1] + 1.1 * height, box[3] - 0.3 * height):
            left = min(max(x, 0.0), max(size[0] - width, 0.0))
            base = min(max(y, height), size[1] - 0.2 * height)
            room = (left, base - height, left + width, base + 0.3 * height)
            if not any(_overlap(room, other) for other in taken):
                taken.append(room)
                return Label(x=round(left, 1), y=round(base, 1), text=name)
    return None


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _missed_by_all(audits: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """What no caption shown speaks of; nothing where one was not judged."""
    lists: list[Any] = [(audit.get("scores") or {}).get("missed") for audit in audits]
    if not lists or any(each is None for each in lists):
        return frozenset()
    return frozenset.intersection(*(frozenset(each) for each in lists))


def _named(seen: Mapping[str, Any]) -> str:
    """How `missed` names a thing."""
    return f'the word "{seen["text"]}"' if seen.get("text") else (seen["category"] or "").lower()
