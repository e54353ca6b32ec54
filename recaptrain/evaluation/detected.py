"""What of a detector's evidence counts in the alignment metrics: classes, numbers and boxes from a score on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from audits.evidence import Evidence, Observation
from audits.grounding.context import Context
from audits.grounding.spatial import overlap
from recaptrain.evaluation.seen import Detector
from recaptrain.evaluation.stated import nouns, read_prompts, reading_identity

if TYPE_CHECKING:
    from PIL import Image

    from recaptrain.evaluation.pictures import Picture

What = TypeVar("What")

SCORE = 0.5
"""Score from which on a detection counts, as in SOA; an annotation, which has none, is certain."""
ONE_PLACE = 0.9
"""Two boxes of a class that share so much, or of which one lies so much in the other, are one (T2I-CompBench)."""


def hold_against(
    detector: Detector,
    pictures: "Sequence[Picture]",
    images: "Sequence[Image.Image]",
    stated: Callable[[Context, frozenset[str]], What | None],
    row: Callable[[What, Evidence], Mapping[str, Any]],
) -> list[Mapping[str, Any] | None]:
    """A row for each picture whose prompt states something that the detector can find.

    Args:
        stated: what a prompt states of the detector's classes; empty or None where it states nothing, and the picture is not looked at.
        row: what is stated, held against what is detected.

    Raises:
        DetectorError: a detector of the user's own fails.
    """
    contexts = read_prompts([picture.prompt for picture in pictures])
    found = [stated(context, detector.classes) for context in contexts]
    asked = [nouns(context) if own else None for context, own in zip(contexts, found, strict=True)]
    return [
        None if own is None or evidence is None else row(own, evidence)
        for own, evidence in zip(found, detector.look(images, asked), strict=True)
    ]


def rows_rest_on(detector: Detector, rules: int) -> dict[str, Any]:
    """The identity of a metric by `hold_against`, with the version of its own rules."""
    return {"rules": rules, "detector": detector.identity, "claims": reading_identity(), "score": SCORE}


def score_of(seen: Observation) -> float:
    """The score of a detection; 1 of what is certain."""
    return 1.0 if seen.score is None else seen.score


def detected_classes(evidence: Evidence) -> frozenset[str]:
    """The classes that are detected."""
    return frozenset(
        each.category for each in evidence.objects if each.category is not None and score_of(each) >= SCORE
    )


def boxes_of(evidence: Evidence, classes: frozenset[str]) -> list[Observation]:
    """The boxed detections of some classes, the highest score first."""
    boxes = [
        each
        for each in evidence.objects
        if each.bbox and each.category in classes and score_of(each) >= SCORE
    ]
    return sorted(boxes, key=score_of, reverse=True)


def count_of(evidence: Evidence, classes: frozenset[str]) -> int:
    """The number of detections of some classes, with a box or without."""
    return sum(each.category in classes and score_of(each) >= SCORE for each in evidence.objects)


def apart(boxes: Sequence[Observation]) -> list[Observation]:
    """The boxes without those that lie on one of their class before them."""
    kept: list[Observation] = []
    for box in boxes:
        if not any(_on_each_other(box, other) for other in kept if other.category == box.category):
            kept.append(box)
    return kept


def _on_each_other(one: Observation, other: Observation) -> bool:
    assert one.bbox is not None
    assert other.bbox is not None
    shared = overlap(one.bbox, other.bbox)
    areas = [box[2] * box[3] for box in (one.bbox, other.bbox)]
    common = shared * sum(areas) / (1 + shared)
    return shared > ONE_PLACE or common > ONE_PLACE * min(areas)
