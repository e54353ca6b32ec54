"""Things in the picture as FiftyOne detections: annotations, what evidence saw, and the claims that are wrong about them.

Labels are made in the form in which FiftyOne stores them: its label objects cost ten times the time of all else that a sample
takes (`tests/benchmarks/view_scale.py`), and are what it reads back.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from audits.lexicon import load_lexicon
from audits.spans import phrase

ATTRIBUTES = ("color", "size", "text")


def annotation_value(objects: Sequence[Mapping[str, Any]] | None, width: int, height: int) -> Any:
    """Annotated objects as `Detections`, boxes as shares of the image's sides; None where the record has none.

    An object without a box (a category of the whole image) has no place in the picture and is left out.
    """
    if objects is None:
        return None
    boxes = [
        _box(each, width, height, label=each["category"] or "object", **_known(each, ATTRIBUTES))
        for each in objects
        if each["bbox"] is not None
    ]
    return document("Detections", detections=boxes)


def detection_value(seen: Iterable[Mapping[str, Any]] | None, width: int, height: int) -> Any:
    """What evidence beside the annotations saw, each thing once; None where no such source was asked."""
    if seen is None:
        return None
    boxes = {}
    for each in seen:
        if each["bbox"] is not None:
            named = _known(each, ("source", "text"))
            named |= {"colors": each["colors"]} if each["colors"] else {}
            place = (each["source"], each["category"], each["text"], *each["bbox"])
            boxes[place] = _box(
                each,
                width,
                height,
                label=each["category"] or each["text"] or "object",
                confidence=each["score"],
                **named,
            )
    return document("Detections", detections=list(boxes.values()))


def wrong_value(
    claims: Sequence[Mapping[str, Any]] | None,
    objects: Sequence[Mapping[str, Any]],
    width: int,
    height: int,
) -> Any:
    """Contradicted claims as labels on the boxes that they concern; None where there is no audit.

    A claim of something that is not in the picture concerns no box, and a claim of a number concerns all that could be counted.

    Args:
        objects: annotated objects and what evidence saw.
    """
    if claims is None:
        return None
    boxes = [
        _box(each, width, height, label=phrase(claim), kind=claim["kind"], evidence=claim["evidence"])
        for claim in claims
        if claim["verdict"] == "contradicted"
        for each in _concerned(claim, objects)
    ]
    return document("Detections", detections=boxes)


def _concerned(claim: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    boxed = [each for each in objects if each["bbox"] is not None]
    if claim["kind"] == "text":
        return [each for each in boxed if each["text"]]
    if claim["kind"] == "object":
        return []
    classes = frozenset(each["category"].lower() for each in boxed if each["category"])
    wanted: frozenset[str] = frozenset()
    for noun in (claim["subject"], claim["object"]):
        if noun:
            meaning = load_lexicon().meaning(noun, classes)
            wanted |= meaning.classes | meaning.maybe
    return [each for each in boxed if (each["category"] or "").lower() in wanted]


def _known(each: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: each[name] for name in names if each[name] is not None}


def document(kind: str, /, **values: Any) -> dict[str, Any]:
    """A label, or another embedded document, as FiftyOne stores it.

    Args:
        kind: the name of its class.
    """
    return {"_cls": kind, **values}


def _box(each: Mapping[str, Any], width: int, height: int, **values: Any) -> dict[str, Any]:
    x, y, w, h = each["bbox"]
    place = [x / width, y / height, w / width, h / height]
    return document("Detection", _id=ObjectId(), attributes={}, tags=[], bounding_box=place, **values)
