"""The exact reader of the drawn world as a detector and as a source of evidence, by dotted paths.

--detector recaptrain.embedded.observer:open_detector     boxes and classes, as any detector gives them
--reader recaptrain.embedded.observer:open_evidence       colors, sizes and written words as well
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from audits.evidence import Evidence, Observation, Record, Scope
from recapdata.dataset.target import Target
from recapdata.errors import DetectorError, OptionError
from recapdata.scenes.world import SHAPES, SIDE
from recaptrain.embedded.reading import read_scene

REVISION = "1"
"""Raise it when `reading` reads any picture otherwise."""
CLASSES = (*SHAPES, "word")


@dataclass(frozen=True, slots=True)
class DrawnDetector:
    """A detector (`audits.evidence.custom_detectors`) of the shapes and words of the drawn world; every score is 1."""

    classes: tuple[str, ...] = CLASSES
    revision: str = REVISION

    def detect(self, images: Sequence[Image.Image]) -> list[list[dict[str, Any]]]:
        """Box, class and score of each thing that can be read in each picture.

        Raises:
            DetectorError: a picture is not of the drawn world's size.
        """
        return [
            [{"bbox": seen["bbox"], "category": seen["category"], "score": 1.0} for seen in _read(image)]
            for image in images
        ]


@dataclass(frozen=True, slots=True)
class DrawnEvidence:
    """All that the reader reads of a picture: classes, boxes, colors, sizes and words."""

    name: str = "drawn"
    columns: tuple[str, ...] = ("image", "width", "height")

    def identity(self, shard: int) -> str:
        """The version of the reader."""
        return f"drawn+v{REVISION}"

    @staticmethod
    def rests_on(record: Record) -> None:
        """The evidence rests on the picture alone."""

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """What each picture shows; None where it cannot be decoded.

        Raises:
            DetectorError: a picture is not of the drawn world's size.
        """
        return [None if record.picture is None else self._evidence(record.picture) for record in records]

    def _evidence(self, picture: Image.Image) -> Evidence:
        return Evidence(
            source=self.name,
            scope=Scope(classes=frozenset(CLASSES), attributes=frozenset({"color", "size", "text"})),
            objects=tuple(map(_observation, _read(picture))),
            width=picture.width,
            height=picture.height,
        )


def open_detector() -> DrawnDetector:
    """The detector."""
    return DrawnDetector()


def open_evidence(target: Target | None, argument: str | None = None) -> DrawnEvidence:
    """The source of evidence.

    Raises:
        OptionError: an argument, of which it takes none.
    """
    if argument is not None:
        raise OptionError(f"the reader of the drawn world takes no argument; leave out {argument!r}")
    return DrawnEvidence()


def _observation(seen: Mapping[str, Any]) -> Observation:
    x, y, width, height = seen["bbox"]
    return Observation(
        bbox=(x, y, width, height),
        category=seen["category"],
        colors=(seen["color"],),
        size=seen["size"],
        text=seen["text"],
        area=width * height,
    )


def _read(image: Image.Image) -> list[dict[str, Any]]:
    if image.size != (SIDE, SIDE):
        raise DetectorError(
            f"the reader of the drawn world reads pictures of {SIDE}×{SIDE} pixels; this one has {image.width}×{image.height}"
        )
    return read_scene(np.asarray(image.convert("RGB")))
