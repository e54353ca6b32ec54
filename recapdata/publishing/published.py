"""What the files of a published version look like: the data shards, with a column per caption set, and their features."""

import fnmatch
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from recapdata.dataset.folder import (
    CORRECTIONS,
    SUMMARY,
    DatasetFolder,
    is_shard_path,
    published_files,
    shard_name,
    shard_number,
)
from recapdata.dataset.image_columns import image_columns
from recapdata.dataset.shards import ShardFile, ShardWriter, check_pages, read_schema
from recapdata.display import shell_word
from recapdata.errors import DatasetDamaged, PublishRefused
from recapdata.records import CAPTION_SCHEMA

if TYPE_CHECKING:
    from datasets import Features

VERBATIM = ("captions", "audits", "failures")
"""Folders of which files are published as they are (see `store.published_files`); `data/` is built from images and captions."""
PATTERNS = {
    "default": "data/train-*.parquet",
    "captions": "captions/*/train-*.parquet",
    "audit": "audits/*/train-*.parquet",
}
"""The files of each config, as `load_dataset` finds them: whatever fits is read as rows of the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a version.

    Attributes:
        path: its path in the repository.
        size: bytes; of a data shard that is not built yet, an estimate from above.
        hashes: SHA-256 of the file and its name in git, the two ways a repository may hold it; none for a data shard
            that is not built yet.
        shard: number of the image shard a data file is built from; None for files that are sent as they lie.
    """

    path: str
    size: int
    hashes: tuple[str, ...] = ()
    shard: int | None = None


def is_of_version(path: str) -> bool:
    """Whether a path in the repository belongs to a version: one of the layout, or one that a config would read.

    Such a file that the version does not have is deleted by its commit; all other files are somebody's own, and stay.
    """
    top, _, name = path.partition("/")
    if path in (SUMMARY, CORRECTIONS) or (top == "data" and shard_number(name) is not None):
        return True
    return (top in VERBATIM and is_shard_path(path)) or any(
        path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
        for pattern in PATTERNS.values()
    )


def data_path(shard: int) -> str:
    """Path of a data shard in the repository."""
    return f"data/{shard_name(shard)}"


def data_schema(folder: DatasetFolder) -> pa.Schema:
    """Schema of the data shards: images with what came along, one string column per caption set, `datasets` features.

    Raises:
        PublishRefused: a column is of a type that `datasets` does not know.
    """
    columns = [*folder.schema(), *(pa.field(name, pa.string()) for name in folder.manifest.sets)]
    shards = [folder.image_shard(shard) for shard in folder.shards()]
    images = image_columns(shards, folder.schema())
    return features(columns, image=True, images=images).arrow_schema


def features(
    columns: Sequence[pa.Field], *, image: bool, images: Collection[str] = frozenset()
) -> "Features":
    """The features of `datasets` for these columns; with `image`, the column of that name is decoded.

    Args:
        images: other columns that hold images, or lists of them (see `image_columns`).

    Raises:
        PublishRefused: a column is of a type that `datasets` does not know.
    """
    from datasets import Features, Image, List
    from datasets.features.features import generate_from_arrow_type

    found = {}
    for column in columns:
        try:
            if (image and column.name == "image") or column.name in images:
                found[column.name] = List(Image()) if pa.types.is_list(column.type) else Image()
            else:
                found[column.name] = generate_from_arrow_type(column.type)
        except (ValueError, NotImplementedError) as error:
            raise PublishRefused(
                f"column {column.name!r} is of type {column.type}, which load_dataset cannot read; "
                "ingest the source without it"
            ) from error
    return Features(found)


def captions_features() -> "Features":
    """The features of the config `captions`."""
    return features(list(CAPTION_SCHEMA), image=False)


def verbatim_files(folder: DatasetFolder) -> Iterator[tuple[str, Path]]:
    """Repository path and local path of every file that is published as it lies, in a fixed order."""
    for path in sorted(published_files(folder)):
        yield path, folder.path / path


