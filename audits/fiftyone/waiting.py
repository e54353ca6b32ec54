"""Waiting for what another process makes ready: by a condition, and aloud."""

import time
from collections.abc import Iterator

from recapdata.console import say

PATIENCE = 1800.0
"""Seconds after which what is still under way is taken to hang; what has ended is to be noticed at once."""
NOTICE = 10.0
"""Seconds between two lines that say what is waited for."""
PAUSE = 0.25


def waiting(what: str) -> Iterator[None]:
    """Let a loop check its condition until `PATIENCE` is over, saying now and then what it waits for."""
    began = noticed = time.monotonic()
    while (now := time.monotonic()) - began < PATIENCE:
        if now - noticed >= NOTICE:
            noticed = now
            say(f"waiting for {what} ({now - began:.0f} s so far)")
        yield
        time.sleep(PAUSE)
