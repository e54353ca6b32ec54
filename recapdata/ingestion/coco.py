"""The source `coco:DIR`: photographs with COCO's captions and instances, read from `DIR/annotations/*.json`.

Captions come along as the list column `captions`; instances become `objects`, with masks in COCO's compressed run-length
encoding; a region that COCO marks as a crowd is an object too, and its category also stands in the list column `crowds`,
since nobody counted what is in it. An image's license is its entry in the file's table of licenses.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from recapdata.dataset.paths import inside
from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion.columns import read_box
from recapdata.ingestion.files import check_own, read_image, walk
from recapdata.ingestion.images import is_image_name
from recapdata.ingestion.jsonstream import elements
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.records import Item, Object

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
        self._lost_masks = 0
        self._crowds = False
        self._categories: dict[tuple[int, Any], str] = {}
        self._licenses: dict[tuple[int, Any], str] = {}
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        for number, path in enumerate(files):
            self._read_annotations(number, path)
        paths = (name for name in walk(root) if is_image_name(name))
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
        found["masks could not be read and were left out"] = self._lost_masks
        return [f"{count:,} {what}" for what, count in found.items() if count]

    def _count(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])

    def _read_annotations(self, file: int, path: Path) -> None:
        """Take one annotation file into the database; its sections may stand in any order."""
        try:
            for section, value in elements(path):
                if not isinstance(value, Mapping):
                    continue
                if section == "images":
                    self._add_image(file, value)
                elif section == "annotations":
                    self._crowds = self._crowds or bool(value.get("iscrowd"))
                    row = (file, _plain(value.get("image_id")), json.dumps(value))
                    self._db.execute("INSERT INTO annotations VALUES (?, ?, ?)", row)
                elif section == "categories":
                    identity, name = _plain(value.get("id")), value.get("name")
                    self._categories[file, identity] = str(identity if name is None else name)
                elif section == "licenses":
                    text = value.get("url") or value.get("name") or value.get("id")
                    self._licenses[file, _plain(value.get("id"))] = str(text)
        except (ValueError, RecursionError) as error:
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
            where = f"{self.name} image {image.get('id')}"
            return failed(where, "MissingColumn", f"the image of id {image.get('id')} has no file_name")
        path = self._find(number, name, base)
        if isinstance(path, Item):
            return path
        source = self._source(path)
        content = read_image(self._root, path, source, self._max_bytes)
        if isinstance(content, Item):
            return content
        objects, columns = self._annotations(number, image)
        license = self._licenses.get((image["file"], _plain(image.get("license"))))
        return Item(source=source, image=content, license=license, objects=objects, columns=columns)

    def _find(self, number: int, name: str, base: str) -> str | Item:
        """The path of an image's file: where its name leads, else the file of that name in a folder named in a JSON's name."""
        if not inside(name):
            return failed(self._source(name), "UnsafePath", f"file_name leads outside the source: {name!a}")
        rows = self._db.execute("SELECT path FROM files WHERE base = ?", (base,))
        paths = [row[0] for row in rows]
        paths = [path for path in paths if path == name or path.endswith(f"/{name}")] or paths
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

    def _annotations(
        self, number: int, image: Mapping[str, Any]
    ) -> tuple[tuple[Object, ...] | None, dict[str, Any]]:
        """Objects (None where no file of instances lists the image) and the columns that come along."""
        captions: list[str] = []
        crowds: list[str] = []
        objects: list[Object] = []
        for file, text in self._db.execute(_ANNOTATIONS_OF, (number,)):
            value = json.loads(text)
            if "caption" in value:
                if value["caption"] is not None:
                    captions.append(str(value["caption"]))
            elif "category_id" in value:
                category = self._categories.get((file, _plain(value["category_id"])))
                objects.append(self._object(value, category, image))
                if value.get("iscrowd") and category is not None:
                    crowds.append(category)
        files = [row[0] for row in self._db.execute("SELECT file FROM seen WHERE number = ?", (number,))]
        listed = any("instances" in self._files[file].name for file in files)
        columns: dict[str, Any] = {"captions": captions or None, "crowds": crowds if listed else None}
        return (
            tuple(objects) if listed else None,
            {name: value for name, value in columns.items() if name in self.columns},
        )

    def _object(self, value: Mapping[str, Any], category: str | None, image: Mapping[str, Any]) -> Object:
        mask = None
        if value.get("segmentation"):
            mask = _run_lengths(value["segmentation"], image.get("height"), image.get("width"))
            self._lost_masks += mask is None
        return Object(bbox=read_box(value.get("bbox")), category=category, mask=mask)

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


def _run_lengths(segmentation: Any, height: Any, width: Any) -> dict[str, Any] | None:
    """Polygons or run lengths as COCO's compressed run-length encoding; None where they are neither."""
    from pycocotools import mask

    if isinstance(segmentation, list):
        polygons = [each for each in segmentation if _are_numbers(each) and len(each) >= 6]
        if len(polygons) < len(segmentation) or not _are_numbers([height, width]):
            return None
        encoded = mask.merge(mask.frPyObjects(polygons, height, width))
    elif isinstance(segmentation, dict) and _are_numbers(segmentation.get("size")):
        encoded = segmentation
        if _are_numbers(encoded.get("counts")):
            encoded = mask.frPyObjects(encoded, *encoded["size"])
    else:
        return None
    counts = encoded.get("counts")
    if not isinstance(counts, bytes | str):
        return None
    return {
        "size": [int(each) for each in encoded["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }


def _are_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, int | float) and abs(each) < 2**31 for each in value)
    )


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _base(name: str) -> str:
    return _plain(PurePosixPath(name).name)


def _plain(value: Any) -> Any:
    """A value that the database takes: text without the marks of bytes that are no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf8", "backslashreplace").decode()
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return json.dumps(value)
