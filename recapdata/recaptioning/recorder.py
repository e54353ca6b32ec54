"""The writer of a recaption run: finished batches into journals, full journals into caption shards, off the model's path.

State of a caption shard = its file, if there is one, overlaid with its journal. A shard is written when that state covers every
record of the image shard; then the journal goes. Writing it twice gives the same bytes, so a crash in between costs nothing.
"""

import errno
import queue
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa

from recapdata.atomic import flush
from recapdata.dataset.folder import ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.journal import Journal, captions_so_far, overlay, replay, stored_captions
from recapdata.dataset.shards import ShardWriter
from recapdata.engines import Finished
from recapdata.errors import DiskFull
from recapdata.records import CAPTION_SCHEMA

QUEUED = 8
"""Finished batches that may wait to be written; beyond, the model waits for the disk."""
OPEN_JOURNALS = 64


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


def write_shard(folder: DatasetFolder, set_name: str, shard: int) -> bool:
    """Write a caption shard from its state and drop the journal; False where records still lack a caption row."""
    path = folder.journal(set_name, shard)
    captions = captions_so_far(folder, set_name, shard)
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


def failed_keys(folder: DatasetFolder, set_name: str, shard: int) -> set[str]:
    """Keys of a shard that have an error, or that an interrupted retry still wants."""
    journal = replay(folder.journal(set_name, shard))
    captions = overlay(stored_captions(folder, set_name, shard), journal)
    return {key for key, caption in captions.items() if caption.error is not None} | journal.wanted


def failures_in_file(folder: DatasetFolder, set_name: str, shard: int) -> int:
    """How many failures a finished caption shard holds; of it the errors alone are read."""
    errors = folder.read_captions(set_name, shard, ["error"]).column("error")
    return len(errors) - errors.null_count


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
