"""Engines: where a recaption run's batches are read, prepared and captioned; the run itself is the same for all of them.

An engine hands back every batch it was given exactly once, in any order, with one caption per key; an image that cannot be
captioned comes back as a caption with an error.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from recapdata.captioners import Captioner, CaptionerOptions
from recapdata.dataset.folder import DatasetFolder
from recapdata.engines.batches import Batch
from recapdata.errors import OptionError
from recapdata.records import Caption
from recapdata.registry import load_attribute

ENGINES = {
    "local": "recapdata.engines.local:LocalEngine",
    "ray": "recapdata.engines.ray:RayEngine",
}
"""Name → engine, called with folder, captioner and `EngineOptions`; its `open_captioner` opens the captioner for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How much of a machine or cluster an engine takes; by itself where None.

    Attributes:
        workers: processes, or on a cluster tasks, that read and decode.
        actors: copies of the model on a cluster.
        gpus_per_actor: what one copy takes of a GPU, 0.5 say; whole numbers above 1.
    """

    workers: int | None = None
    actors: int | None = None
    gpus_per_actor: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("actors", 1), ("gpus_per_actor", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
        if (self.gpus_per_actor or 0) > 1 and self.gpus_per_actor != int(self.gpus_per_actor or 0):
            raise OptionError(
                f"--gpus-per-actor {self.gpus_per_actor}: a part of one GPU, or a whole number of them"
            )


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

    @staticmethod
    def open_captioner(name: str, options: CaptionerOptions, how: EngineOptions) -> Captioner:
        """The captioner as it will be where this engine runs it; see `captioners.open_captioner`."""
        ...

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch; what it holds at a time is bounded."""


def open_engine(name: str, folder: DatasetFolder, captioner: Captioner, how: EngineOptions) -> Engine:
    """The engine of a name in `ENGINES`, for a captioner that `open_captioner_for` opened.

    Raises:
        OptionError: no such engine.
    """
    engine: Engine = _engine(name)(folder, captioner, how)
    return engine


def open_captioner_for(engine: str, name: str, options: CaptionerOptions, how: EngineOptions) -> Captioner:
    """The captioner of a name as it will be where the engine runs it: its dtype is that of the cluster's machines, say.

    Raises:
        OptionError: no such engine, or an option that is not for it.
        ClusterError: there is no cluster.
        CaptionerNotFound, ModelNotSupported, HubError: see `captioners.open_captioner`.
    """
    captioner: Captioner = _engine(engine).open_captioner(name, options, how)
    return captioner


def _engine(name: str) -> Any:
    if name not in ENGINES:
        raise OptionError(f"--engine {name}: there are {', '.join(ENGINES)}")
    return load_attribute(ENGINES[name])
