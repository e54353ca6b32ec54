"""The local dataset folder: where things lie, atomic writes, and what is finished.

A shard is written to a temporary name and renamed, so a file that carries a shard's name is whole. Nothing here knows what
a source or a captioner is.

    images/train-00000.parquet           RECORD_SCHEMA + the columns that came along
    captions/<set>/train-00000.parquet   CAPTION_SCHEMA, the rows of the same image shard in its order
    captions/<set>/.00000.journal        finished batches of a shard under way
    audits/<set>/train-00000.parquet     written by the audits
    audits/corrections.jsonl             people's words on single verdicts
    duplicates/ failures/ removed/       train-00000.parquet each: what did not become a record of that image shard
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from recapdata.errors import CaptionSetNotFound, DatasetBusy, DatasetDamaged, NotADataset
from recapdata.records import CAPTION_SCHEMA, RECORD_SCHEMA, Counts, Manifest

MANIFEST = "recapdata.yaml"
CORRECTIONS = "audits/corrections.jsonl"
LEDGERS = ("duplicates", "failures", "removed")
SHARD_BYTES = 400 * 2**20
ROW_GROUP_BYTES = 32 * 2**20
ROW_GROUP_ROWS = 10_000

_SHARD = re.compile(r"train-(\d{5,})\.parquet")


def shard_name(shard: int) -> str:
    """File name of a shard, the same in every part of the folder and on the Hub."""
    return f"train-{shard:05d}.parquet"


def fsync_directory(path: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_directory(path.parent)


def ways_out(directory: Path, set_name: str) -> str:
    """What to do about a caption set that is not finished: the end of every message that says so."""
    return (
        "finish it by running its command again, without --limit, --keys or --where, or take it out: "
        f"recapdata remove {directory} --captions {set_name}"
    )


class ShardWriter:
    """Writes one Parquet file, a row group per `write`, under a temporary name until `commit`.

    Used as a context manager it commits on success and leaves nothing behind on an error. Content-defined chunking makes
    equal content give equal pages, so that a Hub with deduplication stores a rewritten shard almost for nothing.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.rows = 0
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._writer = pq.ParquetWriter(
            self._temporary,
            schema,
            compression="snappy",
            use_content_defined_chunking=True,
            write_page_index=True,
        )

    def write(self, table: pa.Table) -> None:
        """Append `table` as one row group (nothing for an empty table)."""
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
            self.rows += table.num_rows

    def commit(self, metadata: Mapping[str, str] | None = None) -> None:
        """Finish the file, make it durable, and give it its name; `metadata` goes into the Parquet footer."""
        if metadata:
            self._writer.add_key_value_metadata(dict(metadata))
        self._writer.close()
        with open(self._temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self._temporary, self.path)
        fsync_directory(self.path.parent)

    def abort(self) -> None:
        """Close and forget what was written, also where closing fails (a full disk)."""
        try:
            self._writer.close()
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._writer.is_open:
                self.commit()
        else:
            self.abort()