def left_out(folder: DatasetFolder) -> list[str]:
    """Visible files in the folders that are published, which are none of the layout's and therefore stay here."""
    sent = set(published_files(folder))
    found = []
    for top in VERBATIM:
        for path in sorted((folder.path / top).rglob("*")):
            name = path.relative_to(folder.path)
            hidden = any(part.startswith(".") for part in name.parts)
            if not (hidden or path.is_dir() or name.as_posix() in sent):
                found.append(name.as_posix())
    return found


def estimate(folder: DatasetFolder, shard: int) -> Part:
    """A data shard before it is built: it will hold at most the bytes of its image shard and its captions."""
    paths = [
        folder.image_shard(shard),
        *(folder.caption_shard(name, shard) for name in folder.manifest.sets),
    ]
    return Part(path=data_path(shard), size=sum(path.stat().st_size for path in paths), shard=shard)


def build_data_shard(folder: DatasetFolder, shard: int, schema: pa.Schema, path: Path) -> int:
    """Write a data shard to `path`, row group by row group with the image shard's own boundaries; its bytes.

    Equal boundaries and content-defined chunking keep the pages of the images equal from version to version, which is
    what a store with deduplication recognizes.

    Raises:
        DatasetDamaged: the captions of a set are not of the rows of the image shard, a picture is not that of its key, or
            a file is truncated or corrupt.
    """
    check_pages(folder.image_shard(shard))
    sets = list(folder.manifest.sets)
    captions = {name: folder.read_captions(name, shard, ["key", "caption"]) for name in sets}
    start = 0
    with ShardFile(folder.image_shard(shard)) as images, ShardWriter(path, schema) as writer:
        for group in range(images.num_row_groups):
            table = images.read_row_group(group, use_threads=False)
            check_images(table, folder.image_shard(shard), start)
            for name in sets:
                part = captions[name].slice(start, table.num_rows)
                if not part.column("key").equals(table.column("key")):
                    raise DatasetDamaged(
                        f"caption set {name!r}, {shard_name(shard)}: not of the rows of its images; write it again"
                    )
                table = table.append_column(name, part.column("caption"))
            writer.write(_fit(table, schema))
            start += table.num_rows
    return os.path.getsize(path)


def check_images(table: pa.Table, path: Path, start: int) -> None:
    """Hold the pictures of a row group against their keys, without a copy of them.

    Args:
        table: rows with `key` and `image`.
        path: the shard, for the message.
        start: the place of the first row in the shard.

    Raises:
        DatasetDamaged: the SHA-256 of a picture is not its key.
    """
    row = start
    for batch in table.select(["key", "image"]).to_batches():
        pictures = pc.struct_field(batch.column("image"), "bytes")
        for key, picture in zip(batch.column("key").to_pylist(), pictures, strict=True):
            content = picture.as_buffer()
            if content is None or hashlib.sha256(content).hexdigest() != key:
                raise DatasetDamaged(
                    f"{path}, row {row:,}: the picture is not the one that was taken in, its SHA-256 is not its key {key}; "
                    "restore the shard from a copy or from a published version, or take the record out: "
                    f"recapdata remove {shell_word(str(path.parent.parent))} --keys FILE, with the key in FILE"
                )
            row += 1


def _fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the columns of the schema; those that this shard lacks come as nulls."""
    present = set(table.schema.names)
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in present
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def audit_schema(folder: DatasetFolder) -> pa.Schema | None:
    """The one schema of all audit shards; None where nothing was audited.

    Raises:
        PublishRefused: they differ, so that `load_dataset` could not read them as one config.
    """
    first: tuple[Path, pa.Schema] | None = None
    for name in folder.manifest.sets:
        for path in sorted((folder.path / "audits" / name).glob("train-*.parquet")):
            schema = read_schema(path)
            if first is not None and not schema.equals(first[1]):
                sets = "".join(f" --captions {each}" for each in folder.manifest.sets)
                raise PublishRefused(
                    f"{path} and {first[0]} have different columns, because an earlier recapdata audited one of them; "
                    f"run: audits run {shell_word(str(folder.path))}{sets}"
                )
            first = first or (path, schema)
    return first[1] if first else None
