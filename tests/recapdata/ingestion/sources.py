"""Sources made by hand, and what an ingest left on disk, for the tests of this folder and its neighbors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recapdata.dataset.folder import DatasetFolder
from recapdata.ingestion import IngestOptions
from recapdata.ingestion.source import failed
from recapdata.records import Item
from tests.builders import png


class Listed:
    """A source of given items; it can be told to break off, as an interruption would make it."""

    def __init__(
        self, items: Sequence[Item], *, name: str = "listed", stamp: str = "", break_at: int | None = None
    ) -> None:
        self._items = items
        self._break_at = break_at
        self.name = name
        self.stamp = stamp
        self.columns: dict[str, pa.DataType] = {"caption": pa.string()}
        self.captions = frozenset({"caption"})
        self.labels = False
        self.total: int | None = len(items)

    def items(self, start: int) -> Iterator[Item]:
        for number in range(start, len(self._items)):
            if number == self._break_at:
                raise Interrupted
            yield self._items[number]

    def notes(self) -> list[str]:
        return []


class Interrupted(BaseException):
    """Stands for a signal: nothing but the very end of the program catches it."""


def item(index: int, caption: str | None = "a caption") -> Item:
    """An item with the picture of that index."""
    return Item(source=f"item {index}", image=png(index), columns={"caption": caption})


def mixed_items(count: int) -> list[Item]:
    """Items 0 … count-1: every 7th repeats the one six before it, every 11th cannot be read, every 13th has a blank caption."""
    items = []
    for index in range(count):
        if index % 11 == 10:
            items.append(failed(f"item {index}", "MissingFile", "made to be missing"))
        elif index % 13 == 12:
            items.append(item(index, "  "))
        else:
            items.append(item(index - 6 if index % 7 == 6 else index, f"caption {index}"))
    return items


def table(folder: DatasetFolder | Path, part: str) -> list[dict[str, Any]]:
    """All rows of a part of a folder (`images`, `failures`, …), shard by shard, without the image bytes."""
    path = folder.path if isinstance(folder, DatasetFolder) else folder
    rows: list[dict[str, Any]] = []
    for shard in sorted((path / part).glob("train-*.parquet")):
        names = [name for name in pq.read_schema(shard).names if name != "image"]
        rows += pq.read_table(shard, columns=names).to_pylist()
    return rows


def files(path: Path, *, dates: bool = True) -> dict[str, bytes]:
    """Every visible file of a folder with its bytes; `dates=False` leaves the manifest's dates out."""
    found = {}
    for each in sorted(path.rglob("*")):
        name = each.relative_to(path).as_posix()
        if each.is_file() and not any(part.startswith(".") for part in name.split("/")):
            content = each.read_bytes()
            if not dates and name == "recapdata.yaml":
                content = b"\n".join(line for line in content.splitlines() if b" date:" not in line)
            found[name] = content
    return found


def leftovers(path: Path) -> list[str]:
    """Hidden files that a finished command should not leave."""
    kept = (".lock", ".keys.sqlite")
    return [
        each.relative_to(path).as_posix()
        for each in sorted(path.rglob(".*"))
        if each.is_file() and not each.name.startswith(kept)
    ]


SMALL = IngestOptions(shard_rows=10)
