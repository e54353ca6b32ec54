"""The human captions of a dataset, which of them are held out, and their pictures in a file of their own."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL.Image import Image

from recapdata.atomic import replacing
from recapdata.console import progress
from recapdata.dataset.decoding import DECODED_PIXELS, ImageUnreadable, decode_image
from recapdata.dataset.target import Target
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, InputError, OptionError
from recaptrain.arrow_files import read_mapped

HANDFUL = 4
"""Fewest records to hold out: the loss on fewer says nothing. None are where that would be more than a fifth of all."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanCaptions:
    """Records that have a caption of some style, in the order of the dataset.

    Attributes:
        table: `key`, `shard` and a text column per style, null where there is none.
        lacking: how many records, of those read, have no caption of any style.
        held_out: rows of `table` of the records that are not learned from.
        unusable: rows of the records whose picture cannot be decoded.
    """

    styles: tuple[str, ...]
    table: pa.Table
    lacking: int
    held_out: frozenset[int]
    unusable: frozenset[int] = frozenset()

    def rows(self, style: str, *, held_out: bool) -> Rows:
        """Rows of `table` of the records with a caption of a style that are learned from, or held out."""
        there = np.flatnonzero(np.asarray(self.table.column(style).is_valid()))
        return np.array(
            [row for row in there if row not in self.unusable and (row in self.held_out) == held_out],
            np.int64,
        )

    def pools(self, *, held_out: bool) -> dict[str, Rows]:
        """The rows of every style; see `rows`."""
        return {style: self.rows(style, held_out=held_out) for style in self.styles}

    def texts(self, style: str, rows: Rows) -> list[str]:
        """The captions of some rows."""
        return self.table.column(style).take(pa.array(rows)).to_pylist()

    def keys(self, rows: Rows) -> list[str]:
        """The keys of some rows."""
        return self.table.column("key").take(pa.array(rows)).to_pylist()

    def without(self, unusable: frozenset[int]) -> "HumanCaptions":
        """The same captions, less those of pictures that cannot be decoded."""
        return replace(self, unusable=unusable)


def read_captions(
    target: Target, sets: Mapping[str, str], *, examples: int | None, validation: float
) -> HumanCaptions:
    """Read the captions of some sets, or text columns that came along, by style.

    Args:
        examples: stop after so many records that have a caption.
        validation: share of the records to hold out, chosen by a hash of their keys.

    Raises:
        CaptionSetNotFound: no such set or column of texts.
        InputError: no record has a caption.
    """
    _check_sets(target, sets)
    columns = list(dict.fromkeys(sets.values()))
    chosen: list[dict[str, Any]] = []
    records = 0
    for shard in target.shards():
        for batch in target.read(shard, ["key", *columns]):
            for row in batch.to_pylist():
                if len(chosen) == examples:
                    break
                records += 1
                texts = {style: _text(row[column]) for style, column in sets.items()}
                if any(texts.values()):
                    chosen.append({"key": row["key"], "shard": shard, **texts})
        if len(chosen) == examples:
            break
    if not chosen:
        raise InputError(
            f"{target.name}: none of its {records:,} records has a caption in {' or '.join(columns)}"
        )
    schema = pa.schema(
        [("key", pa.string()), ("shard", pa.int64()), *((style, pa.string()) for style in sets)]
    )
    return HumanCaptions(
        styles=tuple(sets),
        table=pa.Table.from_pylist(chosen, schema=schema),
        lacking=records - len(chosen),
        held_out=_held_out([row["key"] for row in chosen], validation),
    )


def _check_sets(target: Target, sets: Mapping[str, str]) -> None:
    known = target.set_names() + [name for name in target.columns() if name in target.manifest.columns]
    for style, name in sets.items():
        if name not in known:
            raise CaptionSetNotFound(
                f"--captions {style}={name}: {target.name} has no caption set or column {name!r}; it has "
                f"{', '.join(known) or 'none'}"
            )


def _text(value: Any) -> str | None:
    """A caption, or None for what is no text or an empty one."""
    if value is not None and not isinstance(value, str):
        raise OptionError(
            f"--captions names a column of {type(value).__name__}, not of texts; make a caption set of it with recapdata "
            "import-captions, such as captions[0]"
        )
    return (value or "").strip() or None


def _held_out(keys: Sequence[str], share: float) -> frozenset[int]:
    """Rows of the keys with the lowest hashes."""
    count = max(HANDFUL, round(share * len(keys))) if share else 0
    if count * 5 > len(keys) and count <= HANDFUL:
        return frozenset()
    order = sorted(
        range(len(keys)), key=lambda row: hashlib.sha256(f"held out/{keys[row]}".encode()).digest()
    )
    return frozenset(order[:count])


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pictures:
    """The encoded pictures of a `HumanCaptions`, memory-mapped, by row of its table; null where undecodable.

    Attributes:
        max_pixels: the dataset's limit of pixels (`Target.max_pixels`).
    """

    table: pa.Table
    max_pixels: int = DECODED_PIXELS

    def decode(self, rows: Rows) -> list[Image]:
        """Some rows' pictures, in RGB."""
        images = self.table.column("image")
        return [decode_image(images[int(row)].as_py(), max_pixels=self.max_pixels) for row in rows]

    def undecodable(self) -> frozenset[int]:
        """Rows of the pictures that cannot be decoded."""
        return frozenset(np.flatnonzero(np.asarray(self.table.column("image").is_null())).tolist())


def gather_pictures(target: Target, captions: HumanCaptions, path: Path, *, shown: bool) -> Pictures:
    """The pictures of all captions, from `path` where an earlier run put them, else written there; only their shards are read."""
    if not path.is_file():
        schema = pa.schema([("image", pa.large_binary())])
        bar: AbstractContextManager[Callable[..., None]] = nullcontext(lambda n=1, failed=0: None)
        with (
            replacing(path) as partial,
            pa.OSFile(str(partial), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
            progress("pictures", captions.table.num_rows) if shown else bar as advance,
        ):
            for image in _images(target, captions):
                writer.write_batch(pa.record_batch([pa.array([image], pa.large_binary())], schema=schema))
                advance(1, failed=int(image is None))
    try:
        table = read_mapped(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DatasetDamaged(
            f"{path} is damaged ({' '.join(str(error).split())[:300]}); delete it"
        ) from error
    if table.num_rows != captions.table.num_rows or table.column_names != ["image"]:
        raise DatasetDamaged(f"{path} is damaged (it holds other pictures than the captions'); delete it")
    return Pictures(table, target.max_pixels)


def _images(target: Target, captions: HumanCaptions) -> Any:
    """The bytes of each record's picture in the table's order, None for one that cannot be decoded."""
    wanted: dict[int, list[str]] = {}
    for shard, key in zip(
        captions.table.column("shard").to_pylist(), captions.table.column("key").to_pylist(), strict=True
    ):
        wanted.setdefault(shard, []).append(key)
    for shard, keys in wanted.items():
        left = iter(keys)
        key = next(left, None)
        for batch in target.read(shard, ["key", "image"], batch_rows=64):
            for place, found in enumerate(batch.column("key").to_pylist()):
                if found == key:
                    yield _decodable(batch.column("image")[place].as_py()["bytes"], target.max_pixels)
                    key = next(left, None)
            if key is None:
                break


def _decodable(image: bytes | None, max_pixels: int) -> bytes | None:
    try:
        decode_image(image, max_pixels=max_pixels)
    except ImageUnreadable:
        return None
    return image
