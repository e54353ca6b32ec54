"""The Ray cluster that this machine belongs to: what it has, work sent through stages of its processes, and its errors in a person's words.

What a node has finished comes back to this process; what a lost node had in hand is done again by Ray, and what Ray gives up
is attempted anew, so that every unit comes back once.
"""

import logging
import os
import pickle
import socket
import sys
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from recapdata.console import say
from recapdata.errors import ClusterError, RecapdataError
from recapdata.extras import require

if TYPE_CHECKING:
    from ray.data import Dataset

START = (
    "start one with `ray start --head` here and `ray start --address=HEAD:6379` on every other machine, or name a running "
    "one in RAY_ADDRESS"
)
ATTEMPTS = 3
"""Fruitless attempts in a row after which a cluster is given up."""
CRASHES = 3
"""Times that a task is given another process before the attempt counts as lost."""
CARRIED = ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_DISABLE_XET", "HF_HUB_OFFLINE", "OPENAI_API_KEY")
"""Environment that says which Hub and server are meant; nodes were started in another one."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a cluster has.

    Attributes:
        cpus: by live node, those without any left out.
        gpus: by live node that has some.
    """

    cpus: tuple[float, ...]
    gpus: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Actors:
    """Processes of a cluster that keep what they loaded: how many, and what each takes of cores and GPUs."""

    count: int
    cpus: int
    gpus: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is done with one unit after another in many processes of a cluster.

    Attributes:
        open_worker: picklable; opens what is called with each unit, once in every process.
        actors: the processes, each for the whole run; None for those that Ray keeps for short tasks, `tasks` at most.
        at_once: calls at the same time in one actor.
        ahead: units that may wait at one actor; Ray's own number where None.
    """

    open_worker: Callable[[], Callable[[Any], Any]]
    actors: Actors | None = None
    tasks: int | None = None
    at_once: int = 1
    ahead: int | None = None


def connect() -> None:
    """Join the running cluster, once in this process; usage statistics and Ray's own messages stay off.

    Raises:
        MissingExtra: Ray is not installed.
        ClusterError: no cluster runs here, or it does not answer.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    require("ray", extra="ray")
    import ray
    import ray.data

    if ray.is_initialized():
        return
    _hush()
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        with _no_stderr():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address == "auto" and isinstance(error, ConnectionError):
            raise ClusterError(f"no Ray cluster runs on this machine; {START}") from error
        raise ClusterError(
            f"the Ray cluster at {address} cannot be joined; {START} ({_first_line(error)})"
        ) from error


def resources() -> Resources:
    """What the live nodes have."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Resources(
        cpus=tuple(node["CPU"] for node in nodes if node.get("CPU")),
        gpus=tuple(node["GPU"] for node in nodes if node.get("GPU")),
    )


def environment() -> dict[str, str]:
    """What the nodes take over of this process's environment."""
    return {name: os.environ[name] for name in CARRIED if name in os.environ}


def see(path: Path) -> Path:
    """A file or folder as this node sees it.

    Raises:
        ClusterError: it does not.
    """
    if not path.exists():
        raise ClusterError(
            f"node {socket.gethostname()} does not see {path}; dataset and results must lie on a file system that all "
            "nodes share, under the same path"
        )
    return path


# --- work on many units --------------------------------------------------------------------------------------------------


def run_stages(
    units: Sequence[Any],
    stages: Callable[[bool], Sequence[Stage]],
    *,
    together: Callable[[Any], Hashable] = id,
    most: int = 1,
) -> Iterator[tuple[int, Any]]:
    """Send units through stages; gives the place of each with what the last stage made of it, in any order, each once.

    Args:
        stages: the stages for the cluster as it is now; called anew for every attempt, with whether a process died in an earlier one.
        together: units in a row for which this is the same may be given to one task, at most `most` of them.

    Raises:
        ClusterError: nothing came in several attempts, or a node cannot do the work.
        RecapdataError: what a node raised.
    """
    from ray.data import from_arrow

    packed = [pickle.dumps(unit, protocol=5) for unit in units]
    around = environment()

    def attempt(left: np.ndarray, crashed: bool) -> Iterator[tuple[int, Any]]:
        blocks = [
            pa.table({"at": part, "unit": pa.array([packed[at] for at in part], pa.large_binary())})
            for _, alike in groupby(left.tolist(), key=lambda at: together(units[at]))
            for part in _parts(list(alike), most)
        ]
        dataset: Dataset = from_arrow(blocks)
        # Without bars and remarks, and with every row a block, so that it is worked on and comes back by itself.
        context = dataset.context
        context.target_max_block_size = 1
        context.enable_progress_bars = context.print_on_execution_start = False
        with warnings.catch_warnings():
            # `max_retries` has no named parameter yet, and without one a unit that kills its process is tried for ever.
            warnings.simplefilter("ignore")
            for stage in stages(crashed):
                dataset = _through(dataset, stage, around)
            for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in cast(pa.Table, block).to_pylist():
                    yield row["at"], pickle.loads(row["unit"])

    yield from _each_once(len(units), attempt)


def _parts(places: list[int], most: int) -> list[list[int]]:
    return [places[start : start + most] for start in range(0, len(places), most)]


