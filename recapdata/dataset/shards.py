"""The Parquet files of a dataset: read so that damage is reported in one way, written whole or not at all.

Arrow reports a torn file as invalid data, as an I/O error without a number, or as a value that is not implemented. All of them
become `DatasetDamaged` here; errors of the disk and of the network stay what they are. Pages carry checksums (files of earlier
versions have none). A picture is held against its key instead, so that of a damaged shard the other pictures can be saved.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recapdata.atomic import rename, temporary_path
from recapdata.errors import DatasetDamaged

_ARROW = (
    pa.ArrowInvalid,
    pa.ArrowNotImplementedError,
    pa.ArrowTypeError,
    pa.ArrowCapacityError,
    UnicodeDecodeError,  # in the name of a column
)
_KEYS = (pa.string(), pa.large_string())
UNPACKED_BYTES = 512 * 2**20
"""What any file may unpack to; beyond that it may be at most `UNPACKED_TIMES` its size."""
UNPACKED_TIMES = 64
FREE_ROWS = 1_000_000
"""Rows that any file may have; beyond that at most as many as it has bytes, since every record has a key of its own."""


class ShardFile(pq.ParquetFile):  # type: ignore[misc]  # pyarrow has no types
    """A Parquet file of a dataset, open for reading.

    Raises:
        DatasetDamaged: the file is truncated or corrupt, or lacks a column that was asked for; from every method.
    """

    def __init__(
        self, source: Any, *, name: str | None = None, checksums: bool | None = None, **options: Any
    ) -> None:
        """Open a file.

        Args:
            source: a path, or an open binary file.
            name: what messages call it; the path where omitted.
            checksums: whether those of pages are compared; where omitted, unless the file holds pictures.
            options: those of `pyarrow.parquet.ParquetFile`.
        """
        self.name = name or str(source)
        with _damage(self.name):
            super().__init__(source, page_checksum_verification=checksums is not False, **options)
            schema = self.schema_arrow
            if checksums is None and "image" in schema.names:
                super().__init__(source, **options)
        self._limit = _limit(source)
        self._check_size()
        if len(set(schema.names)) < len(schema.names):
            raise _damaged(self.name, "two of its columns have one name")
        if "key" in schema.names and schema.field("key").type not in _KEYS:
            raise _damaged(self.name, f"its column 'key' is {schema.field('key').type}")

    def read(self, columns: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """All rows of the named columns (of all where None)."""
        batches, total = [], 0
        for batch in self._batches(65_536, {"columns": columns, **options}):
            total += batch.nbytes
            if self._limit is not None and total > self._limit:
                raise self._bomb()
            batches.append(batch)
        with _damage(self.name):
            schema = batches[0].schema if batches else super().read(columns, **options).schema
            return pa.Table.from_batches(batches, schema)

    def read_row_group(self, i: int, columns: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """The rows of one row group."""
        self._need(columns)
        with _damage(self.name):
            return _valid(super().read_row_group(i, columns, **options))

    def iter_batches(self, batch_size: int = 65_536, **options: Any) -> Iterator[pa.RecordBatch]:
        """The rows in batches of at most `batch_size`."""
        return self._batches(batch_size, options)

    def _batches(self, batch_size: int, options: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
        self._need(options.get("columns"))
        with _damage(self.name):
            batches = super().iter_batches(batch_size, **options)
        while True:
            with _damage(self.name):
                batch = next(batches, None)
                if batch is None:
                    return
                _valid(batch)
            yield batch

    def take(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows by their number in the file, in that order; row groups without any of them are not read.

        A column that the file lacks is left out.
        """
        present = [name for name in columns if name in self.schema_arrow.names]
        values: dict[int, dict[str, Any]] = {}
        start = 0
        for group in range(self.num_row_groups):
            end = start + self.metadata.row_group(group).num_rows
            here = sorted({row for row in rows if start <= row < end})
            if here:
                table = self.read_row_group(group, columns=present, use_threads=False)
                values |= zip(here, table.take([row - start for row in here]).to_pylist(), strict=True)
            start = end
        if missing := [row for row in rows if row not in values]:
            raise _damaged(self.name, f"it has no row {missing[0]:,}, where its captions have one")
        return [values[row] for row in rows]

    def _check_size(self) -> None:
        """Refuse a few bytes that unpack to all the memory there is."""
        groups = [self.metadata.row_group(i).total_byte_size for i in range(self.num_row_groups)]
        if self._limit is not None and max(groups, default=0) > self._limit:
            raise self._bomb()
        size = (self._limit or 0) // UNPACKED_TIMES
        if self._limit is not None and self.metadata.num_rows > max(FREE_ROWS, size):
            raise self._bomb()

    def _bomb(self) -> DatasetDamaged:
        return _damaged(self.name, "it unpacks to many times its size, as nothing that was written here does")

    def _need(self, columns: Iterable[str] | None) -> None:
        names = self.schema_arrow.names
        for column in columns or ():
            if column not in names and column.partition(".")[0] not in names:
                raise _damaged(self.name, f"it has no column {column!r}")


