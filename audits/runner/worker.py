"""The auditing itself, in this process, in several, or in actors of a Ray cluster: each loads once what it audits shard after shard with.

A unit, one shard with its sets, is read, audited and written by one process. What looks at pictures is done by this process, which
holds the models and decodes on threads, with others that parse; text alone by as many processes as there are cores. On a cluster
every actor is such a process. The results are the same.
"""

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from audits.clip.scorer import Clip, load_clip
from audits.evidence import EvidenceSource
from audits.language.pipeline import load_pipeline
from audits.runner.plan import ShardPlan
from audits.runner.shard import SCORED, TEXT_BATCH, Loaded, audit_shard
from audits.runner.text_part import Readings, reading_identity
from audits.text.duplicates import Repeats
from audits.text.names import load_names
from recapdata.dataset.local import LocalTarget
from recapdata.dataset.target import Target
from recapdata.engines.local import Processes, available_cores
from recapdata.errors import ClusterError, OptionError
from recapdata.models.dual_encoders import ClipSource, find_clip

if TYPE_CHECKING:
    from spacy.language import Language

    from recapdata.engines.ray import Actors, Resources

Unit = Sequence[ShardPlan]
"""The stale plans of the sets of one shard: what is read, audited and written together."""
WORTH_A_PROCESS = 500
"""Captions below which another process takes longer to start than it saves."""
ACTOR_CORES = 4
"""Cores of an actor that looks at pictures on a CPU: one for the models, the others decode and parse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an audit computes with, as plain data that travels to other processes and machines.

    Attributes:
        pipeline: name or folder of the spaCy pipeline; the project's own where None.
        clip: the CLIP model as found on this machine, `clip_name` as it was asked for.
        alt: where the alt text is whose names captions are held against; None where they are not.
        repeats: of every set the captions that many images share.
        cache: where the cache of what was seen of the pictures is.
    """

    target: Target
    pipeline: str | None
    clip: ClipSource | None
    clip_name: str | None
    clip_parts: Sequence[str]
    evidence: tuple[EvidenceSource, ...]
    alt: str | None = None
    repeats: Mapping[str, Repeats] = field(default_factory=dict)
    cache: tuple[Path, ...] = ()


class Auditor:
    """Audits units with what it loads at its first one."""

    def __init__(self, setup: Setup, *, parsers: int, decoders: int, nlp: "Language | None" = None) -> None:
        """Prepare.

        Args:
            parsers: processes that parse captions; 1 for this one.
            decoders: threads that decode images.
            nlp: the pipeline, where it is loaded already.
        """
        self._setup = setup
        self._parsers = parsers
        self._decoders = decoders
        self._nlp = nlp or load_pipeline(setup.pipeline)
        self._names = load_names(setup.pipeline, self._nlp) if setup.alt is not None else None
        self._clip: Clip | None = None

    @property
    def nlp(self) -> "Language":
        """The pipeline."""
        return self._nlp

    def audit(self, units: Sequence[Unit], advance: Callable[..., None]) -> Iterator[int]:
        """Write the audit shards of each unit; yields how many images could not be read.

        Args:
            advance: called with the number of captions done.
        """
        setup = self._setup
        unread = [
            (unit[0].shard, [plan.set_name for plan in unit if "claims" in plan.stale]) for unit in units
        ]
        readings = Readings(
            setup.target,
            [(shard, sets) for shard, sets in unread if sets],
            self._nlp if self._parsers == 1 else setup.pipeline,
            processes=self._parsers,
            batch_rows=TEXT_BATCH,
        )
        with closing(readings):
            loaded = Loaded(
                readings=readings,
                clip=self._load_clip()
                if any(plan.stale & SCORED for unit in units for plan in unit)
                else None,
                evidence=setup.evidence,
                decoders=self._decoders,
                names=self._names,
                alt=setup.alt,
                repeats=setup.repeats,
                cache=setup.cache,
            )
            for unit in units:
                yield audit_shard(setup.target, unit, loaded, advance)

    def __call__(self, unit: Unit) -> int:
        """Audit one unit; how many of its images could not be read."""
        return sum(self.audit([unit], lambda *_, **__: None))

    def _load_clip(self) -> Clip | None:
        """The CLIP model, loaded once; None where none was asked for."""
        setup = self._setup
        if self._clip is None and setup.clip is not None:
            self._clip = load_clip(setup.clip, parts=setup.clip_parts)
        return self._clip


