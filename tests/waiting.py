"""Waiting in tests: for a condition, with a limit that only something that hangs ever meets."""

import time
from collections.abc import Callable
from typing import TypeVar

HANGS = 900.0
"""Seconds after which what a test waits for is taken to hang; a busy machine takes minutes where an idle one takes seconds."""

Answer = TypeVar("Answer")


def until(
    condition: Callable[[], Answer | None], failure: str = "what was waited for did not come"
) -> Answer:
    """The first truthy answer of a condition, which is checked again and again."""
    ends = time.monotonic() + HANGS
    while not (answer := condition()):
        assert time.monotonic() < ends, failure
        time.sleep(0.05)
    return answer
