"""Captioning on this machine: the model in this process, reading, decoding and preparing in others beside it."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import TracebackType

from recapdata.captioners import Captioner, CaptionerOptions, Preparer, open_captioner
from recapdata.dataset.folder import DatasetFolder
from recapdata.engines import EngineOptions
from recapdata.engines.local import Processes, available_cores
from recapdata.errors import OptionError
from recapdata.recaptioning.batches import (
    Batch,
    BatchCaptioner,
    Finished,
    ImageReader,
    Prepared,
    prepare_batch,
    prepare_one_by_one,
)
from recapdata.records import Caption

AHEAD = 2
"""Batches prepared beyond one per process, so that the model never waits and memory stays bounded."""


class LocalCaptioning:
    """A `Captioning` on this machine. With no workers everything happens in this process."""

    def __init__(self, folder: DatasetFolder, captioner: Captioner, how: EngineOptions | None = None) -> None:
        self._folder = folder
        self._captioner = captioner
        workers = how.workers if how is not None else None
        self._workers = default_workers(captioner.device) if workers is None else workers
        self._model = BatchCaptioner(captioner)
        self._reader = ImageReader(folder)
        self._processes: Processes[Prepared] | None = None
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

    def __enter__(self) -> "LocalCaptioning":
        # The processes start before the model, the progress bar or any other thread is there to be forked with them.
        if self._workers:
            opener = partial(_open_preparing, self._folder.path, self._captioner.prepare)
            self._processes = Processes(self._workers, opener, fork=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._processes is not None:
            self._processes.__exit__(kind, error, trace)

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
                prepared = self._prepare(batch) if future is None else future.result()
            except BrokenProcessPool:
                assert self._processes is not None
                prepared = prepare_one_by_one(batch, self._processes.submit)
                waiting = deque((each, self._submit(each)) for each, _ in waiting)
            yield batch, prepared

    def _submit(self, batch: Batch) -> "Future[Prepared] | None":
        return self._processes.submit(batch, self._model.fits) if self._processes is not None else None

    def _prepare(
        self, batch: Batch, size: int | None = None, places: Sequence[int] | None = None
    ) -> Prepared:
        return prepare_batch(self._reader, self._captioner.prepare, batch, size or self._model.fits, places)

    def _caption(self, batch: Batch, prepared: Prepared) -> list[Caption]:
        def again(places: Sequence[int], size: int) -> Prepared:
            return self._prepare(batch, size, places)

        return self._model(prepared, batch.keys, again)


def _answered(asked: "tuple[Batch, Future[list[Caption]]]") -> Finished:
    batch, future = asked
    return Finished(batch, future.result())


def default_workers(device: str) -> int:
    """Preparing processes that suit the machine: few beside a model on the CPU, many beside an accelerator."""
    cores = available_cores()
    if cores == 1:
        return 0
    return max(1, cores // 8) if device == "cpu" else min(8, cores - 1)


def _open_preparing(folder: Path, preparer: Preparer) -> "partial[Prepared]":
    """What a process calls with a batch and the size of its parts."""
    return partial(prepare_batch, ImageReader(DatasetFolder(folder)), preparer)
