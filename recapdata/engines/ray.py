"""The Ray cluster that this machine belongs to: joining it quietly, what it has, and its errors in a person's words."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


def quiet_dataset(dataset: "Dataset") -> "Dataset":
    """The same without bars and remarks, and with every row a block, so that it is worked on and comes back by itself."""
    context = dataset.context
    context.target_max_block_size = 1
    context.enable_progress_bars = context.print_on_execution_start = False
    return dataset


def environment() -> dict[str, str]:
    """What the nodes take over of this process's environment."""
    return {name: os.environ[name] for name in CARRIED if name in os.environ}


def each_once(
    count: int, attempt: Callable[[np.ndarray, bool], Iterator[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """One result of each of `count` pieces of work, whatever the cluster loses.

    What Ray does not do again by itself (a process that dies again and again, an actor that finds no node) is attempted anew.

    Args:
        attempt: given the numbers of the pieces that are left, and whether a process died over them, gives rows whose `at`
            is such a number.

    Raises:
        ClusterError: nothing came in several attempts.
        RecapdataError: what a node raised.
    """
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayError, WorkerCrashedError

    done, fruitless, crashed = np.zeros(count, bool), 0, False
    while not done.all():
        before = done.sum()
        try:
            with ray_errors():
                for row in attempt(np.flatnonzero(~done), crashed):
                    if not done[row["at"]]:
                        done[row["at"]] = True
                        yield row
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
    from ray._private import worker

    worker._worker_logs_enabled = False  # the switch of its debugger; `log_to_driver` does not cover raylets
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
