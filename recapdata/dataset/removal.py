"""Taking records out of every part of a dataset folder, and of all later ingests (opt-out, takedown); or whole caption sets.

The keys are written down first, in `removed/keys.parquet`, where every ingest looks; then every shard that holds one is written
anew without it. The files of one shard are made under other names and change over together, by a list that is on disk before
the first rename: killed at any moment, the removal is completed by the same command, or by the next ingest.

What is kept of a removed picture is its key, in `removed/`, so that the sums hold and the next version can say how many.
How caption sets go is in `caption_sets`.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from recapdata.atomic import rename, write_atomic
from recapdata.console import progress
from recapdata.dataset.audit_files import SUMMARY
from recapdata.dataset.extents import read_extents
from recapdata.dataset.folder import (
    CORRECTIONS,
    PARTS,
    ROW_GROUP_ROWS,
    DatasetFolder,
    is_shard_path,
    shard_name,
)
from recapdata.dataset.journal import forget
from recapdata.dataset.keys import KeyIndex, removed_keys
from recapdata.dataset.set_removal import check_sets, finish_sets, pending_sets, remember
from recapdata.dataset.shards import ShardFile, ShardWriter, read_shard
from recapdata.errors import DatasetDamaged, InputError, OptionError
from recapdata.records import KEY, Counts

REMOVED_SCHEMA = pa.schema([("key", pa.string()), ("source", pa.string()), ("reason", pa.string())])
"""`source` is null where the row itself was taken out on request; `reason` is `request`, or `met again` in an ingest."""

_KEYS_SCHEMA = pa.schema([("key", pa.string())])
_NEW = ".new"

Present = Callable[[Collection[bytes]], set[bytes]]
"""Those of some keys that are to be taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSummary:
    """The outcome of a removal.

    Attributes:
        asked: different keys in the file.
        taken_out: those of them that the folder held, now or when an earlier run took them out.
        never_seen: those that it never held; a later ingest leaves them out all the same.
        examples: the first few of the latter.
        sets: caption sets that were taken out.
        published: the version that was published last, which still holds what was taken out; None before the first.
        dataset: counts of the folder afterwards.
    """

    directory: str
    asked: int
    taken_out: int
    never_seen: int
    examples: tuple[str, ...]
    sets: tuple[str, ...]
    published: str | None
    shards_rewritten: int
    dataset: Counts
    seconds: float

    def text(self) -> str:
        """The summary for a terminal."""
        lines = []
        if self.sets:
            for name in self.sets:
                lines.append(f"Caption set {name} is taken out of {self.directory}, with its audit.")
            if self.published is not None:
                lines.append(
                    "Versions that were published with it keep it; the next one without it has to be a MAJOR one."
                )
        return "\n".join([*lines, *([""] if lines and self.asked else []), *self._records()])

    def _records(self) -> list[str]:
        """What became of the keys."""
        if not self.asked:
            return []
        lines = [
            f"Of {self.asked:,} keys, {self.taken_out:,} are taken out of {self.directory}, with their captions and audits.",
        ]
        if self.never_seen:
            more = ", …" if self.never_seen > len(self.examples) else ""
            lines.append(
                f"{self.never_seen:,} of them it never held ({', '.join(self.examples)}{more}); later ingests leave them out "
                "all the same."
            )
        lines += [
            "",
            f"  {'records':<12}{self.dataset.records:>12,}",
            f"  {'removed':<12}{self.dataset.removed:>12,}  items, counting each time such a picture was met; only keys are kept, in removed/",
        ]
        if self.shards_rewritten:
            lines += [
                "",
                "Versions that were published before still hold them: publish a new one, and delete the old from the Hub",
                "where the removal must reach it. Audit figures are made again by the next audits run.",
            ]
        return lines


def remove(
    directory: str | Path, keys_file: str | Path | None = None, *, captions: Sequence[str] = ()
) -> RemoveSummary:
    """Take the records of these keys out of every part of a dataset folder and out of all later ingests, or whole caption sets.

    Args:
        keys_file: a text file with one key a line.
        captions: names of caption sets.

    Raises:
        NotADataset: there is no dataset at `directory`.
        InputError: the file cannot be read, or a line is no key.
        CaptionSetNotFound: no such caption set.
        OptionError: nothing is named, or a set that stays is made of one that is to go.
        DatasetBusy: another process writes to the folder.
    """
    began = time.monotonic()
    folder = DatasetFolder.open(directory)
    if keys_file is None and not captions:
        raise OptionError(
            "name what is to be taken out: records by --keys FILE, or a caption set by --captions SET"
        )
    asked = read_keys_file(Path(keys_file)) if keys_file is not None else set()
    with folder.writing():
        begun = pending_sets(folder)  # by the same command, maybe, which was killed
        finish_removal(folder)
        remember(folder, check_sets(folder, [name for name in captions if name not in begun]))
        if asked:
            _remember(folder, asked)
        rewritten = finish_removal(folder)
        held = _taken_out(folder, asked)
        manifest = folder.manifest
    unknown = sorted(asked - held)
    return RemoveSummary(
        directory=str(directory),
        asked=len(asked),
        taken_out=len(held),
        never_seen=len(unknown),
        examples=tuple(unknown[:3]),
        sets=tuple(dict.fromkeys(captions)),
        published=manifest.version,
        shards_rewritten=rewritten,
        dataset=manifest.counts,
        seconds=round(time.monotonic() - began, 3),
    )


