"""Engines: where the work of a stage is done, the same on one machine or on a cluster, for every stage that runs over shards.

local.py   processes beside this one
ray.py     the Ray cluster that this machine belongs to

A stage hands over what opens its worker, a picklable callable: it is called once in each process, and what it returns is then called
with one unit of work after another.
"""

from dataclasses import dataclass

from recapdata.errors import OptionError
from recapdata.options import at_least, check_options, option

ENGINES = ("local", "ray")


def check_engine(name: str) -> str:
    """The name of an engine.

    Raises:
        OptionError: no such engine.
    """
    if name not in ENGINES:
        raise OptionError(f"--engine {name}: there are {', '.join(ENGINES)}")
    return name


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
