"""The source `coco:DIR`: photographs with COCO's captions and instances, read from `DIR/annotations/*.json`.

Captions come along as the list column `captions`; instances become `objects`, with masks in COCO's compressed run-length
encoding; a region that COCO marks as a crowd is an object too, and its category also stands in the list column `crowds`,
since nobody counted what is in it. An image's license is its entry in the file's table of licenses.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from recapdata.dataset.paths import inside
from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion.files import check_own, read_image, walk
from recapdata.ingestion.images import is_image_name
from recapdata.ingestion.jsonstream import NoObject, elements
from recapdata.ingestion.listing import Skipped, spelled
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.records import Item, Note, Object

# What the annotation files say, by file and image id; `seen` leads from there to an image's number, since captions and
# instances of one image stand in different files. Values are kept as JSON.
_TABLES = """
CREATE TABLE images (number INTEGER PRIMARY KEY, id, name TEXT, base TEXT, value TEXT, UNIQUE (id, name));
CREATE TABLE seen (file INTEGER, id, number INTEGER, UNIQUE (file, id));
CREATE TABLE annotations (file INTEGER, id, value TEXT);
CREATE TABLE files (base TEXT, path TEXT);
"""
_INDEXES = """
CREATE INDEX seen_as ON seen (number);
CREATE INDEX annotations_of ON annotations (file, id);
CREATE INDEX files_of ON files (base);
CREATE INDEX images_of ON images (base);
"""
_ANNOTATIONS_OF = """
SELECT a.file, a.value FROM seen s JOIN annotations a ON a.file = s.file AND a.id = s.id
WHERE s.number = ? ORDER BY a.rowid
"""
_INSTANCE = frozenset({"category_id", "bbox", "segmentation"})
"""Members of an annotation that make it an object's."""
_NOTES = {
    "image files are in no annotation file and were left aside": (
        "SELECT count(*) FROM files f WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.base = f.base)"
    ),
    "annotations are of images that their file does not list": (
        "SELECT count(*) FROM annotations a WHERE NOT EXISTS "
        "(SELECT 1 FROM seen s WHERE s.file = a.file AND s.id = a.id)"
    ),
}


