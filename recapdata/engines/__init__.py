"""Engines: where a recaption run's batches are read, prepared and captioned; the run itself is the same for all of them.

An engine hands back every batch it was given exactly once, in any order, with one caption per key; an image that cannot be
captioned comes back as a caption with an error.
"""

import importlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from recapdata.batches import Batch
from recapdata.captioners import Captioner
from recapdata.errors import OptionError
from recapdata.records import Caption
from recapdata.store import DatasetFolder

ENGINES = {
    "local": "recapdata.engines.local:LocalEngine",
}
"""Name → engine, called with folder, captioner and number of preparing processes (None: by itself)."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch with its captions, in the order of its keys."""

    batch: Batch
    captions: list[Caption]

    @property
    def failures(self) -> int:
        """How many of its images have no caption."""
        return sum(caption.error is not None for caption in self.captions)


class Engine(AbstractContextManager["Engine"], Protocol):
    """Used as a context manager around one run.

    Attributes:
        batch_size: the largest batch that fits in memory as far as it knows; None until one did not.
        load_seconds: how long loading the model took.
    """

    batch_size: int | None
    load_seconds: float

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch; what it holds at a time is bounded."""


def open_engine(name: str, folder: DatasetFolder, captioner: Captioner, workers: int | None) -> Engine:
    """The engine of a name in `ENGINES`.

    Raises:
        OptionError: no such engine.
    """
    if name not in ENGINES:
        raise OptionError(f"--engine {name}: there are {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), attribute)(folder, captioner, workers)
    return engine