def read_keys_file(path: Path) -> set[str]:
    """The keys of a text file, one a line; blank lines are passed by.

    Raises:
        InputError: the file cannot be read, holds none, or a line is no key.
    """
    keys: set[str] = set()
    try:
        with open(path, encoding="utf8") as file:
            for number, line in enumerate(file, 1):
                key = line.strip()
                if key and not KEY.fullmatch(key):
                    raise InputError(
                        f"{path}: line {number} is no key: {key[:80]!r}; a key is the 64 lowercase hexadecimal digits of an "
                        "image's SHA-256"
                    )
                keys.add(key)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of keys: {error}") from error
    keys.discard("")
    if not keys:
        raise InputError(f"{path} holds no keys; write one a line")
    return keys


def is_unfinished(folder: DatasetFolder) -> bool:
    """Whether a removal was interrupted, so that the folder may still hold what must not be published."""
    return _pending(folder).is_file() or bool(pending_sets(folder))


def finish_removal(folder: DatasetFolder) -> int:
    """Complete a removal that is under way, if any; returns the shards written anew. Call it with the folder held for writing."""
    rewritten = _finish_keys(folder) if _pending(folder).is_file() else 0
    finish_sets(folder)  # last: as long as they are pending, the command that named them can be given again
    return rewritten


def _finish_keys(folder: DatasetFolder) -> int:
    """Write every shard anew that holds a removed key; how many that were."""
    _change_over(folder)
    _clear(folder)
    rewritten = 0
    with KeyIndex(folder) as index, progress("remove", len(folder.shards()), unit="shards") as advance:
        for shard in folder.shards():
            gone = _rewrite(folder, shard, index.removed)
            if gone is not None:
                _change_over(folder)
                index.forget(shard, gone)
                rewritten += 1
            advance()
        _forget_corrections(folder.path / CORRECTIONS, index.removed)
    extents = read_extents(folder)
    counts = folder.count(sum(extent.end - extent.start for extent in extents))
    folder.save_manifest(replace(folder.manifest, counts=counts))
    _pending(folder).unlink()
    return rewritten


def _forget_corrections(path: Path, present: Present) -> None:
    """Take what people said of removed records out of the corrections of the audit."""
    if not path.is_file():
        return
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    try:
        keys = [bytes.fromhex(json.loads(line)["key"]) for line in lines]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DatasetDamaged(f"{path}: a line is no correction ({error}); take the line out") from error
    gone = present(set(keys))
    if gone:
        write_atomic(path, b"".join(line for line, key in zip(lines, keys, strict=True) if key not in gone))


def _pending(folder: DatasetFolder) -> Path:
    return folder.path / "removed" / ".pending"


def _remember(folder: DatasetFolder, keys: set[str]) -> None:
    """Add to the keys that are out for good; from here on an interruption is known."""
    path = removed_keys(folder)
    known = set(read_shard(path, ["key"]).column("key").to_pylist()) if path.is_file() else set()
    write_atomic(_pending(folder), b"")
    if keys <= known:
        return
    rows = sorted(known | keys)
    with ShardWriter(path, _KEYS_SCHEMA) as writer:
        for start in range(0, len(rows), ROW_GROUP_ROWS):
            writer.write(pa.table({"key": rows[start : start + ROW_GROUP_ROWS]}, schema=_KEYS_SCHEMA))


