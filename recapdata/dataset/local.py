"""A local dataset folder as a target: read as it was when it was opened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.folder import DatasetFolder, shard_name
from recapdata.dataset.journal import captions_so_far
from recapdata.dataset.paths import inside
from recapdata.dataset.protocol import Target
from recapdata.dataset.shards import ShardFile, read_set, side_by_side
from recapdata.records import RECORD_SCHEMA, Manifest


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LocalTarget(Target):
    """A dataset folder to read (see `Target`).

    Attributes:
        under_way: whether caption sets that are not finished are read as far as they are (see `so_far`).
    """

    name: str
    manifest: Manifest
    shard_numbers: tuple[int, ...]
    folder: Path
    repo_id: None = None
    revision: None = None
    commit: None = None
    under_way: bool = False

    @property
    def resolved(self) -> str:
        return str(self.folder)

    @property
    def _files(self) -> DatasetFolder:
        return DatasetFolder(self.folder)

    def so_far(self) -> "LocalTarget":
        return replace(self, under_way=True)

    def finished(self, set_name: str, shard: int) -> bool:
        return self._files.caption_shard(set_name, shard).is_file()

    def captioned_shards(self, set_name: str) -> list[int]:
        return [
            shard
            for shard in self.shard_numbers
            if self.finished(set_name, shard) or self._files.journal(set_name, shard).is_file()
        ]

    def rows(self, shard: int) -> int:
        return self._files.rows(shard)

    def read(self, shard: int, columns: Sequence[str], *, batch_rows: int = 1024) -> Iterator[pa.RecordBatch]:
        self.check_columns(columns)
        sets = [name for name in columns if name in self.manifest.sets]
        plain = dict.fromkeys(["key", *(name for name in columns if name not in sets)])
        fixed = plain.keys() <= set(RECORD_SCHEMA.names)
        schema = RECORD_SCHEMA if fixed else _schema(self.folder, self.shard_numbers)
        images = self._files.read_images(shard, list(plain), schema=schema, batch_rows=batch_rows)
        captions = [self._captions(name, shard, batch_rows) for name in sets]
        return side_by_side([images, *captions], columns, where=f"{self.name}, {shard_name(shard)}")

    def _captions(self, set_name: str, shard: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
        folder = self._files
        if self.under_way and (
            not self.finished(set_name, shard) or folder.journal(set_name, shard).is_file()
        ):
            captions, keys = captions_so_far(folder, set_name, shard), folder.read_keys(shard)
            for start in range(0, len(keys), batch_rows):
                part = keys[start : start + batch_rows]
                texts = [captions[key].caption if key in captions else None for key in part]
                yield pa.record_batch([pa.array(part), pa.array(texts, pa.string())], names=["key", set_name])
        else:
            yield from read_set(self.caption_shard(set_name, shard), set_name, batch_rows)

    def take(self, shard: int, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        with ShardFile(self._files.image_shard(shard)) as file:
            return file.take(rows, columns)

    def caption_shard(self, set_name: str, shard: int) -> Path:
        self.check_set(set_name)
        return self._files.finished_shard(set_name, shard)

    def file(self, path: str) -> Path | None:
        local = self.folder / path
        return local if inside(path) and local.is_file() else None


def open_folder(name: str) -> LocalTarget:
    """The dataset in a folder.

    Raises:
        NotADataset: the folder holds no recapdata dataset.
    """
    folder = DatasetFolder.open(name)
    return LocalTarget(
        name=name, folder=folder.path, manifest=folder.manifest, shard_numbers=tuple(folder.shards())
    )


@lru_cache(maxsize=4)
def _schema(path: Path, shards: tuple[int, ...]) -> pa.Schema:
    """The schema over all shards of a folder: a footer each, so it is read once for a target's shards."""
    return DatasetFolder(path).schema()