def read_shard(
    path: Path, columns: Sequence[str] | None = None, *, schema: pa.Schema | None = None
) -> pa.Table:
    """The whole of a small file: the named columns, or the columns of a schema (null where the file lacks one).

    Raises:
        DatasetDamaged: it is truncated or corrupt, or lacks a column.
    """
    with ShardFile(path) as file:
        if schema is None:
            return file.read(columns, use_threads=False).replace_schema_metadata(None)
        present = [name for name in schema.names if name in file.schema_arrow.names]
        table = file.read(present, use_threads=False)
        arrays = [
            table.column(field.name) if field.name in present else pa.nulls(table.num_rows, field.type)
            for field in schema
        ]
        with _damage(str(path)):
            return pa.table(
                [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema
            )


def read_set(path: Path, set_name: str, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Stream a caption shard: its keys, and its captions as a column of the set's name."""
    with ShardFile(path) as file:
        for batch in file.iter_batches(batch_rows, columns=["key", "caption"], use_threads=False):
            yield pa.RecordBatch.from_arrays(
                [batch.column("key"), batch.column("caption")], names=["key", set_name]
            )


def aligned(streams: Sequence[Iterator[pa.RecordBatch]], *, where: str) -> Iterator[list[pa.RecordBatch]]:
    """Cut parallel streams of the same rows so that the batches of one list cover the same rows.

    Every stream must carry the column `key`; keys are compared, so that captions never meet another row's image.

    Raises:
        DatasetDamaged: the streams differ in length or keys; `where` opens the message.
    """
    heads: list[pa.RecordBatch | None] = [None] * len(streams)
    while True:
        heads = [
            head
            if head is not None and head.num_rows
            else next((batch for batch in stream if batch.num_rows), None)
            for head, stream in zip(heads, streams, strict=True)
        ]
        present = [head for head in heads if head is not None]
        if not present:
            return
        rows = min(head.num_rows for head in present)
        batches = [head.slice(0, rows) for head in present]
        keys = batches[0].column("key")
        if len(present) < len(streams) or not all(batch.column("key").equals(keys) for batch in batches[1:]):
            raise DatasetDamaged(
                f"{where}: captions and images are not of the same rows; write the set again"
            )
        yield batches
        heads = [head.slice(rows) for head in present]


def side_by_side(
    streams: Sequence[Iterator[pa.RecordBatch]], columns: Sequence[str], *, where: str
) -> Iterator[pa.RecordBatch]:
    """The named columns of parallel streams as one (see `aligned`)."""
    for batches in aligned(streams, where=where):
        arrays = {name: batch.column(name) for batch in batches for name in batch.schema.names}
        yield pa.RecordBatch.from_arrays([arrays[name] for name in columns], names=list(columns))


def read_footer(path: Path) -> pq.FileMetaData:
    """The footer of a file: rows, row groups, and what was noted in it.

    Raises:
        DatasetDamaged: it is truncated or corrupt.
    """
    with ShardFile(path) as file:
        return file.metadata


def check_pages(path: Path, *, besides: Collection[str] = ()) -> None:
    """Read everything but pictures for nothing but its checksums, a row group at a time.

    Args:
        besides: columns that are read elsewhere.

    Raises:
        DatasetDamaged: it is truncated or corrupt.
    """
    with ShardFile(path, checksums=True) as file:
        columns = [name for name in file.schema_arrow.names if name not in ("image", *besides)]
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=columns, use_threads=False)


def read_note(path: Path, name: bytes) -> dict[str, Any] | None:
    """The JSON object noted under a name in the footer of a file; None where nothing is.

    Raises:
        DatasetDamaged: the file is truncated or corrupt, or the note is no JSON object.
    """
    note = (read_footer(path).metadata or {}).get(name)
    if note is None:
        return None
    try:
        values = json.loads(note)
        if not isinstance(values, dict):
            raise ValueError("no object")
        return values
    except (ValueError, RecursionError) as error:
        raise _damaged(str(path), f"{name.decode()} in its footer: {error}") from error


def read_schema(path: Path) -> pa.Schema:
    """The columns of a file, without metadata.

    Raises:
        DatasetDamaged: it is truncated or corrupt.
    """
    with ShardFile(path) as file:
        return file.schema_arrow.remove_metadata()


def unified(schemas: Sequence[pa.Schema], where: str) -> pa.Schema:
    """The columns of all schemas.

    Raises:
        DatasetDamaged: a column is of different types in them; `where` opens the message.
    """
    with _damage(where):
        return pa.unify_schemas(list(schemas))


def fields_of(schema: pa.Schema, names: Iterable[str], where: str) -> list[pa.Field]:
    """The fields of these names.

    Args:
        where: what has the schema, for the message.

    Raises:
        DatasetDamaged: one is not there, which the manifest may promise all the same.
    """
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise _damaged(where, f"no shard has the column {missing[0][:80]!r} that the manifest names")
    return [schema.field(name) for name in names]


class ShardWriter:
    """Writes one Parquet file, a row group per `write`, under a temporary name until `commit`.

    Used as a context manager it commits on success and leaves nothing behind on an error. Content-defined chunking makes
    equal content give equal pages, so that a Hub with deduplication stores a rewritten shard almost for nothing.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._temporary = temporary_path(path)
        self._writer = pq.ParquetWriter(
            self._temporary,
            schema,
            compression="snappy",
            use_content_defined_chunking=True,
            write_page_index=True,
            write_page_checksum=True,
        )

    def write(self, table: pa.Table) -> None:
        """Append `table` as one row group (nothing for an empty table)."""
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
            self.rows += table.num_rows

    def commit(self, metadata: Mapping[str, str] | None = None) -> None:
        """Finish the file, make it durable, and give it its name; `metadata` goes into the Parquet footer."""
        if metadata:
            self._writer.add_key_value_metadata(dict(metadata))
        self._writer.close()
        rename(self._temporary, self.path)

    def abort(self) -> None:
        """Close and forget what was written, also where closing fails (a full disk)."""
        try:
            self._writer.close()
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._writer.is_open:
                self.commit()
        else:
            self.abort()


def _limit(source: Any) -> int | None:
    """The bytes that a file may unpack to; None where its size is not known."""
    size = os.path.getsize(source) if isinstance(source, str | Path) else getattr(source, "size", None)
    return max(UNPACKED_BYTES, UNPACKED_TIMES * size) if isinstance(size, int) else None


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except _ARROW as error:
        raise _damaged(name, str(error)) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise  # of the disk or the network: Arrow's own word on a torn file carries no number
        raise _damaged(name, str(error)) from error


def _valid(rows: Any) -> Any:
    rows.validate(full=True)  # texts that are not UTF-8 would fail wherever they are used
    return rows


def _damaged(name: str, what: str) -> DatasetDamaged:
    message = " ".join(what.split())[:200]
    return DatasetDamaged(f"{name} is truncated or corrupt ({message}); {restore(name)}")


def restore(name: str) -> str:
    """What to do about a file that cannot be read: the end of every message that says so."""
    parts = Path(name).parts
    for part, way in (
        ("captions", "delete it and run the command of its caption set again, or restore it from a copy"),
        ("audits", "delete it and run the audit again"),
    ):
        if part in parts[-3:]:
            return way
    return "restore it from a copy or from a published version, or ingest into a new folder"
