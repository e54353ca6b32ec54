"""Evidence of the records of a batch: one source after the other, a few decoded images at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence, EvidenceSource, Record
from recapdata.dataset.decoding import ImageUnreadable, decode_image
from recapdata.errors import OptionError

IMAGES = 16
"""Decoded images held at once, and given to a source together."""
ANNOTATIONS = "annotations"


@dataclass(frozen=True, slots=True)
class Collected:
    """The evidence of one record by source, in the order of the sources; `error` says why its image cannot be decoded."""

    evidence: tuple[Evidence, ...] = ()
    error: str | None = None


def collect(
    sources: Sequence[EvidenceSource],
    batch: pa.RecordBatch,
    nouns: Sequence[frozenset[str] | None],
    *,
    decoders: int = 1,
) -> list[Collected]:
    """The evidence of all sources for each record of a batch.

    Args:
        batch: the columns that the sources need.
        nouns: the objects that the captions of each record name; None skips a record (it has no caption).
        decoders: threads that decode images.

    Raises:
        OptionError: a source returned something else than one evidence, or None, for each record.
    """
    collected = [Collected()] * batch.num_rows
    wanted = [row for row, names in enumerate(nouns) if names is not None]
    decodes = any("image" in source.columns for source in sources)
    size = IMAGES if decodes else max(len(wanted), 1)
    with ThreadPoolExecutor(decoders, thread_name_prefix="decode") as pool:
        for start in range(0, len(wanted), size):
            rows = wanted[start : start + size]
            values = batch.take(pa.array(rows)).to_pylist()
            pictures = list(pool.map(_picture, values)) if decodes else [None] * len(rows)
            records = [
                Record(
                    values=columns,
                    picture=picture if isinstance(picture, Image.Image) else None,
                    nouns=nouns[row] or frozenset(),
                )
                for row, columns, picture in zip(rows, values, pictures, strict=True)
            ]
            for source in sources:
                records = _with_evidence(source, records)
            for row, record, picture in zip(rows, records, pictures, strict=True):
                collected[row] = Collected(record.evidence, picture if isinstance(picture, str) else None)
    return collected


def _with_evidence(source: EvidenceSource, records: Sequence[Record]) -> list[Record]:
    """The records with what one source knows of them."""
    evidence = source.collect(records)
    if len(evidence) != len(records) or not all(isinstance(each, Evidence | None) for each in evidence):
        kinds = ", ".join(sorted({type(each).__name__ for each in evidence}))
        raise OptionError(
            f"the evidence source {source.name} returned {len(evidence)} of type {kinds or 'none'} for {len(records)} records; "
            "it has to return one audits.evidence.Evidence, or None, for each record"
        )
    return [
        record if known is None else replace(record, evidence=(*record.evidence, known))
        for record, known in zip(records, evidence, strict=True)
    ]


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


def _picture(values: dict[str, Any]) -> Image.Image | str:
    """The record's picture, or the reason why there is none; its bytes are let go."""
    image = values.pop("image")
    try:
        return decode_image(image["bytes"])
    except ImageUnreadable as error:
        return f"UnreadableImage: {error}"
