"""From a planned batch to what the model takes: read, decode, prepare; a picture that fails is set aside with its error."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL.Image import Image

from recapdata.captioners import CaptioningFailed, Preparer, PromptedPreparer
from recapdata.dataset.decoding import ImageUnreadable, decode_image
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardFile
from recapdata.engines.batches import Batch

DECODER_CRASHED = "DecoderCrashed: the process that decoded this image died (or was killed) twice"
KEPT_GROUPS = 2
"""A batch lies in two neighboring row groups at most (see `batches.cut`), 32 MB each."""


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures prepared together: their places in the batch, and what the captioner takes."""

    places: tuple[int, ...]
    prepared: Any


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch ready for the model, in as many parts as memory asks for, with errors by place in the batch."""

    parts: tuple[Part, ...]
    errors: dict[int, str]


class ImageReader:
    """Reads the pictures of batches from a folder's image shards, and of a shard only the row groups that are needed."""

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._shard: int | None = None
        self._file: ShardFile | None = None
        self._ends: list[int] = []
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()

    def read(self, batch: Batch, places: Sequence[int] | None = None) -> list[bytes | None]:
        """Image bytes of the batch, or of some places in it."""
        rows = batch.rows if places is None else [batch.rows[place] for place in places]
        return [self._image(batch.shard, row) for row in rows]

    def _image(self, shard: int, row: int) -> bytes | None:
        if shard != self._shard:
            self._open(self._folder.image_shard(shard))
            self._shard = shard
        group = next(number for number, end in enumerate(self._ends) if row < end)
        if group not in self._groups:
            if len(self._groups) == KEPT_GROUPS:
                self._groups.popitem(last=False)
            assert self._file is not None
            table = self._file.read_row_group(group, columns=["image.bytes"], use_threads=False)
            self._groups[group] = table.column("image")
        self._groups.move_to_end(group)
        start = self._ends[group - 1] if group else 0
        image: bytes | None = self._groups[group][row - start].as_py()["bytes"]
        return image

    def _open(self, path: Path) -> None:
        if self._file is not None:
            self._file.close()
        self._groups.clear()
        self._file = ShardFile(path)
        meta = self._file.metadata
        self._ends = list(accumulate(meta.row_group(group).num_rows for group in range(meta.num_row_groups)))


def prepare_batch(
    reader: ImageReader,
    prepare: Preparer,
    batch: Batch,
    part_size: int | None = None,
    places: Sequence[int] | None = None,
) -> Prepared:
    """Read, decode and prepare a batch, or some places in it, in parts of at most `part_size` (None: all at once)."""
    images = reader.read(batch, places)
    values = [batch.values[place] for place in places or range(len(images))] if batch.values else None
    return prepare_images(prepare, images, min(len(images), part_size or len(images)) or 1, values)


def prepare_images(
    prepare: Preparer,
    images: Sequence[bytes | None],
    part_size: int,
    values: Sequence[tuple[Any, ...]] | None = None,
) -> Prepared:
    """Decode and prepare pictures in parts of at most `part_size`, each with what its prompt needs, if anything."""
    decoded: list[_Picture] = []
    errors: dict[int, str] = {}
    detail = getattr(prepare, "detail", None)
    for place, image in enumerate(images):
        try:
            decoded.append(
                (place, decode_image(image, detail), values[place] if values is not None else None)
            )
        except ImageUnreadable as error:
            errors[place] = str(error)
    parts: list[Part] = []
    for start in range(0, len(decoded), part_size):
        _prepare_part(prepare, decoded[start : start + part_size], parts, errors)
    return Prepared(tuple(parts), errors)


_Picture = tuple[int, Image, tuple[Any, ...] | None]


def _prepare_part(
    prepare: Preparer, pictures: list[_Picture], parts: list[Part], errors: dict[int, str]
) -> None:
    """Prepare pictures together; where that fails in halves, until the pictures at fault stand alone."""
    images, values = [image for _, image, _ in pictures], [each for _, _, each in pictures]
    try:
        prepared = _prepare_together(prepare, images, [each for each in values if each is not None])
    except CaptioningFailed as error:
        if len(pictures) == 1:
            errors[pictures[0][0]] = str(error)
            return
        middle = len(pictures) // 2
        _prepare_part(prepare, pictures[:middle], parts, errors)
        _prepare_part(prepare, pictures[middle:], parts, errors)
        return
    parts.append(Part(tuple(place for place, _, _ in pictures), prepared))


def _prepare_together(prepare: Preparer, images: list[Image], values: list[tuple[Any, ...]]) -> Any:
    if not values:
        return prepare(images)
    assert isinstance(prepare, PromptedPreparer)  # `open_captioner` saw to it
    return prepare.prompted(images, values)
