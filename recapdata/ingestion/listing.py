"""The files of a source's folder by their names, and by the names that its tables and texts give them.

A table may have been written on another system than its images: with backslashes between folders, with accents composed (é) where
the file's name has them decomposed (e and an accent, as macOS writes it), with an invisible mark at an end. Such a name means the
file that it is the name of but for that; a file of exactly the name goes first.
"""

import os
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from recapdata.ingestion.files import walk
from recapdata.ingestion.images import is_image_name
from recapdata.ingestion.invisible import without_invisible

IMAGE, TEXT, OTHER = "image", "text", "other"
TEXT_SUFFIX = ".txt"

# A name is kept as bytes, since it need not be Unicode; `spelled` and `stem` are what names are compared by.
_TABLE = """
CREATE TABLE files (name BLOB PRIMARY KEY, kind TEXT, spelled TEXT, stem TEXT);
CREATE INDEX files_spelled ON files (spelled);
CREATE INDEX files_stem ON files (kind, stem);
"""
_ORPHANS = """
SELECT name FROM files t WHERE kind = 'text'
AND NOT EXISTS (SELECT 1 FROM files i WHERE i.kind = 'image' AND i.stem = t.stem) ORDER BY rowid
"""


class Listing:
    """The files below a folder, walked through once; names lie in a temporary database, so that memory does not grow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped = Skipped()
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLE)
        self._db.execute("BEGIN")
        rows = ((os.fsencode(name), *_columns(name)) for name in walk(root, skipped=self.skipped))
        self._db.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def names(self, kind: str | None = None) -> Iterator[str]:
        """Names relative to the folder, in the walk's order; of one kind only, where it is given."""
        query = "SELECT name FROM files WHERE ? IS NULL OR kind = ? ORDER BY rowid"
        return (os.fsdecode(row[0]) for row in self._db.execute(query, (kind, kind)))

    def find(self, name: str) -> str | None:
        """The file that a name means; None where there is none, or several that differ in spelling only."""
        if self._has(name):
            return name
        rows = self._db.execute("SELECT name FROM files WHERE spelled = ? LIMIT 2", (spelled(name),))
        found = [os.fsdecode(row[0]) for row in rows]
        return found[0] if len(found) == 1 else None

    def text_of(self, image: str) -> str | None:
        """The text beside an image: of its name, but for the extension."""
        exact = str(PurePosixPath(image).with_suffix(TEXT_SUFFIX))
        if self._has(exact):
            return exact
        rows = self._db.execute(
            "SELECT name FROM files WHERE kind = 'text' AND stem = ? LIMIT 1", (_stem(image),)
        )
        found = rows.fetchone()
        return None if found is None else os.fsdecode(found[0])

    def orphans(self) -> list[str]:
        """Texts that belong to no image by their name."""
        return [os.fsdecode(row[0]) for row in self._db.execute(_ORPHANS)]

    def _has(self, name: str) -> bool:
        try:
            key = os.fsencode(name)
        except UnicodeEncodeError:
            return False
        return self._db.execute("SELECT 1 FROM files WHERE name = ?", (key,)).fetchone() is not None


class Skipped:
    """What a walk passes by: how many of each kind, and the first of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def __call__(self, what: str, name: str) -> None:
        self._counts[what] += 1
        self._first.setdefault(what, name)

    def notes(self) -> list[str]:
        """A sentence for each kind."""
        return [
            f"left aside: {count:,} {what}, first {self._first[what]}" for what, count in self._counts.items()
        ]


def spelled(name: str) -> str:
    """A name as it is compared: composed, with slashes between folders, without what cannot be seen at its ends."""
    name = unicodedata.normalize("NFC", without_invisible(name).strip()).replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + _plain("/".join(parts))


def _columns(name: str) -> tuple[str, str, str]:
    kind = IMAGE if is_image_name(name) else TEXT if name.lower().endswith(TEXT_SUFFIX) else OTHER
    return kind, spelled(name), _stem(name)


def _stem(name: str) -> str:
    return spelled(str(PurePosixPath(name).with_suffix("")))


def _plain(name: str) -> str:
    return name.encode("utf8", "backslashreplace").decode()
