"""The ingest itself: every checked item becomes a record, a duplicate, a failure or removed.

It goes on where it was killed: the footer of the last finished image shard says up to which item the source was read, and
whatever had been begun beyond it is thrown away and made again, the same.
"""

import errno
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from PIL import Image

from recapdata.console import progress
from recapdata.dataset.decoding import pixel_limit
from recapdata.dataset.extents import Extent, is_finished, read_extents, unfinished_source
from recapdata.dataset.folder import LEDGERS, MANIFEST, NOTES, DatasetFolder
from recapdata.dataset.keys import KeyIndex
from recapdata.dataset.shards import read_footer
from recapdata.dataset.writing import writing
from recapdata.display import shell_word
from recapdata.errors import DatasetExists, DiskFull, NotADataset, SourceError
from recapdata.ingestion.checking import Checked, check_items
from recapdata.ingestion.shards import OpenShard
from recapdata.ingestion.source import IngestOptions, Source, open_source
from recapdata.ingestion.summary import IngestSummary, group_failures, group_notes
from recapdata.records import MAX_PIXELS, RECORD_SCHEMA, Counts


@dataclass(frozen=True, slots=True)
class Start:
    """Where an ingest begins: the number of its run, its first item, its first shard; `done` when nothing is left."""

    run: int
    item: int
    shard: int
    done: bool = False


def ingest(
    source: str,
    directory: str | Path,
    *,
    append: bool = False,
    options: IngestOptions | None = None,
) -> IngestSummary:
    """Bring a source into a dataset folder; the same call goes on after an interruption.

    Args:
        source: a folder, or `kind:…` (see `SOURCES`).
        append: add to a dataset that holds other sources already.

    Raises:
        SourceNotFound: there is no such source; no folder is left behind.
        SourceError: the source cannot be read as what it claims to be, or changed since an interrupted run.
        DatasetExists: the folder holds another source and `append` is not set.
        NotADataset: the folder holds other files.
        DatasetBusy: another process writes to the folder.
        DatasetDamaged: items ≠ records + duplicates + failures + removed at the end.
        DiskFull: there is no room left; the same call goes on later.
    """
    options = options or IngestOptions()
    began = time.monotonic()
    opened = open_source(_as_begun(source, Path(directory)), options)
    folder = _make_folder(opened, Path(directory))
    with _disk_errors(folder), writing(folder):
        start = plan_start(opened, folder, read_extents(folder), append=append)
        _check_columns(opened, folder)
        done, written = (0, 0) if start.done else _write(opened, folder, start, options)
        return _close(opened, folder, start, done, written, began)


def plan_start(source: Source, folder: DatasetFolder, extents: list[Extent], *, append: bool) -> Start:
    """Where to begin, from what the folder holds (no effects).

    Raises:
        DatasetExists: another source is there, or under way.
        SourceError: the interrupted source has changed.
    """
    sources = folder.manifest.sources
    shard, run = len(extents), len(sources) - 1
    latest = extents[-1] if extents else None
    if run >= 0 and not is_finished(run, extents):
        if latest is None or latest.run != run:
            # Nothing of it came in yet, so another source may take its place.
            return _held(source, extents) or _begin(source, folder, run, shard, append=append)
        if sources[run] != source.name:
            raise DatasetExists(
                f"{folder.path} holds an unfinished ingest of {sources[run]}; finish it first by running its command "
                "again"
            )
        if latest.stamp != source.stamp:
            raise SourceError(
                f"{source.name} has changed since its ingest into {folder.path} was interrupted, so that it cannot go "
                "on; ingest into a new folder"
            )
        return Start(run, latest.end, shard)
    return _held(source, extents) or _begin(source, folder, run + 1, shard, append=append)


def _held(source: Source, extents: list[Extent]) -> Start | None:
    """The start of a source that is in already, with nothing to do; None where it is not."""
    for extent in extents:
        if (extent.source, extent.stamp) == (source.name, source.stamp):
            return Start(extent.run, 0, len(extents), done=True)
    return None


