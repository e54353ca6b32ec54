"""Checks items in threads, in order: is the image what it claims to be, is the text that came along text?

What is wrong with an item becomes its `Failure`; nothing raises.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pyarrow as pa

from recapdata.addresses import without_secrets
from recapdata.dataset.image_columns import has_image_type
from recapdata.dataset.masks import is_number
from recapdata.ingestion.annotations import check_objects
from recapdata.ingestion.files import MAX_TEXT
from recapdata.ingestion.images import Picture, Problem, check_image, remarks
from recapdata.ingestion.invisible import without_invisible
from recapdata.ingestion.source import IngestOptions, Source
from recapdata.ingestion.threads import map_in_threads
from recapdata.records import RECORD_SCHEMA, Failure, Item, Note

CHUNK_ITEMS = 64
CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Checked:
    """An item with its key and what its image is, or with the failure that keeps it from being a record."""

    item: Item
    key: bytes = b""
    picture: Picture | None = None
    failure: Failure | None = None


def check_items(items: Iterable[Item], source: Source, options: IngestOptions) -> Iterator[list[Checked]]:
    """Check items in threads; chunks come back in the order of the items, and only a few are in memory at once."""
    threads = max(1, min(8, len(os.sched_getaffinity(0))))

    def check(chunk: list[Item]) -> list[Checked]:
        return [check_item(item, source, options) for item in chunk]

    return map_in_threads(check, _chunks(items), threads=threads, ahead=threads + 1)


def check_item(item: Item, source: Source, options: IngestOptions) -> Checked:
    """What becomes of one item, apart from whether its key is known."""
    item = replace(item, source=without_secrets(_plain(item.source)))
    if item.error is not None:
        message = without_secrets(_plain(item.error.message))
        return Checked(item, failure=replace(item.error, source=item.source, message=message))
    item = _with_held_images(_with_visible_captions(item, source), source)
    if options.keep_blank:
        item = replace(item, columns=_without_blanks(item.columns, source))
    assert item.image is not None
    if len(item.image) > options.max_bytes:
        problem: Picture | Problem | None = Problem(
            "TooLarge", f"{len(item.image):,} bytes; the limit is {options.max_bytes:,}"
        )
    else:
        problem = check_image(item.image, options.max_pixels)
    key = sha256(item.image)
    picture = problem if isinstance(problem, Picture) else None
    if picture is not None:
        item = _checked_annotations(item, picture, item.source if source.labels else None)
        problem = (
            _value_problem(item, source)
            or _blank_caption(item.columns, source)
            or _long_caption(item.columns, source)
        )
    if isinstance(problem, Problem):
        failure = Failure(
            stage="ingest",
            source=item.source,
            key=key.hexdigest() if item.image else None,
            error=problem.error,
            message=problem.message,
        )
        return Checked(item, failure=failure)
    return Checked(item, key=key.digest(), picture=picture)


def _with_visible_captions(item: Item, source: Source) -> Item:
    """The item with captions of which everything can be seen, and a note on what was taken out of them."""

    def visible(value: Any) -> Any:
        if isinstance(value, list):
            return [visible(each) for each in value]
        return (
            without_invisible(value).strip()
            if isinstance(value, str) and without_invisible(value) != value
            else value
        )

    columns, notes = dict(item.columns), list(item.notes)
    for name in source.captions:
        if (value := columns.get(name)) is not None and (seen := visible(value)) != value:
            columns[name] = seen
            taken = sum(map(len, _texts(value))) - sum(map(len, _texts(seen)))
            text = f"byte-order marks, zero-width characters and blanks beside them were taken out of {name!a} ({taken:,})"
            notes.append(Note("InvisibleCharacters", text))
    return replace(item, columns=columns, notes=tuple(notes))


def _with_held_images(item: Item, source: Source) -> Item:
    """The item without images of other columns that are but a path, which whoever reads the dataset would open; and a note on them."""
    columns, notes = dict(item.columns), list(item.notes)
    for name in (name for name, kind in source.columns.items() if has_image_type(kind)):
        value = columns.get(name)
        values = value if isinstance(value, list) else [value]
        named = [each for each in values if isinstance(each, Mapping) and each.get("bytes") is None]
        if named:
            held = [
                None if isinstance(each, Mapping) and each.get("bytes") is None else each for each in values
            ]
            columns[name] = held if isinstance(value, list) else held[0]
            paths = ", ".join(ascii(each.get("path"))[:100] for each in named[:3])
            notes.append(Note("MissingImage", f"column {name!a} names what the row does not hold: {paths}"))
    return replace(item, columns=columns, notes=tuple(notes))


def _checked_annotations(item: Item, picture: Picture, name: str | None) -> Item:
    """The item with what of its annotations is sound in its picture, and notes on the rest and on the picture."""
    checked = check_objects(item.objects, picture.width, picture.height)
    notes = [*item.notes, *checked.notes, *remarks(name, picture), *_other_size(item.size, picture)]
    plain = tuple(replace(note, message=_plain(note.message)) for note in notes)
    return replace(item, objects=checked.objects, notes=plain)


def _other_size(said: tuple[Any, Any] | None, picture: Picture) -> list[Note]:
    """A note where a source gives another size than the picture has; a size that is none is nobody's."""
    if said is None or not all(is_number(side) and side > 0 for side in said):
        return []
    if list(said) == [picture.width, picture.height]:
        return []
    text = (
        f"the source says {said[0]:g} × {said[1]:g} pixels, the picture has {picture.width} × {picture.height}, by which its "
        "annotations are read"
    )
    return [Note("OtherSize", text)]


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in lists worth a thread's while, bounded in number and bytes."""
    chunk: list[Item] = []
    weight = 0
    for item in items:
        chunk.append(item)
        weight += len(item.image or b"")
        if len(chunk) >= CHUNK_ITEMS or weight >= CHUNK_BYTES:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _value_problem(item: Item, source: Source) -> Problem | None:
    """Values that cannot be written as their columns are."""
    objects = None if item.objects is None else [each.to_dict() for each in item.objects]
    values = {"license": item.license, "objects": objects, **item.columns}
    if problem := _text_problem(values):
        return problem
    if undeclared := [name for name in item.columns if name not in source.columns]:
        return Problem("UndeclaredColumn", f"column {undeclared[0]!r} is not among the columns of the source")
    kinds = {name: RECORD_SCHEMA.field(name).type for name in ("license", "objects")} | dict(source.columns)
    for name, kind in kinds.items():
        try:
            pa.array([values.get(name)], kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            return Problem(
                "BadValue", f"column {name!r} holds a value that is no {kind}: {str(error)[:200]!a}"
            )
    return None


def _text_problem(columns: Mapping[str, Any]) -> Problem | None:
    """Text that is not Unicode: sources decode with `surrogateescape`, which leaves a mark on every wrong byte."""
    for name, value in columns.items():
        for text in _texts(value):
            try:
                text.encode()
            except UnicodeEncodeError:
                return Problem("NotUtf8", f"column {name!r} holds text that is not UTF-8: {text[:60]!a}")
    return None


def _blank_caption(columns: Mapping[str, Any], source: Source) -> Problem | None:
    for name in source.captions:
        if any(not text.strip() for text in _texts(columns.get(name))):
            return Problem("EmptyCaption", f"the caption in column {name!r} is empty")
    return None


def _long_caption(columns: Mapping[str, Any], source: Source) -> Problem | None:
    for name in source.captions:
        for text in _texts(columns.get(name)):
            if len(text) * 4 > MAX_TEXT and (size := len(text.encode())) > MAX_TEXT:
                return Problem(
                    "TooLarge",
                    f"the caption in column {name!r} has {size:,} bytes; the limit is {MAX_TEXT:,}",
                )
    return None


def _without_blanks(columns: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The columns with null in place of every blank caption."""

    def kept(value: Any) -> Any:
        if isinstance(value, list):
            return [kept(each) for each in value]
        return None if isinstance(value, str) and not value.strip() else value

    return {name: kept(value) if name in source.captions else value for name, value in columns.items()}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(name)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _plain(text: str) -> str:
    """Text that can be written, whatever bytes a file name held."""
    return text.encode("utf8", "backslashreplace").decode()
