"""How far a caption set is, and the recorder that moves it on: finished batches into journals, full journals into shards.

State of a caption shard = its file, if there is one, overlaid with its journal; records = captions + failures + what is still to do.
A shard is written when that state covers every record of the image shard; then the journal goes. Writing it twice gives the same
bytes, so a crash in between costs nothing.
"""

import errno
import queue
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import pyarrow as pa

from recapdata.atomic import flush
from recapdata.dataset.folder import ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.journal import Journal, captions_so_far, overlay, replay, stored_captions
from recapdata.dataset.shards import ShardWriter, read_footer, read_shard
from recapdata.errors import DatasetDamaged, DiskFull
from recapdata.recaptioning.batches import Finished
from recapdata.records import CAPTION_SCHEMA, Caption

QUEUED = 8
"""Finished batches that may wait to be written; beyond, the model waits for the disk."""
OPEN_JOURNALS = 64
_STANDING = pa.schema([CAPTION_SCHEMA.field(name) for name in ("error", "origin")])


# --- state ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """One image shard and its captions.

    Attributes:
        rows: records of the image shard.
        captioned: records that have a caption of the set's own.
        failures: records that have an error instead.
        filled: records for which a caption of the base set stands; they lack one of the set's own.
        finished: whether the caption shard is written.
        journal: whether there is a journal, of a run or a retry under way or just ended.
    """

    shard: int
    rows: int
    captioned: int
    failures: int
    finished: bool
    journal: bool
    filled: int = 0

    @property
    def lacking(self) -> int:
        """Records that have neither caption nor error of the set's own."""
        return self.rows - self.captioned - self.failures

    @property
    def settled(self) -> bool:
        """Whether a run has nothing to do here (failures are settled until a retry asks for them)."""
        return self.finished and not self.journal and not self.filled


def survey(folder: DatasetFolder, set_name: str) -> list[ShardState]:
    """The state of every image shard; of finished shards only footers and errors are read.

    Raises:
        DatasetDamaged: a finished caption shard has other rows than its image shard.
    """
    return [_state(folder, set_name, shard) for shard in folder.shards()]


def failures_by_type(folder: DatasetFolder, set_name: str, states: Sequence[ShardState]) -> dict[str, int]:
    """How many failures of each type the set has, the most frequent first."""
    kinds: Counter[str] = Counter()
    for state in states:
        if not state.failures:
            continue
        errors: list[str | None] = []
        journal = replay(folder.journal(set_name, state.shard))
        if state.finished:
            table = folder.read_captions(set_name, state.shard, ["key", "error"])
            overruled = journal.wanted | journal.captions.keys()
            errors = [row["error"] for row in table.to_pylist() if row["key"] not in overruled]
        errors += [caption.error for caption in journal.captions.values()]
        kinds.update(error.partition(":")[0] for error in errors if error is not None)
    return dict(kinds.most_common())


def _state(folder: DatasetFolder, set_name: str, shard: int) -> ShardState:
    path = folder.caption_shard(set_name, shard)
    rows, finished = folder.rows(shard), path.is_file()
    has_journal = folder.journal(set_name, shard).is_file()
    if finished and (there := read_footer(path).num_rows) != rows:
        raise DatasetDamaged(
            f"{path} has {there:,} rows, its image shard {rows:,}; delete it and run the same command again"
        )
    if not finished and not has_journal:
        return ShardState(shard=shard, rows=rows, captioned=0, failures=0, finished=False, journal=False)
    if has_journal:
        captions = captions_so_far(folder, set_name, shard)
        rest = [(each.error, each.origin) for key in folder.read_keys(shard) if (each := captions.get(key))]
    else:
        table = read_shard(path, schema=_STANDING)
        rest = list(zip(table["error"].to_pylist(), table["origin"].to_pylist(), strict=True))
    failures = sum(error is not None for error, _ in rest)
    filled = sum(error is None and origin is not None for error, origin in rest)
    return ShardState(
        shard=shard,
        rows=rows,
        captioned=len(rest) - failures - filled,
        failures=failures,
        finished=finished,
        journal=has_journal,
        filled=filled,
    )


def failed_keys(folder: DatasetFolder, set_name: str, shard: int) -> set[str]:
    """Keys of a shard that have an error, or that an interrupted retry still wants."""
    journal = replay(folder.journal(set_name, shard))
    captions = overlay(stored_captions(folder, set_name, shard), journal)
    return {key for key, caption in captions.items() if caption.error is not None} | journal.wanted


