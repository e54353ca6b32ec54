"""The source of a plain folder, by the `imagefolder` conventions: a metadata file that names images, or a text beside each.

- `metadata.csv`, `metadata.jsonl` or `metadata.parquet`, in any folder: one row per image, `file_name` relative to that
  folder; its other columns come along. The rows come first, in their order.
- Images that no row names come after them, in the order of their paths, with nulls in those columns.
- A `.txt` beside an image is its `caption`, unless the metadata gave it one.
- Where an image has several captions, in several rows or in several lines of its text, the column is a list.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from recapdata.dataset.paths import inside
from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion.columns import holds_captions, plan_columns
from recapdata.ingestion.files import captions_of, check_own, is_file, read_caption, read_image
from recapdata.ingestion.gathering import Gathering, Values, listed_type, together
from recapdata.ingestion.listing import IMAGE, OTHER, TEXT_SUFFIX, Listing
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.ingestion.tables import Row, column_types, doubled_columns, fit, read_rows
from recapdata.records import Item, Note

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
CAPTION = "caption"


class Folder:
    """A folder of images. Making one reads its names, metadata and texts once; memory does not grow with them."""

    def __init__(self, root: Path, options: IngestOptions) -> None:
        self._root = root
        self._max_bytes = options.max_bytes
        self.name = f"folder:{root.resolve().name}"
        self.labels = True
        self._listing = Listing(root)
        self._aside: Counter[str] = Counter()
        self._tables = list(_find_tables(root, self._listing))
        self._types = {path: column_types(root / path) for path in self._tables}
        self._kinds = self._common_types()
        self._rows = Gathering()
        rows = self._count_rows()
        self._lists = self._gather() if self._rows.repeated[0] else set()
        images, texts, lines = self._scan()
        known = self._kinds.get(CAPTION, pa.string())
        self._reads_texts = texts > 0 and known in (pa.string(), pa.list_(pa.string()))
        if self._reads_texts:
            self._kinds[CAPTION] = known
            if lines:
                self._lists.add(CAPTION)
        self._several_lines, self._other_texts = lines, 0 if self._reads_texts else texts
        types = {
            name: listed_type(kind) if name in self._lists else kind for name, kind in self._kinds.items()
        }
        self._columns = plan_columns(types, leave=(FILE_NAME,))
        self.columns = self._columns.types
        self.captions = self._columns.captions
        self.total: int | None = rows + images
        self.stamp = stamp_of(self._inventory())

    def items(self, start: int) -> Iterator[Item]:
        """Rows of the metadata, then images that no row names; those before `start` are passed by unread."""
        position = 0
        for path, number, row in self._all_rows():
            if row is None:
                if position >= start:
                    yield self._missing_column(path)
                position += 1
                continue
            image = self._image_of(path, row)
            others = self._rows.rows(image, number) if image is not None else []
            if others is None:
                continue  # came with the first row of its image
            if position >= start:
                yield self._row_item(path, row, image, others)
            position += 1
        for name in self._unlisted():
            if position >= start:
                yield self._item(name, self._source(name), {})
            position += 1

    def notes(self) -> list[str]:
        """Which files were left aside, and what was made of rows and texts that are several to an image."""
        notes = self._listing.skipped.notes()
        if self._aside:
            kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in self._aside.most_common(8))
            notes.append(f"files that are no images by their extension were left aside ({kinds})")
        if orphans := self._listing.orphans():
            names = ", ".join(orphans[:3]) + (", …" if len(orphans) > 3 else "")
            notes.append(
                f"{len(orphans):,} texts belong to no image by their name and were left aside ({names}); "
                "the caption of a.jpg is a.txt"
            )
        if self._other_texts:
            kind = self._kinds.get(CAPTION)
            notes.append(
                f"{self._other_texts:,} texts beside images were left aside, since column {CAPTION!r} of the metadata holds {kind}"
            )
        if self._reads_texts and self._several_lines:
            notes.append(
                f"{self._several_lines:,} texts beside images have several lines: column {CAPTION!r} is a list with a caption a line"
            )
        notes += self._rows.note("images", self._lists & set(self._columns.names))
        for path in self._tables:
            for name, times in doubled_columns(self._root / path).items():
                notes.append(
                    f"{path} names column {name!r} {times} times; each came along, the others with a number"
                )
        return notes

    def _common_types(self) -> dict[str, pa.DataType]:
        """The columns of all metadata files together; text where two of them disagree on a type."""
        common: dict[str, pa.DataType] = {}
        for types in self._types.values():
            for name, kind in types.items():
                if FILE_NAME in types:
                    common[name] = kind if common.get(name, kind) == kind else pa.string()
        return common

    def _all_rows(self) -> Iterator[tuple[str, int, Row | None]]:
        """Metadata file, running number and row; None for the row of a file that has no column of names."""
        number = 0
        for path in self._tables:
            if FILE_NAME not in self._types[path]:
                yield path, number, None
                number += 1
                continue
            for row in read_rows(self._root / path):
                yield path, number, row
                number += 1

    def _image_of(self, table: str, row: Row) -> str | None:
        """The file that a row names, as it is spelled on disk; None where there is none."""
        name = row.values.get(FILE_NAME)
        if row.problem is not None or not isinstance(name, str):
            return None
        for each in (name, name.replace("\\", "/")):
            path = _beside(table, each)
            if found := self._listing.find(path):
                return found
            if inside(path) and is_file(self._root, path):  # hidden, say
                return path
        return None

    def _count_rows(self) -> int:
        """Remember, on disk, which images the metadata names; returns how many items its files give."""
        items = 0
        for path, number, row in self._all_rows():
            items += 1
            if row is not None and (image := self._image_of(path, row)) is not None:
                self._rows.count(image, number)
        pictures, rows = self._rows.repeated
        return items - (rows - pictures)

    def _gather(self) -> set[str]:
        """Keep the rows of images that have several; returns the columns that become lists."""
        for path, number, row in self._all_rows():
            if row is not None and (image := self._image_of(path, row)) is not None:
                self._rows.keep(image, number, self._fitted(row))
        return self._rows.varying() - {FILE_NAME}

    def _scan(self) -> tuple[int, int, int]:
        """How many images no row names, how many have a text beside them, and how many of these texts have several lines."""
        images = texts = lines = 0
        for name in self._listing.names(IMAGE):
            images += name not in self._rows
            if (beside := self._listing.text_of(name)) is not None:
                texts += 1
                text = read_caption(self._root, beside, name)
                lines += isinstance(text, str) and len(captions_of(text)) > 1
        for name in self._listing.names(OTHER):
            if PurePosixPath(name).name not in METADATA:
                self._aside[PurePosixPath(name).suffix or "without one"] += 1
        return images, texts, lines

    def _inventory(self) -> Iterator[str]:
        for name in self._listing.names():
            yield f"{name}:{(self._root / name).stat().st_size}"
        if self._lists:
            yield "lists"  # items and columns are others than in releases that made none of them

    def _unlisted(self) -> Iterator[str]:
        return (name for name in self._listing.names(IMAGE) if name not in self._rows)

    def _fitted(self, row: Row) -> dict[str, Any]:
        """The values of a row as their columns' types are; an empty cell is no value, except for a caption.

        There it is a mistake to be reported.
        """
        values = {column: fit(value, self._kinds[column]) for column, value in row.values.items()}
        return {
            column: None if value == "" and not holds_captions(column) else value
            for column, value in values.items()
        }

    def _row_item(self, table: str, row: Row, image: str | None, others: list[Values]) -> Item:
        where = f"{self._source(table)} row {row.number}"
        if row.problem is not None:
            return failed(where, "BadMetadata", f"the row {row.problem}")
        name = row.values.get(FILE_NAME)
        if not isinstance(name, str) or not name.strip():
            return failed(where, "MissingColumn", f"the row has no {FILE_NAME}")
        path = image or _beside(table, name)
        if not inside(path):
            return failed(where, "UnsafePath", f"{FILE_NAME} leads outside the source: {name!a}")
        rows = others or [self._fitted(row)]
        values = together(rows, self._lists, self._kinds)
        return self._item(path, self._source(path), values)

    def _item(self, name: str, source: str, values: Values) -> Item:
        image = read_image(self._root, name, source, self._max_bytes)
        if isinstance(image, Item):
            return image
        if not self._reads_texts:
            return self._columns.item(source, image, values)
        beside = self._listing.text_of(name) or str(PurePosixPath(name).with_suffix(TEXT_SUFFIX))
        text = read_caption(self._root, beside, source)
        if values.get(CAPTION) is None:
            if isinstance(text, Item):
                return text
            values = {**values, CAPTION: self._caption(text)}
        item = self._columns.item(source, image, values)
        if isinstance(text, str) and self._caption(text) != values[CAPTION]:
            note = Note(
                "UnreadText", f"{beside} was not read, since the metadata has a caption for the image"
            )
            item = replace(item, notes=(*item.notes, note))
        return item

    def _caption(self, text: str | None) -> str | list[str] | None:
        """A text beside an image as the column of captions has it."""
        if text is None or (CAPTION not in self._lists and not pa.types.is_list(self._kinds[CAPTION])):
            return text
        return captions_of(text)

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


def _find_tables(root: Path, listing: Listing) -> Iterator[str]:
    """The metadata files, folder by folder."""
    seen: dict[PurePosixPath, str] = {}
    for name in listing.names(OTHER):
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
