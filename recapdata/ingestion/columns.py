"""What becomes of a source's own columns: one is the image's license, one its objects, the others come along by their names.

A dataset's fixed columns keep their names; a source's column of such a name comes along as `<name>_in_source`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pyarrow as pa

from recapdata.errors import SourceError
from recapdata.ingestion.annotations import ANNOTATED, CATEGORIES, read_objects
from recapdata.ingestion.invisible import without_invisible
from recapdata.records import RECORD_SCHEMA, Item

CAPTION_NAMES = frozenset({"text", "txt", "alt", "alt_text", "alttext", "description", "prompt"})
MOST_COLUMNS = 2000
"""Columns of a source: each costs every shard and every reader something, and a hostile header may name a million."""
OBJECTS = "objects"
"""The column of annotations, here and in a source."""
IMAGE_NAMES = (
    "image",
    "images",
    "img",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "bytes",
    "image_bytes",
    "data",
    "content",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How a source's columns are taken up; make one with `plan_columns`.

    Attributes:
        names: column of the dataset by column of the source.
        types: type of every column that comes along, by its name in the dataset.
        license: the source's column of licenses.
        objects: the source's column of annotations.
        categories: names of categories that annotations give by number.
    """

    names: Mapping[str, str]
    types: Mapping[str, pa.DataType]
    license: str | None = None
    objects: str | None = None
    categories: Sequence[str] = ()

    @property
    def captions(self) -> frozenset[str]:
        """The columns that hold captions, by type and name: a blank value in one is a mistake."""
        texts = (pa.string(), pa.list_(pa.string()))
        return frozenset(name for name, kind in self.types.items() if kind in texts and holds_captions(name))

    def item(self, source: str, image: bytes | None, values: Mapping[str, Any]) -> Item:
        """The item of an image and its row, sorted into license, objects and columns; a column that was not planned is left out."""
        annotations = values.get(self.objects) if self.objects is not None else None
        objects, notes = read_objects(annotations, self.categories)
        license = values.get(self.license) if self.license is not None else None
        return Item(
            source=source,
            image=image,
            license=license or None,
            objects=objects,
            columns={self.names[name]: value for name, value in values.items() if name in self.names},
            notes=notes,
        )


def plan_columns(
    types: Mapping[str, pa.DataType], *, leave: Sequence[str] = (), categories: Sequence[str] = ()
) -> Columns:
    """Plan for columns of these types, without those to leave (the one that names the image, say).

    Raises:
        SourceError: they are too many for one dataset.
    """
    if len(types) > MOST_COLUMNS:
        first = ", ".join(ascii(name)[:40] for name in list(types)[:3])
        raise SourceError(
            f"the source has {len(types):,} columns ({first}, …), and a dataset at most {MOST_COLUMNS:,}; leave out those that are "
            "not needed"
        )
    license = "license" if types.get("license") == pa.string() and "license" not in leave else None
    objects = OBJECTS if OBJECTS in types and _are_objects(types[OBJECTS]) else None
    names: dict[str, str] = {}
    for name in types:
        if name not in leave and name not in (license, objects):
            names[name] = _free_name(column_name(name), names.values())
    return Columns(
        names=names,
        types={names[name]: kind for name, kind in types.items() if name in names},
        license=license,
        objects=objects,
        categories=tuple(categories),
    )


def column_name(name: str) -> str:
    """The name under which a column comes along."""
    name = without_invisible(name).strip().encode("utf8", "backslashreplace").decode() or "unnamed"
    return f"{name}_in_source" if name in RECORD_SCHEMA.names else name


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name, or with a number where another column of the source has it."""
    numbered = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(each for each in numbered if each not in taken)


def holds_captions(name: str) -> bool:
    """Whether a column, by its name, holds captions."""
    lower = name.lower()
    return lower in CAPTION_NAMES or "caption" in lower


def bytes_column(types: Mapping[str, pa.DataType]) -> str | None:
    """The column of image bytes: an image struct or binary values, by a usual name, else the only one there is."""
    found = [name for name, kind in types.items() if pa.types.is_binary(kind) or _is_image(kind)]
    named = [name for wanted in IMAGE_NAMES for name in found if name.lower() == wanted]
    if named:
        return named[0]
    return found[0] if len(found) == 1 else None


def _is_image(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(
        field.name == "bytes" and pa.types.is_binary(field.type) for field in kind
    )


def _are_objects(kind: pa.DataType) -> bool:
    """Whether a column is annotations that `read_objects` can read: boxes with a category each."""
    if kind == ANNOTATED:
        return True
    if pa.types.is_list(kind):
        kind = kind.value_type
    if not pa.types.is_struct(kind):
        return False
    names = {field.name for field in kind}
    return "bbox" in names and not names.isdisjoint(CATEGORIES)
