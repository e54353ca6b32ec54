"""Evidence of the records of a batch: one source after the other, a few decoded images at a time.

What the cache has is not looked at again, and a picture of which it has all is not even decoded.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Protocol

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence, EvidenceSource, Record
from audits.evidence.cache import EvidenceCache
from recapdata.dataset.decoding import DECODED_PIXELS, ImageUnreadable, decode_image
from recapdata.errors import OptionError
from recapdata.records import image_key

IMAGES = 16
"""Decoded images held at once, and given to a source together."""
ANNOTATIONS = "annotations"


@dataclass(frozen=True, slots=True)
class Collected:
    """The evidence of one record by source, in the order of the sources; `error` says why its image cannot be decoded."""

    evidence: tuple[Evidence, ...] = ()
    error: str | None = None


class Cache(Protocol):
    """What sources saw of pictures before; `EvidenceCache` is that of the pictures of one shard."""

    def get(self, source: EvidenceSource, record: Record) -> tuple[Evidence | None] | None:
        """What a source saw of a record, in a tuple of one; None where that is not known."""
        ...

    def put(self, source: EvidenceSource, record: Record, evidence: Evidence | None) -> None:
        """Keep what a source saw of a record."""
        ...


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture, or the reason why there is none; `own` says whether the record's key is that of its bytes."""

    picture: Image.Image | None = None
    error: str | None = None
    own: bool = False


def collect(
    sources: Sequence[EvidenceSource],
    batch: pa.RecordBatch,
    nouns: Sequence[frozenset[str] | None],
    *,
    decoders: int = 1,
    cache: EvidenceCache | None = None,
    max_pixels: int = DECODED_PIXELS,
) -> list[Collected]:
    """The evidence of all sources for each record of a batch.

    Args:
        batch: `key`, where there is a cache, and the columns that the sources need.
        nouns: the objects that the captions of each record name; None skips a record (it has no caption).
        decoders: threads that decode images.
        cache: what the sources saw of these pictures before; what they see now is added.
        max_pixels: the dataset's limit of pixels (`Target.max_pixels`).

    Raises:
        OptionError: a source returned something else than one evidence, or None, for each record.
    """
    collected = [Collected()] * batch.num_rows
    wanted = [row for row, names in enumerate(nouns) if names is not None]
    size = IMAGES if any("image" in source.columns for source in sources) else max(len(wanted), 1)
    with ThreadPoolExecutor(decoders, thread_name_prefix="decode") as pool:
        for start in range(0, len(wanted), size):
            rows = wanted[start : start + size]
            chunk = _Chunk(batch.take(pa.array(rows)).to_pylist(), pool, max_pixels)
            records = [
                Record(key=values.get("key", ""), values=values, nouns=nouns[row] or frozenset())
                for row, values in zip(rows, chunk.values, strict=True)
            ]
            for source in sources:
                records = _with_evidence(source, records, chunk, cache)
            for place, (row, record) in enumerate(zip(rows, records, strict=True)):
                collected[row] = Collected(record.evidence, chunk.error(place))
    return collected


def collect_pictures(
    sources: Sequence[EvidenceSource], records: Sequence[Record], cache: Cache | None = None
) -> list[tuple[Evidence, ...]]:
    """The evidence of all sources for pictures that are decoded already, such as those that a model drew.

    Args:
        records: each with its picture, and a key that is a function of what the picture shows.
        cache: what the sources saw of these pictures before; what they see now is added.

    Raises:
        OptionError: a source returned something else than one evidence, or None, for each record.
    """
    pictures = _Pictures([record.picture for record in records])
    found = [replace(record, picture=None) for record in records]
    for source in sources:
        found = _with_evidence(source, found, pictures, cache)
    return [record.evidence for record in found]