class Coco:
    """Images of COCO annotation files, in the files' order. What the files say lies in a temporary database on disk."""

    def __init__(self, root: Path, files: list[Path], options: IngestOptions) -> None:
        self._root = root
        self._files = files
        self._max_bytes = options.max_bytes
        self._unreadable = 0
        self._crowds = False
        self._categories: dict[tuple[int, Any], Any] = {}
        self._licenses: dict[tuple[int, Any], str] = {}
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        for number, path in enumerate(files):
            self._read_annotations(number, path)
        self._skipped = Skipped()
        paths = (name for name in walk(root, skipped=self._skipped) if is_image_name(name))
        self._db.executemany(
            "INSERT INTO files VALUES (?, ?)", ((_base(path), _plain(path)) for path in paths)
        )
        self._db.execute("COMMIT")
        self._db.executescript(_INDEXES)

        self.name = f"coco:{root.resolve().name}"
        self.labels = True
        self.columns: dict[str, pa.DataType] = {}
        if any("captions" in path.name for path in files):
            self.columns["captions"] = pa.list_(pa.string())
        if self._crowds:
            self.columns["crowds"] = pa.list_(pa.string())
        self.captions = frozenset({"captions"} & self.columns.keys())
        self.total: int | None = self._count("SELECT count(*) FROM images")
        found = self._db.execute("SELECT path FROM files")
        self.stamp = stamp_of([*(_digest(path) for path in files), *(row[0] for row in found)])

    def items(self, start: int) -> Iterator[Item]:
        """Images from number `start` on."""
        query = "SELECT number, name, base, value FROM images WHERE number >= ? ORDER BY number"
        for row in self._db.execute(query, (start,)):
            yield self._item(*row)

    def notes(self) -> list[str]:
        """What in the files led nowhere."""
        found = {what: self._count(query) for what, query in _NOTES.items()}
        found["entries of the annotation files are no objects, or nest too deep, and were left aside"] = (
            self._unreadable
        )
        return [*self._skipped.notes(), *(f"{count:,} {what}" for what, count in found.items() if count)]

    def _count(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])

    def _read_annotations(self, file: int, path: Path) -> None:
        """Take one annotation file into the database; its sections may stand in any order."""
        try:
            for section, value in elements(path):
                if section == "images":
                    self._add_image(file, value if isinstance(value, Mapping) else {})
                elif section not in ("annotations", "categories", "licenses"):
                    continue
                elif not isinstance(value, Mapping):
                    self._unreadable += 1
                elif section == "annotations":
                    self._crowds = self._crowds or bool(value.get("iscrowd"))
                    row = (file, _plain(value.get("image_id")), json.dumps(value))
                    self._db.execute("INSERT INTO annotations VALUES (?, ?, ?)", row)
                elif section == "categories":
                    self._categories[file, _plain(value.get("id"))] = value.get("name")
                else:
                    text = value.get("url") or value.get("name") or value.get("id")
                    self._licenses[file, _plain(value.get("id"))] = _plain(str(text))
        except NoObject as error:
            raise SourceError(
                f"{path} is no annotation file of COCO: that is one JSON object with images, annotations and categories"
            ) from error
        except ValueError as error:
            reason = getattr(error, "msg", error)
            raise SourceError(f"{path} is no whole JSON ({reason}); fetch it again") from error

    def _add_image(self, file: int, image: Mapping[str, Any]) -> None:
        name = image.get("file_name")
        name = _plain(name) if isinstance(name, str) else None
        number = self._count("SELECT count(*) FROM images")
        identity = _plain(image.get("id"))
        value = json.dumps({**image, "file": file})
        row = (number, identity, name, _base(name) if name else None, value)
        self._db.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)", row)
        same = self._db.execute("SELECT number FROM images WHERE id IS ? AND name IS ?", (identity, name))
        seen = (file, identity, same.fetchone()[0])
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", seen)

    def _item(self, number: int, name: str | None, base: str, value: str) -> Item:
        image = json.loads(value)
        if name is None:
            identity = ascii(image.get("id"))[:100]
            return failed(
                f"{self.name} image {identity}",
                "MissingColumn",
                f"the image of id {identity} has no file_name",
            )
        path = self._find(number, name, base)
        if isinstance(path, Item):
            return path
        source = self._source(path)
        content = read_image(self._root, path, source, self._max_bytes)
        if isinstance(content, Item):
            return content
        item = self._annotated(number, Item(source=source, image=content))
        license = self._licenses.get((image["file"], _plain(image.get("license"))))
        return replace(item, license=license, size=(image.get("width"), image.get("height")))

    def _find(self, number: int, name: str, base: str) -> str | Item:
        """The path of an image's file: where its name leads, else the file of that name in a folder named in a JSON's name."""
        if not inside(name) or not inside(name.replace("\\", "/")):
            return failed(self._source(name), "UnsafePath", f"file_name leads outside the source: {name!a}")
        rows = self._db.execute("SELECT path FROM files WHERE base = ?", (base,))
        paths = [row[0] for row in rows]
        for same in (lambda path: path, spelled):  # as it is, else whatever the spelling
            exact = [path for path in paths if f"/{same(path)}".endswith(f"/{same(name)}")]
            if exact:
                paths = exact
                break
        if len(paths) > 1:
            seen = self._db.execute("SELECT file FROM seen WHERE number = ?", (number,))
            splits = [self._files[row[0]].stem for row in seen]
            folders = {path: PurePosixPath(path).parent.name for path in paths}
            paths = [
                path for path in paths if any(folders[path] in split.split("_") for split in splits)
            ] or paths
        if len(paths) == 1:
            return paths[0]
        if paths:
            places = f"{len(paths)} files have this name: {', '.join(paths[:3])}"
            return failed(self._source(name), "AmbiguousFile", places)
        return failed(self._source(name), "MissingFile", f"no file of this name in {self._root.name}")

    def _annotated(self, number: int, item: Item) -> Item:
        """The item with its objects (None where no file of instances lists the image) and the columns that come along."""
        captions: list[str] = []
        crowds: list[str] = []
        objects: list[Object] = []
        notes: list[Note] = []
        for file, text in self._db.execute(_ANNOTATIONS_OF, (number,)):
            value = json.loads(text)
            is_caption, is_instance = "caption" in value, not _INSTANCE.isdisjoint(value)
            if is_caption:
                self._add_caption(value["caption"], captions, notes)
            if is_instance or (not is_caption and self._lists_instances(file)):
                category = self._category(file, value, notes)
                objects.append(
                    Object(bbox=value.get("bbox"), category=category, mask=value.get("segmentation") or None)
                )
                if value.get("iscrowd") and category is not None:
                    crowds.append(category)
            elif not is_caption:
                notes.append(
                    Note("BadAnnotation", f"an annotation is neither a caption nor an object: {text[:80]!a}")
                )
        files = [row[0] for row in self._db.execute("SELECT file FROM seen WHERE number = ?", (number,))]
        listed = any(self._lists_instances(file) for file in files)
        columns: dict[str, Any] = {"captions": captions or None, "crowds": crowds if listed else None}
        return replace(
            item,
            objects=tuple(objects) if listed else None,
            columns={name: value for name, value in columns.items() if name in self.columns},
            notes=tuple(notes),
        )

    def _lists_instances(self, file: int) -> bool:
        return "instances" in self._files[file].name

    @staticmethod
    def _add_caption(value: Any, captions: list[str], notes: list[Note]) -> None:
        if isinstance(value, str):
            captions.append(value)
        else:
            notes.append(Note("BadCaption", f"a caption is no text, and was left out: {ascii(value)[:80]}"))

    def _category(self, file: int, value: Mapping[str, Any], notes: list[Note]) -> str | None:
        """The name of an annotation's category; a note where there is none."""
        identity = value.get("category_id")
        key = (file, _plain(identity))
        name = self._categories.get(key)
        if isinstance(name, str) and name.strip() and _plain(name) == name:
            return name
        why = "has no name" if key in self._categories else "is not listed"
        text = f"category_id {ascii(identity)[:80]} {why} in {self._files[file].name}, so that its class is unknown"
        notes.append(Note("UnknownCategory", text))
        return None

    def _source(self, name: str) -> str:
        return f"{self._root.resolve().name}/{name}"


def open_coco(argument: str, options: IngestOptions) -> Coco:
    """The source of a folder with COCO's annotations.

    Raises:
        SourceNotFound: there is no such folder.
        SourceError: it has no annotation files, or one that is no JSON.
    """
    root = Path(argument).expanduser()
    if not root.is_dir():
        raise SourceNotFound(f"coco:{argument}: there is no folder {argument}")
    files = sorted(
        path
        for path in (root / "annotations").glob("*.json")
        if "captions" in path.name or "instances" in path.name
    )
    if not files:
        raise SourceError(
            f"coco:{argument}: {root / 'annotations'} holds no *captions*.json and no *instances*.json; "
            "COCO's annotation files belong there"
        )
    for path in files:
        check_own(root, path)
    coco = Coco(root, files, options)
    if not coco.total:
        raise SourceError(f"coco:{argument}: its annotation files list no images")
    return coco


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _base(name: str) -> str:
    return spelled(name).rpartition("/")[2]


def _plain(value: Any) -> Any:
    """A value that the database takes: text without the marks of bytes that are no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf8", "backslashreplace").decode()
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return json.dumps(value)
