"""A hash over Arrow columns that depends on their values alone, not on batches, row groups, file format or library version."""

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

if TYPE_CHECKING:
    from hashlib import _Hash

DIGITS = 32
"""Hexadecimal digits of a digest: 128 bits keep accidents away, and ten thousand of them still make a small file."""


class ArrowDigest:
    """Feed it columns batch by batch; equal values in equal order give an equal digest.

    A nested column is hashed leaf by leaf: per leaf one hash of what is null and how long it is, one of the values.
    """

    def __init__(self) -> None:
        self._hashes: dict[str, _Hash] = {}

    def update(self, name: str, array: pa.Array | pa.ChunkedArray) -> None:
        """Add the next rows of column `name`; the names belong to the digest."""
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        self._hash(name).update(b"")  # a column of no rows still counts as being there
        for chunk in chunks:
            self._add(name, chunk)

    def hexdigest(self) -> str:
        """The digest so far."""
        whole = hashlib.sha256()
        for name in sorted(self._hashes):
            whole.update(f"{len(name)}:{name}".encode())
            whole.update(self._hashes[name].digest())
        return whole.hexdigest()[:DIGITS]

    def _hash(self, path: str) -> "_Hash":
        return self._hashes.setdefault(path, hashlib.sha256())

    def _feed(self, path: str, values: np.ndarray) -> None:
        self._hash(path).update(np.ascontiguousarray(values).view(np.uint8).data)

    def _add(self, path: str, array: pa.Array) -> None:
        kind = array.type
        if isinstance(kind, pa.ExtensionType):
            return self._add(path, array.storage)
        if kinds.is_dictionary(kind):
            return self._add(path, array.dictionary_decode())
        self._feed(f"{path}?", pc.is_valid(array).cast(pa.uint8()).to_numpy(zero_copy_only=False))
        if kinds.is_null(kind):
            return None
        if kinds.is_struct(kind):
            for place, field in enumerate(kind):
                self._add(f"{path}.{field.name}", pc.struct_field(array, [place]))
        elif kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
            self._lengths(path, pc.list_value_length(array))
            self._add(f"{path}[]", pc.list_flatten(array))
        elif kinds.is_floating(kind) or kinds.is_integer(kind) or kinds.is_boolean(kind):
            plain = array.cast(pa.uint8()) if kinds.is_boolean(kind) else array
            self._feed(path, plain.fill_null(0).to_numpy(zero_copy_only=False))
        elif kinds.is_string(kind) or kinds.is_binary(kind) or kinds.is_large_string(kind):
            self._text(path, array.cast(pa.large_binary()))
        else:  # dates, decimals, other binaries …: their canonical text
            self._text(path, array.cast(pa.large_string()).cast(pa.large_binary()))
        return None

    def _text(self, path: str, array: pa.LargeBinaryArray) -> None:
        full = array.fill_null(b"")
        self._lengths(path, pc.binary_length(full))
        _, offsets, content = full.buffers()
        if content is not None and len(full):
            bounds = np.frombuffer(offsets, np.int64)[full.offset : full.offset + len(full) + 1]
            self._hash(path).update(memoryview(content)[bounds[0] : bounds[-1]])

    def _lengths(self, path: str, lengths: pa.Array) -> None:
        self._feed(f"{path}#", lengths.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False))


class RowsHash:
    """SHA-256 over the rows of string columns, as an audit notes in its shards of what captions it speaks."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            self._digest.update(json.dumps(row, ensure_ascii=False).encode("utf8", "surrogatepass") + b"\n")

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._digest.hexdigest()


def rows_hash(batches: Iterable[pa.RecordBatch]) -> str:
    """The `RowsHash` of batches."""
    digest = RowsHash()
    for batch in batches:
        digest.update(batch)
    return digest.hexdigest()
