"""A shard and its ledgers under way: row groups on disk as they fill, names given only when all of it is written.

The ledgers are renamed first and the image shard last, so that a folder that holds an image shard holds all that belongs
to it. The image shard's footer says which items of which source it covers, which is all that an ingest needs to go on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.extents import Extent
from recapdata.dataset.folder import NOTES, ROW_GROUP_BYTES, ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.writing import REMOVED_SCHEMA
from recapdata.ingestion.images import Picture
from recapdata.records import FAILURE_SCHEMA, NOTE_SCHEMA, RECORD_SCHEMA, Failure, Item


class RowGroups:
    """Rows on their way into one Parquet file, written as a row group whenever enough of them are there."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema
        self._writer: ShardWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def append(self, row: dict[str, Any], weight: int = 0) -> None:
        """Add a row of about `weight` bytes beyond its small columns."""
        if self._rows and (self._bytes + weight > ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS):
            self.flush()
        self._rows.append(row)
        self._bytes += weight

    def flush(self) -> None:
        """Write what is there as a row group."""
        table = pa.Table.from_pylist(self._rows, schema=self._schema)
        self._rows, self._bytes = [], 0
        if self._writer is None:
            self._writer = ShardWriter(self._path, self._schema)
        self._writer.write(table)
        del table
        # Arrow keeps freed memory for itself; row groups are large and few, so it is handed back each time.
        pa.default_memory_pool().release_unused()

    def commit(self, metadata: Mapping[str, str] | None = None, *, empty: bool = False) -> None:
        """Give the file its name; a file without rows is only made when `empty` asks for it."""
        if self._rows or (empty and self._writer is None):
            self.flush()
        if self._writer is not None:
            self._writer.commit(metadata)

    def abort(self) -> None:
        """Forget what was written."""
        if self._writer is not None:
            self._writer.abort()


class OpenShard:
    """The shard that an ingest is filling; `commit` or `abort` ends it."""

    def __init__(self, folder: DatasetFolder, shard: int, columns: Mapping[str, pa.DataType]) -> None:
        self.shard = shard
        self.bytes = 0
        self.items = 0
        self.keys: set[bytes] = set()
        came = [pa.field(name, kind) for name, kind in columns.items()]
        self._columns = tuple(columns)
        self._images = RowGroups(folder.image_shard(shard), pa.schema([*RECORD_SCHEMA, *came]))
        duplicates = pa.schema([RECORD_SCHEMA.field("key"), RECORD_SCHEMA.field("source"), *came])
        self._duplicates = RowGroups(folder.ledger("duplicates", shard), duplicates)
        self._failures = RowGroups(folder.ledger("failures", shard), FAILURE_SCHEMA)
        self._removed = RowGroups(folder.ledger("removed", shard), REMOVED_SCHEMA)
        self._notes = RowGroups(folder.ledger(NOTES, shard), NOTE_SCHEMA)

    def record(self, key: bytes, item: Item, picture: Picture) -> None:
        """An item that becomes a record, with its notes."""
        assert item.image is not None
        for note in item.notes:
            self._notes.append(
                {"key": key.hex(), "source": item.source, "note": note.note, "message": note.message}
            )
        row = {
            "key": key.hex(),
            "image": {"bytes": item.image, "path": None},
            "width": picture.width,
            "height": picture.height,
            "source": item.source,
            "license": item.license,
            "objects": None if item.objects is None else [each.to_dict() for each in item.objects],
        }
        self._images.append({**row, **self._came(item)}, weight=len(item.image))
        self.keys.add(key)
        self.bytes += len(item.image)
        self.items += 1

    def duplicate(self, key: bytes, item: Item) -> None:
        """An item whose picture is a record already: what came with it is kept."""
        self._duplicates.append({"key": key.hex(), "source": item.source, **self._came(item)})
        self.items += 1

    def removed(self, key: bytes, item: Item) -> None:
        """An item whose picture was taken out on request: nothing but its place is kept."""
        self._removed.append({"key": key.hex(), "source": item.source, "reason": "met again"})
        self.items += 1

    def failure(self, failure: Failure) -> None:
        """An item that is no record, and why."""
        self._failures.append(failure.to_dict())
        self.items += 1

    def commit(self, extent: Extent) -> None:
        """Name the ledgers, then the image shard."""
        for ledger in (self._duplicates, self._failures, self._removed, self._notes):
            ledger.commit()
        self._images.commit(extent.to_metadata(), empty=True)

    def _came(self, item: Item) -> dict[str, Any]:
        return {name: item.columns.get(name) for name in self._columns}

    def abort(self) -> None:
        """Forget what was not committed."""
        for part in (self._images, self._duplicates, self._failures, self._removed, self._notes):
            part.abort()