def _begin(source: Source, folder: DatasetFolder, run: int, shard: int, *, append: bool) -> Start:
    sources = folder.manifest.sources
    if shard and not append and sources[run:] != (source.name,):
        held = ", ".join(sources[:run]) or "records"
        changed = " (it has changed since)" if source.name in sources[:run] else ""
        raise DatasetExists(
            f"{folder.path} already holds {held}{changed}; to add {source.name}, give --append, or name a new folder"
        )
    return Start(run, 0, shard)


def _make_folder(source: Source, directory: Path) -> DatasetFolder:
    """The dataset at `directory`; a new one only once the source has shown that it has something."""
    if (directory / MANIFEST).is_file():
        return DatasetFolder.open(directory)
    if directory.is_dir() and any(not each.name.startswith(".") for each in directory.iterdir()):
        raise NotADataset(
            f"{directory} holds other files and is no dataset folder; name a new or an empty folder"
        )
    if directory.exists() and not directory.is_dir():
        raise NotADataset(f"{directory} is a file; name a new or an empty folder")
    if source.total == 0 or (source.total is None and next(source.items(0), None) is None):
        raise SourceError(f"{source.name} holds no images; nothing was made")
    try:
        return DatasetFolder.create(directory)
    except OSError as error:
        raise NotADataset(f"{directory} cannot be made: {error.strerror}") from error


def _as_begun(source: str, directory: Path) -> str:
    """The source's text, its revision pinned where an interrupted ingest of it began with one: branches move."""
    if not source.startswith("hf:") or not (directory / MANIFEST).is_file():
        return source
    from recapdata.ingestion.hub import as_begun

    under_way = unfinished_source(DatasetFolder.open(directory))
    return as_begun(source, under_way) if under_way else source


@contextmanager
def _disk_errors(folder: DatasetFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            f"no space left in {folder.path}; free some, and the same command goes on from the last finished shard"
        ) from error


def _check_columns(source: Source, folder: DatasetFolder) -> None:
    """Refuse columns that do not fit the ones already there.

    Raises:
        SourceError: another type under the same name, or the name of a caption set.
    """
    there = folder.schema()
    for name, kind in source.columns.items():
        if name in there.names and there.field(name).type != kind:
            raise SourceError(
                f"{source.name}: its column {name!r} is {kind}, but that of {folder.path} is "
                f"{there.field(name).type}; rename the column in the source"
            )
        if name in folder.manifest.sets:
            raise SourceError(
                f"{source.name}: its column {name!r} has the name of a caption set of {folder.path}; "
                "rename the column in the source"
            )


