"""The local dataset folder: where things lie, atomic writes, and what is finished.

A shard is written to a temporary name and renamed, so a file that carries a shard's name is whole. Nothing here knows what
a source or a captioner is. A folder may come from anybody: names in it are checked where they are read, and what belongs to the
layout is never a symbolic link, so that nothing outside of the folder is read, written or deleted through it.

    images/train-00000.parquet           RECORD_SCHEMA + the columns that came along
    captions/<set>/train-00000.parquet   CAPTION_SCHEMA, the rows of the same image shard in its order
    captions/<set>/.00000.journal        finished batches of a shard under way
    audits/<set>/train-00000.parquet     written by the audits
    audits/corrections.jsonl             people's words on single verdicts
    evidence/<maker>/train-00000.parquet what was seen of the pictures, a cache of the audits (see `audits.cache`)
    duplicates/ failures/ removed/       train-00000.parquet each: what did not become a record of that image shard
    notes/                               train-00000.parquet each: what was left out of records, such as a box that is none
"""

import fcntl
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import yaml

from recapdata.atomic import check_folder, open_to_append, write_atomic
from recapdata.dataset.audit_files import SUMMARY
from recapdata.dataset.bounded import read_small
from recapdata.dataset.shards import ShardFile, fields_of, read_footer, read_schema, read_shard, unified
from recapdata.display import shell_word
from recapdata.errors import CaptionSetNotFound, DatasetBusy, DatasetDamaged, DatasetEmpty, NotADataset
from recapdata.records import CAPTION_SCHEMA, RECORD_SCHEMA, SET_NAME, Counts, Manifest

MANIFEST = "recapdata.yaml"
CORRECTIONS = "audits/corrections.jsonl"
LEDGERS = ("duplicates", "failures", "removed")
"""Ledgers of items that did not become records, whose rows are counted."""
NOTES = "notes"
"""The ledger of what should be known of records and was left out of them."""
EVIDENCE = "evidence"
PARTS = ("images", "captions", "audits", EVIDENCE, *LEDGERS, NOTES)
"""The folders of the layout."""
OWN_FILES = (MANIFEST, f".{MANIFEST}.tmp", ".lock", ".keys.sqlite", ".publishing")
"""What else a command reads or writes at the top, by the beginning of its name."""
MANIFEST_BYTES = 2**20
ROW_GROUP_BYTES = 32 * 2**20
ROW_GROUP_ROWS = 10_000

_SHARD = re.compile(r"train-([0-9]{5,12})\.parquet")


def shard_name(shard: int) -> str:
    """File name of a shard, the same in every part of the folder and on the Hub."""
    return f"train-{shard:05d}.parquet"


def shard_number(name: str) -> int | None:
    """The number of the shard that has this file name; None for any other file."""
    match = _SHARD.fullmatch(name)
    return int(match[1]) if match and shard_name(int(match[1])) == name else None


def is_shard_path(path: str) -> bool:
    """Whether a path, relative to a dataset folder, is that of a shard in one of its parts."""
    part, *between, name = path.split("/")
    sets = 1 if part in ("captions", "audits", EVIDENCE) else 0
    return (
        part in PARTS
        and len(between) == sets
        and all(SET_NAME.fullmatch(name) for name in between)
        and shard_number(name) is not None
    )


def published_files(folder: "DatasetFolder") -> list[str]:
    """Paths of the files that are published as they lie: the whole of what may leave the folder but for the data shards.

    Captions and audits of the manifest's sets, the failures, and what the audit says of all of them.
    """
    shards = [shard_name(shard) for shard in folder.shards()]
    paths = [
        f"{part}/{name}/{each}"
        for part in ("captions", "audits")
        for name in folder.manifest.sets
        for each in shards
    ]
    paths += [SUMMARY, CORRECTIONS, *(f"failures/{each}" for each in shards)]
    return [path for path in paths if (folder.path / path).is_file()]


def check_layout(path: Path) -> None:
    """Refuse a dataset folder of which a part is a symbolic link, a FIFO or a device.

    Raises:
        DatasetDamaged: it is such a folder.
    """
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name in PARTS or entry.name.startswith(OWN_FILES):
                _check_entry(entry)


def check_output(out: Path, names: Collection[str]) -> None:
    """Refuse a folder to write to where one of these entries is, or holds, a symbolic link, a FIFO or a device.

    Args:
        out: the folder; nothing is checked where there is none yet. It may itself be reached by a link.

    Raises:
        DatasetDamaged: it is such a folder.
        OptionError: it is a file, or lies below one.
    """
    check_folder(out)
    if out.exists():
        with os.scandir(out) as entries:
            for entry in entries:
                if entry.name in names:
                    _check_entry(entry)


