"""A dataset read while it is iterated over: nothing is downloaded whole, nothing but a row group is held in memory.

What is streamed is cut into parts, the wanted rows of one shard each. `datasets` deals them out to nodes and to the workers
of a loader, so that every row is read once, whoever reads.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recapdata.dataset.decoding import let_pillow_decode
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.image_columns import image_columns, named_images
from recapdata.dataset.revision import PublishedTarget
from recapdata.dataset.shards import fields_of
from recapdata.dataset.target import Target
from recapdata.endpoint import hub_errors
from recapdata.errors import DatasetDamaged, OptionError
from recapdata.publishing.published import data_path, features
from recapdata.records import RECORD_SCHEMA

if TYPE_CHECKING:
    from datasets import IterableDataset

Part = tuple[int, int, int | None]
"""A shard, its first wanted row, and the row behind the last; None for all."""
Draw = Callable[[dict[str, list[Any]]], dict[str, list[Any]]]

BATCH_ROWS = 64


def stream(target: Target, parts: list[Part], columns: list[str], draw: Draw | None) -> "IterableDataset":
    """The named columns of the parts, read while they are iterated over.

    Args:
        columns: in the order wanted; caption sets among them.
        draw: adds the columns `caption` and `caption_set` to a batch.
    """
    from datasets import IterableDataset

    schema = _schema(target)
    fields = fields_of(schema, columns, target.name)
    images = _images(target, schema)
    if draw is not None:
        fields += [pa.field(name, pa.string()) for name in ("caption", "caption_set")]
    return IterableDataset.from_generator(
        _examples,
        features=features(fields, image=True, images=images),
        gen_kwargs={
            "parts": parts,
            "target": target,
            "columns": tuple(columns),
            "images": tuple(images & set(columns)),
            "draw": draw,
        },
    )


def parts_of(target: Target, split: str) -> list[Part]:
    """The rows of a split, by shard.

    Raises:
        OptionError: it is no slice of `train`, or one without rows.
    """
    if split.split("[")[0] != "train":
        raise OptionError(f"split {split!r}: the only split is train, or a slice of it such as train[:100]")
    if split == "train":
        return [(shard, 0, None) for shard in target.shards()]
    from datasets import ReadInstruction

    rows = {shard: target.rows(shard) for shard in target.shards()}
    try:
        wanted = ReadInstruction.from_spec(split).to_absolute({"train": sum(rows.values())})
    except (ValueError, AssertionError) as error:
        raise OptionError(f"split {split!r}: {error}; write train, train[:100] or train[50%:]") from error
    parts: list[Part] = []
    for instruction in wanted:
        before = 0
        for shard, count in rows.items():
            start, stop = max(instruction.from_ - before, 0), min(instruction.to - before, count)
            if start < stop:
                parts.append((shard, start, stop))
            before += count
    if not parts:
        raise OptionError(f"split {split!r} of {target.name} holds no rows; it has {sum(rows.values()):,}")
    return parts


def _examples(
    parts: list[Part],
    target: Target,
    columns: tuple[str, ...],
    images: tuple[str, ...],
    draw: Draw | None,
) -> Iterator[dict[str, Any]]:
    let_pillow_decode(target.max_pixels)  # in a loader's worker, too
    for shard, start, stop in parts:
        if isinstance(target, PublishedTarget):
            batches = _read_published(target, shard, list(columns), start, stop)
        else:
            batches = _read_folder(target, shard, list(columns), start, stop)
        for batch in batches:
            values = batch.to_pydict()
            for image in values.get("image", ()):
                # `datasets` would open a path, on this machine or elsewhere.
                if image is None or image["bytes"] is None:
                    raise DatasetDamaged(
                        f"{target.name}: an image of shard {shard} holds no bytes; ingest it again, from its source"
                    )
            if any(_is_path(value) for name in images for value in values[name]):
                raise DatasetDamaged(
                    f"{target.name}: an image of shard {shard} names a file instead of holding its bytes; ingest it again"
                )
            values = draw(values) if draw is not None else values
            for row in zip(*values.values(), strict=True):
                yield dict(zip(values, row, strict=True))


def _is_path(value: Any) -> bool:
    """Whether an image, or one of a list, holds no bytes but names a file."""
    if isinstance(value, list):
        return any(map(_is_path, value))
    return value is not None and value["bytes"] is None and value["path"] is not None


def _read_folder(
    target: Target, shard: int, columns: list[str], start: int, stop: int | None
) -> Iterator[pa.RecordBatch]:
    place = 0
    for batch in target.read(shard, columns, batch_rows=BATCH_ROWS):
        if stop is not None and place >= stop:
            return
        yield _cut(batch, place, start, stop)
        place += batch.num_rows


def _read_published(
    target: PublishedTarget, shard: int, columns: list[str], start: int, stop: int | None
) -> Iterator[pa.RecordBatch]:
    """By range requests, row group by row group; those without a wanted row are passed over."""
    with hub_errors(f"{target.name}: {data_path(shard)}"), target.open_data(shard, whole=False) as file:
        place = 0
        for group in range(file.num_row_groups):
            end = place + file.metadata.row_group(group).num_rows
            if end > start and (stop is None or place < stop):
                table = file.read_row_group(group, columns=columns, use_threads=False).select(columns)
                table = table.replace_schema_metadata(None)
                for batch in table.to_batches(BATCH_ROWS):
                    yield _cut(batch, place, start, stop)
                    place += batch.num_rows
            place = end


def _cut(batch: pa.RecordBatch, place: int, start: int, stop: int | None) -> pa.RecordBatch:
    """The rows of a batch that begins at `place` which lie between `start` and `stop`."""
    first = min(max(start - place, 0), batch.num_rows)
    last = batch.num_rows if stop is None else max(min(stop - place, batch.num_rows), first)
    return batch.slice(first, last - first)


def _images(target: Target, schema: pa.Schema) -> frozenset[str]:
    """Columns beside `image` that hold images."""
    if target.folder is None:
        return named_images(schema)
    folder = DatasetFolder(target.folder)
    return image_columns([folder.image_shard(shard) for shard in target.shards()], folder.schema())


def _schema(target: Target) -> pa.Schema:
    """The types of all columns, caption sets among them."""
    if isinstance(target, PublishedTarget) and target.shards():
        with hub_errors(target.name), target.open_data(target.shards()[0], whole=False) as file:
            return file.schema_arrow
    own = DatasetFolder(target.folder).schema() if target.folder is not None else RECORD_SCHEMA
    return pa.schema([*own, *(pa.field(name, pa.string()) for name in target.set_names())])