class _Decodes(Protocol):
    """Gives the pictures of records by their places."""

    def decode(self, places: Sequence[int]) -> list[_Decoded]: ...


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Pictures that are decoded already, of records whose keys are of their pixels."""

    pictures: Sequence[Image.Image | None]

    def decode(self, places: Sequence[int]) -> list[_Decoded]:
        """The pictures at these places."""
        return [_Decoded(self.pictures[place], own=True) for place in places]


class _Chunk:
    """The records decoded at once: their columns, and of their pictures those that a source needs."""

    def __init__(self, values: list[dict[str, Any]], pool: ThreadPoolExecutor, max_pixels: int) -> None:
        self.values = values
        self._max_pixels = max_pixels
        self._images = [each.pop("image", None) for each in values]
        self._pool = pool
        self._decoded: dict[int, _Decoded] = {}

    def decode(self, places: Sequence[int]) -> list[_Decoded]:
        """The pictures of these records, each decoded once; their bytes are let go."""
        new = [place for place in places if place not in self._decoded]
        keys = [self.values[place].get("key") for place in new]
        images = [self._images[place] for place in new]
        for place, found in zip(
            new, self._pool.map(_decode, images, keys, repeat(self._max_pixels)), strict=True
        ):
            self._decoded[place], self._images[place] = found, None
        return [self._decoded[place] for place in places]

    def error(self, place: int) -> str | None:
        """Why a picture that was needed cannot be decoded."""
        return self._decoded[place].error if place in self._decoded else None


def _with_evidence(
    source: EvidenceSource, records: Sequence[Record], chunk: _Decodes, cache: Cache | None
) -> list[Record]:
    """The records with what one source knows of them."""
    cached = [cache.get(source, record) if cache is not None else None for record in records]
    known = {place: found[0] for place, found in enumerate(cached) if found is not None}
    missing = [place for place in range(len(records)) if place not in known]
    looks = "image" in source.columns
    decoded = chunk.decode(missing) if looks else [_Decoded()] * len(missing)
    asked = [
        replace(records[place], picture=each.picture) for place, each in zip(missing, decoded, strict=True)
    ]
    evidence = _checked(source, source.collect(asked), len(asked)) if asked else []
    for place, each, found in zip(missing, decoded, evidence, strict=True):
        known[place] = found
        if cache is not None and each.own:
            cache.put(source, records[place], found)
    return [
        record if (found := known[place]) is None else replace(record, evidence=(*record.evidence, found))
        for place, record in enumerate(records)
    ]


def _checked(source: EvidenceSource, evidence: list[Evidence | None], records: int) -> list[Evidence | None]:
    if len(evidence) != records or not all(isinstance(each, Evidence | None) for each in evidence):
        kinds = ", ".join(sorted({type(each).__name__ for each in evidence}))
        raise OptionError(
            f"the evidence source {source.name} returned {len(evidence)} of type {kinds or 'none'} for {records} records; "
            "it has to return one audits.evidence.Evidence, or None, for each record"
        )
    return evidence


def detections(evidence: Sequence[Evidence]) -> list[dict[str, Any]] | None:
    """Observations of all sources but the annotations, as `DETECTION_TYPE`; None without such a source."""
    others = [each for each in evidence if each.source != ANNOTATIONS]
    if not others:
        return None
    return [
        {
            "source": each.source,
            "bbox": None if seen.bbox is None else list(seen.bbox),
            "category": seen.category,
            "colors": list(seen.colors),
            "text": seen.text,
            "score": seen.score,
        }
        for each in others
        for seen in each.objects
    ]


def _decode(image: dict[str, Any] | None, key: str | None, max_pixels: int) -> _Decoded:
    """The picture of an image column's value."""
    content: bytes | None = (image or {}).get("bytes")
    try:
        picture = decode_image(content, max_pixels=max_pixels)
        return _Decoded(picture, own=content is not None and image_key(content) == key)
    except ImageUnreadable as error:
        return _Decoded(error=f"UnreadableImage: {error}")
