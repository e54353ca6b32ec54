"""The local engine: the model in this process, reading, decoding and preparing in others beside it."""

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from recapdata.captioners import Captioner, CaptionerOptions, Preparer, open_captioner
from recapdata.dataset.folder import DatasetFolder
from recapdata.engines import EngineOptions, Finished
from recapdata.engines.batches import Batch
from recapdata.engines.captioning import BatchCaptioner
from recapdata.engines.following import available_cores, follow
from recapdata.engines.preparing import DECODER_CRASHED, ImageReader, Part, Prepared, prepare_batch
from recapdata.errors import OptionError
from recapdata.records import Caption

AHEAD = 2
"""Batches prepared beyond one per process, so that the model never waits and memory stays bounded."""


class LocalEngine:
    """An `Engine` on this machine. With no workers everything happens in this process."""

    def __init__(self, folder: DatasetFolder, captioner: Captioner, how: EngineOptions | None = None) -> None:
        self._folder = folder
        self._captioner = captioner
        workers = how.workers if how is not None else None
        self._workers = default_workers(captioner.device) if workers is None else workers
        self._model = BatchCaptioner(captioner)
        self._reader = ImageReader(folder)
        self._pool: ProcessPoolExecutor | None = None
        self.load_seconds = 0.0

    @staticmethod
    def open_captioner(name: str, options: CaptionerOptions, how: EngineOptions) -> Captioner:
        """The captioner in this process."""
        for option in ("actors", "gpus_per_actor"):
            if getattr(how, option) is not None:
                raise OptionError(
                    f"--{option.replace('_', '-')} is for a cluster; add --engine ray or leave it out"
                )
        return open_captioner(name, options)

    @property
    def batch_size(self) -> int | None:
        """The largest batch that fits, once one did not."""
        return self._model.fits

    def __enter__(self) -> "LocalEngine":
        # The processes start before the model, the progress bar or any other thread is there to be forked with them.
        if self._workers:
            self._pool = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch, in order; the next ones are prepared meanwhile."""
        if self._captioner.at_once == 1:
            for batch, prepared in self._prepared(batches):
                yield Finished(batch, self._caption(batch, prepared))
            return
        with ThreadPoolExecutor(self._captioner.at_once, "captioner") as pool:
            asked: deque[tuple[Batch, Future[list[Caption]]]] = deque()
            for batch, prepared in self._prepared(batches):
                asked.append((batch, pool.submit(self._caption, batch, prepared)))
                if len(asked) == self._captioner.at_once:
                    yield _answered(asked.popleft())
            while asked:
                yield _answered(asked.popleft())

    def _prepared(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Prepared]]:
        """The batches, prepared in order by the processes, some ahead of the one that is asked for."""
        planned = iter(batches)
        waiting: deque[tuple[Batch, Future[Prepared] | None]] = deque()
        loaded = False
        while True:
            while len(waiting) < self._workers + AHEAD and (batch := next(planned, None)) is not None:
                waiting.append((batch, self._submit(batch)))
            if not waiting:
                return
            if not loaded:
                began = time.monotonic()
                self._captioner.load()
                self.load_seconds, loaded = time.monotonic() - began, True
            batch, future = waiting.popleft()
            try:
                prepared = self._inline(batch) if future is None else future.result()
            except BrokenProcessPool:
                prepared = self._one_by_one(batch)
                waiting = deque((each, self._submit(each)) for each, _ in waiting)
            yield batch, prepared

    def _caption(self, batch: Batch, prepared: Prepared) -> list[Caption]:
        def again(places: Sequence[int], size: int) -> Prepared:
            return prepare_batch(self._reader, self._captioner.prepare, batch, size, places)

        return self._model(prepared, batch.keys, again)

    def _inline(self, batch: Batch) -> Prepared:
        return prepare_batch(self._reader, self._captioner.prepare, batch, self._model.fits)

    # -- the processes ------------------------------------------------------------------------------------------------

    def _start(self) -> ProcessPoolExecutor:
        method = "fork" if sys.platform == "linux" else "spawn"
        pool = ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context(method),
            initializer=_begin,
            initargs=(self._folder.path, self._captioner.prepare, os.getpid()),
        )
        pool.submit(_ready)
        return pool

    def _submit(self, batch: Batch) -> "Future[Prepared] | None":
        if self._pool is None:
            return None
        try:
            return self._pool.submit(_prepare, batch, self._model.fits)
        except BrokenProcessPool:
            self._pool = self._start()
            return self._pool.submit(_prepare, batch, self._model.fits)

    def _one_by_one(self, batch: Batch) -> Prepared:
        """Prepare a batch after a process died, each picture by itself, so that the one at fault is found and named."""
        parts: list[Part] = []
        errors: dict[int, str] = {}
        for place, key in enumerate(batch.keys):
            future = self._submit(batch.only({key}))
            assert future is not None
            try:
                prepared = future.result()
            except BrokenProcessPool:
                errors[place] = DECODER_CRASHED
                continue
            parts += [Part((place,), part.prepared) for part in prepared.parts]
            errors.update((place, text) for text in prepared.errors.values())
        return Prepared(tuple(parts), errors)


def _answered(asked: "tuple[Batch, Future[list[Caption]]]") -> Finished:
    batch, future = asked
    return Finished(batch, future.result())


def default_workers(device: str) -> int:
    """Preparing processes that suit the machine: few beside a model on the CPU, many beside an accelerator."""
    cores = available_cores()
    if cores == 1:
        return 0
    return max(1, cores // 8) if device == "cpu" else min(8, cores - 1)


# What a preparing process holds: set once when it starts, read by its tasks.
_reader: ImageReader
_preparer: Preparer


def _begin(folder: Path, preparer: Preparer, parent: int) -> None:
    global _reader, _preparer
    follow(parent)
    if "torch" in sys.modules:  # only where the preparer uses it
        sys.modules["torch"].set_num_threads(1)
    _reader, _preparer = ImageReader(DatasetFolder(folder)), preparer


def _ready() -> None:
    """A task of no content, which makes the pool start its processes now."""


def _prepare(batch: Batch, part_size: int | None) -> Prepared:
    return prepare_batch(_reader, _preparer, batch, part_size)
