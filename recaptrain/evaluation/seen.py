"""What models see of the pictures of a run, once for all metrics that need it: evidence by source, embeddings by CLIP model.

    OUT/evidence/<maker>/train-000NN.parquet     rows by the hash of a picture's pixels

The cache is the audit's own (`audits.cache`), in a folder of its own; a picture is known by its pixels, so that the same picture made
by another run, or measured against another prompt, is not looked at again. All of it may be deleted at any time.
"""

import hashlib
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from audits.cache import ShardCache
from audits.clip.cache import EMBEDDING_SCHEMA, embeddings_maker, known_embedding
from audits.evidence import Evidence, EvidenceSource, Record, open_evidence
from audits.evidence.cache import EvidenceCache
from audits.evidence.collect import collect_pictures
from audits.evidence.detector import Detections, open_detector
from recapdata.errors import OptionError
from recaptrain.evaluation.preprocessing import preprocessed

if TYPE_CHECKING:
    import torch

    from audits.clip.scorer import Clip
    from recaptrain.evaluation.settings import EvaluateSettings

EVIDENCE = "evidence"
"""Folder of the cache in the folder of a run."""
PARTS = 16
"""Files of a maker; pictures are spread over them by their hash."""
HELD = 2048
"""New rows that are held until they are written, so that memory does not grow with the number of pictures."""


def pixels_key(image: Image.Image) -> str:
    """SHA-256 of a picture's mode, size and pixels, as 64 lowercase hexadecimal digits; worked out once for an image."""
    known = _KEYS.get(id(image))
    if known is not None and known[0]() is image:
        return known[1]
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height} ".encode())
    digest.update(image.tobytes())
    place, key = id(image), digest.hexdigest()
    _KEYS[place] = weakref.ref(image, lambda _: _KEYS.pop(place, None)), key
    return key


_KEYS: dict[int, tuple["weakref.ref[Image.Image]", str]] = {}
"""Keys of images in memory, which several metrics ask for, by their ids."""


def _part(key: str) -> int:
    return int(key[:8], 16) % PARTS


@dataclass(slots=True)
class Store:
    """The cache of one folder, shared by all metrics of a run: of each source and CLIP model, and part, one file.

    Attributes:
        root: the folder; None to keep nothing.
    """

    root: Path | None = None
    _evidence: dict[tuple[int, int], EvidenceCache] = field(default_factory=dict)
    _embeddings: dict[tuple[str, int], ShardCache] = field(default_factory=dict)
    _new: int = 0

    def evidence(self, source: EvidenceSource, key: str) -> EvidenceCache:
        """What a source saw of the pictures of the part that a picture is in."""
        place = (id(source), _part(key))
        if place not in self._evidence:
            roots = () if self.root is None else (self.root,)
            self._evidence[place] = EvidenceCache(roots, (source,), place[1])
        return self._evidence[place]

    def embeddings(self, clip: "Clip", key: str) -> ShardCache | None:
        """The embeddings of a model of the pictures of the part that a picture is in; None where nothing is kept."""
        if self.root is None:
            return None
        place = (embeddings_maker(clip.identity), _part(key))
        if place not in self._embeddings:
            self._embeddings[place] = ShardCache((self.root,), place[0], place[1], EMBEDDING_SCHEMA)
        return self._embeddings[place]

    def added(self, rows: int) -> None:
        """Count new rows, and write them now and then."""
        self._new += rows
        if self._new >= HELD:
            self.save()

    def save(self) -> None:
        """Write what is new."""
        for evidence in self._evidence.values():
            evidence.close()
        for embeddings in self._embeddings.values():
            embeddings.close()
        self._new = 0


@dataclass(frozen=True, slots=True)
class SeenEvidence:
    """The evidence of some sources for any pictures.

    Attributes:
        sources: the most trusted first; each gets the evidence of those before it.
    """

    sources: tuple[EvidenceSource, ...]
    store: Store

    @property
    def identity(self) -> str:
        """The sources with their models, revisions, thresholds and rules."""
        return ", ".join(source.identity(0) for source in self.sources)

    def collect(
        self, images: Sequence[Image.Image], nouns: Sequence[frozenset[str]]
    ) -> list[tuple[Evidence, ...]]:
        """The evidence of pictures by each source that knows something of them.

        Args:
            images: upright and in RGB.
            nouns: what each picture's prompt names, which a zero-shot detector is asked for.

        Raises:
            DetectorError: a detector of the user's own fails.
        """
        records = [
            Record(
                key=pixels_key(image),
                values={"objects": None, "width": image.width, "height": image.height},
                picture=image,
                nouns=names,
            )
            for image, names in zip(images, nouns, strict=True)
        ]
        return collect_pictures(self.sources, records, self)

    def get(self, source: EvidenceSource, record: Record) -> tuple[Evidence | None] | None:
        """What a source saw of a picture before (`audits.evidence.collect.Cache`)."""
        return self.store.evidence(source, record.key).get(source, record)

    def put(self, source: EvidenceSource, record: Record, evidence: Evidence | None) -> None:
        """Keep what a source saw of a picture."""
        self.store.evidence(source, record.key).put(source, record, evidence)
        self.store.added(1)


