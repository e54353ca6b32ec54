"""Showing the records of a batch to the sources of evidence, one source after the other, a few pictures at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Case, Evidence, EvidenceSource
from recapdata.dataset.decoding import ImageUnreadable, decode_image

AT_ONCE = 16
"""Decoded pictures held at once, and shown to a source together."""
ANNOTATIONS = "annotations"


@dataclass(frozen=True, slots=True)
class Collected:
    """What the sources know of one record, in the order in which they were named; `error` says why none could look."""

    evidence: tuple[Evidence, ...] = ()
    error: str | None = None


def collect(
    sources: Sequence[EvidenceSource],
    batch: pa.RecordBatch,
    nouns: Sequence[frozenset[str] | None],
    *,
    decoders: int = 1,
) -> list[Collected]:
    """What all sources know of each record of a batch.

    Args:
        batch: the columns that the sources asked for.
        nouns: what the captions of each record speak of; None where it has no caption and nothing needs to be known.
        decoders: threads that decode pictures.
    """
    found = [Collected()] * batch.num_rows
    wanted = [row for row, each in enumerate(nouns) if each is not None]
    looks = any("image" in source.columns for source in sources)
    with ThreadPoolExecutor(decoders, thread_name_prefix="decode") as pool:
        for rows in _parts(wanted, AT_ONCE if looks else max(len(wanted), 1)):
            values = batch.take(pa.array(rows)).to_pylist()
            pictures = list(pool.map(_picture, values)) if looks else [None] * len(rows)
            cases = [
                Case(
                    values=each,
                    picture=picture if isinstance(picture, Image.Image) else None,
                    nouns=nouns[row] or frozenset(),
                )
                for row, each, picture in zip(rows, values, pictures, strict=True)
            ]
            for row, case, picture in zip(rows, _shown(sources, cases), pictures, strict=True):
                found[row] = Collected(case.seen, picture if isinstance(picture, str) else None)
    return found


def detections(evidence: Sequence[Evidence]) -> list[dict[str, Any]] | None:
    """What was seen beside the annotations, as `DETECTION_TYPE`; None where nothing but annotations was asked."""
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


def _shown(sources: Sequence[EvidenceSource], cases: list[Case]) -> list[Case]:
    """The cases after every source has looked at them."""
    for source in sources:
        cases = [
            case if evidence is None else _with(case, evidence)
            for case, evidence in zip(cases, source.collect(cases), strict=True)
        ]
    return cases


def _with(case: Case, evidence: Evidence) -> Case:
    return Case(values=case.values, picture=case.picture, nouns=case.nouns, seen=(*case.seen, evidence))


def _parts(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _picture(values: dict[str, Any]) -> Image.Image | str:
    """The record's picture, or the reason why there is none; its bytes are let go."""
    image = values.pop("image")
    try:
        return decode_image(image["bytes"])
    except ImageUnreadable as error:
        return f"UnreadableImage: {error}"