def _rewrite(folder: DatasetFolder, shard: int, present: Present) -> list[bytes] | None:
    """Write all files of a shard anew, under other names, without the removed.

    Returns:
        The keys of its removed records; None, with nothing written, when nothing of the shard is to go.
    """
    ledgers = [folder.ledger(kind, shard) for kind in ("duplicates", "failures")]
    records = _found(folder.image_shard(shard), present)
    others = [key for path in ledgers if path.is_file() for key in _found(path, present)]
    if not records and not others:
        return None
    changed = [path for path in ledgers if path.is_file()]
    if records:
        changed.append(folder.image_shard(shard))
        for part in ("captions", "audits"):
            changed += sorted((folder.path / part).glob(f"*/{shard_name(shard)}"))
        for journal in sorted((folder.path / "captions").glob(f"*/.{shard:05d}.journal")):
            forget(journal, [key.hex() for key in records])
    for path in changed:
        _write_without(path, present)
    removed = folder.ledger("removed", shard)
    _write_removed(removed, [*records, *others])
    names = [path.relative_to(folder.path).as_posix() for path in [*changed, removed]]
    write_atomic(folder.path / "removed" / f".{shard:05d}.change", json.dumps(names).encode())
    return records


def _change_over(folder: DatasetFolder) -> None:
    """Give new files their names, wherever their list is complete."""
    for change in sorted((folder.path / "removed").glob(".*.change")):
        names = _changed(change)
        (folder.path / SUMMARY).unlink(missing_ok=True)  # its figures would speak of pictures that are gone
        for name in names:
            path = folder.path / name
            if _new(path).is_file():
                rename(_new(path), path)
        change.unlink()


def _changed(change: Path) -> list[str]:
    """The shards that a list of new files names.

    Raises:
        DatasetDamaged: it names something else.
    """
    try:
        names = json.loads(change.read_bytes())
        if not isinstance(names, list):
            raise ValueError("no list")
        if strange := [name for name in names if not (isinstance(name, str) and is_shard_path(name))]:
            raise ValueError(f"{str(strange[0])[:80]!a} is no shard of a dataset folder")
        return names
    except (ValueError, RecursionError) as error:
        raise DatasetDamaged(
            f"{change} is no list of shards ({error}); delete it, and run the removal again"
        ) from error


def _clear(folder: DatasetFolder) -> None:
    """Throw away new files whose list was never completed."""
    for part in PARTS:
        for pattern in (f".train-*{_NEW}", f"..train-*{_NEW}.tmp"):
            for path in (folder.path / part).rglob(pattern):
                path.unlink()


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}{_NEW}")


def _found(path: Path, present: Present) -> list[bytes]:
    """Keys of a file that are to go, in row order, as often as they stand in it."""
    found: list[bytes] = []
    with ShardFile(path) as file:
        for batch in file.iter_batches(ROW_GROUP_ROWS, columns=["key"], use_threads=False):
            keys = _digests(batch.column("key"))
            gone = present({key for key in keys if key is not None})
            found += [key for key in keys if key in gone]
    return found


def _write_without(path: Path, present: Present) -> None:
    """A copy of a file beside it, without the rows of removed keys; row groups, order and footer stay."""
    with ShardFile(path) as file:
        footer = {
            name.decode(): value.decode()
            for name, value in (file.metadata.metadata or {}).items()
            if name.startswith(b"recapdata")
        }
        with ShardWriter(_new(path), file.schema_arrow) as writer:
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                keys = _digests(table.column("key"))
                gone = present({key for key in keys if key is not None})
                writer.write(table.filter(pa.array([key not in gone for key in keys])) if gone else table)
            writer.commit(footer)


def _write_removed(path: Path, keys: Iterable[bytes]) -> None:
    """A copy of a shard's ledger of the removed, with these keys after what it holds."""
    rows = [{"key": key.hex(), "source": None, "reason": "request"} for key in keys]
    with ShardWriter(_new(path), REMOVED_SCHEMA) as writer:
        if path.is_file():
            writer.write(read_shard(path, schema=REMOVED_SCHEMA))
        writer.write(pa.Table.from_pylist(rows, schema=REMOVED_SCHEMA))


def _taken_out(folder: DatasetFolder, asked: set[str]) -> set[str]:
    """Those of the keys that the folder once held."""
    held: set[str] = set()
    for path in folder.ledgers("removed"):
        table = read_shard(path, ["key", "reason"])
        for key, reason in zip(
            table.column("key").to_pylist(), table.column("reason").to_pylist(), strict=True
        ):
            if reason == "request" and key in asked:
                held.add(key)
    return held


def _digests(column: pa.Array | pa.ChunkedArray) -> list[bytes | None]:
    """Keys as bytes.

    Raises:
        DatasetDamaged: one is no key.
    """
    try:
        return [None if key is None else bytes.fromhex(key) for key in column.to_pylist()]
    except (ValueError, TypeError) as error:
        raise DatasetDamaged(
            f"a column of keys holds what is no key ({error}); restore the folder"
        ) from error
