"""Rows of a CSV, JSON-lines or Parquet file, read tolerantly: a bad row is one bad row, bytes that are no UTF-8 are marked.

Text is decoded with `surrogateescape`: wrong bytes become lone surrogates, which the ingest finds and reports per item.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recapdata.errors import SourceError
from recapdata.ingestion.annotations import ANNOTATED, is_annotation
from recapdata.ingestion.columns import OBJECTS, holds_captions
from recapdata.ingestion.jsonstream import parse_json

BATCH_ROWS = 1000
"""Rows read, or looked at for their types, at once."""
MOST_LEVELS = 16
MOST_MEMBERS = 1000
"""How deep a column's type may nest, and how many members it, or a row of JSON, may have in all."""
MOST_CHARACTERS = 2**24
"""Characters of a row of CSV or JSON, and of a header: a caption has at most a sixteenth of them."""
BATCH_BYTES = 8 * 2**20
TEXTS = pa.list_(pa.string())
_OF_TEXTS = (pa.null(), pa.string(), pa.list_(pa.null()), TEXTS)
DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
"""What Arrow raises of values that it cannot read."""
UNPACKED_BYTES = 2**28
UNPACKED_TIMES = 64
"""What a column of a row group may unpack to; beyond that it may be at most so many times its size."""
MOST_VALUES = 2**22
"""Numbers or texts in the lists of one value: in Parquet a billion equal ones take no room, and in Python 32 bytes each."""
BUFFER = 2**20
"""Bytes of a Parquet column read at once: a column chunk may be as large as the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row by its number, from 1 on as a person counts (a header is not counted); or what is wrong with it."""

    number: int
    values: Mapping[str, Any]
    problem: str | None = None


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, by its extension.

    Raises:
        SourceError: it is no Parquet file although its name says so.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": read_parquet}
    return readers[path.suffix.lower()](path)


def column_types(path: Path) -> dict[str, pa.DataType]:
    """Types of a table's columns, such that every value fits after `fit`; found by reading all of it."""
    if path.suffix.lower() == ".parquet":
        with open_parquet(path) as file:
            return parquet_types(file)
    infer = _csv_types if path.suffix.lower() == ".csv" else _json_types
    return infer(path)


def fit(value: Any, kind: pa.DataType) -> Any:
    """The value as one of its column's type: text that is none is written as JSON, numbers in CSV are read."""
    if value is None or (value == "" and not pa.types.is_string(kind)):
        return None
    if kind == TEXTS:
        return [fit(each, pa.string()) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, str):
        if pa.types.is_integer(kind):
            return int(value)
        return float(value) if pa.types.is_floating(kind) else value
    return json.dumps(value, ensure_ascii=False, default=str) if pa.types.is_string(kind) else value


def plain_type(kind: pa.DataType) -> pa.DataType:
    """A type that every shard can share: no dictionaries, no 64-bit offsets, no column of nothing.

    Values with an empty struct in them, which Parquet cannot hold, become text, and so do those that nest deeper, or have more
    members, than its readers take.
    """
    if _holds_empty_struct(kind) or not _is_modest(kind):
        return pa.string()
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, plain_type(each.type)) for each in kind])
    return kind


def _is_modest(kind: pa.DataType) -> bool:
    level, members = [kind], 0
    for _ in range(MOST_LEVELS):
        level = [
            child for each in level for child in (each.field(place).type for place in range(each.num_fields))
        ]
        members += len(level)
        if not level or members > MOST_MEMBERS:
            break
    return not level


