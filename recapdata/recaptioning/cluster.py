"""The Ray engine: the model in actors over a cluster, reading and decoding in tasks beside them, through Ray Data.

The batches are the local engine's, so the captions are too. Only the driver writes: what a node has finished comes back to it and
into the journal; what a lost node had in hand is done again by Ray, and what Ray gives up is planned again. The nodes read the
image shards themselves, from a file system that they share.
"""

import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, cast

import numpy as np
import pyarrow as pa

from recapdata import captioners
from recapdata.captioners import Captioner, CaptionerOptions, Preparer
from recapdata.dataset.folder import DatasetFolder
from recapdata.engines import EngineOptions, Finished
from recapdata.engines.batches import Batch
from recapdata.engines.cluster import (
    Resources,
    connect,
    each_once,
    environment,
    quiet_dataset,
    ray_errors,
    resources,
)
from recapdata.engines.nodes import (
    Model,
    Work,
    batch_of,
    captions_of,
    open_captioner_here,
    pinned,
    plan_rows,
    prepare_batches,
)
from recapdata.errors import ClusterError
from recapdata.records import Caption, Provenance

TASK_BATCHES = 8
"""Batches that one task prepares, one after the other: neighbors in a shard, which lie in the same row groups."""
WAVE_IMAGES = 100_000
"""Images per actor planned at a time; a wave ends with the models unloaded, so it is hours long."""
CRASHES = 3
"""Times that a task is given another process before its images are looked at one by one."""
FREE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class ClusterCaptioner:
    """A captioner as the nodes will open it; here it is only described."""

    provenance: Provenance
    prepare: Preparer
    batch_size: int
    at_once: int
    device: str
    opener: str
    options: CaptionerOptions

    def load(self) -> None:
        """Nothing here; every actor loads its own copy."""

    def caption(self, prepared: Any, keys: Sequence[str]) -> list[Caption]:
        """Not here."""
        raise NotImplementedError("the model of a cluster's captioner is on its nodes")


@dataclass(frozen=True, slots=True)
class Actors:
    """How the copies of the model lie on a cluster: how many, and what each takes of GPUs and cores."""

    count: int
    gpus: float
    cpus: int


class RayEngine:
    """An `Engine` on the Ray cluster that this machine belongs to."""

    def __init__(self, folder: DatasetFolder, captioner: Captioner, how: EngineOptions) -> None:
        assert isinstance(captioner, ClusterCaptioner)
        self._folder = folder
        self._captioner = captioner
        self._how = how
        self.batch_size: int | None = None
        self.load_seconds = 0.0

    @staticmethod
    def open_captioner(name: str, options: CaptionerOptions, how: EngineOptions) -> ClusterCaptioner:
        """The captioner as a node with a GPU, or where there are none any node, would have it."""
        connect()
        here = there = captioners.open_captioner(name, options)
        opener, fixed = captioners.REGISTRY.path(name), pinned(options, here.provenance)
        actors = choose_actors(here.at_once, resources(), how)
        if actors.gpus or (here.device != "cpu" and here.at_once == 1):
            there = _open_there(opener, fixed, actors.gpus)
        return ClusterCaptioner(
            provenance=replace(there.provenance, model=here.provenance.model),
            prepare=there.prepare,
            batch_size=there.batch_size,
            at_once=there.at_once,
            device=f"{there.device} ({actors.count} copies on a Ray cluster)",
            opener=opener,
            options=fixed,
        )

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: a wave ends its actors, and the cluster is not ours."""

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch, in any order; each comes back once, whatever the cluster loses."""
        planned, work = iter(batches), self._work()
        while True:
            actors = self._actors()
            wave = _take(planned, actors.count * WAVE_IMAGES)
            if not wave.num_rows:
                return
            wave = wave.append_column("at", pa.array(np.arange(wave.num_rows)))

            def attempt(left: np.ndarray, crashed: bool, wave: pa.Table = wave) -> Iterator[dict[str, Any]]:
                return self._attempt(wave.take(left), replace(work, careful=crashed), self._actors())

            for row in each_once(wave.num_rows, attempt):
                yield self._finished(wave, row)

    def _actors(self) -> Actors:
        """How the model lies on the cluster as it is now."""
        return choose_actors(self._captioner.at_once, resources(), self._how)

    def _work(self) -> Work:
        import ray

        captioner = self._captioner
        return Work(
            folder=self._folder.path.resolve(),
            preparer=ray.put(pickle.dumps(captioner.prepare)),
            opener=captioner.opener,
            options=captioner.options,
            provenance=captioner.provenance,
            environment=tuple(environment().items()),
        )

    def _attempt(self, wave: pa.Table, work: Work, actors: Actors) -> Iterator[dict[str, Any]]:
        """Rows of `DONE_SCHEMA` as they come."""
        from ray.data import ActorPoolStrategy, TaskPoolStrategy, from_arrow

        with warnings.catch_warnings():
            # `max_retries` has no named parameter yet, and without one a picture that kills its decoder is tried for ever.
            warnings.simplefilter("ignore")
            prepared = quiet_dataset(from_arrow(_tasks(wave))).map_batches(
                cast(Any, prepare_batches),
                fn_kwargs={"work": work},
                batch_format="pyarrow",
                compute=TaskPoolStrategy(self._how.workers or None),
                num_cpus=1,
                max_retries=CRASHES,
            )
            captioned = prepared.map_batches(
                Model,
                fn_constructor_kwargs={"work": work},
                batch_format="pyarrow",
                batch_size=1,
                compute=ActorPoolStrategy(
                    size=actors.count,
                    max_concurrent_calls_per_actor=self._captioner.at_once,
                    enable_true_multi_threading=self._captioner.at_once > 1,
                ),
                num_cpus=actors.cpus,
                num_gpus=actors.gpus or None,
            )
            for block in captioned.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from cast(pa.Table, block).to_pylist()

    def _finished(self, wave: pa.Table, row: dict[str, Any]) -> Finished:
        if row["fits"] is not None:
            self.batch_size = min(row["fits"], self.batch_size or row["fits"])
        self.load_seconds = max(self.load_seconds, row["load_seconds"])
        return Finished(batch_of(wave.slice(row["at"], 1)), captions_of(row))


