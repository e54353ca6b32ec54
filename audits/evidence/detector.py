"""Objects found by a detection model of transformers, by name and revision, as evidence.

    detector:facebook/detr-resnet-50@main            a model with classes of its own
    detector:google/owlv2-base-patch16-ensemble      a zero-shot one, asked for COCO's classes and for what captions speak of
    detector:MODEL:threshold=0.5:counting=0.8        other thresholds than GenEval's (see `detections`)

A class that the model does not know, or is in doubt about, stays unknown. What only a caption's words made a zero-shot model look for
bears the caption out where it is found; that it is not found says nothing, for such models know no sky and no left side.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from audits.evidence import Case, Evidence, Scope, Seen, detections
from audits.evidence.detections import Thresholds, kept, with_options
from audits.lexicon import load_lexicon
from recapdata.errors import OptionError
from recapdata.models import ModelSource, resolve_model
from recapdata.targets import Target

BATCH = 8
ZERO_SHOT_NMS = 0.5
"""Models with classes of their own are trained to say each thing once; zero-shot ones say it from several patches."""

_OPTION = re.compile(r"[a-z]+=[^:/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """A detection model as an evidence source; made by `open_detector`.

    Attributes:
        classes: what it can see: its own classes, or those that it is asked for in every picture.
        zero_shot: whether it is also asked for what the captions of a picture speak of.
    """

    source: ModelSource
    thresholds: Thresholds
    classes: tuple[str, ...]
    zero_shot: bool
    name: str = "detector"
    columns: tuple[str, ...] = ("image", "width", "height")

    def identity(self, shard: int) -> str:
        """The model with its revision, the thresholds, and a hash of these rules and of what is asked for."""
        from audits.evidence import detector_models

        files = (__file__, detections.__file__, detector_models.__file__)
        rules = b"".join(Path(str(each)).read_bytes() for each in files) + repr(self.classes).encode()
        digest = hashlib.sha256(rules).hexdigest()[:12]
        model = f"{self.source.name}@{self.source.revision}".replace(" ", "_")
        return (
            f"{':'.join(['detector', model, *self.thresholds.changed(_defaults(self.zero_shot))])}+{digest}"
        )

    def collect(self, cases: Sequence[Case]) -> list[Evidence | None]:
        """What the model sees in each picture; None where it cannot be decoded."""
        found: list[Evidence | None] = [None] * len(cases)
        there = [(row, case) for row, case in enumerate(cases) if case.picture is not None]
        for start in range(0, len(there), BATCH):
            part = there[start : start + BATCH]
            pictures = [case.picture for _, case in part if case.picture is not None]
            nouns = [self._nouns(case) for _, case in part]
            least = min(self.thresholds.doubt, self.thresholds.threshold)
            answers = _load(self.source).look(pictures, self.classes, nouns, least)
            for (row, _), picture, asked, each in zip(part, pictures, nouns, answers, strict=True):
                found[row] = self.evidence(picture, each, frozenset(asked))
        return found

    def evidence(self, picture: Image.Image, found: Sequence[Seen], asked: frozenset[str]) -> Evidence:
        """What the model's answers on one picture say.

        Args:
            asked: nouns that were looked for because a caption has them.
        """
        objects, doubtful = kept(found, self.thresholds)
        borne_out = asked & {str(each.category) for each in objects}
        classes = (frozenset(self.classes) - doubtful) | borne_out
        return Evidence(
            source=self.name,
            scope=Scope(classes=classes, asked=borne_out),
            objects=objects,
            width=picture.width,
            height=picture.height,
            counting=self.thresholds.counting,
        )

    def _nouns(self, case: Case) -> list[str]:
        """What a zero-shot model is asked for beside its classes: nouns that mean none of them."""
        if not self.zero_shot:
            return []
        classes = frozenset(self.classes)
        meanings = ((noun, load_lexicon().meaning(noun, classes)) for noun in sorted(case.nouns))
        return [noun for noun, meaning in meanings if not (meaning.classes or meaning.maybe)]


def open_detector(target: Target, argument: str | None = None) -> Detections:
    """Find the model, pin its revision and read what classes it knows; its weights are loaded where it first looks.

    Raises:
        OptionError: no model is named, or a threshold is none.
        ModelNotSupported: it is no detection model.
        CaptionerNotFound: no such folder or repository.
        HubError: the Hub cannot be reached, or does not know the revision.
    """
    from audits.evidence.detector_models import model_kind

    named, options = _parsed(argument or "")
    if not named:
        raise OptionError(
            "detector: which model? Name it after a colon, as in detector:facebook/detr-resnet-50@main, or a folder"
        )
    bare, at, revision = (named, "", "") if Path(named).is_dir() else named.partition("@")
    source = resolve_model(bare, kind="detector", revision=revision if at else None)
    _, labels = model_kind(source)
    zero_shot = labels is None
    classes = sorted(load_lexicon().vocabularies[0]) if labels is None else [each for each in labels if each]
    return Detections(
        source=source,
        thresholds=with_options(_defaults(zero_shot), options),
        classes=tuple(dict.fromkeys(classes)),
        zero_shot=zero_shot,
    )


def _defaults(zero_shot: bool) -> Thresholds:
    return Thresholds(nms=ZERO_SHOT_NMS) if zero_shot else Thresholds()


def _parsed(argument: str) -> tuple[str, list[str]]:
    """The model, and the options that follow it after colons."""
    parts = argument.split(":")
    options: list[str] = []
    while len(parts) > 1 and _OPTION.fullmatch(parts[-1]):
        options.insert(0, parts.pop())
    return ":".join(parts), options


_MODELS: dict[str, Any] = {}
"""By location and revision the model, loaded once in a process."""


def _load(source: ModelSource) -> Any:
    from audits.evidence.detector_models import load_detector

    pinned = f"{source.location}@{source.revision}"
    if pinned not in _MODELS:
        _MODELS[pinned] = load_detector(source)
    return _MODELS[pinned]
