"""Captioning on a Ray cluster: the model in actors on its nodes, reading and decoding in tasks beside them.

The batches are those of a run on one machine, so the captions are too. Only this process writes: what a node has finished comes
back to it and into the journal. The nodes read the image shards themselves, from a file system that they share.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from recapdata import captioners
from recapdata.captioners import Captioner, CaptionerOptions, Preparer
from recapdata.dataset.folder import MANIFEST, DatasetFolder
from recapdata.engines import EngineOptions
from recapdata.engines.local import Processes
from recapdata.engines.ray import (
    Actors,
    Resources,
    Stage,
    connect,
    environment,
    ray_errors,
    resources,
    run_stages,
    see,
)
from recapdata.errors import ClusterError
from recapdata.recaptioning.batches import (
    Batch,
    BatchCaptioner,
    Finished,
    ImageReader,
    Prepared,
    prepare_batch,
    prepare_one_by_one,
)
from recapdata.records import Caption, Provenance
from recapdata.registry import load_dotted

TASK_BATCHES = 8
"""Batches that one task prepares, one after the other: neighbors in a shard, which lie in the same row groups."""
WAVE_IMAGES = 100_000
"""Images per actor planned at a time; a wave ends with the models unloaded, so it is hours long."""
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


class ClusterCaptioning:
    """A `Captioning` on the Ray cluster that this machine belongs to."""

    def __init__(self, folder: DatasetFolder, captioner: Captioner, how: EngineOptions) -> None:
        assert isinstance(captioner, ClusterCaptioner)
        self._folder = folder.path.resolve()
        self._captioner = captioner
        self._how = how
        self.batch_size: int | None = None
        self.load_seconds = 0.0

    @staticmethod
    def open_captioner(name: str, options: CaptionerOptions, how: EngineOptions) -> ClusterCaptioner:
        """The captioner as a node with a GPU, or where there are none any node, would have it."""
        connect()
        here = there = captioners.open_captioner(name, options)
        opener, fixed = captioners.REGISTRY.path(name), _pinned(options, here.provenance)
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

    def __enter__(self) -> "ClusterCaptioning":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: a wave ends its actors, and the cluster is not ours."""

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch, in any order; each comes back once, whatever the cluster loses."""
        planned = iter(batches)
        while wave := _take(planned, self._actors().count * WAVE_IMAGES):
            for at, done in run_stages(wave, self._stages, together=_shard, most=TASK_BATCHES):
                if done.fits is not None:
                    self.batch_size = min(done.fits, self.batch_size or done.fits)
                self.load_seconds = max(self.load_seconds, done.load_seconds)
                yield Finished(wave[at], done.captions)

    def _actors(self) -> Actors:
        """How the model lies on the cluster as it is now."""
        return choose_actors(self._captioner.at_once, resources(), self._how)

    def _stages(self, crashed: bool) -> list[Stage]:
        captioner = self._captioner
        prepare = partial(_open_preparing, self._folder, captioner.prepare, careful=crashed)
        return [
            Stage(open_worker=prepare, tasks=self._how.workers or None),
            Stage(
                open_worker=partial(_Model, self._folder, captioner),
                actors=self._actors(),
                at_once=captioner.at_once,
            ),
        ]


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
        return Actors(how.actors or nodes, 0, how.gpus_per_actor or 0)
    gpus = how.gpus_per_actor if how.gpus_per_actor is not None else float(bool(has.gpus))
    if gpus:
        room = sum(int(each / gpus + 1e-9) for each in has.gpus)
        if not room:
            raise ClusterError(
                f"no node of the cluster has {gpus:g} GPUs; it has {sum(has.gpus):g} in all (--gpus-per-actor 0 uses the CPUs)"
            )
        return Actors(how.actors or room, 0, gpus)
    count = how.actors or nodes
    share = int(min(has.cpus)) * nodes // count
    return Actors(count, max(0, share - max(1, share // 8)))


def _take(planned: Iterator[Batch], images: int) -> list[Batch]:
    """The next batches, of about so many images."""
    wave: list[Batch] = []
    while images > 0 and (batch := next(planned, None)) is not None:
        wave.append(batch)
        images -= len(batch.keys)
    return wave


def _shard(batch: Batch) -> int:
    return batch.shard


def _pinned(options: CaptionerOptions, provenance: Provenance) -> CaptionerOptions:
    """The options that open the same captioner again, wherever: its revision fixed, a folder by its full path."""
    model = str(Path(str(options.model)).resolve()) if _is_folder(options) else options.model
    return replace(options, model=model, revision=provenance.revision)


def _is_folder(options: CaptionerOptions) -> bool:
    return options.model is not None and Path(options.model).is_dir()


def _open_there(opener: str, options: CaptionerOptions, gpus: float) -> Captioner:
    """The captioner as a node with a GPU opens it."""
    import ray
    from ray.exceptions import GetTimeoutError

    there = ray.remote(_open_captioner).options(num_gpus=gpus, num_cpus=0)
    try:
        with ray_errors():
            opened: Captioner = ray.get(there.remote(opener, options, environment()), timeout=FREE_SECONDS)
    except GetTimeoutError as error:
        raise ClusterError(
            f"no node of the cluster had {gpus:g} GPUs free for {FREE_SECONDS} s; see `ray status`"
        ) from error
    return opened


# --- on the nodes ----------------------------------------------------------------------------------------------------------


def _open_captioner(opener: str, options: CaptionerOptions, around: dict[str, str]) -> Captioner:
    os.environ.update(around)
    captioner: Captioner = load_dotted(opener)(options)
    return captioner


def _open_preparing(
    path: Path, preparer: Preparer, *, careful: bool
) -> Callable[[Batch], tuple[Batch, Prepared]]:
    """What a task calls with a batch.

    Args:
        careful: decode in a process of its own, whose death a picture can be blamed for.
    """
    folder = DatasetFolder(see(path / MANIFEST).parent)
    reader = ImageReader(folder)

    def prepare(batch: Batch) -> tuple[Batch, Prepared]:
        if not careful:
            return batch, prepare_batch(reader, preparer, batch)
        with Processes(1, partial(_open_reader, path, preparer), fork=False) as processes:
            return batch, prepare_one_by_one(batch, processes.submit)

    return prepare


def _open_reader(path: Path, preparer: Preparer) -> "partial[Prepared]":
    return partial(prepare_batch, ImageReader(DatasetFolder(path)), preparer)


@dataclass(frozen=True, slots=True)
class _Done:
    """A batch's captions from a node, the largest batch that fits there, and how long its model took to load."""

    captions: list[Caption]
    fits: int | None
    load_seconds: float


