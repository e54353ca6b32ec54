"""Image embeddings in the cache (`audits.cache`): a picture is encoded once by a model, however often its captions are scored."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from typing import Any, Generic

import pyarrow as pa

from audits.cache import ShardCache
from audits.clip.scorer import Clip, Encoded, Step, encode_ahead
from recapdata.dataset.decoding import DECODED_PIXELS
from recapdata.records import image_key

EMBEDDING_SCHEMA = pa.schema([("key", pa.string()), ("embedding", pa.list_(pa.float32()))])
UNIT = 1e-3
"""How far the length of a unit embedding may be from 1."""


def embeddings_maker(clip: str) -> str:
    """The maker of a CLIP model's image embeddings (`audits.cache`).

    Args:
        clip: the model with its revision.
    """
    return f"clip:{clip}"


@dataclass(frozen=True, slots=True)
class _Batch(Generic[Step]):
    """The rows of a step: their keys, the embeddings that are known, and whether a key is that of its image's bytes."""

    step: Step
    keys: Sequence[str]
    known: list[list[float] | None]
    own: list[bool]


def encode_cached(
    clip: Clip,
    steps: Iterable[tuple[Step, Sequence[str], list[bytes | None]]],
    cache: ShardCache,
    *,
    workers: int,
    keep: bool = True,
    max_pixels: int = DECODED_PIXELS,
) -> Iterator[tuple[Step, Encoded]]:
    """The same as `encode_ahead`, without encoding what the cache has.

    Args:
        steps: whatever the caller wants back, and the keys and bytes of its images, None for one that is not wanted.
        cache: rows of `EMBEDDING_SCHEMA`.
        keep: whether new embeddings are added to the cache.
        max_pixels: the dataset's limit of pixels (`Target.max_pixels`).
    """

    @once
    def size() -> int:
        return int(clip.encode_texts([""]).shape[1])

    def batches() -> Iterator[tuple[_Batch[Step], list[bytes | None]]]:
        for step, keys, images in steps:
            known = [
                None if image is None else known_embedding(cache.row(key), size)
                for key, image in zip(keys, images, strict=True)
            ]
            new = [image if found is None else None for image, found in zip(images, known, strict=True)]
            own = [
                image is not None and image_key(image) == key for key, image in zip(keys, new, strict=True)
            ]
            yield _Batch(step, keys, known, own), new

    for batch, encoded in encode_ahead(clip, batches(), workers=workers, max_pixels=max_pixels):
        for key, row, own in zip(batch.keys, encoded.rows, batch.own, strict=True):
            if keep and own and row is not None:
                cache.put({"key": key, "embedding": encoded.images[row].tolist()})
        yield batch.step, _merged(encoded, batch.known, clip.device)


def known_embedding(row: Mapping[str, Any] | None, size: Callable[[], int]) -> list[float] | None:
    """The embedding of a row of `EMBEDDING_SCHEMA`; None where there is none of this size and of length 1."""
    if row is None:
        return None
    values: list[float] = row["embedding"] or []
    if len(values) != size() or any(value is None for value in values):
        return None
    return values if abs(math.hypot(*values) - 1) < UNIT else None


def _merged(encoded: Encoded, known: Sequence[list[float] | None], device: str) -> Encoded:
    """What was encoded with what was known, a row for each."""
    import torch

    stored = [each for each in known if each is not None]
    if not stored:
        return encoded
    numbers = iter(range(len(stored)))
    rows = [row if each is None else next(numbers) for each, row in zip(known, encoded.rows, strict=True)]
    parts: list[torch.Tensor] = [torch.tensor(stored, device=device)]
    if any(row is not None for row in encoded.rows):
        parts.append(encoded.images)
        rows = [
            row if each is not None or row is None else row + len(stored)
            for each, row in zip(known, rows, strict=True)
        ]
    return Encoded(images=torch.cat(parts), rows=rows, errors=encoded.errors)