def _holds_empty_struct(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_empty_struct(kind.value_type)
    if not pa.types.is_struct(kind):
        return False
    return kind.num_fields == 0 or any(_holds_empty_struct(each.type) for each in kind)


def open_parquet(path: Path) -> pq.ParquetFile:
    """The Parquet file at `path`.

    Raises:
        SourceError: it is none.
    """
    try:
        file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
        check_footer(file.metadata, path.stat().st_size)
        return file
    except (*DAMAGED, OSError, ValueError) as error:
        what = " ".join(str(error).split())[:300]
        raise SourceError(f"{path} cannot be read as Parquet: {what}") from error


def check_footer(footer: pq.FileMetaData, size: int) -> None:
    """Refuse a footer that promises what a file of `size` bytes cannot hold: its rows are gone through one by one.

    Raises:
        ValueError: it does.
    """
    groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != footer.num_rows or footer.num_rows > size:
        raise ValueError(
            f"its footer is damaged: {footer.num_rows:,} rows in {size:,} bytes and {len(groups):,} row groups"
        )


def parquet_types(file: pq.ParquetFile) -> dict[str, pa.DataType]:
    """Types of an open file's columns as they come along, by the names of `distinct`."""
    schema = file.schema_arrow
    return {name: plain_type(field.type) for name, field in zip(distinct(schema.names), schema, strict=True)}


def read_parquet(path: Path, start: int = 0, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows from number `start` (from 0) on, with all columns or these; row groups before it are not read."""
    with open_parquet(path) as file:
        yield from parquet_rows(file, start, columns, local=True)


def parquet_rows(
    file: pq.ParquetFile, start: int = 0, columns: Sequence[str] | None = None, *, local: bool = False
) -> Iterator[Row]:
    """Rows of an open file from number `start` (from 0) on; those of a damaged row group say so.

    Args:
        local: whether it lies on this machine, where what cannot be read will not be later either.

    Raises:
        OSError: a file elsewhere cannot be reached any more.
    """
    position = start
    while position < file.metadata.num_rows:
        try:
            for row in _sound_rows(file, position, columns):
                yield row
                position = row.number
        except (*DAMAGED, OSError) as error:
            if not local and not is_damage(error):
                raise
            # The rest of this row group is lost, and nothing but it.
            end = _group_end(file, position)
            what = " ".join(str(error).split())[:300]
            for number in range(position + 1, end + 1):
                yield Row(number, {}, f"cannot be read from the Parquet file: {what}")
            position = end


def is_damage(error: Exception) -> bool:
    """Whether an error is Arrow's about a file's content, and not one of reaching the file."""
    return not isinstance(error, OSError) or (type(error) is OSError and error.errno is None)


def _group_end(file: pq.ParquetFile, position: int) -> int:
    """Number of the first row after the row group that holds row `position`."""
    end = 0
    for group in range(file.metadata.num_row_groups):
        end += file.metadata.row_group(group).num_rows
        if end > position:
            break
    return end


def _sound_rows(file: pq.ParquetFile, start: int, columns: Sequence[str] | None) -> Iterator[Row]:
    """Rows from number `start` (from 0) on, a few megabytes at a time whatever its row groups are."""
    before = 0
    for group in range(file.metadata.num_row_groups):
        footer = file.metadata.row_group(group)
        rows = footer.num_rows
        if before + rows > start:
            _check_unpacked(footer)
            number = before
            values = max((footer.column(each).num_values for each in range(footer.num_columns)), default=0)
            weight = max(1, footer.total_byte_size, values)
            size = max(1, min(BATCH_ROWS, BATCH_BYTES * rows // weight))
            for batch in file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False):
                for row in _batch_rows(batch):
                    number += 1
                    if number > start:
                        yield Row(number, row)
        before += rows


def _check_unpacked(footer: pq.RowGroupMetaData) -> None:
    """Refuse a few bytes that unpack to all the memory there is.

    Raises:
        ArrowInvalid: they do.
    """
    for number in range(footer.num_columns):
        column = footer.column(number)
        unpacked, packed = column.total_uncompressed_size, column.total_compressed_size
        if unpacked > max(UNPACKED_BYTES, UNPACKED_TIMES * packed):
            raise pa.ArrowInvalid(
                f"column {number + 1} of its row group unpacks {packed:,} bytes to {unpacked:,}"
            )


def bounded_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Rows of a batch in memory, a few megabytes of Python's values at a time."""
    values = max((int(_numbers_of_values(column).sum()) for column in batch.columns), default=0)
    size = max(1, min(BATCH_ROWS, BATCH_BYTES * batch.num_rows // max(1, batch.nbytes, values)))
    for place in range(0, batch.num_rows, size):
        yield from _batch_rows(batch.slice(place, size))


def _batch_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Rows of a batch; Arrow does not look at a string column's bytes, so they are decoded here."""
    columns = []
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            raw = column.cast(pa.large_binary()).to_pylist()
            columns.append([None if each is None else each.decode("utf8", "surrogateescape") for each in raw])
        else:
            columns.append(_values(column))
    names = distinct(batch.schema.names)
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    numbers = _numbers_of_values(column)
    if numbers.max(initial=0) > MOST_VALUES:
        return [
            f"cannot be read: it holds {number:,} values" if number > MOST_VALUES else _value(each)
            for number, each in zip(numbers.tolist(), column, strict=True)
        ]
    try:
        return column.to_pylist()
    except (ValueError, OverflowError, LookupError, pa.ArrowException):
        # Text inside lists or structs, dates out of range, unknown timezones: one value at a time, so that only
        # the wrong ones are marked.
        return [_value(each) for each in column]


def _numbers_of_values(column: pa.Array) -> "NDArray[np.int64]":
    """How many values each of a column holds in its lists, at any depth; of a struct its longest member's."""
    bounds = np.arange(len(column) + 1)
    while True:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
            bounds = column.offsets.to_numpy()[bounds]
            column = column.items if pa.types.is_map(kind) else column.values
        elif pa.types.is_fixed_size_list(kind):
            bounds = (bounds + column.offset) * kind.list_size
            column = column.values
        elif pa.types.is_struct(kind) and kind.num_fields:
            fields = [_numbers_of_values(column.field(place)) for place in range(kind.num_fields)]
            ends = np.concatenate([[0], np.max([np.cumsum(each) for each in fields], axis=0)])
            return np.diff(ends[bounds])
        else:
            return np.diff(bounds)


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return str(error.object, "utf8", "surrogateescape") if isinstance(error.object, bytes) else "\udcff"
    except (ValueError, OverflowError, LookupError, pa.ArrowException) as error:
        return f"cannot be read: {error}"  # no value of the column's type, and so the row's failure


class _Lines:
    """The lines of a text file for a reader of records: none of those takes more than `MOST_CHARACTERS`, the rest of its line is passed by."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.begin()

    def begin(self) -> None:
        """What follows is of another record."""
        self._left = MOST_CHARACTERS

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if not line:
            raise StopIteration
        if self._left < 0:
            self._left = 0
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(BUFFER)
            raise csv.Error(f"more than {MOST_CHARACTERS:,} characters")
        return line


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MOST_CHARACTERS)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = _Lines(file)
        reader = csv.DictReader(lines, restkey=None)
        reader.fieldnames = distinct(_header(reader))
        number = 0
        while True:
            number += 1
            lines.begin()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(number, {}, f"cannot be read: {error}")
                continue
            surplus = row.pop(None, None)
            problem = "has more cells than there are column names" if surplus is not None else None
            yield Row(number, row, problem)


def _header(reader: "csv.DictReader[str]") -> list[str]:
    try:
        return list(reader.fieldnames or [])
    except csv.Error:
        return []


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns of which none is another's: the second `caption` becomes `caption_2`."""
    taken, seen = set(names), set[str]()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    found: list[str] = []
    for name in names:
        if name in seen:
            name = next(each for number in numbers[name] if (each := f"{name}_{number}") not in taken)
            taken.add(name)
        seen.add(name)
        found.append(name)
    return found


def doubled_columns(path: Path) -> dict[str, int]:
    """The names that a table's header has more than once, and how often; JSON lines have no header."""
    if path.suffix.lower() == ".csv":
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            names = _header(csv.DictReader(_Lines(file)))
    elif path.suffix.lower() == ".parquet":
        with open_parquet(path) as parquet:
            names = parquet.schema_arrow.names
    else:
        names = []
    return {name: times for name, times in Counter(names).items() if times > 1}


def json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of which a key may stand twice, for `json.loads(object_pairs_hook=…)`."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        names = distinct(names)
    return dict(zip(names, (value for _, value in pairs), strict=True))


def _read_jsonl(path: Path) -> Iterator[Row]:
    number = 0
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = _Lines(file)
        while True:
            lines.begin()
            try:
                line = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield Row(number, {}, f"is no JSON: {error}")
                continue
            if not line.strip():
                continue
            number += 1
            try:
                values = parse_json(line, object_pairs_hook=json_object)
            except ValueError as error:
                yield Row(number, {}, f"is no JSON: {error}")
                continue
            if not isinstance(values, dict):
                yield Row(number, {}, "is no JSON object")
            elif len(values) > MOST_MEMBERS:
                yield Row(number, {}, f"has {len(values):,} members; at most {MOST_MEMBERS:,} come along")
            else:
                yield Row(number, values)


def _csv_types(path: Path) -> dict[str, pa.DataType]:
    """Integers and decimals where every cell is one as it would be written again; else text. Captions are always text."""
    types: dict[str, pa.DataType | None] = {}
    for row in _read_csv(path):
        for name, cell in row.values.items():
            known = types.setdefault(name, None)
            if name == OBJECTS and (known == ANNOTATED or is_annotation(cell)):
                types[name] = ANNOTATED
                continue
            if cell and known != pa.string():
                found = _cell_type(cell)
                types[name] = found if known in (None, found) else _wider(known, found)
    return {
        name: pa.string() if kind is None or holds_captions(name) else kind for name, kind in types.items()
    }


def _cell_type(cell: str) -> pa.DataType:
    try:
        number = int(cell)
    except ValueError:
        try:
            float(cell)
        except ValueError:
            return pa.string()
        return pa.float64() if cell.strip() == cell and not cell.isalpha() else pa.string()
    return pa.int64() if str(number) == cell and abs(number) < 2**63 else pa.string()


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    return pa.string() if pa.string() in (one, other) else pa.float64()


def _json_types(path: Path) -> dict[str, pa.DataType]:
    """What Arrow makes of the values; a column whose values have no common type is text, JSON where it must be."""
    types: dict[str, pa.DataType] = {}
    batch: list[Mapping[str, Any]] = []
    for row in _read_jsonl(path):
        batch.append(row.values)
        if len(batch) >= BATCH_ROWS:
            merge_types(types, batch)
            batch = []
    merge_types(types, batch)
    return {name: plain_type(kind) for name, kind in types.items()}


def merge_types(types: dict[str, pa.DataType], batch: list[Mapping[str, Any]]) -> None:
    """Widen the types found so far so that these rows fit too; what has no common type becomes text."""
    names = {name: None for row in batch for name in row}
    for name in names:
        if name == OBJECTS and (
            types.get(name) == ANNOTATED or any(is_annotation(row.get(name)) for row in batch)
        ):
            types[name] = ANNOTATED  # one row of another kind makes the others no less
            continue
        try:
            found = pa.array([_encodable(row.get(name)) for row in batch]).type
            merged = pa.unify_schemas(
                [pa.schema([("value", types.get(name, pa.null()))]), pa.schema([("value", found)])],
                promote_options="permissive",
            )
            types[name] = merged.field("value").type
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            before, values = types.get(name, pa.null()), [row.get(name) for row in batch]
            types[name] = TEXTS if before in _OF_TEXTS and all(map(_is_text, values)) else pa.string()


def _is_text(value: Any) -> bool:
    """Whether it is nothing, a text or several: captions come as one or the other in a single table."""
    each = value if isinstance(value, list) else [value]
    return all(text is None or isinstance(text, str) for text in each)


def _encodable(value: Any) -> Any:
    """The value with its marked bytes made harmless: only its type is asked for."""
    if isinstance(value, str):
        return value.encode("utf8", "replace").decode()
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    return value