def _check_entry(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        with os.scandir(entry.path) as entries:
            for child in entries:
                _check_entry(child)
    elif not entry.is_file(follow_symlinks=False):
        what = "a symbolic link" if entry.is_symlink() else "no file"
        raise DatasetDamaged(
            f"{entry.path} is {what}; such a folder holds files of its own only, so that nothing outside of it is read "
            "or written: put the files themselves there, or take it out"
        )


def read_manifest(path: Path, name: str) -> Manifest:
    """The manifest in a file, of a folder or of a published version.

    Args:
        name: what it is the manifest of, for the message.

    Raises:
        DatasetDamaged: it is not the YAML of a manifest, or names what no dataset can have.
    """
    try:
        return Manifest.from_dict(yaml.safe_load(read_small(path, MANIFEST_BYTES).decode("utf8")))
    except (yaml.YAMLError, TypeError, AttributeError, ValueError, RecursionError) as error:
        message = " ".join(str(error).split())[:300]
        raise DatasetDamaged(
            f"{MANIFEST} of {name} cannot be read as a manifest: {message}; was it written by a later recapdata?"
        ) from error


def ways_out(directory: str | Path, set_name: str) -> str:
    """What to do about a caption set that is not finished: the end of every message that says so."""
    return (
        "finish it by running its command again, without --limit, --keys or --where, or take it out: "
        f"recapdata remove {shell_word(str(directory))} --captions {set_name}"
    )


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold a folder for one writing process; the lock goes with the process, however it ends.

    Raises:
        DatasetBusy: another process holds it.
        OptionError: its lock is a link, or no file.
    """
    with open_to_append(directory / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetBusy(
                f"{directory} is being written by another recapdata process; wait for it or stop it"
            ) from error
        yield


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
            DatasetDamaged: a part of it is a symbolic link (see `check_layout`).
        """
        folder = cls(Path(path))
        if not (folder.path / MANIFEST).is_file():
            raise NotADataset(
                f"{path} is not a dataset folder (no {MANIFEST}); make one with: recapdata ingest SOURCE {shell_word(str(path))}"
            )
        check_layout(folder.path)
        return folder

    @classmethod
    def create(cls, path: str | Path) -> "DatasetFolder":
        """A new, empty dataset at `path`, which is made if needed; an existing one is left as it is."""
        folder = cls(Path(path))
        folder.path.mkdir(parents=True, exist_ok=True)
        check_layout(folder.path)
        if not (folder.path / MANIFEST).is_file():
            folder.save_manifest(Manifest(name=folder.path.resolve().name))
        return folder

    # -- the manifest ---------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """The manifest as it is on disk now.

        Raises:
            DatasetDamaged: it is not the YAML of a manifest.
        """
        return read_manifest(self.path / MANIFEST, str(self.path))

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

    def finished_shard(self, set_name: str, shard: int) -> Path:
        """The same, of captions that are finished.

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
        return path

    def journal(self, set_name: str, shard: int) -> Path:
        """Path of the journal of a caption shard under way."""
        return self.path / "captions" / set_name / f".{shard:05d}.journal"

    def audit_shard(self, set_name: str, shard: int) -> Path:
        """Path of the audit of one set for one image shard."""
        return self.path / "audits" / set_name / shard_name(shard)

    def ledger(self, kind: str, shard: int) -> Path:
        """Path of a ledger (`duplicates`, `failures`, `removed` or `notes`) of one image shard."""
        return self.path / kind / shard_name(shard)

    def ledgers(self, kind: str) -> list[Path]:
        """Paths of all files of a ledger, in the order of their shards."""
        paths = (self.path / kind).glob("train-*.parquet")
        return sorted(path for path in paths if shard_number(path.name) is not None)

    def shards(self) -> list[int]:
        """Numbers of the finished image shards, ascending and without a gap.

        Raises:
            DatasetDamaged: a shard in between is missing.
        """
        paths = (self.path / "images").glob("train-*.parquet")
        numbers = sorted(number for path in paths if (number := shard_number(path.name)) is not None)
        if numbers != list(range(len(numbers))):
            missing = next(place for place, number in enumerate(numbers) if place != number)
            raise DatasetDamaged(
                f"{self.path / 'images'} lacks {shard_name(missing)}; restore it or ingest again"
            )
        return numbers

    def check_records(self) -> None:
        """Refuse to work on nothing.

        Raises:
            DatasetEmpty: there is no record.
        """
        if not any(self.rows(shard) for shard in self.shards()):
            raise DatasetEmpty(
                f"{self.path} holds no records; finish its ingest by running its command again, or ingest other images"
            )

    def finished_captions(self, set_name: str) -> list[int]:
        """Numbers of the image shards whose captions in this set are finished."""
        return [shard for shard in self.shards() if self.caption_shard(set_name, shard).is_file()]

    # -- reading --------------------------------------------------------------------------------------------------------

    def rows(self, shard: int) -> int:
        """How many records an image shard holds, from its footer."""
        return read_footer(self.image_shard(shard)).num_rows

    def schema(self) -> pa.Schema:
        """The schema that all image shards fit: RECORD_SCHEMA, then every column that ever came along.

        Raises:
            DatasetDamaged: a column is of different types in them.
        """
        schemas = [read_schema(self.image_shard(shard)) for shard in self.shards()]
        return unified([RECORD_SCHEMA, *schemas], str(self.path / "images"))

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
        wanted = pa.schema(fields_of(schema, schema.names if columns is None else columns, str(self.path)))
        checksums = None if "image" in wanted.names else True
        with ShardFile(self.image_shard(shard), checksums=checksums) as file:
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
        return read_shard(self.image_shard(shard), ["key"]).column("key").to_pylist()

    def read_captions(self, set_name: str, shard: int, columns: list[str] | None = None) -> pa.Table:
        """The finished captions of one set for one image shard (small: images are not in it).

        Raises:
            CaptionSetNotFound: the set has no finished captions for this shard.
        """
        path = self.finished_shard(set_name, shard)
        return read_shard(path, columns, schema=None if columns else CAPTION_SCHEMA)

    # -- counting -------------------------------------------------------------------------------------------------------

    def ledger_rows(self, kind: str) -> int:
        """How many rows a ledger holds over all shards, from the footers."""
        return sum(read_footer(path).num_rows for path in self.ledgers(kind))

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
