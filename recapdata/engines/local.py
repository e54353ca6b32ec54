"""Processes beside this one: how many the machine takes, and that they end with it."""

import os
import signal
import threading
import time

WATCH_SECONDS = 0.2


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def follow(parent: int) -> None:
    """Make this process, just started, leave Ctrl-C to its parent and end with it, however that ended.

    An orphan would hold the folder's lock.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads did not come along through the fork
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
