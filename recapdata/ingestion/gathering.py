"""Rows that are of one picture, brought together: what differs among them becomes a list, in the order of the rows.

A table of captions often has a row per caption, so that a picture, or its address, stands in several. They are found before the
first item is given, in a temporary database on disk, so that memory does not grow with the table.
"""

import pickle
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

_TABLES = """
CREATE TABLE named (name BLOB PRIMARY KEY, first INTEGER, rows INTEGER) WITHOUT ROWID;
CREATE TABLE kept (name BLOB, number INTEGER, row BLOB, PRIMARY KEY (name, number)) WITHOUT ROWID;
"""
_ADD = "INSERT INTO named VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1"
# A row that was counted may not be readable whole: what is kept is what there is.
_SETTLE = """
UPDATE named SET first = (SELECT coalesce(min(number), 0) FROM kept WHERE kept.name = named.name),
rows = (SELECT count(*) FROM kept WHERE kept.name = named.name) WHERE rows > 1
"""

LICENSE = "license"
"""The column of which a record has one text: other licenses are joined."""

Values = Mapping[str, Any]


class Gathering:
    """The rows of a source by the picture that they name. First each is counted, then those of repeated pictures are kept."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")  # never committed: the database is nobody else's, and this is faster

    def count(self, name: str, number: int) -> None:
        """Take note that row `number` is of this picture; rows come in ascending order."""
        self._db.execute(_ADD, (_key(name), number))

    def keep(self, name: str, number: int, values: Values) -> None:
        """Keep the values of a row, where the picture has others."""
        if self._of(name)[1] > 1:
            row = (_key(name), number, pickle.dumps(dict(values)))
            self._db.execute("INSERT INTO kept VALUES (?, ?, ?)", row)

    def __contains__(self, name: str) -> bool:
        """Whether a row is of this picture."""
        return self._of(name)[1] > 0

    def note(self, what: str, lists: Collection[str]) -> list[str]:
        """What was done with the rows of pictures that have several, in a sentence, where there are any."""
        pictures, rows = self.repeated
        names = ", ".join(sorted(lists)) or "none"
        text = f"{rows:,} rows are of {pictures:,} {what} and were brought together; columns that became lists: {names}"
        return [text] if pictures else []

    @property
    def repeated(self) -> tuple[int, int]:
        """How many pictures have several rows, and how many rows those have."""
        query = "SELECT count(*), coalesce(sum(rows), 0) FROM named WHERE rows > 1"
        pictures, rows = self._db.execute(query).fetchone()
        return pictures, rows

    def rows(self, name: str, number: int) -> list[Values] | None:
        """The values of all rows of a picture, where this is its first; None where it is a later one; empty where it is the only."""
        first, rows = self._of(name)
        if rows <= 1:
            return []
        if number != first:
            return None
        query = "SELECT row FROM kept WHERE name = ? ORDER BY number"
        return [pickle.loads(each[0]) for each in self._db.execute(query, (_key(name),))]

    def varying(self) -> set[str]:
        """Columns in which rows of one picture differ; licenses do not become a list."""
        self._db.execute(_SETTLE)
        found: set[str] = set()
        kept = self._db.execute("SELECT name, row FROM kept ORDER BY name, number")
        for _, group in groupby(kept, key=lambda each: each[0]):
            first: dict[str, Any] = {}
            for _, row in group:
                for column, value in pickle.loads(row).items():
                    if value not in (None, "") and first.setdefault(column, value) != value:
                        found.add(column)
        return found - {LICENSE}

    def _of(self, name: str) -> tuple[int, int]:
        query = "SELECT first, rows FROM named WHERE name = ?"
        return self._db.execute(query, (_key(name),)).fetchone() or (0, 0)


def listed_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column whose values are brought together."""
    return kind if pa.types.is_list(kind) else pa.list_(kind)


def together(
    rows: Sequence[Values], lists: Collection[str], types: Mapping[str, pa.DataType]
) -> dict[str, Any]:
    """The values of a picture by those of its rows: an entry per row in the columns of `lists`, which are null where all are.

    Args:
        types: of the columns in a row; lists are joined.
    """
    values: dict[str, Any] = {}
    for column in dict.fromkeys(name for row in rows for name in row):
        each = [row.get(column) for row in rows]
        if column == LICENSE and len(rows) > 1 and column not in lists:
            values[column] = "; ".join(dict.fromkeys(value for value in each if value)) or None
        elif column not in lists:
            values[column] = next((value for value in each if value not in (None, "")), each[0])
        elif all(value is None for value in each):
            values[column] = None
        elif column in types and pa.types.is_list(types[column]):
            values[column] = [entry for value in each for entry in value or ()]
        else:
            values[column] = each
    return values


def _key(name: str) -> bytes:
    return name.encode("utf8", "surrogatepass")
