"""Where the units of an audit are done: on this machine's cores, or on a Ray cluster. The results are the same.

A unit, one shard with its sets, is read, audited and written by one process. What looks at pictures is done by this process, which
holds the models and decodes on threads, with others that parse; text alone by as many processes as there are cores. On a cluster
every actor is such a process.
"""

import multiprocessing
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa

from audits.clip.models import resolve
from audits.runner.text_part import reading_identity
from audits.runner.worker import Auditor, Tools, Unit, captions_of, looks_at_pictures
from recapdata.engines.following import available_cores, follow
from recapdata.errors import ClusterError, OptionError
from recapdata.registry import load_attribute

if TYPE_CHECKING:
    import numpy as np
    from spacy.language import Language

    from recapdata.engines.cluster import Resources

ENGINES = {"local": "audits.runner.engines:audit_locally", "ray": "audits.runner.engines:audit_on_ray"}
"""Name → a `DoUnits`."""
WORTH_A_PROCESS = 500
"""Captions below which another process takes longer to start than it saves."""
ACTOR_CORES = 4
"""Cores of an actor that looks at pictures on a CPU: one for the models, the others decode and parse."""


class DoUnits(Protocol):
    """Audits units, in any order; each is written when its number comes out, with how many of its images could not be read."""

    def __call__(
        self,
        units: Sequence[Unit],
        tools: Tools,
        *,
        nlp: "Language",
        workers: int | None,
        advance: Callable[..., None],
    ) -> Iterator[int]: ...


def open_engine(name: str) -> DoUnits:
    """The engine of that name.

    Raises:
        OptionError: no such engine.
    """
    if name not in ENGINES:
        raise OptionError(f"--engine {name}: there are {', '.join(ENGINES)}")
    engine: DoUnits = load_attribute(ENGINES[name])
    return engine


# --- this machine --------------------------------------------------------------------------------------------------------