def _through(dataset: "Dataset", stage: Stage, around: dict[str, str]) -> "Dataset":
    import ray
    from ray.data import ActorPoolStrategy, TaskPoolStrategy

    opener = ray.put(pickle.dumps(stage.open_worker))
    if stage.actors is None:
        return dataset.map_batches(
            cast(Any, _do_rows),
            fn_kwargs={"opener": opener, "around": tuple(around.items())},
            batch_format="pyarrow",
            compute=TaskPoolStrategy(stage.tasks),
            num_cpus=1,
            max_retries=CRASHES,
        )
    return dataset.map_batches(
        _Actor,
        fn_constructor_kwargs={"opener": opener, "around": tuple(around.items())},
        batch_format="pyarrow",
        batch_size=1,
        compute=ActorPoolStrategy(
            size=stage.actors.count,
            max_tasks_in_flight_per_actor=stage.ahead,
            max_concurrent_calls_per_actor=stage.at_once,
            enable_true_multi_threading=stage.at_once > 1,
        ),
        num_cpus=stage.actors.cpus,
        num_gpus=stage.actors.gpus or None,
    )


def _open(opener: Any, around: tuple[tuple[str, str], ...]) -> Callable[[Any], Any]:
    """The worker of a stage on this node, under the environment of who started the run."""
    import ray

    os.environ.update(around)
    worker: Callable[[Any], Any] = pickle.loads(ray.get(opener))()
    return worker


_kept = lru_cache(maxsize=1)(_open)
"""Ray keeps its worker processes between tasks, and with them what the last one opened."""


def _done(worker: Callable[[Any], Any], row: pa.Table) -> pa.Table:
    result = pickle.dumps(worker(pickle.loads(row["unit"][0].as_py())), protocol=5)
    return pa.table({"at": row["at"], "unit": pa.array([result], pa.large_binary())})


def _do_rows(rows: pa.Table, *, opener: Any, around: tuple[tuple[str, str], ...]) -> Iterator[pa.Table]:
    """A task: some rows, one after the other."""
    worker = _kept(opener, around)
    for start in range(rows.num_rows):
        yield _done(worker, rows.slice(start, 1))


class _Actor:
    """A process that does row after row with what it opened."""

    def __init__(self, opener: Any, around: tuple[tuple[str, str], ...]) -> None:
        self._worker = _open(opener, around)

    def __call__(self, rows: pa.Table) -> pa.Table:
        return pa.concat_tables(_done(self._worker, rows.slice(start, 1)) for start in range(rows.num_rows))


def _each_once(
    count: int, attempt: Callable[[np.ndarray, bool], Iterator[tuple[int, Any]]]
) -> Iterator[tuple[int, Any]]:
    """One result of each of `count` units, whatever the cluster loses.

    What Ray does not do again by itself (a process that dies again and again, an actor that finds no node) is attempted anew.

    Args:
        attempt: given the places of the units that are left, and whether a process died over them, gives places and results.
    """
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayError, WorkerCrashedError

    done, fruitless, crashed = np.zeros(count, bool), 0, False
    while not done.all():
        before = done.sum()
        try:
            with ray_errors():
                for at, result in attempt(np.flatnonzero(~done), crashed):
                    if not done[at]:
                        done[at] = True
                        yield at, result
        except (RayError, ExecutionTimeoutError) as error:
            crashed = crashed or any(isinstance(each, WorkerCrashedError) for each in _causes(error))
            last: BaseException | None = error
            say(
                f"the cluster lost a process or a node ({_first_line(error)}); what it had not handed in is done again"
            )
        else:
            last = None
        fruitless = fruitless + 1 if done.sum() == before else 0
        if fruitless == ATTEMPTS:
            raise ClusterError(
                f"the cluster gave nothing in {ATTEMPTS} attempts; see `ray status`"
                + (f" ({_first_line(last)})" if last is not None else "")
            ) from last


# --- what goes wrong -----------------------------------------------------------------------------------------------------


@contextmanager
def ray_errors() -> Iterator[None]:
    """What went wrong on a node, as this process would have said it.

    Raises:
        RecapdataError: the very error that was raised there.
        ClusterError: the node could not do the work at all.
    """
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayError as error:
        found = next((each for each in _causes(error) if isinstance(each, RecapdataError)), None)
        if found is not None:
            raise found from None
        if isinstance(error, RayTaskError) or any(isinstance(each, RayTaskError) for each in _causes(error)):
            last = [line for line in str(error).splitlines() if line.strip()][-1]
            raise ClusterError(
                f"a node of the cluster failed: {last.strip()}; is the same recapdata installed there? "
                "(--debug shows its traceback)"
            ) from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, on the node as well."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, getattr(each, "cause", None)]


def _first_line(error: BaseException) -> str:
    return (f"{type(error).__name__}: {error}".strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Without what Ray's C++ part says while it starts, of its own log level above all."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _hush() -> None:
    """Ray prints what happens on nodes to standard output, which is for results; its log folder has it all the same."""
    # Private, because `log_to_driver=False` covers neither raylets nor workers that die (ray-project/ray#28216, open): what the
    # cluster reports as an error is printed regardless. This is the switch that Ray's own debugger uses.
    from ray._private import worker

    worker._worker_logs_enabled = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