class SeenEmbeddings:
    """The image embeddings of a CLIP model for any pictures."""

    def __init__(self, clip: "Clip", store: Store) -> None:
        self.clip = clip
        self._store = store
        self._size: int | None = None

    def encode(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        """Unit embeddings [n, d] of pictures in RGB, on the CPU.

        Of a batch that is known in part all are encoded: the last digits depend on what is encoded together, and must not depend on
        where an earlier run was interrupted.
        """
        import torch

        keys = preprocessed(images, pixels_key)
        caches = [self._store.embeddings(self.clip, key) for key in keys]
        known = [
            None if cache is None else known_embedding(cache.row(key), self._dimensions)
            for cache, key in zip(caches, keys, strict=True)
        ]
        if not any(each is None for each in known):
            return torch.tensor(known, dtype=torch.float32)
        pixels = torch.stack(preprocessed(images, self.clip.pixels))
        found = self.clip.encode_images(pixels).cpu()
        for cache, key, embedding in zip(caches, keys, found.tolist(), strict=True):
            if cache is not None:
                cache.put({"key": key, "embedding": embedding})
        self._store.added(len(images))
        return found

    def _dimensions(self) -> int:
        if self._size is None:
            self._size = int(self.clip.encode_texts([""]).shape[1])
        return self._size


# --- the models that the settings name -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detector:
    """The detector of a run, whose evidence its metrics share."""

    seen: SeenEvidence
    source: Detections

    @property
    def classes(self) -> frozenset[str]:
        """The classes that it always looks for."""
        return frozenset(self.source.classes)

    @property
    def identity(self) -> str:
        """The model with its revision, the thresholds that differ from its defaults, and the audit's rules."""
        return self.seen.identity

    def look(
        self, images: Sequence[Image.Image], nouns: Sequence[frozenset[str] | None]
    ) -> list[Evidence | None]:
        """The detections in pictures.

        Args:
            nouns: what each picture's prompt names; None for a picture that need not be looked at, whose evidence is None.
        """
        wanted = [place for place, names in enumerate(nouns) if names is not None]
        found: list[Evidence | None] = [None] * len(images)
        evidence = self.seen.collect(
            [images[place] for place in wanted], [nouns[place] or frozenset() for place in wanted]
        )
        for place, each in zip(wanted, evidence, strict=True):
            found[place] = each[0]
        return found


def open_detections(settings: "EvaluateSettings", metric: str) -> Detector:
    """The detector that the settings name, opened once for all metrics.

    Args:
        metric: its name, for the message.

    Raises:
        OptionError: none is named, or no such detector.
    """
    if settings.detector is None:
        raise OptionError(
            f"{metric} needs a detector: give --detector, such as facebook/detr-resnet-50@main, FILE.onnx, or package.module:function"
        )
    source = _detector(settings.detector)
    return Detector(SeenEvidence((source,), open_store(settings)), source)


def open_sources(settings: "EvaluateSettings", names: Sequence[str]) -> SeenEvidence:
    """The detector that the settings name, if one, and behind it sources of evidence by name.

    Raises:
        OptionError: no such detector or source.
        MissingExtra: a source needs an optional part of the installation.
    """
    first = () if settings.detector is None else (_detector(settings.detector),)
    return SeenEvidence((*first, *map(_source, names)), open_store(settings))


def open_reader(settings: "EvaluateSettings") -> SeenEvidence:
    """The source that reads words: the one that the settings name, otherwise OCR.

    Raises:
        OptionError: no such source.
        MissingExtra: RapidOCR is not installed.
    """
    return SeenEvidence((_source(settings.reader or "ocr"),), open_store(settings))


def open_embeddings(settings: "EvaluateSettings", model: str | None = None) -> SeenEmbeddings:
    """The CLIP model that the settings name, or another, loaded once for all metrics.

    Raises:
        ModelNotSupported: no such model.
    """
    return SeenEmbeddings(_clip(model or settings.clip), open_store(settings))


def open_store(settings: "EvaluateSettings") -> Store:
    """The cache of the settings' folder, one in a process."""
    return _store(Path(settings.out) / EVIDENCE)


@lru_cache(maxsize=1)
def _store(root: Path) -> Store:
    return Store(root)


@lru_cache(maxsize=2)
def _detector(name: str) -> Detections:
    return open_detector(None, name)


@lru_cache(maxsize=4)
def _source(name: str) -> EvidenceSource:
    return open_evidence(name, None)


@lru_cache(maxsize=2)
def _clip(name: str) -> "Clip":
    from audits.clip.scorer import load_clip
    from recapdata.models.dual_encoders import find_clip

    return load_clip(find_clip(name))
