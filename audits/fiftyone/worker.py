"""The process that runs what the App delegates, as `fiftyone delegated launch` does, for as long as the App is served.

It runs operations on the one dataset that is shown, and ends when its standard input does, that is with the process that started
it, however that ends. What it is running then ends with it, since it leads a process group of its own; a recaptioning goes on
from its journal when it is asked for again.

    python -m audits.fiftyone.worker DATASET

Of several Apps on one dataset, one has the queue; another's worker takes it over when that one ends.
"""

import fcntl
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from audits.fiftyone import require
from audits.fiftyone.locks import lock_file

INTERRUPTED = "stopped with the App; the same, asked for again, goes on from what is done"
PAUSE = 0.5
"""Seconds between looks at the queue."""


def main() -> None:
    """Run delegated operations on a dataset until standard input ends."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # ended by `_end_with_parent`, and nothing else with it
    os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "WARNING")
    require()
    from fiftyone.operators.delegated import DelegatedOperationService

    threading.Thread(target=_end_with_parent, daemon=True).start()
    service = DelegatedOperationService()
    with open(lock_file(f"queue of {sys.argv[1]}"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        end_interrupted(sys.argv[1])
        while True:
            service.execute_queued_operations(dataset_name=sys.argv[1], limit=1, log=False)
            time.sleep(PAUSE)


def end_interrupted(dataset_name: str) -> int:
    """Mark what no worker runs any more as failed, which its own worker, being killed, could not do; how many there were."""
    from fiftyone.operators.delegated import DelegatedOperationService
    from fiftyone.operators.executor import ExecutionResult

    service = DelegatedOperationService()
    running = service.get_running_operations(dataset_name=dataset_name)
    for each in running:
        service.set_failed(each.id, result=ExecutionResult(error=INTERRUPTED))
    return len(running)


def let_go_of_queue(dataset_name: str) -> None:
    """Mark what a worker that has just been ended left running, unless another App's worker has the queue now."""
    with open(lock_file(f"queue of {dataset_name}"), "w") as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end_interrupted(dataset_name)


def _end_with_parent() -> None:
    """End this process, and all that it started, when standard input is closed."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
