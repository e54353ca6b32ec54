"""T2I-CompBench's 2D-spatial score (Huang et al. 2023): do two things lie as the prompt says?

    score = 0.25·(score of the one + score of the other) + 0.5·position

`position` is 1 where the boxes lie as stated (the centers further apart along that axis than along the other), 0.1/IoU where they
overlap by an IoU of 0.1 or more, 0 where they lie otherwise; of "next to", "near" and "on the side of" it is 1 where the centers
are less than 150 pixels of 512 apart on one axis, and less in proportion beyond. Of each thing the box with the highest score counts.

Deviations. Any detector from a score of 0.5 on, for UniDet, which cannot be installed any more. Positions are read by the audit's claims, the first
of a prompt that boxes can be held against; 150 pixels are a share of the longer side. Two things of one class ("a boy on
top of a girl") are two boxes, where the original compares a box with itself; "on top of" without "the" is a direction, where the
original finds none and gives 0. `spatial-original` sets scores below 0.5 to 0, as the original's code does.

What it cannot see: depth. And half of the score is the detector's certainty: two sure things side by side have 0.5 whatever was asked for,
so `spatial-position` gives the position alone, over the pictures where both are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence, Observation
from audits.grounding.context import Context
from audits.grounding.spatial import NEARNESS, overlap
from recapdata.records import Claim
from recaptrain.evaluation.detected import boxes_of, hold_against, rows_rest_on, score_of
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, open_detections
from recaptrain.evaluation.stated import classes_of
from recaptrain.evaluation.sums import mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
OVERLAP = 0.1
LEAST = 0.5
DIRECTIONS = {
    "left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "on top of": (0, -1), "over": (0, -1), "below": (0, 1),
    "under": (0, 1), "at the bottom of": (0, 1),
}  # fmt: skip
"""What a relation asks for: where the subject lies from the object, along x and along y (downwards)."""
NEAR = ("next to", "near", "on the side of")

SCHEMA = pa.schema(
    [
        ("relation", pa.string()),
        ("subject_score", pa.float64()),
        ("object_score", pa.float64()),
        ("position", pa.float64()),
        ("score", pa.float64()),
    ]
)
"""Of a picture the relation, the scores of both things (0: not there), and how they lie; None where not both are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spatial:
    """T2I-CompBench's 2D-spatial score; made by `open_spatial`."""

    detector: Detector
    identity: Mapping[str, Any]
    name: str = "spatial"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt says how two things of the detector's classes lie; of the first such position."""
        return hold_against(self.detector, pictures, images, stated_position, spatial_row)

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The mean score, that of the original's code, and the position's part of it where both are there."""
        scores = rows.column("score").to_pylist()
        positions = rows.column("position").to_pylist()
        figures = [
            _figure("spatial", scores),
            _figure("spatial-original", [each if each >= LEAST else 0.0 for each in scores]),
            _figure("spatial-position", positions),
        ]
        return [each for each in figures if each.n]


@dataclass(frozen=True, slots=True)
class Position:
    """How two things lie by a prompt, each given by the classes that it may be detected as."""

    relation: str
    subject: frozenset[str]
    object: frozenset[str]


def stated_position(context: Context, classes: frozenset[str]) -> Position | None:
    """The first position of a prompt that boxes can be held against; None where there is none."""
    for claim in context.claims:
        if claim.kind != "position" or claim.relation not in (*DIRECTIONS, *NEAR) or not claim.object:
            continue
        subject, other = (_meant(context, claim, noun, classes) for noun in (claim.subject, claim.object))
        if subject and other:
            return Position(claim.relation, subject, other)
    return None


def _meant(context: Context, position: Claim, noun: str | None, classes: frozenset[str]) -> frozenset[str]:
    """The classes of a position's noun, where it stands as an object that is there."""
    for claim in context.claims:
        if claim.kind == "object" and claim.object == noun and claim.hedge is None:
            return classes_of(context, claim, noun, classes)
    return frozenset()


def spatial_row(stated: Position, evidence: Evidence) -> dict[str, Any]:
    """What is seen of a position: the scores of the best boxes, and how they lie; of boxes equally sure, those that lie best."""
    subjects, others = (boxes_of(evidence, own) for own in (stated.subject, stated.object))
    pairs = [
        (score_of(one) + score_of(other), _position(one, other, stated, evidence), one, other)
        for one, other in product(subjects, others)
        if one is not other
    ]
    one, other, position = _alone(subjects), _alone(others), None
    if pairs:
        _, position, one, other = max(pairs, key=lambda pair: pair[:2])
    elif one is other:  # there is one thing, and two are asked for
        other = None
    scores = [0.0 if box is None else score_of(box) for box in (one, other)]
    return {
        "relation": stated.relation,
        "subject_score": scores[0],
        "object_score": scores[1],
        "position": position,
        "score": 0.25 * sum(scores) + 0.5 * (position or 0.0),
    }


def _alone(boxes: Sequence[Observation]) -> Observation | None:
    return boxes[0] if boxes else None


def _position(one: Observation, other: Observation, stated: Position, evidence: Evidence) -> float:
    assert one.bbox is not None
    assert other.bbox is not None
    return position_score(one.bbox, other.bbox, stated.relation, max(evidence.width, evidence.height))


def position_score(
    one: tuple[float, float, float, float],
    other: tuple[float, float, float, float],
    relation: str,
    side: int,
) -> float:
    """How well two boxes [x, y, width, height] lie in a relation, 0 to 1.

    Args:
        side: the longer side of the picture in pixels.
    """
    across, down = (one[axis] + one[axis + 2] / 2 - other[axis] - other[axis + 2] / 2 for axis in (0, 1))
    if relation in NEAR:
        near = NEARNESS * side
        return 1.0 if min(abs(across), abs(down)) < near else near / max(abs(across), abs(down))
    x, y = DIRECTIONS[relation]
    along, off = (x * across, abs(down)) if x else (y * down, abs(across))
    if along <= off:
        return 0.0
    shared = overlap(one, other)
    return 1.0 if shared < OVERLAP else OVERLAP / shared


def _figure(name: str, values: Sequence[float | None]) -> Statistic:
    n = sum(each is not None for each in values)
    return Statistic(name=name, better="higher", unit="", n=n, value=mean(values))


def open_spatial(settings: "EvaluateSettings", pictures: "Pictures") -> Spatial:
    """Open the detector.

    Raises:
        OptionError: no detector is named.
    """
    detector = open_detections(settings, "spatial")
    return Spatial(
        detector=detector, identity=rows_rest_on(detector, VERSION), batch_size=settings.batch_size
    )