class DatasetFolder:
    """A dataset on local disk. Cheap to make: it holds a path and reads what it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    # -- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> "DatasetFolder":
        """The dataset at `path`.

        Raises:
            NotADataset: there is no `recapdata.yaml` in it.
        """
        folder = cls(Path(path))
        if not (folder.path / MANIFEST).is_file():
            raise NotADataset(
                f"{path} is not a dataset folder (no {MANIFEST}); make one with: recapdata ingest SOURCE {path}"
            )
        return folder

    @classmethod
    def create(cls, path: str | Path) -> "DatasetFolder":
        """A new, empty dataset at `path`, which is made if needed; an existing one is left as it is."""
        folder = cls(Path(path))
        folder.path.mkdir(parents=True, exist_ok=True)
        if not (folder.path / MANIFEST).is_file():
            folder.save_manifest(Manifest(name=folder.path.resolve().name))
        return folder

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for one writing process; the lock goes with the process, however it ends.

        Raises:
            DatasetBusy: another process holds it.
        """
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatasetBusy(
                    f"{self.path} is being written by another recapdata process; wait for it or stop it"
                ) from error
            yield

    # -- the manifest ---------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """The manifest as it is on disk now.

        Raises:
            DatasetDamaged: it is not the YAML of a manifest.
        """
        try:
            return Manifest.from_dict(yaml.safe_load((self.path / MANIFEST).read_text(encoding="utf8")))
        except (yaml.YAMLError, TypeError, AttributeError) as error:
            raise DatasetDamaged(f"{self.path / MANIFEST} cannot be read as a manifest: {error}") from error

    def save_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest on disk."""
        text = yaml.safe_dump(manifest.to_dict(), sort_keys=False, allow_unicode=True, width=120)
        write_atomic(self.path / MANIFEST, text.encode())

    # -- where things lie -----------------------------------------------------------------------------------------------

    def image_shard(self, shard: int) -> Path:
        """Path of an image shard."""
        return self.path / "images" / shard_name(shard)

    def caption_shard(self, set_name: str, shard: int) -> Path:
        """Path of the captions of one set for one image shard."""
        return self.path / "captions" / set_name / shard_name(shard)

    def journal(self, set_name: str, shard: int) -> Path:
        """Path of the journal of a caption shard under way."""
        return self.path / "captions" / set_name / f".{shard:05d}.journal"

    def audit_shard(self, set_name: str, shard: int) -> Path:
        """Path of the audit of one set for one image shard."""
        return self.path / "audits" / set_name / shard_name(shard)

    def ledger(self, kind: str, shard: int) -> Path:
        """Path of a ledger (`duplicates`, `failures` or `removed`) of one image shard."""
        return self.path / kind / shard_name(shard)

    def shards(self) -> list[int]:
        """Numbers of the finished image shards, ascending and without a gap.

        Raises:
            DatasetDamaged: a shard in between is missing.
        """
        found = sorted(
            int(match[1])
            for path in (self.path / "images").glob("train-*.parquet")
            if (match := _SHARD.fullmatch(path.name))
        )
        if found != list(range(len(found))):
            missing = sorted(set(range(found[-1])) - set(found))
            raise DatasetDamaged(
                f"{self.path / 'images'} lacks {shard_name(missing[0])}; restore it or ingest again"
            )
        return found

    def finished_captions(self, set_name: str) -> list[int]:
        """Numbers of the image shards whose captions in this set are finished."""
        return [shard for shard in self.shards() if self.caption_shard(set_name, shard).is_file()]

    # -- reading --------------------------------------------------------------------------------------------------------

    def rows(self, shard: int) -> int:
        """How many records an image shard holds, from its footer."""
        return pq.read_metadata(self.image_shard(shard)).num_rows

    def schema(self) -> pa.Schema:
        """The schema that all image shards fit: RECORD_SCHEMA, then every column that ever came along."""
        schemas = [pq.read_schema(self.image_shard(shard)).remove_metadata() for shard in self.shards()]
        return pa.unify_schemas([RECORD_SCHEMA, *schemas])

    def read_images(
        self,
        shard: int,
        columns: list[str] | None = None,
        *,
        schema: pa.Schema | None = None,
        batch_rows: int = 1024,
    ) -> Iterator[pa.RecordBatch]:
        """Stream an image shard in row order, reading only the wanted columns; columns it lacks come as nulls.

        Pass `schema` (see `DatasetFolder.schema`) when reading many shards, so that footers are read once.
        """
        schema = schema or self.schema()
        wanted = pa.schema(
            [schema.field(name) for name in (columns if columns is not None else schema.names)]
        )
        with pq.ParquetFile(self.image_shard(shard)) as file:
            present = set(wanted.names) & set(file.schema_arrow.names)
            for batch in file.iter_batches(batch_rows, columns=sorted(present) or ["key"], use_threads=False):
                arrays = [
                    batch.column(column.name).cast(column.type)
                    if column.name in present
                    else pa.nulls(len(batch), column.type)
                    for column in wanted
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def read_keys(self, shard: int) -> list[str]:
        """The keys of an image shard, in row order."""
        return pq.read_table(self.image_shard(shard), columns=["key"]).column("key").to_pylist()

    def read_captions(self, set_name: str, shard: int, columns: list[str] | None = None) -> pa.Table:
        """The finished captions of one set for one image shard (small: images are not in it).

        Raises:
            CaptionSetNotFound: the set has no finished captions for this shard.
        """
        path = self.caption_shard(set_name, shard)
        if not path.is_file():
            known = ", ".join(self.manifest.sets) or "none"
            raise CaptionSetNotFound(
                f"caption set {set_name!r} of {self.path} has no finished captions for shard {shard} (sets: {known}); "
                + ways_out(self.path, set_name)
            )
        return pq.read_table(path, columns=columns, schema=None if columns else CAPTION_SCHEMA)

    # -- counting -------------------------------------------------------------------------------------------------------

    def ledger_rows(self, kind: str) -> int:
        """How many rows a ledger holds over all shards, from the footers."""
        return sum(pq.read_metadata(path).num_rows for path in (self.path / kind).glob("train-*.parquet"))

    def count(self, items: int) -> Counts:
        """Counts of what is on disk, to be held against `items` as an ingest counted them.

        Raises:
            DatasetDamaged: items ≠ records + duplicates + failures + removed.
        """
        records = sum(self.rows(shard) for shard in self.shards())
        counts = replace(
            Counts(items=items, records=records), **{kind: self.ledger_rows(kind) for kind in LEDGERS}
        )
        if not counts.balanced:
            raise DatasetDamaged(
                f"{self.path}: {items} items, but {counts.records} records + {counts.duplicates} duplicates + "
                f"{counts.failures} failures + {counts.removed} removed on disk; ingest into a new folder"
            )
        return counts
