"""A column that came along with the images becomes a caption set: `alt_text` → `alt`, `captions[2]` → `human`, ….

A source may hold a picture several times, with a caption each: of a column of text, place 0 is the record's own and the following
are those of its duplicates, in the order in which they came.

Shard by shard, so that an interrupted import, or one before records were appended, is completed by the same command.
"""

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa

from recapdata.caption_sets.resuming import begin_set, check_set_name
from recapdata.console import progress
from recapdata.dataset.folder import ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.shards import ShardFile, ShardWriter
from recapdata.dataset.writing import writing
from recapdata.display import shown_as_text
from recapdata.errors import ColumnNotFound, DatasetDamaged, OptionError
from recapdata.records import CAPTION_SCHEMA, RECORD_SCHEMA, Caption, Provenance, Writer, timestamp

_INDEXED = re.compile(r"(?P<name>.+)\[(?P<index>\d+)\]")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of captions, or one place in a column of lists of them."""

    name: str
    index: int | None

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.index}]"

    def caption(self, value: Any) -> Caption:
        """The caption of a record by its value in the column."""
        if value is None:
            return Caption(caption=None, error=f"NoCaption: nothing in column {self.name}")
        if self.index is not None:
            if self.index >= len(value):
                return Caption(caption=None, error=f"NoCaption: only {len(value)} in column {self.name}")
            value = value[self.index]
        if value is None or not value.strip():
            return Caption(caption=None, error=f"EmptyCaption: an empty text in column {self}")
        return Caption(caption=value, finish_reason="import")


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class ImportSummary:
    """The outcome of an import; `records` = `captions` + `failures`.

    Attributes:
        failures: records without a caption in the column.
        done: records that this run itself went through.
    """

    directory: str
    set_name: str
    column: str
    writer: Writer
    records: int
    captions: int
    failures: int
    failures_by_type: Mapping[str, int]
    done: int
    seconds: float

    def text(self) -> str:
        """The summary for a terminal."""
        if self.done:
            head = f"Imported column {self.column} of {self.directory} as caption set {self.set_name!r} ({self.writer})."
        else:
            head = f"Caption set {self.set_name!r} already holds column {self.column} of {self.directory}: nothing to do."
        reasons = ", ".join(f"{kind} {count:,}" for kind, count in self.failures_by_type.items())
        lines = [head, "", f"  {'captions':<12}{self.captions:>12,}"]
        lines.append(f"  {'without':<12}{self.failures:>12,}" + (f"  {reasons}" if reasons else ""))
        return "\n".join([*lines, f"  {'records':<12}{self.records:>12,}"])


def import_captions(
    directory: str | Path,
    set_name: str,
    column: str,
    *,
    writer: str | None = None,
    overwrite: bool = False,
) -> ImportSummary:
    """Make a caption set of a column that came along; the same call completes it after an interruption or an append.

    Args:
        column: a column of text, or `NAME[i]` for place i (from 0) of a column of lists; of a column of text, place i is the text
            of the picture's duplicate i, and 0 the record's own.
        writer: `human`, `web` or `import`; by itself guessed from the names (alt… is the web's, human… is people's).
        overwrite: replace a set of that name that was made otherwise.

    Raises:
        DatasetEmpty: there is no record.
        ColumnNotFound: no such column came along.
        OptionError: the column holds no text, an index is missing or too many, or the set's name cannot be used.
        CaptionSetExists: the set was made otherwise, and `overwrite` is not set.
        DatasetBusy: another process writes to the folder.
    """
    began = time.monotonic()
    folder = DatasetFolder.open(directory)
    folder.check_records()
    check_set_name(folder, set_name)
    with writing(folder):
        schema = folder.schema()
        chosen = find_column(folder, schema, column)
        now = Provenance(writer=_writer(writer, set_name, column), column=str(chosen), date=timestamp())
        provenance = begin_set(folder, set_name, now, overwrite=overwrite)
        done = _write_shards(folder, set_name, chosen, schema)
        errors = _count_errors(folder, set_name)
    summary = ImportSummary(
        directory=str(directory),
        set_name=set_name,
        column=str(chosen),
        writer=provenance.writer,
        records=sum(folder.rows(shard) for shard in folder.shards()),
        captions=errors.pop(None, 0),
        failures=sum(errors.values()),
        failures_by_type={str(kind): count for kind, count in errors.most_common()},
        done=done,
        seconds=round(time.monotonic() - began, 3),
    )
    if summary.records != summary.captions + summary.failures:
        raise DatasetDamaged(
            f"{folder.path}: {summary.records} records, but {summary.captions} captions + {summary.failures} failures in "
            f"set {set_name!r}; import it again with --overwrite"
        )
    return summary


def find_column(folder: DatasetFolder, schema: pa.Schema, text: str) -> Column:
    """The column that a user means.

    Raises:
        ColumnNotFound: no such column came along.
        OptionError: it holds no text, or the index is missing or too many.
    """
    came = [name for name in schema.names if name not in RECORD_SCHEMA.names]
    match = None if text in came else _INDEXED.fullmatch(text)
    column = Column(match["name"], int(match["index"])) if match else Column(text, None)
    if column.name not in came:
        raise ColumnNotFound(
            f"no column {column.name!r} came along with the images of {folder.path}; "
            + (f"there are: {', '.join(came)}" if came else "there is none at all")
        )
    kind = schema.field(column.name).type
    if kind not in (pa.string(), pa.list_(pa.string())):
        raise OptionError(f"column {column.name!r} holds {kind}, not text, so it cannot become captions")
    if kind == pa.string() and column.index is not None and not folder.ledger_rows("duplicates"):
        raise OptionError(f"column {column.name!r} holds one text per image; leave out [{column.index}]")
    if kind != pa.string() and column.index is None:
        raise OptionError(
            f"column {column.name!r} holds a list of texts per image; choose one, such as {column.name}[0]"
        )
    return column


def _writer(writer: str | None, set_name: str, column: str) -> Writer:
    allowed = tuple(name for name in get_args(Writer) if name not in ("model", "merge"))
    if writer is None:
        for name in (set_name, column):
            for start, guess in (("alt", "web"), ("human", "human")):
                if name.lower().startswith(start):
                    return guess  # type: ignore[return-value]
        return "import"
    if writer not in allowed:
        raise OptionError(f"--writer must be one of {', '.join(allowed)}, not {writer!r}")
    return writer  # type: ignore[return-value]


def _write_shards(folder: DatasetFolder, set_name: str, column: Column, schema: pa.Schema) -> int:
    """Write the caption shards that are not there yet; returns how many records they have."""
    finished = set(folder.finished_captions(set_name))
    missing = [shard for shard in folder.shards() if shard not in finished]
    done = 0
    others = None
    if missing and column.index is not None and schema.field(column.name).type == pa.string():
        others = _OtherTexts(folder, column.name)
    with progress("import", sum(folder.rows(shard) for shard in missing), unit="captions") as advance:
        for shard in missing:
            with ShardWriter(folder.caption_shard(set_name, shard), CAPTION_SCHEMA) as writer:
                for table in _caption_tables(folder, set_name, shard, column, schema, others):
                    writer.write(table)
                    advance(table.num_rows)
                    done += table.num_rows
    return done


def _count_errors(folder: DatasetFolder, set_name: str) -> Counter[str | None]:
    """How many rows of the set have an error of each type; None counts the captions."""
    errors: Counter[str | None] = Counter()
    for shard in folder.shards():
        column = folder.read_captions(set_name, shard, ["error"]).column("error")
        errors.update(error and error.partition(":")[0] for error in column.to_pylist())
    return errors


class _OtherTexts:
    """Texts that came with duplicates, in a temporary database on disk."""

    def __init__(self, folder: DatasetFolder, column: str) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE texts (number INTEGER PRIMARY KEY, key TEXT, text TEXT)")
        self._db.execute("BEGIN")
        for path in folder.ledgers("duplicates"):
            with ShardFile(path) as file:
                if column not in file.schema_arrow.names:
                    continue
                for batch in file.iter_batches(ROW_GROUP_ROWS, columns=["key", column]):
                    rows = zip(batch.column("key").to_pylist(), batch.column(column).to_pylist(), strict=True)
                    self._db.executemany("INSERT INTO texts (key, text) VALUES (?, ?)", rows)
        self._db.execute("COMMIT")
        self._db.execute("CREATE INDEX texts_of ON texts (key, number)")

    def after(self, own: str | None, key: str) -> list[str | None]:
        """The record's own text, then those of its duplicates."""
        rows = self._db.execute("SELECT text FROM texts WHERE key = ? ORDER BY number", (key,))
        return [own, *(row[0] for row in rows)]


def _caption_tables(
    folder: DatasetFolder,
    set_name: str,
    shard: int,
    column: Column,
    schema: pa.Schema,
    others: _OtherTexts | None,
) -> Iterator[pa.Table]:
    batches = folder.read_images(shard, ["key", column.name], schema=schema, batch_rows=ROW_GROUP_ROWS)
    for batch in batches:
        keys, values = batch.column("key").to_pylist(), batch.column(column.name).to_pylist()
        if others is not None:
            values = [others.after(value, key) for key, value in zip(keys, values, strict=True)]
        rows = [column.caption(value).to_row(key, set_name) for key, value in zip(keys, values, strict=True)]
        yield pa.Table.from_pylist(rows, schema=CAPTION_SCHEMA)