# --- recording -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStart:
    """What the recorder is told of a shard before its batches.

    Attributes:
        lacking: records of the shard that have no caption row yet; when so many came, the shard is written.
        retry: keys whose errors are forgotten and captioned again (they count as lacking).
    """

    shard: int
    lacking: int
    retry: Sequence[str] = ()


class Recorder:
    """A thread that records batches in the order in which they are given; errors surface at the next call or the end."""

    def __init__(self, folder: DatasetFolder, set_name: str) -> None:
        self._folder = folder
        self._set_name = set_name
        self._lacking: dict[int, int] = {}
        self._retries: dict[int, Sequence[str]] = {}
        self._journals: OrderedDict[int, Journal] = OrderedDict()
        self._queue: queue.Queue[ShardStart | Finished | None] = queue.Queue(QUEUED)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._record_all, name="recorder")

    def begin(self, start: ShardStart) -> None:
        """Announce a shard."""
        self._put(start)

    def record(self, finished: Finished) -> None:
        """Hand over a finished batch; waits while too many are under way."""
        self._put(finished)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        for journal in self._journals.values():
            journal.close()
        if kind is None:
            self._raise()

    def _put(self, work: ShardStart | Finished) -> None:
        self._raise()
        self._queue.put(work)

    def _raise(self) -> None:
        if isinstance(self._error, OSError) and self._error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no space left for captions in {self._folder.path / 'captions' / self._set_name}; free some, and the same "
                "command goes on from the last finished batch"
            ) from self._error
        if self._error is not None:
            raise self._error

    def _record_all(self) -> None:
        while (work := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep emptying the queue, so that nobody waits for a place in it
            try:
                if isinstance(work, ShardStart):
                    self._begin(work)
                else:
                    self._record(work)
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                self._error = error

    def _begin(self, start: ShardStart) -> None:
        self._lacking[start.shard] = start.lacking
        if start.retry:
            self._retries[start.shard] = start.retry
        self._finish(start.shard)

    def _record(self, finished: Finished) -> None:
        batch = finished.batch
        if batch.shard in self._retries:  # not before there is something to put in the errors' place
            self._journal(batch.shard).retry(self._retries.pop(batch.shard))
        self._journal(batch.shard).batch(batch.keys, finished.captions)
        self._lacking[batch.shard] -= len(batch.keys)
        self._finish(batch.shard)

    def _finish(self, shard: int) -> None:
        if self._lacking[shard]:
            return
        if shard in self._journals:
            self._journals.pop(shard).close()
        write_shard(self._folder, self._set_name, shard)

    def _journal(self, shard: int) -> Journal:
        if shard not in self._journals:
            if len(self._journals) == OPEN_JOURNALS:
                self._journals.popitem(last=False)[1].close()
            self._journals[shard] = Journal(self._folder.journal(self._set_name, shard))
        return self._journals[shard]


def own(captions: Mapping[str, Caption]) -> dict[str, Caption]:
    """The captions that were written for the set itself, and its failures; those of its base stand only until there are such."""
    return {key: caption for key, caption in captions.items() if caption.origin is None or caption.error}


def write_shard(folder: DatasetFolder, set_name: str, shard: int, *, base: str | None = None) -> bool:
    """Write a caption shard from its state and drop the journal; False where records still lack a caption row.

    Args:
        base: the set whose captions, as they are now, stand where the set has none of its own.
    """
    path = folder.journal(set_name, shard)
    captions = captions_so_far(folder, set_name, shard)
    if base is not None:
        written = {key: caption for key, caption in captions.items() if caption.origin is None}
        captions = {**taken_over(folder, base, shard), **written}
    keys = folder.read_keys(shard)
    if any(key not in captions for key in keys):
        return False
    with ShardWriter(folder.caption_shard(set_name, shard), CAPTION_SCHEMA) as writer:
        for start in range(0, len(keys), ROW_GROUP_ROWS):
            part = [captions[key].to_row(key, set_name) for key in keys[start : start + ROW_GROUP_ROWS]]
            writer.write(pa.Table.from_pylist(part, schema=CAPTION_SCHEMA))
    path.unlink(missing_ok=True)
    flush(path.parent)
    return True


def taken_over(folder: DatasetFolder, set_name: str, shard: int) -> dict[str, Caption]:
    """The captions that a set has of a shard so far, by key, as another set takes them over: with whose words they are."""
    captions = captions_so_far(folder, set_name, shard)
    return {key: replace(caption, origin=caption.origin or set_name) for key, caption in captions.items()}


def fill(folder: DatasetFolder, set_name: str, base: str) -> None:
    """Put the captions of the base, as they are now, where a set has none of its own; the set must have begun."""
    for shard in folder.shards():
        write_shard(folder, set_name, shard, base=base)
