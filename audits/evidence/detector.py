"""Detections of a model as evidence; the model is named after a colon:

    detector:facebook/detr-resnet-50@main            a model of transformers with classes of its own
    detector:google/owlv2-base-patch16-ensemble      a zero-shot model, prompted with COCO's classes and the captions' nouns
    detector:yolo11n.onnx                            an export of the YOLO family (see `onnx_detectors`)
    detector:package.module:function                 a detector of the user's own (see `custom_detectors`)
    detector:MODEL:threshold=0.5:counting=0.8        any of them with other thresholds (see `detections.Thresholds`)

A class that the model does not know stays unknown, and so does the absence or number of one with doubtful boxes. A noun that only a
caption made a zero-shot model look for is supported where it is detected; its absence says nothing, for such models know no sky.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from PIL import Image

from audits.evidence import Evidence, Observation, Record, Scope
from audits.evidence.custom_detectors import CustomDetector, make_detector
from audits.evidence.detections import Thresholds, cut_off, keep, valid, with_options
from audits.evidence.onnx_detectors import NMS, OnnxDetector, read_onnx
from audits.lexicon import load_lexicon
from audits.rules import source_rules
from recapdata.console import say
from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.models.sources import ModelSource, resolve_model
from recapdata.registry import DOTTED

BATCH = 8
ZERO_SHOT_NMS = 0.5
"""Models with classes of their own are trained to give one box per object; zero-shot models give one per patch."""
ONNX = ".onnx"

_OPTION = re.compile(r"[A-Za-z_]+=[^:/]*")


class Detector(Protocol):
    """A loaded detection model of any kind."""

    def detect(
        self, pictures: Sequence[Image.Image], nouns: Sequence[Sequence[str]], lowest: float
    ) -> list[list[Observation]]:
        """The boxes in each image with category and score, of its classes and, for a zero-shot model, of that image's nouns.

        Args:
            lowest: the score from which on boxes are returned.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSource:
    """A detector of the user's own, pinned by its revision: an ONNX file or a function.

    Attributes:
        name: as the user named it.
        location: the file's absolute path, or the function's dotted path.
        revision: when the run began.
    """

    name: str
    location: str
    revision: str

    def load(self) -> Detector:
        """The detector, read again.

        Raises:
            OptionError: it has another revision by now.
        """
        detector = _read_own(self.name, self.location)
        if detector.revision != self.revision:
            raise OptionError(
                f"detector:{self.name}: its revision is {detector.revision} here and was {self.revision} when the run began; "
                "the same weights are needed wherever the run works, until it ends"
            )
        return detector


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """A detection model as an evidence source; made by `open_detector`.

    Attributes:
        defaults: the thresholds of a model of its kind where none are given.
        classes: its own classes, or those that a zero-shot model is prompted with for every image.
        zero_shot: whether it is also prompted with the nouns of an image's captions.
    """

    source: ModelSource | OwnSource
    thresholds: Thresholds
    defaults: Thresholds
    classes: tuple[str, ...]
    zero_shot: bool = False
    name: str = "detector"
    columns: tuple[str, ...] = ("image", "width", "height")

    def identity(self, shard: int) -> str:
        """The model with its revision, the thresholds that differ from its defaults, and the version of these rules."""
        model = f"{self.source.name}@{self.source.revision}".replace(" ", "_")
        options = self.thresholds.changed(self.defaults)
        return f"{':'.join([self.name, model, *options])}+{source_rules('detector')}"

    def rests_on(self, record: Record) -> list[str] | None:
        """What a zero-shot model is prompted with beside its classes."""
        return self._nouns(record) or None

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """The model's detections in each image; None where it cannot be decoded.

        Raises:
            DetectorError: a detector of the user's own fails, or its answer has another form.
        """
        collected: list[Evidence | None] = [None] * len(records)
        decoded = [row for row, record in enumerate(records) if record.picture is not None]
        for start in range(0, len(decoded), BATCH):
            rows = decoded[start : start + BATCH]
            pictures = [picture for row in rows if (picture := records[row].picture) is not None]
            nouns = [self._nouns(records[row]) for row in rows]
            answers = self._detector().detect(pictures, nouns, self.thresholds.lowest)
            for row, picture, names, boxes in zip(rows, pictures, nouns, answers, strict=True):
                evidence = collected[row] = self.evidence(picture, boxes, frozenset(names))
                _count_invalid(self.source, evidence.invalid)
        return collected

    def evidence(self, picture: Image.Image, boxes: Sequence[Observation], nouns: frozenset[str]) -> Evidence:
        """The evidence of the model's boxes in one image.

        Args:
            boxes: with category and score.
            nouns: what the model was prompted with beside its classes.
        """
        usable = valid(boxes, *picture.size)
        kept = keep(usable, self.thresholds)
        detected = nouns & {str(box.category) for box in kept.objects}
        return Evidence(
            source=self.name,
            scope=Scope(classes=frozenset(self.classes) | detected, prompted=detected),
            objects=tuple(cut_off(box, *picture.size) for box in kept.objects),
            width=picture.width,
            height=picture.height,
            uncounted=kept.uncounted,
            counting=self.thresholds.counting,
            doubtful=tuple(cut_off(box, *picture.size) for box in kept.doubtful),
            invalid=len(boxes) - len(usable),
        )

    def _nouns(self, record: Record) -> list[str]:
        """The nouns that a zero-shot model is prompted with beside its classes: those that mean none of them."""
        if not self.zero_shot:
            return []
        classes = frozenset(self.classes)
        meanings = ((noun, load_lexicon().meaning(noun, classes)) for noun in sorted(record.nouns))
        return [noun for noun, meaning in meanings if not meaning.supporting]

    def _detector(self) -> Detector:
        """The model, loaded once in a process."""
        from audits.evidence.detector_models import load_detector

        pinned = _pinned(self.source)
        if pinned not in _DETECTORS:
            _DETECTORS[pinned] = (
                load_detector(self.source, self.classes)
                if isinstance(self.source, ModelSource)
                else self.source.load()
            )
        return _DETECTORS[pinned]


