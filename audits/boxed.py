"""What the annotations and other evidence saw in a picture, each thing once: a color that was seen of an annotated dog is that dog's."""

from collections.abc import Mapping, Sequence
from typing import Any

Thing = Mapping[str, Any]
"""An annotated object (`OBJECT_TYPE`) or a detection (`DETECTION_TYPE`)."""


def seen_once(
    objects: Sequence[Thing] | None, detections: Sequence[Thing] | None
) -> tuple[list[Thing] | None, list[Thing] | None]:
    """Annotated objects, and the detections that are no others of them; None where there were none to begin with.

    What is seen again in the very box of a thing of its class, colors as a rule, is put into the first of them: the color of an
    annotated object where nobody said it, and the colors of a detection.
    """
    annotated, others = list(objects or ()), list[Thing]()
    first: dict[Any, tuple[list[Thing], int]] = {}
    for number, each in enumerate(annotated):
        first.setdefault(_where(each), (annotated, number))
    for each in detections or ():
        where = _where(each)
        if where is None or where not in first:
            others.append(each)
            first.setdefault(where, (others, len(others) - 1))
            continue
        things, number = first[where]
        thing = things[number]
        if things is annotated:
            things[number] = {**thing, "color": thing.get("color") or _colors(each)}
        else:
            things[number] = {**thing, "colors": thing["colors"] or each["colors"]}
    return (None if objects is None else annotated, None if detections is None else others)


def _where(thing: Thing) -> tuple[Any, ...] | None:
    """The class and the box of a thing; None where it lacks either, or is a word."""
    if thing["bbox"] is None or not thing["category"] or thing.get("text"):
        return None
    return (thing["category"].lower(), *(round(float(side), 2) for side in thing["bbox"]))


def _colors(thing: Thing) -> str | None:
    return ", ".join(thing["colors"] or ()) or None
