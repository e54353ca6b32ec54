"""Engines: where a recaption run's batches are read, prepared and captioned; the run itself is the same for all of them.

An engine hands back every batch it was given exactly once, in any order, with one caption per key; an image that cannot be
captioned comes back as a caption with an error.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from recapdata.captioners import Captioner, CaptionerOptions
from recapdata.errors import OptionError
from recapdata.options import at_least, check_options, option
from recapdata.registry import load_attribute

if TYPE_CHECKING:
    from recapdata.dataset.folder import DatasetFolder
    from recapdata.engines.batches import Batch
    from recapdata.records import Caption

ENGINES = {
    "local": "recapdata.engines.local:LocalEngine",
    "ray": "recapdata.engines.ray:RayEngine",
}
"""Name → engine, called with folder, captioner and `EngineOptions`; its `open_captioner` opens the captioner for it."""


def _gpus(number: float) -> str | None:
    if number < 0:
        return "it must be at least 0"
    return "a part of one GPU, or a whole number of them" if number > 1 and number != int(number) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Where a run is done, and how much of a machine or cluster it takes; by itself where None."""

    engine: str = option(
        "local",
        metavar="local|ray",
        help="Where it runs: on this machine, or on the Ray cluster that this machine belongs to.",
    )
    workers: int | None = option(
        None,
        help="Processes that read and decode; the captions do not depend on it.",
        check=at_least(0),
        outcome=False,
    )
    actors: int | None = option(
        None,
        help="On Ray: copies of the model; by itself as many as the GPUs hold, or one a node.",
        check=at_least(1),
        outcome=False,
    )
    gpus_per_actor: float | None = option(
        None,
        help="On Ray: what a copy takes of a GPU, such as 0.5; by itself 1 where there are GPUs.",
        check=_gpus,
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch with its captions, in the order of its keys."""

    batch: "Batch"
    captions: "list[Caption]"

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

    def run(self, batches: "Iterable[Batch]") -> Iterator[Finished]:
        """Caption every batch; what it holds at a time is bounded."""


def open_engine(name: str, folder: "DatasetFolder", captioner: Captioner, how: EngineOptions) -> Engine:
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
