"""Processes of this machine: how many it takes, one worker opened in each of them, and that they end with this process."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

WATCH_SECONDS = 0.2


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes(Generic[Result]):
    """Processes that start at once and call a worker of their own with what is submitted; used as a context manager.

    A process that dies (for lack of memory, say) breaks the pool: what was submitted fails with `BrokenProcessPool`, and
    what is submitted next starts new ones.
    """

    def __init__(self, count: int, open_worker: Callable[[], Callable[..., Result]], *, fork: bool) -> None:
        """Start them.

        Args:
            open_worker: called in each process as it starts; picklable, unless they are forked.
            fork: share this process's memory, where the system can; not while other threads hold locks.
        """
        self._count = count
        self._open_worker = open_worker
        self._method = "fork" if fork and sys.platform == "linux" else "spawn"
        self._pool = self._start()

    def submit(self, *unit: Any) -> "Future[Result]":
        """Call a worker with these arguments."""
        try:
            return self._pool.submit(_work, *unit)
        except BrokenProcessPool:
            self._pool = self._start()
            return self._pool.submit(_work, *unit)

    def __enter__(self) -> "Processes[Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            self._count,
            multiprocessing.get_context(self._method),
            initializer=_begin,
            initargs=(self._open_worker, os.getpid()),
        )
        pool.submit(_ready)
        return pool


_worker: Callable[..., Any]
"""What a process of a pool holds: opened once when it starts, called by its tasks."""


def _begin(open_worker: Callable[[], Callable[..., Any]], parent: int) -> None:
    """Leave Ctrl-C to the parent and end with it, however that ended: an orphan would hold the folder's lock."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads did not come along through the fork
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if "torch" in sys.modules:  # only where the worker uses it
        sys.modules["torch"].set_num_threads(1)
    _worker = open_worker()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _ready() -> None:
    """A task of no content, which makes the pool start its processes now."""


def _work(*unit: Any) -> Any:
    return _worker(*unit)
