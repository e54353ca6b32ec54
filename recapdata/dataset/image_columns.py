"""Which columns that came along hold images, as pairs of pictures for editing do: told by type and by the first value there is.

`datasets` stores images and sounds as the same struct, so that the type alone does not tell.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.decoding import DAMAGE, open_image
from recapdata.dataset.shards import ShardFile
from recapdata.records import IMAGE_TYPE, RECORD_SCHEMA

FEW = 16
"""Rows that are read at once while a value is looked for."""


def has_image_type(kind: pa.DataType) -> bool:
    """Whether values are stored as images are, one or a list of them."""
    return kind in (IMAGE_TYPE, pa.list_(IMAGE_TYPE))


def image_columns(shards: Sequence[Path], schema: pa.Schema) -> frozenset[str]:
    """Columns beside `image` that hold images, from the files of shards; one without any value is none."""
    asked = [
        field.name for field in schema if has_image_type(field.type) and field.name not in RECORD_SCHEMA.names
    ]
    return frozenset(name for name in asked if (first := _first(shards, name)) and _is_image(first))


def named_images(schema: pa.Schema) -> frozenset[str]:
    """The same of a published data shard, whose metadata for `datasets` says it; nothing but the schema is read."""
    try:
        said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return frozenset()
    asked = [
        field.name for field in schema if has_image_type(field.type) and field.name not in RECORD_SCHEMA.names
    ]
    return frozenset(name for name in asked if isinstance(said, dict) and _says_image(said.get(name)))


def _says_image(feature: Any) -> bool:
    if isinstance(feature, dict) and feature.get("_type") in ("List", "Sequence"):
        feature = feature.get("feature")
    return isinstance(feature, dict) and feature.get("_type") == "Image"


def _first(shards: Sequence[Path], name: str) -> bytes | None:
    """The first bytes that a column holds."""
    return next((content for path in shards for content in _contents(path, name)), None)


def _contents(path: Path, name: str) -> Iterator[bytes]:
    with ShardFile(path) as file:
        if name not in file.schema_arrow.names:
            return
        for batch in file.iter_batches(FEW, columns=[name]):
            for value in batch.column(0).to_pylist():
                for each in value if isinstance(value, list) else [value]:
                    if each is not None and each["bytes"]:
                        yield each["bytes"]


def _is_image(content: bytes) -> bool:
    try:
        with open_image(content):
            return True
    except DAMAGE:
        return False