def _write(source: Source, folder: DatasetFolder, start: Start, options: IngestOptions) -> tuple[int, int]:
    """Fill shards until the source ends; returns the items gone through and the image bytes written."""
    manifest = folder.manifest
    begun = replace(
        manifest,
        sources=(*manifest.sources[: start.run], source.name),
        max_pixels=_higher_limit(manifest.max_pixels, options.max_pixels),
    )
    if begun != manifest:
        folder.save_manifest(begun)
    for part in ("images", *LEDGERS, NOTES):
        for path in (folder.path / part).glob(".train-*.parquet.tmp"):
            path.unlink()  # of a killed ingest; ledgers without their shard went when the folder was opened to write
    filling = OpenShard(folder, start.shard, source.columns)
    position, written = start.item, 0
    with (
        pixel_limit(options.max_pixels),
        _quiet_pillow(),
        KeyIndex(folder) as index,
        progress("ingest", source.total) as advance,
    ):

        def close(last: bool) -> None:
            nonlocal position, written
            end = position + filling.items
            filling.commit(Extent(start.run, source.name, source.stamp, position, end, last))
            index.add_shard(filling.shard, filling.keys)
            position, written = end, written + filling.bytes

        advance(start.item)
        try:
            for chunk in check_items(source.items(start.item), source, options):
                keys = {each.key for each in chunk}
                known, removed = index.records(keys), index.removed(keys)
                for each in chunk:
                    if _is_full(filling, each, options):
                        close(last=False)
                        known |= filling.keys
                        filling = OpenShard(folder, filling.shard + 1, source.columns)
                    _place(filling, each, known, removed)
                advance(len(chunk), failed=sum(each.failure is not None for each in chunk))
            close(last=True)
        except BaseException:
            filling.abort()
            raise
    return position - start.item, written


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """No remarks of Pillow's on odd metadata, which concern nobody, and on sizes, which `check_image` judges."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _higher_limit(kept: int | None, given: int) -> int | None:
    """The limit of pixels that the dataset keeps for later stages; None where the default will do."""
    highest = max(kept or 0, given)
    return highest if highest > MAX_PIXELS else None


def _is_full(shard: OpenShard, each: Checked, options: IngestOptions) -> bool:
    # A shard of nothing but duplicates would never fill up; yet what was gone through must be settled now and then.
    if len(shard.keys) >= options.shard_rows or shard.items >= 10 * options.shard_rows:
        return True
    more = len(each.item.image) if each.picture is not None and each.item.image is not None else 0
    return shard.bytes > 0 and shard.bytes + more > options.shard_bytes


def _place(shard: OpenShard, each: Checked, known: set[bytes], removed: set[bytes]) -> None:
    if each.failure is not None or each.picture is None:
        assert each.failure is not None
        shard.failure(each.failure)
    elif each.key in removed:
        shard.removed(each.key, each.item)
    elif each.key in known or each.key in shard.keys:
        shard.duplicate(each.key, each.item)
    else:
        shard.record(each.key, each.item, each.picture)


def _close(
    source: Source, folder: DatasetFolder, start: Start, done: int, written: int, began: float
) -> IngestSummary:
    """Hold the sums against what is on disk, write the manifest, and say what came of it."""
    extents = read_extents(folder)
    columns = tuple(name for name in folder.schema().names if name not in RECORD_SCHEMA.names)
    dataset = folder.count(sum(extent.end - extent.start for extent in extents))
    manifest = folder.manifest
    if (manifest.counts, manifest.columns) != (dataset, columns):
        folder.save_manifest(replace(manifest, counts=dataset, columns=columns))
    own = [shard for shard, extent in enumerate(extents) if extent.run == start.run]
    paths = {kind: [folder.ledger(kind, shard) for shard in own] for kind in LEDGERS}
    ledgers = {
        kind: sum(read_footer(path).num_rows for path in each if path.is_file())
        for kind, each in paths.items()
    }
    counts = Counts(
        items=sum(extents[shard].end - extents[shard].start for shard in own),
        records=sum(folder.rows(shard) for shard in own),
        **ledgers,
    )
    return IngestSummary(
        directory=str(folder.path),
        source=source.name,
        counts=counts,
        dataset=dataset,
        shards=len(extents),
        columns=columns,
        items_done=done,
        bytes=written,
        seconds=round(time.monotonic() - began, 3),
        failures=group_failures(folder, own),
        noted=group_notes(folder, own),
        notes=(*source.notes(), *_other_captions(folder, source, counts.duplicates)),
    )


def _other_captions(folder: DatasetFolder, source: Source, duplicates: int) -> list[str]:
    """How to come by the captions of pictures that a source has several times."""
    columns = sorted(name for name in source.captions if source.columns.get(name) == pa.string())
    if not duplicates or not columns:
        return []
    return [
        f"captions of duplicates can be imported too, the first of each picture as {columns[0]}[1]: "
        f"recapdata import-captions {shell_word(str(folder.path))} SET {shell_word(columns[0] + '[1]')}"
    ]
