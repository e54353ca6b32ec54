"""The process that runs what the App delegates, as `fiftyone delegated launch` does, for as long as the App is served.

It runs operations on the one dataset that is shown, and ends when its standard input does, that is with the process that started
it, however that ends. What it is running then ends with it, since it leads a process group of its own; a recaptioning goes on
from its journal when it is asked for again.

    python -m audits.fiftyone.worker DATASET
"""

import os
import signal
import sys
import threading
import time

from audits.fiftyone import require

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
    while True:
        service.execute_queued_operations(dataset_name=sys.argv[1], limit=1, log=False)
        time.sleep(PAUSE)


def _end_with_parent() -> None:
    """End this process, and all that it started, when standard input is closed."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
