"""What is told of a run while it trains: a progress bar, lines, or whatever implements `Tracker`.

The log that a run resumes from is not one of them; `checkpoints.RunFolder` keeps it.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from recapdata.console import say
from recapdata.display import one_line

SECONDS_A_LINE = 15.0


class Tracker(Protocol):
    """Takes the figures of each step; called on the main process alone."""

    def log(self, row: Mapping[str, float]) -> None:
        """Take a step's figures: `step` (from 1), `loss`, `lr`, `seconds`, and the task's own."""


class _Bar:
    """A tqdm bar with the smoothed loss and the rate."""

    def __init__(self, bar: Any, images: int) -> None:
        self._bar = bar
        self._images = images
        self._loss: float | None = None

    def log(self, row: Mapping[str, float]) -> None:
        loss = row["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        rate = self._images / max(row["seconds"], 1e-9)
        self._bar.set_postfix_str(f"loss {self._loss:.4f}, {rate:.3g} images/s", refresh=False)
        self._bar.update()


class _Lines:
    """A line every `SECONDS_A_LINE`, and at the last step: mean loss and rate since the line before, and time to go."""

    def __init__(self, title: str, first: int, total: int, images: int) -> None:
        self._title, self._total, self._images = title, total, images
        self._step, self._losses, self._began = first, 0.0, time.monotonic()

    def log(self, row: Mapping[str, float]) -> None:
        self._losses += row["loss"]
        step, passed = int(row["step"]), time.monotonic() - self._began
        if step < self._total and passed < SECONDS_A_LINE:
            return
        steps = step - self._step
        each = passed / steps
        say(
            f"{self._title}: step {step:,}/{self._total:,}, loss {self._losses / steps:.4f}, "
            f"{self._images / max(each, 1e-9):.3g} images/s, {_time(each * (self._total - step))} to go"
        )
        self._step, self._losses, self._began = step, 0.0, time.monotonic()


def _time(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress_bar(first: int, total: int, *, title: str = "training", images: int) -> Iterator[Tracker]:
    """A progress bar of steps with loss, rate and time to go; lines where there is no terminal.

    Args:
        images: of one step, over all processes.
    """
    if not sys.stderr.isatty():
        yield _Lines(title, first, total, images)
        return
    from tqdm import tqdm

    with tqdm(initial=first, total=total, desc=one_line(title), unit="step") as bar:
        yield _Bar(bar, images)


def say_beside_bar(line: str) -> None:
    """Write a line without breaking a progress bar."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        say(line)
