"""Rows of a stranger's Arrow file: each batch is looked at before it is read, and those that could exhaust the machine are not.

A batch may be compressed, and the types that share values between rows (dictionaries, views, runs of equal ones) unpack a few bytes to any
number of them. `datasets` saves neither.
"""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from recapdata.dataset.arrow_messages import BATCH, SCHEMA, Head, heads, is_compressed
from recapdata.ingestion.tables import DAMAGED, UNPACKED_BYTES, Row, bounded_rows, is_damage

MOST_BATCH = 4 * UNPACKED_BYTES
"""Bytes of a batch: it is in memory whole."""


def arrow_schema(file: IO[bytes], size: int) -> pa.Schema:
    """The columns of a file or stream of `size` bytes whose first batch can be read.

    Raises:
        ValueError, ArrowException: there is none, or the first batch is compressed or too large.
    """
    schema, found = None, heads(file, size)
    for head in found:
        if schema is None:
            schema = _schema(file, head)
        else:
            _check(head)
            break
    if schema is None:
        raise ValueError("it holds no schema")
    return schema


def arrow_rows(file: IO[bytes], size: int) -> Iterator[Row]:
    """Rows of a file or stream of `size` bytes, from 1 on; where it cannot be read any further one row says so.

    Raises:
        OSError: a file elsewhere cannot be reached any more.
    """
    number = 0
    try:
        for batch in _batches(file, size):
            for values in bounded_rows(batch):
                number += 1
                yield Row(number, values)
    except (*DAMAGED, ValueError, OSError) as error:
        if not is_damage(error):
            raise
        what = " ".join(str(error).split())[:300]
        yield Row(number + 1, {}, f"and the rest of its Arrow file cannot be read: {what}")


def _batches(file: IO[bytes], size: int) -> Iterator[pa.RecordBatch]:
    schema = None
    for head in heads(file, size):
        if schema is None:
            schema = _schema(file, head)
            continue
        _check(head)
        batch = pa.ipc.read_record_batch(_message(file, head), schema)
        if batch.num_rows > size:
            raise ValueError(f"a batch says that it has {batch.num_rows:,} rows, in {size:,} bytes")
        batch.validate(full=True)
        yield batch
    if schema is None:
        raise ValueError("it holds no schema")


def _schema(file: IO[bytes], head: Head) -> pa.Schema:
    if head.kind != SCHEMA:
        raise ValueError("it does not begin with its schema")
    schema = pa.ipc.read_schema(_message(file, head))
    for field in schema:
        _check_type(field.type)
    return schema


def _check_type(kind: pa.DataType) -> None:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    types = pa.types
    shared = (
        types.is_dictionary, types.is_run_end_encoded, types.is_string_view, types.is_binary_view, types.is_list_view, types.is_large_list_view
    )  # fmt: skip
    if any(each(kind) for each in shared) or types.is_union(kind):
        raise ValueError(
            f"it has a column of {str(kind)[:80]}, whose values may be shared by any number of rows"
        )
    for place in range(kind.num_fields):
        _check_type(kind.field(place).type)


def _check(head: Head) -> None:
    if head.kind != BATCH:
        raise ValueError("it holds a message that is no batch of rows, such as a dictionary")
    if is_compressed(head.content):
        raise ValueError("a batch of it is compressed; save it without compression, or as Parquet")
    if head.body > MOST_BATCH:
        raise ValueError(f"a batch of it takes {head.body:,} bytes, more than {MOST_BATCH:,}")


def _message(file: IO[bytes], head: Head) -> pa.Message:
    file.seek(head.place)
    return pa.ipc.read_message(pa.PythonFile(file, mode="r"))
