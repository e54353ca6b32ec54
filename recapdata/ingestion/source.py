"""What a source is: something that offers items in an order that is the same each time, and can start anywhere in it."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

import pyarrow as pa

from recapdata.errors import OptionError, SourceNotFound
from recapdata.ingestion.options import IngestOptions
from recapdata.records import Failure, Item
from recapdata.registry import Registry


class Source(Protocol):
    """A source that was found and opened.

    Attributes:
        name: canonical text, the same on every machine that holds the same data.
        stamp: short text that changes when the items or their order do; an ingest only resumes with an equal one.
        columns: types of the columns that come along, by name; every item's columns fit them.
        captions: those of the columns that hold captions: a blank one makes the item a failure.
        labels: whether an item's source ends in a file name whose extension says what the image is.
        total: how many items there are; None where only reading would tell.
    """

    name: str
    stamp: str
    columns: Mapping[str, pa.DataType]
    captions: Collection[str]
    labels: bool
    total: int | None

    def items(self, start: int) -> Iterator[Item]:
        """Items from number `start` on, always in the same order; what cannot be read is an item with an error."""
        ...

    def notes(self) -> list[str]:
        """What a person should know of the reading, for the end of the run: one sentence each."""
        ...


SOURCES: Mapping[str, str] = {
    "coco": "recapdata.ingestion.coco:open_coco",
    "hf": "recapdata.ingestion.hub:open_hub",
    "folder": "recapdata.ingestion.folder:open_folder",
    "scenes": "recapdata.ingestion.drawn:open_scenes",
    "urls": "recapdata.ingestion.urls:open_urls",
    "wds": "recapdata.ingestion.webdataset:open_webdataset",
}
"""Kind → function of (what stands after the colon, options); a source without a kind is a folder.

One from outside is a function of the same arguments, named by a dotted path (`mypackage.mine:open_source:ARGUMENT`) or by an entry
point of the group `recapdata.sources`."""
REGISTRY = Registry(kind="kind of source", table=SOURCES, group="recapdata.sources", error=SourceNotFound)


def open_source(source: str, options: IngestOptions) -> Source:
    """Find and open a source by its text, such as `coco:DIR` or a folder's path.

    Raises:
        SourceNotFound: it does not exist, or is of no known kind; or code from outside that opens no source.
        SourceError: it exists but cannot be read as what it claims to be.
        OptionError: its arguments make no sense.
    """
    kind, argument = REGISTRY.split(source) if ":" in source else ("folder", source)
    opened: Source = REGISTRY.open(kind, argument or "", options, protocol=Source)
    return opened


def failed(source: str, error: str, message: str) -> Item:
    """An item that could not be read."""
    return Item(source=source, error=Failure(stage="ingest", source=source, error=error, message=message))


def stamp_of(parts: Iterable[str]) -> str:
    """A short hash over what a source will offer."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:16]


def arguments_of(text: str, kind: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """The first argument and the named ones of `first,name=value,…`.

    Raises:
        OptionError: a name that the kind does not know, or a part without `=`.
    """
    first, *rest = text.split(",")
    named: dict[str, str] = {}
    for part in rest:
        name, equals, value = part.partition("=")
        if not equals or name not in known:
            raise OptionError(
                f"{kind}:{text}: {part!r} means nothing here; after the first comma stand "
                + ", ".join(f"{each}=…" for each in known)
            )
        named[name] = value
    return first, named