class _Model:
    """One copy of the model on a node, loaded once."""

    def __init__(self, path: Path, described: ClusterCaptioner) -> None:
        began = time.monotonic()
        self._folder = DatasetFolder(see(path / MANIFEST).parent)
        self._captioner = _open_again(described)
        self._captioner.load()
        self._model = BatchCaptioner(self._captioner)
        self._readers = threading.local()  # a server is asked from several threads
        self._load_seconds = time.monotonic() - began

    def __call__(self, unit: tuple[Batch, Prepared]) -> _Done:
        """Caption a prepared batch."""
        batch, prepared = unit

        def again(places: Sequence[int], size: int) -> Prepared:
            if not hasattr(self._readers, "reader"):
                self._readers.reader = ImageReader(self._folder)
            return prepare_batch(self._readers.reader, self._captioner.prepare, batch, size, places)

        captions = self._model(prepared, batch.keys, again)
        return _Done(captions, self._model.fits, self._load_seconds)


def _open_again(described: ClusterCaptioner) -> Captioner:
    """The run's captioner on this node.

    Raises:
        ClusterError: it is another one here: other libraries, other weights, another kind of GPU.
    """
    captioner: Captioner = load_dotted(described.opener)(described.options)
    theirs, ours = described.provenance, captioner.provenance
    if _is_folder(described.options):  # named by another path here
        ours = replace(ours, model=theirs.model)
    if ours != theirs:
        name = next(
            field.name for field in fields(ours) if getattr(ours, field.name) != getattr(theirs, field.name)
        )
        raise ClusterError(
            f"node {socket.gethostname()} would write other captions than the set says: its {name} is "
            f"{getattr(ours, name)!r}, not {getattr(theirs, name)!r}; install the same on all nodes, and use one kind of GPU"
        )
    return captioner
