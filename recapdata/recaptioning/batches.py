"""Batches of a recaption run: cut from a shard, read, decoded and prepared, captioned; a picture that fails gets its error.

Batches never depend on what is already captioned: an interrupted run cuts the same ones again and makes what they lack, so that
a model whose words depend a little on their neighbors in the batch gives the same captions after any interruption.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL.Image import Image

from recapdata.captioners import Captioner, CaptioningFailed, OutOfMemory, Preparer, PromptedPreparer
from recapdata.dataset.decoding import DECODED_PIXELS, ImageUnreadable, decode_image
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardFile
from recapdata.errors import ModelNotSupported, RecapdataError
from recapdata.records import Caption

PILOT_SHARDS = 32
PILOT_ROWS = 8
DECODER_CRASHED = "DecoderCrashed: the process that decoded this image died (or was killed) twice"
_SURROGATE = re.compile("[\ud800-\udfff]")
KEPT_GROUPS = 2
"""A batch lies in two neighboring row groups at most (see `cut`), 32 MB each."""


# --- cutting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What planning needs to know of an image shard: per row its key and area in pixels, and rows per row group.

    Attributes:
        values: per row what its prompt needs of other columns; nothing where the prompt has no places for them.
    """

    shard: int
    keys: Sequence[str]
    areas: Sequence[int]
    groups: Sequence[int]
    values: Sequence[tuple[Any, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images to be captioned at once: rows of one image shard, with their keys, and what their prompts need, if anything."""

    shard: int
    number: int
    rows: tuple[int, ...]
    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...] = ()

    def only(self, missing: Collection[str]) -> "Batch":
        """The part of the batch whose keys are missing; it keeps its number."""
        places = [place for place, key in enumerate(self.keys) if key in missing]
        return Batch(
            shard=self.shard,
            number=self.number,
            rows=tuple(self.rows[place] for place in places),
            keys=tuple(self.keys[place] for place in places),
            values=tuple(self.values[place] for place in places) if self.values else (),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch with its captions, in the order of its keys."""

    batch: Batch
    captions: list[Caption]

    @property
    def failures(self) -> int:
        """How many of its images have no caption."""
        return sum(caption.error is not None for caption in self.captions)


def cut(rows: Rows, batch_size: int, selected: Collection[str] | None = None) -> list[Batch]:
    """Cut a shard into batches of images of similar size.

    Rows are sorted by area within their row group, up in one group and down in the next, so that a batch needs at most two
    neighboring groups and little padding.

    Args:
        selected: only rows with these keys; all where None.
    """
    order: list[int] = []
    ends = list(accumulate(rows.groups))
    for number, (size, end) in enumerate(zip(rows.groups, ends, strict=True)):
        sign = -1 if number % 2 else 1
        group = [row for row in range(end - size, end) if selected is None or rows.keys[row] in selected]
        order += sorted(group, key=lambda row: (sign * rows.areas[row], row))
    return [
        Batch(
            shard=rows.shard,
            number=start // batch_size,
            rows=tuple(order[start : start + batch_size]),
            keys=tuple(rows.keys[row] for row in order[start : start + batch_size]),
            values=tuple(rows.values[row] for row in order[start : start + batch_size])
            if rows.values
            else (),
        )
        for start in range(0, len(order), batch_size)
    ]


def pilot_quotas(sizes: Sequence[int], limit: int) -> list[int]:
    """How many rows of each shard a pilot of `limit` images takes, in proportion to the shards' rows.

    Beyond 32 shards it takes no fewer than 8 images from one, so that it does not open thousands of files for one image
    each; the shards are then spread evenly.
    """
    limit = min(limit, sum(sizes))
    used = min(len(sizes), max(PILOT_SHARDS, limit // PILOT_ROWS))
    chosen = {place * len(sizes) // used for place in range(used)} if used else set()
    capped = [size if shard in chosen else 0 for shard, size in enumerate(sizes)]
    limit_here = min(limit, sum(capped))
    # Differences of rounded running shares sum to the limit exactly and never exceed a shard's rows.
    total = sum(capped) or 1
    marks = [0, *(running * limit_here // total for running in accumulate(capped))]
    quotas = [after - before for before, after in pairwise(marks)]
    for shard, size in enumerate(sizes):
        quotas[shard] += min(size - quotas[shard], limit - sum(quotas))
    return quotas


def pilot_keys(keys: Sequence[str], quota: int) -> set[str]:
    """The rows of a shard that a pilot takes: random to the eye, the same each time, and a larger pilot holds a smaller one."""
    return set(sorted(keys, key=lambda key: hashlib.sha256(f"pilot/{key}".encode()).digest())[:quota])


# --- reading and preparing --------------------------------------------------------------------------------------------------


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
    """Reads the pictures of batches from a folder's image shards, and of a shard only the row groups that are needed.

    Attributes:
        max_pixels: width × height up to which they are decoded.
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._shard: int | None = None
        self._file: ShardFile | None = None
        self._ends: list[int] = []
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self.max_pixels = max(folder.manifest.max_pixels or 0, DECODED_PIXELS)

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
    size = min(len(images), part_size or len(images)) or 1
    return prepare_images(prepare, images, size, values, max_pixels=reader.max_pixels)


def prepare_images(
    prepare: Preparer,
    images: Sequence[bytes | None],
    part_size: int,
    values: Sequence[tuple[Any, ...]] | None = None,
    *,
    max_pixels: int = DECODED_PIXELS,
) -> Prepared:
    """Decode and prepare pictures in parts of at most `part_size`, each with what its prompt needs, if anything."""
    decoded: list[_Picture] = []
    errors: dict[int, str] = {}
    detail = getattr(prepare, "detail", None)
    for place, image in enumerate(images):
        try:
            picture = decode_image(image, detail, max_pixels=max_pixels)
            decoded.append((place, picture, values[place] if values is not None else None))
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


def prepare_one_by_one(batch: Batch, submit: Callable[[Batch], "Future[Prepared]"]) -> Prepared:
    """Prepare a batch after a process died, each picture by itself, so that the one at fault is found and named.

    Args:
        submit: prepares a batch of one picture in another process; a new one where the last has died.
    """
    parts: list[Part] = []
    errors: dict[int, str] = {}
    for place, key in enumerate(batch.keys):
        try:
            prepared = submit(batch.only({key})).result()
        except BrokenProcessPool:
            errors[place] = DECODER_CRASHED
            continue
        parts += [Part((place,), part.prepared) for part in prepared.parts]
        errors.update((place, text) for text in prepared.errors.values())
    return Prepared(tuple(parts), errors)


# --- captioning --------------------------------------------------------------------------------------------------------------


class BatchCaptioner:
    """Captions prepared batches with one captioner, and remembers the largest part that fits in its memory.

    Attributes:
        fits: most images at once; None until a part did not fit.
    """

    def __init__(self, captioner: Captioner) -> None:
        self.fits: int | None = None
        self._captioner = captioner

    def __call__(
        self, prepared: Prepared, keys: Sequence[str], again: Callable[[Sequence[int], int], Prepared]
    ) -> list[Caption]:
        """One caption per key.

        Raises:
            ModelNotSupported: the captioner returned something else.

        Args:
            again: prepares some places of the batch once more, in parts of at most a number of images.
        """
        captions: dict[int, Caption] = {}
        errors = dict(prepared.errors)
        waiting = list(reversed(prepared.parts))
        while waiting:
            part = waiting.pop()
            smaller = self._caption(part, keys, captions, errors)
            if smaller:
                redone = again(part.places, smaller)
                # `again` counts places from the part's own start.
                errors |= {part.places[place]: text for place, text in redone.errors.items()}
                waiting += [
                    Part(tuple(part.places[place] for place in each.places), each.prepared)
                    for each in reversed(redone.parts)
                ]
        return [
            captions[place] if place in captions else Caption(caption=None, error=errors[place])
            for place in range(len(keys))
        ]

    def _caption(
        self, part: Part, keys: Sequence[str], captions: dict[int, Caption], errors: dict[int, str]
    ) -> int:
        """Caption one part; 0 when it is settled, else the size of the parts to cut it into."""
        count = len(part.places)
        if self.fits is not None and count > self.fits:
            return self.fits
        try:
            written = self._captioner.caption(part.prepared, [keys[place] for place in part.places])
        except OutOfMemory as error:
            if count > 1:
                self.fits = count // 2
                return self.fits
            errors[part.places[0]] = f"OutOfMemory: {error}"
        except CaptioningFailed as error:
            if count > 1:
                return (count + 1) // 2
            errors[part.places[0]] = str(error)
        except RecapdataError:
            raise
        except Exception as error:
            if type(self._captioner).__module__.partition(".")[0] == "recapdata":
                raise  # a bug of this package shows its traceback
            raise ModelNotSupported(
                f"the captioner {self._captioner.provenance.captioner} failed: {type(error).__name__}: {error}; what is finished "
                "is kept, and --debug shows where it failed"
            ) from error
        else:
            if len(written) != count or not all(isinstance(caption, Caption) for caption in written):
                kinds = ", ".join(sorted({type(caption).__name__ for caption in written}))
                raise ModelNotSupported(
                    f"the captioner {self._captioner.provenance.captioner} returned {len(written)} of type {kinds or 'none'} for "
                    f"{count} images; it has to return one recapdata.records.Caption for each key"
                )
            captions.update(zip(part.places, map(storable, written), strict=True))
        return 0


def storable(caption: Caption) -> Caption:
    """The caption, or a failure where it holds what no caption shard can: half a character, a number out of range, a list."""
    fault = None
    for name, most in (("tokens", 2**31), ("seed", 2**63)):
        value = getattr(caption, name)
        if value is not None and (not isinstance(value, int) or not -most <= value < most):
            fault = f"{name} is {ascii(value)[:40]}, no number that can be stored"
    for name in ("caption", "finish_reason", "error", "origin"):
        value = getattr(caption, name)
        if value is not None and not isinstance(value, str):
            fault = f"{name} is a {type(value).__name__}, no text"
        elif value is not None and _SURROGATE.search(value):
            fault = f"{name} holds half a character"
    return caption if fault is None else Caption(caption=None, error=f"BadCaption: {fault}")