def choose_actors(at_once: int, has: Resources, how: EngineOptions) -> Actors:
    """How many copies of the model, and where: on all GPUs if there are any, else one a node beside a core or more that decode.

    Args:
        at_once: of the captioner; above 1 its model is elsewhere, and takes nothing here.

    Raises:
        ClusterError: no node has what a copy needs.
    """
    if not has.cpus:
        raise ClusterError("the cluster has no node with a CPU to decode on")
    nodes = len(has.cpus)
    if at_once > 1:
        return Actors(how.actors or nodes, how.gpus_per_actor or 0, 0)
    gpus = how.gpus_per_actor if how.gpus_per_actor is not None else float(bool(has.gpus))
    if gpus:
        room = sum(int(each / gpus + 1e-9) for each in has.gpus)
        if not room:
            raise ClusterError(
                f"no node of the cluster has {gpus:g} GPUs; it has {sum(has.gpus):g} in all (--gpus-per-actor 0 uses the CPUs)"
            )
        return Actors(how.actors or room, gpus, 0)
    count = how.actors or nodes
    share = int(min(has.cpus)) * nodes // count
    return Actors(count, 0, max(0, share - max(1, share // 8)))


def _open_there(opener: str, options: CaptionerOptions, gpus: float) -> Captioner:
    import ray
    from ray.exceptions import GetTimeoutError

    there = ray.remote(open_captioner_here).options(num_gpus=gpus, num_cpus=0)
    try:
        with ray_errors():
            opened: Captioner = ray.get(there.remote(opener, options, environment()), timeout=FREE_SECONDS)
    except GetTimeoutError as error:
        raise ClusterError(
            f"no node of the cluster had {gpus:g} GPUs free for {FREE_SECONDS} s; see `ray status`"
        ) from error
    return opened


def _take(planned: Iterator[Batch], images: int) -> pa.Table:
    """Plan rows of the next batches, of about so many images."""
    tables, some, taken = [], [], 0
    for batch in planned:
        some.append(batch)
        taken += len(batch.keys)
        if len(some) == 1000 or taken >= images:
            tables.append(plan_rows(some))
            some = []
        if taken >= images:
            break
    return pa.concat_tables([*tables, plan_rows(some)])


def _tasks(wave: pa.Table) -> list[pa.Table]:
    """A wave cut into the tasks that prepare it: a few neighboring batches of one shard each."""
    shards = wave["shard"].to_numpy()
    ends = np.flatnonzero(np.diff(shards, append=-1)) + 1
    tasks, first = [], 0
    for end in ends.tolist():
        tasks += [
            wave.slice(start, min(TASK_BATCHES, end - start)) for start in range(first, end, TASK_BATCHES)
        ]
        first = end
    return tasks
