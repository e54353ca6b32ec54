"""Opens a dataset folder for writing, and first completes or clears what a killed command left in it.

A removal notes what is to go before it touches anything: keys in `removed/keys.parquet`, where every ingest looks, with the marker
`removed/.pending`; caption sets in `removed/.sets`, and in `removed/sets.json` once they are out. Every shard that holds such a key is then written anew without it. The files of
one shard are made under other names and change over together, by a list that is on disk before the first rename. Killed at any
moment, the removal is completed by whoever opens the folder for writing next, and nothing is published before.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.atomic import rename, write_atomic
from recapdata.console import progress
from recapdata.dataset.audit_files import SUMMARY
from recapdata.dataset.bounded import read_lines, read_small
from recapdata.dataset.extents import read_extents
from recapdata.dataset.folder import (
    CORRECTIONS,
    EVIDENCE,
    LEDGERS,
    NOTES,
    PARTS,
    ROW_GROUP_ROWS,
    DatasetFolder,
    hold,
    is_shard_path,
    shard_name,
    shard_number,
)
from recapdata.dataset.journal import forget
from recapdata.dataset.keys import KeyIndex, removed_keys
from recapdata.dataset.shards import ShardFile, ShardWriter, read_shard
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, OptionError
from recapdata.records import valid_set_name
from recapdata.suggestions import did_you_mean

REMOVED_SCHEMA = pa.schema([("key", pa.string()), ("source", pa.string()), ("reason", pa.string())])
"""`source` is null where the row itself was taken out on request; `reason` is `request`, or `met again` in an ingest."""

_KEYS_SCHEMA = pa.schema([("key", pa.string())])
_NEW = ".new"

_Removed = Callable[[Collection[bytes]], set[bytes]]
"""Those of some keys that are to be taken out."""


@contextmanager
def writing(folder: DatasetFolder) -> Iterator[None]:
    """Hold the folder for one writing process, recovered from whatever command was killed in it.

    Raises:
        DatasetBusy: another process holds it, or an audit does while caption sets are to go.
        DatasetDamaged: a shard in between is missing, or the notes of a removal cannot be read.
    """
    with hold(folder.path):
        finished = len(folder.shards())
        for path in (path for kind in (*LEDGERS, NOTES) for path in folder.ledgers(kind)):
            if (shard_number(path.name) or 0) >= finished:
                path.unlink()  # its image shard never got its name; the ingest goes through its items again
        complete_removal(folder)
        yield


def is_unfinished(folder: DatasetFolder) -> bool:
    """Whether a removal was interrupted, so that the folder may still hold what must not be published."""
    return _pending_keys(folder).is_file() or bool(pending_sets(folder))


def complete_removal(folder: DatasetFolder) -> int:
    """Complete a removal that is noted, if any; returns the shards written anew. The folder must be held."""
    rewritten = 0
    if _pending_keys(folder).is_file():
        rewritten = _remove_keys(folder)
        _pending_keys(folder).unlink()
    if sets := pending_sets(folder):  # last: until then the command that named them can be given again
        _remove_sets(folder, sets)
        _write_names(_removed_sets(folder), {*sets, *_noted(_removed_sets(folder))})
        _pending_sets(folder).unlink()
    return rewritten


# -- notes of what is to go -----------------------------------------------------------------------------------------------


def note_keys(folder: DatasetFolder, keys: Collection[str]) -> None:
    """Add to the keys that are out for good; from here on an interrupted removal is completed."""
    if not keys:
        return
    path = removed_keys(folder)
    known = set(read_shard(path, ["key"]).column("key").to_pylist()) if path.is_file() else set()
    write_atomic(_pending_keys(folder), b"")
    if known.issuperset(keys):
        return
    rows = sorted(known.union(keys))
    with ShardWriter(path, _KEYS_SCHEMA) as writer:
        for start in range(0, len(rows), ROW_GROUP_ROWS):
            writer.write(pa.table({"key": rows[start : start + ROW_GROUP_ROWS]}, schema=_KEYS_SCHEMA))


def note_sets(folder: DatasetFolder, names: Sequence[str]) -> None:
    """Note caption sets that are to go; from here on an interrupted removal is completed.

    Raises:
        CaptionSetNotFound: there is no such set.
        OptionError: another set that stays is made of one of them.
        DatasetBusy: an audit is writing.
    """
    sets = folder.manifest.sets
    for name in names:
        if name not in sets:
            raise CaptionSetNotFound(
                f"{folder.path} has no caption set {name!r}{did_you_mean(name, sets)}; it has {', '.join(sets) or 'none'}"
            )
        if above := next((other for other in sets if sets[other].base == name and other not in names), None):
            put_in = "people's edits" if sets[above].writer == "human" else "some captions written anew"
            raise OptionError(
                f"caption set {above!r} of {folder.path} is {name!r} with {put_in} put in, and is nothing without it; "
                f"to take out both, add --captions {above}"
            )
    with _audits_held(folder):
        pass
    if names:
        _write_names(_pending_sets(folder), {*names, *pending_sets(folder)})


def pending_sets(folder: DatasetFolder) -> list[str]:
    """Sets whose removal was begun and is not finished.

    Raises:
        DatasetDamaged: the note of them names what is no caption set.
    """
    return _noted(_pending_sets(folder))


def removed_sets(folder: DatasetFolder) -> list[str]:
    """Sets that a removal took out, and that were not made again since.

    Raises:
        DatasetDamaged: the note of them names what is no caption set.
    """
    sets = folder.manifest.sets
    return [name for name in _noted(_removed_sets(folder)) if name not in sets]


def _pending_keys(folder: DatasetFolder) -> Path:
    return folder.path / "removed" / ".pending"


def _pending_sets(folder: DatasetFolder) -> Path:
    return folder.path / "removed" / ".sets"


def _removed_sets(folder: DatasetFolder) -> Path:
    return folder.path / "removed" / "sets.json"


def _noted(path: Path) -> list[str]:
    return _read_names(path, valid_set_name, "caption sets to take out") if path.is_file() else []


def _write_names(path: Path, names: Collection[str]) -> None:
    write_atomic(path, json.dumps(sorted(names)).encode())


def _read_names(path: Path, check: Callable[[Any], str], what: str) -> list[str]:
    """A JSON list of names, each checked: it may come from anybody, and files are deleted by it."""
    try:
        names = json.loads(read_small(path))
        if not isinstance(names, list):
            raise ValueError("no list")
        return [check(name) for name in names]
    except (ValueError, RecursionError) as error:
        raise DatasetDamaged(
            f"{path} is no list of {what} ({error}); delete it, and run the removal again"
        ) from error


# -- caption sets ---------------------------------------------------------------------------------------------------------


def _remove_sets(folder: DatasetFolder, names: Collection[str]) -> None:
    manifest = folder.manifest
    if any(name in names for name in manifest.sets):
        sets = {name: provenance for name, provenance in manifest.sets.items() if name not in names}
        folder.save_manifest(replace(manifest, sets=sets))
    for name in names:
        delete_captions(folder, name)
    _drop_corrections(folder, lambda correction: correction.get("set") in names)


def delete_captions(folder: DatasetFolder, set_name: str) -> None:
    """Delete the captions of a set and their audit; the manifest stays as it is. The folder must be held.

    Raises:
        DatasetBusy: an audit is writing.
    """
    with _audits_held(folder):
        _drop_figures(folder.path / SUMMARY, set_name)
        for part in ("audits", "captions"):
            if (path := folder.path / part / set_name).is_dir():
                shutil.rmtree(path)


def _audits_held(folder: DatasetFolder) -> AbstractContextManager[None]:
    """Hold the audits of a folder, if it has any: an audit holds them and not the folder."""
    audits = folder.path / "audits"
    return hold(audits) if audits.is_dir() else nullcontext()


def _drop_figures(path: Path, set_name: str) -> None:
    """Take a set out of the summary of the audit; a summary of no set is none."""
    try:
        summary = json.loads(read_small(path)) if path.is_file() else {}
        if set_name not in summary.get("sets", ()):
            return
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetDamaged(f"{path} is no summary of an audit ({error}); run the audit again") from error
    del summary["sets"][set_name]
    if summary["sets"]:
        write_atomic(path, (json.dumps(summary, ensure_ascii=False, indent=1) + "\n").encode())
    else:
        path.unlink()


def _drop_corrections(folder: DatasetFolder, is_gone: Callable[[Mapping[str, Any]], bool]) -> None:
    """Take what people said of removed records or sets out of the corrections of the audit."""
    path = folder.path / CORRECTIONS
    if not path.is_file():
        return
    try:
        lines = [line for line in read_lines(path) if line.endswith(b"\n")]
        kept = [line for line in lines if not is_gone(json.loads(line))]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DatasetDamaged(f"{path}: a line is no correction ({error}); take the line out") from error
    if len(kept) < len(lines):
        write_atomic(path, b"".join(kept))


# -- records --------------------------------------------------------------------------------------------------------------


def _remove_keys(folder: DatasetFolder) -> int:
    """Write every shard anew that holds a removed key; how many that were."""
    _change_over(folder)
    for part in PARTS:  # new files whose list was never completed
        for pattern in (f".train-*{_NEW}", f"..train-*{_NEW}.tmp"):
            for path in (folder.path / part).rglob(pattern):
                path.unlink()
    rewritten = 0
    with KeyIndex(folder) as index, progress("remove", len(folder.shards()), unit="shards") as advance:
        for shard in folder.shards():
            gone = _rewrite_shard(folder, shard, index.removed)
            if gone is not None:
                _change_over(folder)
                index.forget(shard, gone)
                rewritten += 1
            advance()
        _forget_evidence(folder, index.removed)
        _drop_corrections(folder, lambda correction: bool(index.removed([bytes.fromhex(correction["key"])])))
    items = sum(extent.end - extent.start for extent in read_extents(folder))
    folder.save_manifest(replace(folder.manifest, counts=folder.count(items)))
    return rewritten


def _rewrite_shard(folder: DatasetFolder, shard: int, removed: _Removed) -> list[bytes] | None:
    """Write all files of a shard anew, under other names, without the removed keys.

    Returns:
        The keys of its removed records; None, with nothing written, when nothing of the shard is to go.
    """
    paths = [path for kind in ("duplicates", "failures") if (path := folder.ledger(kind, shard)).is_file()]
    records = _removed_in(folder.image_shard(shard), removed)
    others = [key for path in paths for key in _removed_in(path, removed)]
    notes = folder.ledger(NOTES, shard)
    if not records and not others:
        return None
    if records:
        paths += [path for path in (notes, folder.image_shard(shard)) if path.is_file()]
        for part in ("captions", "audits"):
            paths += sorted((folder.path / part).glob(f"*/{shard_name(shard)}"))
        for journal in sorted((folder.path / "captions").glob(f"*/.{shard:05d}.journal")):
            forget(journal, [key.hex() for key in records])
    for path in paths:
        _write_without(path, removed)
    ledger = folder.ledger("removed", shard)
    _extend_ledger(ledger, [*records, *others])
    names = [path.relative_to(folder.path).as_posix() for path in [*paths, ledger]]
    write_atomic(folder.path / "removed" / f".{shard:05d}.change", json.dumps(names).encode())
    return records


def _change_over(folder: DatasetFolder) -> None:
    """Give new files their names, wherever their list is complete."""
    for change in sorted((folder.path / "removed").glob(".*.change")):
        names = _read_names(change, _checked_path, "shards")
        (folder.path / SUMMARY).unlink(missing_ok=True)  # its figures would speak of pictures that are gone
        for path in (folder.path / name for name in names):
            if _new(path).is_file():
                rename(_new(path), path)
        change.unlink()


def _checked_path(name: Any) -> str:
    if not isinstance(name, str) or not is_shard_path(name):
        raise ValueError(f"{str(name)[:80]!a} is no shard of a dataset folder")
    return name


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}{_NEW}")


def _forget_evidence(folder: DatasetFolder, removed: _Removed) -> None:
    """Take what was seen of removed pictures out of the cache of the audits, whatever shard it names; what cannot be read goes whole."""
    for path in sorted((folder.path / EVIDENCE).glob("*/*.parquet")):
        try:
            if _removed_in(path, removed):
                _write_without(path, removed)
                rename(_new(path), path)
        except DatasetDamaged:
            path.unlink()
    for path in (folder.path / EVIDENCE).glob("*/.*.tmp"):  # of an audit that was killed
        path.unlink()


def _removed_in(path: Path, removed: _Removed) -> list[bytes]:
    """Keys of a file that are to go, in row order, as often as they stand in it."""
    present: list[bytes] = []
    with ShardFile(path) as file:
        for batch in file.iter_batches(ROW_GROUP_ROWS, columns=["key"], use_threads=False):
            keys = _digests(batch.column("key"))
            gone = removed({key for key in keys if key is not None})
            present += [key for key in keys if key in gone]
    return present


def _write_without(path: Path, removed: _Removed) -> None:
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
                gone = removed({key for key in keys if key is not None})
                writer.write(table.filter(pa.array([key not in gone for key in keys])) if gone else table)
            writer.commit(footer)


def _extend_ledger(path: Path, keys: Iterable[bytes]) -> None:
    """A copy of a shard's ledger of the removed, with these keys after what it holds."""
    rows = [{"key": key.hex(), "source": None, "reason": "request"} for key in keys]
    with ShardWriter(_new(path), REMOVED_SCHEMA) as writer:
        if path.is_file():
            writer.write(read_shard(path, schema=REMOVED_SCHEMA))
        writer.write(pa.Table.from_pylist(rows, schema=REMOVED_SCHEMA))


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
