"""Objects found by a detection model as evidence, named after a colon:

    detector:facebook/detr-resnet-50@main            a model of transformers with classes of its own
    detector:google/owlv2-base-patch16-ensemble      a zero-shot one, asked for COCO's classes and for what captions speak of
    detector:yolo11n.onnx                            an export of the YOLO family (see `onnx_detectors`)
    detector:package.module:function                 a detector of the user's own (see `custom_detectors`)
    detector:MODEL:threshold=0.5:counting=0.8        any of them with other thresholds (see `detections.Thresholds`)

A class that the model does not know stays unknown, and so does the absence or number of one of which it has doubtful boxes. What only a caption's words made a zero-shot model look for
bears the caption out where it is found; that it is not found says nothing, for such models know no sky and no left side.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from audits.evidence import Case, Evidence, Scope, Seen
from audits.evidence.custom_detectors import CustomSource, open_custom
from audits.evidence.detections import Thresholds, cut_off, keep, valid, with_options
from audits.evidence.onnx_detectors import NMS, OnnxSource, open_onnx
from audits.lexicon import load_lexicon
from audits.rules import source_rules
from recapdata.console import say
from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.models.sources import ModelSource, resolve_model
from recapdata.registry import DOTTED

BATCH = 8
ZERO_SHOT_NMS = 0.5
"""Models with classes of their own are trained to say each thing once; zero-shot ones say it from several patches."""
ONNX = ".onnx"

_OPTION = re.compile(r"[A-Za-z_]+=[^:/]*")

Source = ModelSource | OnnxSource | CustomSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """A detection model as an evidence source; made by `open_detector`.

    Attributes:
        defaults: the thresholds that a model of its kind has where none are given.
        classes: what it can see: its own classes, or those that it is asked for in every picture.
        zero_shot: whether it is also asked for what the captions of a picture speak of.
    """

    source: Source
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

    def collect(self, cases: Sequence[Case]) -> list[Evidence | None]:
        """What the model sees in each picture; None where it cannot be decoded.

        Raises:
            DetectorError: a detector of the user's own fails, or returns something of another form than it should.
        """
        found: list[Evidence | None] = [None] * len(cases)
        there = [(row, case) for row, case in enumerate(cases) if case.picture is not None]
        for start in range(0, len(there), BATCH):
            part = there[start : start + BATCH]
            pictures = [case.picture for _, case in part if case.picture is not None]
            nouns = [self._nouns(case) for _, case in part]
            answers = _load(self.source).look(pictures, self.classes, nouns, self.thresholds.lowest)
            for (row, _), picture, asked, each in zip(part, pictures, nouns, answers, strict=True):
                evidence = found[row] = self.evidence(picture, each, frozenset(asked))
                _count_invalid(self.source, evidence.invalid)
        return found

    def evidence(self, picture: Image.Image, found: Sequence[Seen], asked: frozenset[str]) -> Evidence:
        """What the model's answers on one picture say.

        Args:
            found: boxed objects with category and score.
            asked: nouns that were looked for because a caption has them.
        """
        boxes = valid(found, *picture.size)
        kept = keep(boxes, self.thresholds)
        borne_out = asked & {str(each.category) for each in kept.objects}
        return Evidence(
            source=self.name,
            scope=Scope(classes=frozenset(self.classes) | borne_out, asked=borne_out),
            objects=tuple(cut_off(each, *picture.size) for each in kept.objects),
            width=picture.width,
            height=picture.height,
            uncounted=kept.uncounted,
            counting=self.thresholds.counting,
            doubtful=tuple(cut_off(each, *picture.size) for each in kept.doubtful),
            invalid=len(found) - len(boxes),
        )

    def _nouns(self, case: Case) -> list[str]:
        """What a zero-shot model is asked for beside its classes: nouns that mean none of them."""
        if not self.zero_shot:
            return []
        classes = frozenset(self.classes)
        meanings = ((noun, load_lexicon().meaning(noun, classes)) for noun in sorted(case.nouns))
        return [noun for noun, meaning in meanings if not (meaning.classes or meaning.maybe)]


def open_detector(target: Target, argument: str | None = None) -> Detections:
    """Find the model, pin its revision and read what classes it knows.

    The weights of a model of transformers are loaded where it first looks.

    Raises:
        OptionError: no model is named, a threshold is none, or the function of a detector of the user's own returns none.
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
    found = _opened(bare, revision if at else None)
    return replace(found, thresholds=with_options(found.defaults, options))


def _opened(name: str, revision: str | None) -> Detections:
    """The model of a name with its kind's own thresholds."""
    if name.lower().endswith(ONNX) and not Path(name).is_dir():
        onnx, loaded = open_onnx(name, revision)
        _MODELS[_pinned(onnx)] = loaded
        names = tuple(dict.fromkeys(filter(None, onnx.labels)))
        return _detections(onnx, Thresholds(nms=NMS), names)
    if DOTTED.fullmatch(name) and not Path(name).is_dir():
        custom, made = open_custom(name, revision)
        _MODELS[_pinned(custom)] = made
        return _detections(custom, Thresholds(), custom.classes)
    from audits.evidence.detector_models import model_kind

    source = resolve_model(name, kind="detector", revision=revision)
    _, labels = model_kind(source)
    if labels is not None:
        return _detections(source, Thresholds(), tuple(dict.fromkeys(filter(None, labels))))
    vocabulary = tuple(sorted(load_lexicon().vocabularies[0]))
    return replace(_detections(source, Thresholds(nms=ZERO_SHOT_NMS), vocabulary), zero_shot=True)


def _detections(source: Source, defaults: Thresholds, classes: tuple[str, ...]) -> Detections:
    return Detections(source=source, thresholds=defaults, defaults=defaults, classes=classes)


def _parsed(argument: str) -> tuple[str, list[str]]:
    """The model, and the options that follow it after colons."""
    parts = argument.split(":")
    options: list[str] = []
    while len(parts) > 1 and _OPTION.fullmatch(parts[-1]):
        options.insert(0, parts.pop())
    return ":".join(parts), options


_MODELS: dict[str, Any] = {}
"""By name and revision the model, loaded once in a process."""
_INVALID: dict[str, int] = {}
"""By name and revision how many of a model's boxes were invalid so far in this process."""


def _load(source: Source) -> Any:
    from audits.evidence.detector_models import load_detector

    pinned = _pinned(source)
    if pinned not in _MODELS:
        _MODELS[pinned] = load_detector(source) if isinstance(source, ModelSource) else source.load()
    return _MODELS[pinned]


def _pinned(source: Source) -> str:
    return f"{source.location if isinstance(source, ModelSource) else source.name}@{source.revision}"


def _count_invalid(source: Source, invalid: int) -> None:
    """Say how many boxes were left out, at the first one and whenever their number has grown tenfold."""
    before = _INVALID.get(_pinned(source), 0)
    after = _INVALID[_pinned(source)] = before + invalid
    if after and (not before or len(str(after)) > len(str(before))):
        say(
            f"detector:{source.name}: {after:,} of its boxes so far left out, which are not finite, without area, or outside "
            "the picture"
        )
