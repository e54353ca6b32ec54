"""Annotations as they come in, held against the picture: what is sound stays, what is not is left out with a `Note`.

    read_objects      a source's value → objects, unchecked: a list, or lists of equal length, or one object by itself
    check_objects     objects × picture → sound objects and notes

An object of which a part was left out stays with the rest of it: without a place where its box and mask were none, without a class
where that was none. So nothing is lost, and the audit knows that there is more than it can judge by (`audits.evidence.annotations`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from recapdata.dataset.masks import is_number, run_lengths
from recapdata.ingestion.jsonstream import parse_json
from recapdata.records import OBJECT_TYPE, Note, Object

CATEGORIES = ("category", "categories", "label", "labels")
"""Names under which an annotation holds its class."""
ANNOTATED = pa.list_(OBJECT_TYPE)
"""The type of a column of annotations, whatever its values are in the source."""
SLACK = 1.0
"""Pixels by which a box may reach beyond the picture and stay as it is: annotators round."""
INSIDE = 0.5
"""Share of a box that has to lie in the picture, so that it is taken for a box of this picture."""
_SHOWN = 120


def read_objects(
    value: Any, categories: Sequence[str] = ()
) -> tuple[tuple[Object, ...] | None, tuple[Note, ...]]:
    """A source's annotations of one picture as objects, their values unchecked; None where there are none to be read.

    Boxes are taken as [x, y, width, height] in pixels, COCO's order.

    Args:
        value: in this project's form, that of detection sets on the Hub (a list, or lists of equal length), or its JSON.
        categories: names of classes that are given by number.
    """
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            return None, (Note("BadAnnotations", f"the annotations are no JSON: {_show(value)}"),)
    if value is None:
        return None, ()
    if isinstance(value, Mapping):
        value = _rows(value)
    if not isinstance(value, list | tuple):
        return None, (Note("BadAnnotations", f"the annotations are no list of objects: {_show(value)}"),)
    wrong = [each for each in value if not isinstance(each, Mapping)]
    notes = tuple(
        Note("BadAnnotation", f"an annotation is no object, and of unknown class: {_show(each)}")
        for each in wrong
    )
    return tuple(
        _read_object(each, categories) if isinstance(each, Mapping) else Object() for each in value
    ), notes


def is_annotation(value: Any) -> bool:
    """Whether a value is annotations by its names: boxes with a class each."""
    if isinstance(value, str):
        if value.lstrip()[:1] not in ("[", "{"):
            return False
        try:
            value = parse_json(value)
        except ValueError:
            return False
    values = value if isinstance(value, list) else [value]
    return any(
        isinstance(each, Mapping) and "bbox" in each and not each.keys().isdisjoint(CATEGORIES)
        for each in values
    )


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of lists of equal length, by name; one object where its box is one."""
    boxes: Any = columns.get("bbox")
    one = (
        isinstance(boxes, list | tuple)
        and bool(boxes)
        and not any(isinstance(each, list | tuple) for each in boxes)
    )
    category = next((columns[name] for name in CATEGORIES if columns.get(name) is not None), None)
    if (one and not (isinstance(category, list) and len(category) == len(boxes) > 1)) or not any(
        isinstance(each, list) for each in columns.values()
    ):
        return [dict(columns)]
    lists = {name: each if isinstance(each, list) else [each] for name, each in columns.items()}
    named = [len(each) for name, each in lists.items() if name == "bbox" or name in CATEGORIES]
    length = max(named or [len(each) for each in lists.values()])
    # A list that is too short says nothing of the last ones, and may be shifted: none of its values can be trusted.
    return [
        {name: each[place] if len(each) == length else _missing(name) for name, each in lists.items()}
        for place in range(length)
    ]


def _missing(name: str) -> Any:
    """A value that is none, where there should be one."""
    return [] if name == "bbox" or name in CATEGORIES else None


def _read_object(value: Mapping[str, Any], categories: Sequence[str]) -> Object:
    category: Any = next((value[name] for name in CATEGORIES if value.get(name) is not None), None)
    if isinstance(category, float) and category.is_integer():
        category = int(category)  # of a column with nulls
    if isinstance(category, int) and not isinstance(category, bool):
        if not categories:
            category = str(category) if abs(category) < 2**63 else [category]
        elif 0 <= category < len(categories):
            category = categories[category]
    return Object(
        bbox=value.get("bbox"),
        category=category,
        color=value.get("color"),
        size=value.get("size"),
        text=value.get("text"),
        mask=_mask(value.get("mask")) or _mask(value.get("segmentation")),
    )