def audit_locally(
    units: Sequence[Unit],
    tools: Tools,
    *,
    nlp: "Language",
    workers: int | None,
    advance: Callable[..., None],
) -> Iterator[int]:
    """On this machine, with so many processes (None: one a core)."""
    captions = sum(captions_of(unit, tools.target) for unit in units)
    workers = min(workers or available_cores(), captions // WORTH_A_PROCESS + 1)
    processes = 1 if looks_at_pictures(units, tools.evidence) else min(workers, len(units))
    if processes <= 1:
        auditor = Auditor(tools, parsers=workers, decoders=available_cores(), nlp=nlp)
        yield from auditor.audit(units, advance)
        return
    forked = (
        sys.platform == "linux" and threading.active_count() == 1
    )  # a fork would copy other threads' locks
    with ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("fork" if forked else "spawn"),
        initializer=_begin,
        initargs=(tools, workers // processes, nlp if forked else None, os.getpid()),
    ) as pool:
        futures = {pool.submit(_audit, unit): unit for unit in units}
        try:
            for future in as_completed(futures):
                advance(captions_of(futures[future], tools.target))
                yield future.result()
        except BrokenProcessPool as error:
            raise OptionError(
                f"--workers {workers}: one of the processes died, as a rule for lack of memory; ask for fewer (what is finished "
                "is kept)"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_auditor: Auditor
"""What a process of the pool holds: set once when it starts, used by its tasks."""


def _begin(tools: Tools, parsers: int, nlp: "Language | None", parent: int) -> None:
    global _auditor
    follow(parent)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    _auditor = Auditor(tools, parsers=parsers, decoders=1, nlp=nlp)


def _audit(unit: Unit) -> int:
    return sum(_auditor.audit([unit], lambda *_, **__: None))


# --- a cluster -----------------------------------------------------------------------------------------------------------


def audit_on_ray(
    units: Sequence[Unit],
    tools: Tools,
    *,
    nlp: "Language",
    workers: int | None,
    advance: Callable[..., None],
) -> Iterator[int]:
    """On the Ray cluster that this machine belongs to, with so many actors (None: all of it).

    Dataset and results must lie on a file system that all nodes share.
    """
    if not units:
        return
    from recapdata.engines.cluster import connect

    connect()
    from ray.data import ActorPoolStrategy, from_arrow

    from recapdata.engines.cluster import each_once, environment, quiet_dataset, resources

    pictures = looks_at_pictures(units, tools.evidence)
    known = reading_identity(nlp)
    packed = [pickle.dumps([replace(plan, path=plan.path.resolve()) for plan in unit]) for unit in units]

    def attempt(left: "np.ndarray", crashed: bool) -> Iterator[dict[str, Any]]:
        count, cpus, gpus = choose_actors(resources(), workers, pictures=pictures)
        rows = [pa.table({"at": [int(at)], "unit": pa.array([packed[at]], pa.large_binary())}) for at in left]
        audited = quiet_dataset(from_arrow(rows)).map_batches(
            NodeAuditor,
            fn_constructor_kwargs={
                "tools": _travelling(tools),
                "cores": cpus,
                "known": known,
                "environment": environment(),
            },
            batch_format="pyarrow",
            batch_size=1,
            compute=ActorPoolStrategy(size=min(count, len(left)), max_tasks_in_flight_per_actor=1),
            num_cpus=cpus,
            num_gpus=gpus or None,
        )
        for block in audited.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from cast(pa.Table, block).to_pylist()

    for row in each_once(len(units), attempt):
        advance(captions_of(units[row["at"]], tools.target))
        yield row["unreadable"]


class NodeAuditor:
    """An actor: one auditor, its pipeline and models loaded once."""

    def __init__(self, tools: Tools, cores: int, known: str, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        self._folder = tools.target.folder
        self._auditor = Auditor(_here(tools), parsers=1, decoders=cores)
        if (mine := reading_identity(self._auditor.nlp)) != known:
            raise ClusterError(
                f"node {socket.gethostname()} would find other claims: its pipeline and rules are {mine}, not {known}; "
                "install the same on all nodes"
            )

    def __call__(self, row: pa.Table) -> pa.Table:
        """A row of place and pickled unit → place and images that could not be read."""
        unit: Unit = pickle.loads(row["unit"][0].as_py())
        _see(unit[0].path.parents[1])
        if self._folder is not None:
            _see(self._folder)
        unreadable = sum(self._auditor.audit([unit], lambda *_, **__: None))
        return pa.table({"at": row["at"], "unreadable": [unreadable]})


def choose_actors(has: "Resources", workers: int | None, *, pictures: bool) -> tuple[int, int, float]:
    """How many actors, and the cores and GPUs of each: text takes a core, pictures a GPU with its share of cores, or four cores.

    Raises:
        ClusterError: the cluster has no core.
    """
    if not has.cpus:
        raise ClusterError("the cluster has no node with a CPU")
    if pictures and has.gpus:
        count = int(sum(has.gpus))
        return workers or count, max(1, int(sum(has.cpus)) // (2 * count)), 1
    cores = max(1, min(ACTOR_CORES, int(min(has.cpus)))) if pictures else 1
    return workers or sum(int(each) // cores for each in has.cpus), cores, 0


def _travelling(tools: Tools) -> Tools:
    """The tools with folders named as another machine has to look for them."""
    folder, clip = tools.target.folder, tools.clip_name
    if folder is not None:
        tools = replace(tools, target=replace(tools.target, folder=folder.resolve()))
    return replace(tools, clip_name=str(Path(clip).resolve())) if clip and Path(clip).is_dir() else tools


def _here(tools: Tools) -> Tools:
    """The tools with the CLIP model as this node finds it, in its own cache."""
    if tools.clip is None or tools.clip_name is None:
        return tools
    mine = resolve(tools.clip_name)
    if mine.revision != tools.clip.revision:
        raise ClusterError(
            f"node {socket.gethostname()} has another CLIP model {mine.name}: {mine.revision}, not {tools.clip.revision}"
        )
    return replace(tools, clip=mine)


def _see(folder: Path) -> None:
    if not folder.is_dir():
        raise ClusterError(
            f"node {socket.gethostname()} does not see {folder}; dataset and results must lie on a file system that all "
            "nodes share, under the same path"
        )