def open_detector(target: Target | None, argument: str | None = None) -> Detections:
    """Find the model, pin its revision and read its classes.

    The weights of a model of transformers are loaded by the first `collect`.

    Raises:
        OptionError: no model is named, no such threshold or function, or the function returns no detector.
        ModelNotSupported: it is no detection model, or has no names for its classes.
        CaptionerNotFound: no such file, folder or repository.
        MissingExtra: an ONNX model, and onnxruntime is not installed.
        HubError: the Hub cannot be reached, or does not know the revision.
    """
    named, options = _parsed(argument or "")
    if not named:
        raise OptionError(
            "detector: which model? Name it after a colon, as in detector:facebook/detr-resnet-50@main, or a folder, "
            "detector:FILE.onnx, or detector:package.module:function"
        )
    bare, at, revision = (named, "", "") if Path(named).is_dir() else named.partition("@")
    opened = _opened(bare, revision if at else None)
    return replace(opened, thresholds=with_options(opened.defaults, options))


def _opened(name: str, revision: str | None) -> Detections:
    """The model of a name with the thresholds of its kind."""
    if not Path(name).is_dir() and (name.lower().endswith(ONNX) or DOTTED.fullmatch(name)):
        is_file = name.lower().endswith(ONNX)
        location = str(Path(name).resolve()) if is_file else name
        detector = _read_own(name, location)
        if revision not in (None, detector.revision):
            raise OptionError(
                f"detector:{name}@{revision}: its revision is {detector.revision}; leave out what stands after the @"
            )
        own = OwnSource(name=name, location=location, revision=detector.revision)
        _DETECTORS[_pinned(own)] = detector
        return _detections(own, Thresholds(nms=NMS) if is_file else Thresholds(), detector.classes)
    from audits.evidence.detector_models import model_kind

    source = resolve_model(name, kind="detector", revision=revision)
    _, labels = model_kind(source)
    if labels is not None:
        return _detections(source, Thresholds(), tuple(dict.fromkeys(filter(None, labels))))
    vocabulary = tuple(sorted(load_lexicon().vocabularies[0]))
    return replace(_detections(source, Thresholds(nms=ZERO_SHOT_NMS), vocabulary), zero_shot=True)


def _read_own(name: str, location: str) -> OnnxDetector | CustomDetector:
    is_file = location.lower().endswith(ONNX)
    return read_onnx(name, Path(location)) if is_file else make_detector(location)


def _detections(
    source: ModelSource | OwnSource, defaults: Thresholds, classes: tuple[str, ...]
) -> Detections:
    return Detections(source=source, thresholds=defaults, defaults=defaults, classes=classes)


def _parsed(argument: str) -> tuple[str, list[str]]:
    """The model, and the options that follow it after colons."""
    parts = argument.split(":")
    options: list[str] = []
    while len(parts) > 1 and _OPTION.fullmatch(parts[-1]):
        options.insert(0, parts.pop())
    return ":".join(parts), options


_DETECTORS: dict[str, Detector] = {}
"""Loaded models of this process, by location and revision."""
_INVALID: dict[str, int] = {}
"""Invalid boxes of each model so far in this process, by location and revision."""


def _pinned(source: ModelSource | OwnSource) -> str:
    return f"{source.location}@{source.revision}"


def _count_invalid(source: ModelSource | OwnSource, invalid: int) -> None:
    """Say how many boxes were left out, at the first one and whenever their number has grown tenfold."""
    before = _INVALID.get(_pinned(source), 0)
    after = _INVALID[_pinned(source)] = before + invalid
    if after and (not before or len(str(after)) > len(str(before))):
        say(
            f"detector:{source.name}: {after:,} of its boxes so far left out, which are not finite, without area, or outside "
            "the picture"
        )
