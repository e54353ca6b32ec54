"""O-FID (Dinh et al. 2022, TISE): FID of detected objects, cut out of pictures, against those cut out of real images (`--reference`).

    ofid    Fréchet distance of the features of crops, by `--features`, Inception's unless told otherwise

Every box that `--detector` gives a score of 0.5 or more is cut out, whatever its class, its edges rounded to whole pixels, and brought to the
network's size like any picture. TISE detects with Mask R-CNN.

Deviations. Any detector; of a class it counts 16 boxes a picture at most, as the audit does. A zero-shot detector looks for its own classes
alone, not for what the prompts name, so that pictures and real images are cut alike. The bootstrap draws prompts, and with each all
crops of its pictures.

What it cannot see: what nobody recognizes. A model that draws few objects that can be detected is judged by those few: read it beside SOA. Nor
whether an object was asked for.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from audits.evidence import Evidence
from recapdata.console import progress
from recaptrain.evaluation.detected import SCORE, score_of
from recaptrain.evaluation.distributions import INCEPTION, frechet_statistic, too_few, unlike
from recaptrain.evaluation.extractors import Extractor, extractor_identity, open_extractor
from recaptrain.evaluation.frechet import Gaussian, gaussian_of
from recaptrain.evaluation.measuring import MEASURED, measure
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.reference import Reference, open_reference
from recaptrain.evaluation.seen import Detector, open_detections

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """The features of the objects of each picture, by themselves a `Metric` without figures."""

    extractor: Extractor
    detector: Detector
    batch_size: int

    @property
    def name(self) -> str:
        """What the rows of a detector and an extractor are kept as."""
        digest = hashlib.sha256(repr(sorted(self.identity.items())).encode()).hexdigest()
        return f"crops-{self.extractor.name.replace('/', '-')}-{digest[:12]}"

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "version": VERSION,
            **extractor_identity(self.extractor),
            "detector": self.detector.identity,
            "score": SCORE,
        }

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("crops", pa.list_(pa.list_(pa.float32(), self.extractor.dimensions)))])

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any]]:
        """The features of the crops of each picture, none where nothing is detected."""
        evidence = self.detector.look(images, [frozenset()] * len(images))
        boxes = [boxes_of_objects(seen, image.size) for seen, image in zip(evidence, images, strict=True)]
        crops = [image.crop(box) for image, own in zip(images, boxes, strict=True) for box in own]
        starts = range(0, len(crops), self.batch_size)
        encoded = [row for at in starts for row in self.extractor.encode(crops[at : at + self.batch_size])]
        rows = iter(encoded)
        return [{"crops": [next(rows) for _ in own]} for own in boxes]

    def figures(self, rows: pa.Table) -> list[Statistic]:
        return []


def boxes_of_objects(evidence: Evidence | None, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """The boxes that are cut out of a picture: left, top, right, bottom in whole pixels, at least one wide and high."""
    found = []
    for seen in () if evidence is None else evidence.objects:
        if seen.bbox is None or score_of(seen) < SCORE:
            continue
        x, y, width, height = seen.bbox
        left, top = min(round(x), size[0] - 1), min(round(y), size[1] - 1)
        right, bottom = min(round(x + width), size[0]), min(round(y + height), size[1])
        found.append((left, top, max(right, left + 1), max(bottom, top + 1)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDistance:
    """O-FID; made by `open_ofid`."""

    crops: Crops
    reference: Reference
    note: str
    name: str = "ofid"

    @property
    def rows_name(self) -> str:
        return self.crops.name

    @property
    def rows_identity(self) -> Mapping[str, Any]:
        return self.crops.identity

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**self.crops.identity, **self.reference.identity}

    @property
    def schema(self) -> pa.Schema:
        return self.crops.schema

    @property
    def batch_size(self) -> int:
        return self.crops.batch_size

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any]]:
        return self.crops.measure(pictures, images)

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The distance of all crops; without a value of fewer than two here or there."""
        own, picture_of = flat_crops(rows)
        others = reference_crops(self.reference, self.crops)
        pictures = len(np.unique(picture_of))
        if len(own) < 2 or others.n < 2:
            return [replace(too_few(self.name, len(own), others.n, "crops"), n=pictures)]
        found = frechet_statistic(self.name, own, others, note=self.note, kind="crops", rows=picture_of)
        return [replace(found, n=pictures)]


def flat_crops(rows: pa.Table) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The features [k, d] of all crops, and the row of the picture of each."""
    column = rows.column("crops").combine_chunks()
    counts = np.diff(column.offsets.to_numpy())
    values = column.flatten()
    features = np.asarray(values.flatten(), np.float32).reshape(len(values), values.type.list_size)
    return features, np.repeat(np.arange(len(rows), dtype=np.intp), counts)


_KEPT: dict[str, Gaussian] = {}
"""The reference's crops that were asked for last, as a Gaussian, which several runs need."""


def reference_crops(reference: Reference, crops: Crops) -> Gaussian:
    """The Gaussian of the crops of real images, measured where they are not there yet."""
    key = f"{reference.folder} {reference.digest} {crops.identity}"
    if key not in _KEPT:
        with progress(f"reference {reference.name}", total=len(reference.pictures)) as advance:
            rows = measure(reference.pictures, [crops], reference.folder, advance=advance)[crops.name]

        def chunks() -> Iterator[NDArray[np.float32]]:
            for table in rows.chunks():
                states = table.column("state").to_pylist()
                yield flat_crops(table.filter([state == MEASURED for state in states]))[0]

        _KEPT.clear()
        _KEPT[key] = gaussian_of(chunks(), crops.extractor.dimensions)
    return _KEPT[key]


def open_ofid(settings: "EvaluateSettings", pictures: "Pictures") -> ObjectDistance:
    """O-FID by the detector and the features that the settings name.

    Raises:
        OptionError: no reference or detector is named, no such extractor, or its weights are not to be had.
    """
    reference, detector = open_reference(settings, "ofid"), open_detections(settings, "ofid")
    extractor = open_extractor(settings.features or INCEPTION)
    crops = Crops(extractor=extractor, detector=detector, batch_size=settings.batch_size)
    return ObjectDistance(crops=crops, reference=reference, note=unlike(extractor))
