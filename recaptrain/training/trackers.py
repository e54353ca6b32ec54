"""What is told of a run while it trains: a progress bar, lines, or whatever implements `Tracker`.

The log that a run resumes from is not one of them; `checkpoints.RunFolder` keeps it.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from recapdata.console import say


class Tracker(Protocol):
    """Takes the figures of each step; called on the main process alone."""

    def log(self, row: Mapping[str, float]) -> None:
        """Take a step's figures: `step` (from 1), `loss`, `lr`, `seconds`, and the task's own."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A line of figures every so many steps, and at the last."""

    title: str
    steps: int
    every: int = 50

    def log(self, row: Mapping[str, float]) -> None:
        """Write the line where one is due."""
        if row["step"] % self.every == 0 or row["step"] == self.steps:
            figures = " ".join(f"{name} {value:.3g}" for name, value in row.items() if name != "step")
            say_beside_bar(f"{self.title} {row['step']:,}/{self.steps:,} {figures}")


class _Bar:
    """A tqdm bar with the smoothed loss."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._loss: float | None = None

    def log(self, row: Mapping[str, float]) -> None:
        loss = row["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._bar.set_postfix_str(f"loss {self._loss:.4f}", refresh=False)
        self._bar.update()


@contextmanager
def progress_bar(first: int, total: int) -> Iterator[Tracker]:
    """A progress bar of steps with loss and time to go, shown on a terminal."""
    from tqdm import tqdm

    with tqdm(
        initial=first, total=total, desc="training", unit="step", disable=not sys.stderr.isatty()
    ) as bar:
        yield _Bar(bar)


def say_beside_bar(line: str) -> None:
    """Write a line without breaking a progress bar."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        say(line)
