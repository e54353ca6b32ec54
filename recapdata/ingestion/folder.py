"""The source of a plain folder, by the `imagefolder` conventions: a metadata file that names images, or a text beside each.

- `metadata.csv`, `metadata.jsonl` or `metadata.parquet`, in any folder: one row per image, `file_name` relative to that
  folder; its other columns come along. The rows come first, in their order.
- Images that no row names come after them, in the order of their paths, with nulls in those columns.
- A `.txt` beside an image is its `caption`, unless the metadata gave it one.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from recapdata.dataset.paths import inside
from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion.columns import plan_columns
from recapdata.ingestion.files import check_own, read_caption, read_image, walk
from recapdata.ingestion.images import is_image_name
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.ingestion.tables import Row, column_types, fit, read_rows
from recapdata.records import Item

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
CAPTION = "caption"


class Folder:
    """A folder of images. Making one reads its names and metadata once; memory does not grow with them."""

    def __init__(self, root: Path, options: IngestOptions) -> None:
        self._root = root
        self._max_bytes = options.max_bytes
        self.name = f"folder:{root.resolve().name}"
        self.labels = True
        # A private database that SQLite keeps in a temporary file and deletes itself.
        self._listed = sqlite3.connect("", isolation_level=None)
        self._listed.execute("CREATE TABLE listed (name TEXT PRIMARY KEY) WITHOUT ROWID")
        self._aside: Counter[str] = Counter()
        self._tables = list(_find_tables(root))
        self._types = {path: column_types(root / path) for path in self._tables}
        rows = self._list_rows()
        images, texts = self._scan()
        types = self._common_types()
        self._reads_texts = texts > 0 and types.get(CAPTION, pa.string()) == pa.string()
        if self._reads_texts:
            types[CAPTION] = pa.string()
        self._columns = plan_columns(types, leave=(FILE_NAME,))
        self._kinds = types
        self.columns = self._columns.types
        self.captions = self._columns.captions
        self.total: int | None = rows + images
        self.stamp = stamp_of(self._inventory())

    def items(self, start: int) -> Iterator[Item]:
        """Rows of the metadata, then images that no row names; those before `start` are passed by unread."""
        position = 0
        for path in self._tables:
            if FILE_NAME not in self._types[path]:
                if position >= start:
                    yield self._missing_column(path)
                position += 1
                continue
            for row in read_rows(self._root / path):
                if position >= start:
                    yield self._row_item(path, row)
                position += 1
        for name in self._unlisted():
            if position >= start:
                yield self._item(name, self._source(name), {})
            position += 1

    def notes(self) -> list[str]:
        """Which files were left aside."""
        if not self._aside:
            return []
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in self._aside.most_common(8))
        return [f"files that are no images by their extension were left aside ({kinds})"]

    def _common_types(self) -> dict[str, pa.DataType]:
        """The columns of all metadata files together; text where two of them disagree on a type."""
        common: dict[str, pa.DataType] = {}
        for types in self._types.values():
            for name, kind in types.items():
                if FILE_NAME in types:
                    common[name] = kind if common.get(name, kind) == kind else pa.string()
        return common

    def _list_rows(self) -> int:
        """Remember, on disk, which images the metadata names; returns how many items its files give."""
        rows = 0
        for path in self._tables:
            if FILE_NAME not in self._types[path]:
                rows += 1
                continue
            for row in read_rows(self._root / path):
                rows += 1
                if row.problem is None and isinstance(name := row.values.get(FILE_NAME), str):
                    self._listed.execute(
                        "INSERT OR IGNORE INTO listed VALUES (?)", (_key(_beside(path, name)),)
                    )
        return rows

    def _scan(self) -> tuple[int, int]:
        """How many images no row names, and how many images have a text beside them."""
        images = texts = 0
        for name in walk(self._root):
            if is_image_name(name):
                images += not self._is_listed(name)
                texts += (self._root / name).with_suffix(".txt").is_file()
            elif PurePosixPath(name).name not in METADATA and not name.endswith(".txt"):
                self._aside[PurePosixPath(name).suffix or "without one"] += 1
        return images, texts

    def _inventory(self) -> Iterator[str]:
        for name in walk(self._root):
            yield f"{name}:{(self._root / name).stat().st_size}"

    def _is_listed(self, name: str) -> bool:
        found = self._listed.execute("SELECT 1 FROM listed WHERE name = ?", (_key(name),))
        return found.fetchone() is not None

    def _unlisted(self) -> Iterator[str]:
        return (name for name in walk(self._root) if is_image_name(name) and not self._is_listed(name))

    def _row_item(self, table: str, row: Row) -> Item:
        where = f"{self._source(table)} row {row.number}"
        if row.problem is not None:
            return failed(where, "BadMetadata", f"the row {row.problem}")
        name = row.values.get(FILE_NAME)
        if not isinstance(name, str) or not name.strip():
            return failed(where, "MissingColumn", f"the row has no {FILE_NAME}")
        values = {column: fit(value, self._kinds[column]) for column, value in row.values.items()}
        # An empty cell of a CSV is no value, except for a caption, where it is a mistake to be reported.
        values = {
            column: None if value == "" and self._columns.names.get(column) not in self.captions else value
            for column, value in values.items()
        }
        path = _beside(table, name)
        if not inside(path):
            return failed(where, "UnsafePath", f"{FILE_NAME} leads outside the source: {name!a}")
        return self._item(path, self._source(path), values)

    def _item(self, name: str, source: str, values: Mapping[str, Any]) -> Item:
        image = read_image(self._root, name, source, self._max_bytes)
        if isinstance(image, Item):
            return image
        if self._reads_texts and values.get(CAPTION) is None:
            text = read_caption(self._root, str(PurePosixPath(name).with_suffix(".txt")), source)
            if isinstance(text, Item):
                return text
            values = {**values, CAPTION: text}
        return self._columns.item(source, image, values)

    def _missing_column(self, table: str) -> Item:
        names = ", ".join(self._types[table]) or "none"
        return failed(
            self._source(table),
            "MissingColumn",
            f"no column {FILE_NAME}, so that no row names an image (columns: {names})",
        )

    def _source(self, name: str) -> str:
        return f"{self._root.resolve().name}/{name}"


def open_folder(argument: str, options: IngestOptions) -> Folder:
    """The source of a folder's path.

    Raises:
        SourceNotFound: there is no such folder.
        SourceError: it holds no images, or two metadata files in one folder.
    """
    root = Path(argument).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise SourceNotFound(
            f"the folder {argument} {what}; give a folder of images, or a source such as coco:DIR"
        )
    folder = Folder(root, options)
    if not folder.total:
        raise SourceError(
            f"the folder {argument} holds no images (looked for .jpg, .png, .webp, … in all its folders)"
        )
    return folder


def _find_tables(root: Path) -> Iterator[str]:
    """The metadata files, folder by folder."""
    seen: dict[PurePosixPath, str] = {}
    for name in walk(root):
        path = PurePosixPath(name)
        if path.name in METADATA:
            if path.parent in seen:
                raise SourceError(
                    f"{root / path.parent} holds both {seen[path.parent]} and {path.name}; keep the one that is meant"
                )
            seen[path.parent] = path.name
            check_own(root, root / name)
            yield name


def _beside(table: str, name: str) -> str:
    """The path, from the source's folder, of a name in a metadata file."""
    parts: list[str] = []
    for part in (PurePosixPath(table).parent / name).parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        else:
            parts.append(part)
    return str(PurePosixPath(*parts)) if parts else "."


def _key(name: str) -> str:
    return name.encode("utf8", "backslashreplace").decode()