def _mask(value: Any) -> Any:
    """A mask, None where it is null or says nothing, as a struct of nulls does."""
    empty = isinstance(value, Mapping) and all(each is None for each in value.values())
    return None if empty else value or None


# --- checking ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckedObjects:
    """Sound objects, and a note on each thing that was left out of them."""

    objects: tuple[Object, ...] | None
    notes: tuple[Note, ...] = ()


def check_objects(objects: Sequence[Object] | None, width: int, height: int) -> CheckedObjects:
    """What of some objects is sound in a picture of `width` × `height` pixels, upright."""
    if objects is None:
        return CheckedObjects(None)
    notes: list[Note] = []
    sound = tuple(_check_object(each, width, height, notes) for each in objects)
    return CheckedObjects(sound, tuple(notes))


def _check_object(value: Object, width: int, height: int, notes: list[Note]) -> Object:
    category = _check_category(value.category, notes)
    what = f"of {category!r} " if category is not None else ""
    words = {name: _check_word(name, getattr(value, name), what, notes) for name in ("color", "size", "text")}
    bbox = _check_box(value.bbox, width, height, what, notes)
    mask: Mapping[str, Any] | None = None
    if value.mask is not None:
        mask = run_lengths(value.mask, height, width)
        if mask is None:
            notes.append(
                Note("BadMask", f"the mask {what}is none of {width} × {height} pixels: {_show(value.mask)}")
            )
    return replace(value, bbox=bbox, category=category, mask=mask, **words)


def _check_category(value: Any, notes: list[Note]) -> str | None:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if value is None or (isinstance(value, str) and value.strip() and _is_text(value)):
        return value
    notes.append(Note("BadCategory", f"{_show(value)} is the name of no class, so that its class is unknown"))
    return None


def _check_word(name: str, value: Any, what: str, notes: list[Note]) -> str | None:
    if value is None or (isinstance(value, str) and _is_text(value)):
        return value
    notes.append(Note("BadAttribute", f"the {name} {what}is no text: {_show(value)}"))
    return None


def _check_box(
    value: Any, width: int, height: int, what: str, notes: list[Note]
) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(map(is_number, value)):
        notes.append(Note("BadBox", f"the box {what}is not four numbers: {_show(value)}"))
        return None
    x, y, w, h = (float(each) for each in value)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + w, float(width)), min(y + h, float(height))
    inside = max(right - left, 0.0) * max(bottom - top, 0.0)
    if w <= 0 or h <= 0 or not inside > 0:
        reason = "has no area" if w <= 0 or h <= 0 else f"lies outside of the {width} × {height} pixels"
        notes.append(Note("BadBox", f"the box {what}{reason}: {_show(value)}"))
        return None
    if inside < INSIDE * w * h:
        notes.append(
            Note(
                "BadBox",
                f"the box {what}lies mostly outside of the {width} × {height} pixels: {_show(value)}",
            )
        )
        return None
    if x < -SLACK or y < -SLACK or x + w > width + SLACK or y + h > height + SLACK:
        notes.append(
            Note(
                "CutBox",
                f"the box {what}reached beyond the {width} × {height} pixels, and is cut to them: {_show(value)}",
            )
        )
        return left, top, right - left, bottom - top
    return x, y, w, h


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _show(value: Any, depth: int = 4) -> str:
    """A value as a note shows it, whatever it is."""
    if isinstance(value, list | tuple | Mapping) and not depth:
        return "…"
    if isinstance(value, list | tuple):
        shown = ", ".join(_show(each, depth - 1) for each in value[:6])
        return f"[{shown}{', …' if len(value) > 6 else ''}]"[:_SHOWN]
    if isinstance(value, Mapping):
        shown = ", ".join(
            f"{_show(name)}: {_show(each, depth - 1)}" for name, each in list(value.items())[:4]
        )
        return f"{{{shown}}}"[:_SHOWN]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"an integer of {int(math.log10(abs(value))) + 1:,} digits"
    return ascii(value[:_SHOWN] if isinstance(value, str | bytes) else value)[:_SHOWN]