def audit_units(
    units: Sequence[Unit],
    setup: Setup,
    *,
    engine: str,
    nlp: "Language",
    workers: int | None,
    advance: Callable[..., None],
) -> Iterator[int]:
    """Audit units, in any order; each is written when its number comes out, with how many of its images could not be read.

    Args:
        engine: `local`, or `ray` for the cluster that this machine belongs to.
        workers: processes, or actors; None for as many as there are cores, or all of the cluster.
    """
    if engine == "ray":
        yield from _on_cluster(units, setup, nlp, workers, advance)
        return
    captions = sum(captions_of(unit, setup.target) for unit in units)
    workers = min(workers or available_cores(), captions // WORTH_A_PROCESS + 1)
    processes = 1 if looks_at_pictures(units, setup.evidence) else min(workers, len(units))
    if processes <= 1:
        auditor = Auditor(setup, parsers=workers, decoders=available_cores(), nlp=nlp)
        yield from auditor.audit(units, advance)
        return
    fork = sys.platform == "linux" and threading.active_count() == 1  # it would copy other threads' locks
    opener = partial(Auditor, setup, parsers=workers // processes, decoders=1, nlp=nlp if fork else None)
    with Processes(processes, opener, fork=fork) as pool:
        futures = {pool.submit(unit): unit for unit in units}
        try:
            for future in as_completed(futures):
                advance(captions_of(futures[future], setup.target))
                yield future.result()
        except BrokenProcessPool as error:
            raise OptionError(
                f"--workers {workers}: one of the processes died, as a rule for lack of memory; ask for fewer (what is finished "
                "is kept)"
            ) from error


def captions_of(unit: Unit, target: Target) -> int:
    """How many captions a unit has, or would have."""
    return target.rows(unit[0].shard) * len(unit)


def looks_at_pictures(units: Sequence[Unit], evidence: Sequence[EvidenceSource]) -> bool:
    """Whether anything in these units needs pictures, and so perhaps a model that looks at them."""
    looks = any("image" in source.columns for source in evidence)
    return any(
        bool(plan.stale & SCORED) or (looks and "evidence" in plan.stale) for unit in units for plan in unit
    )


# --- a cluster -----------------------------------------------------------------------------------------------------------


def _on_cluster(
    units: Sequence[Unit], setup: Setup, nlp: "Language", workers: int | None, advance: Callable[..., None]
) -> Iterator[int]:
    if not units:
        return
    from recapdata.engines.ray import Stage, connect, resources, run_stages

    connect()
    pictures = looks_at_pictures(units, setup.evidence)
    known, setup = reading_identity(nlp), _travelling(setup)

    def stages(crashed: bool) -> list[Stage]:
        actors = choose_actors(resources(), workers, pictures=pictures)
        opener = partial(_open_on_node, setup, actors.cpus, known)
        return [
            Stage(open_worker=opener, actors=replace(actors, count=min(actors.count, len(units))), ahead=1)
        ]

    shared = [[replace(plan, path=plan.path.resolve()) for plan in unit] for unit in units]
    for at, unreadable in run_stages(shared, stages):
        advance(captions_of(units[at], setup.target))
        yield unreadable


def choose_actors(has: "Resources", workers: int | None, *, pictures: bool) -> "Actors":
    """How many actors, and the cores and GPUs of each: text takes a core, pictures a GPU with its share of cores, or four cores.

    Raises:
        ClusterError: the cluster has no core.
    """
    from recapdata.engines.ray import Actors

    if not has.cpus:
        raise ClusterError("the cluster has no node with a CPU")
    if pictures and has.gpus:
        count = int(sum(has.gpus))
        return Actors(workers or count, max(1, int(sum(has.cpus)) // (2 * count)), 1)
    cores = max(1, min(ACTOR_CORES, int(min(has.cpus)))) if pictures else 1
    return Actors(workers or sum(int(cpus) // cores for cpus in has.cpus), cores)


def _travelling(setup: Setup) -> Setup:
    """The same with folders named as another machine has to look for them."""
    target, clip = setup.target, setup.clip_name
    setup = replace(setup, cache=tuple(root.resolve() for root in setup.cache))
    if isinstance(target, LocalTarget):
        setup = replace(setup, target=replace(target, folder=target.folder.resolve()))
    return replace(setup, clip_name=str(Path(clip).resolve())) if clip and Path(clip).is_dir() else setup


def _open_on_node(setup: Setup, cores: int, known: str) -> Callable[[Unit], int]:
    """The auditor of an actor; it finds the CLIP model in its own cache.

    Raises:
        ClusterError: the pipeline, the rules or the CLIP model are others here.
    """
    from recapdata.engines.ray import see

    node = f"node {socket.gethostname()}"
    if setup.clip is not None and setup.clip_name is not None:
        mine = find_clip(setup.clip_name)
        if mine.revision != setup.clip.revision:
            raise ClusterError(
                f"{node} has another CLIP model {mine.name}: {mine.revision}, not {setup.clip.revision}"
            )
        setup = replace(setup, clip=mine)
    auditor = Auditor(setup, parsers=1, decoders=cores)
    if (read_with := reading_identity(auditor.nlp)) != known:
        raise ClusterError(
            f"{node} would find other claims: its pipeline and rules are {read_with}, not {known}; install the same on all nodes"
        )

    def audit(unit: Unit) -> int:
        see(unit[0].path.parents[1])
        if setup.target.folder is not None:
            see(setup.target.folder)
        return auditor(unit)

    return audit
