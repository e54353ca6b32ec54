"""One process's share of an audit: what it is told, and what it then loads once to audit shard after shard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audits.clip.models import ClipSource
from audits.clip.scorer import Clip, load_clip
from audits.evidence import EvidenceSource
from audits.language.pipeline import load_pipeline
from audits.runner.plan import ShardPlan
from audits.runner.shard import SCORED, TEXT_BATCH, Engine, audit_shard
from audits.runner.text_part import Readings
from audits.text.duplicates import Repeats
from audits.text.names import load_names
from recapdata.dataset.target import Target

if TYPE_CHECKING:
    from spacy.language import Language

Unit = Sequence[ShardPlan]
"""The stale plans of the sets of one shard: what is read, audited and written together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an audit computes with, as plain data that travels to other processes and machines.

    Attributes:
        pipeline: name or folder of the spaCy pipeline; the project's own where None.
        clip: the CLIP model as found on this machine, `clip_name` as it was asked for.
        alt: where the alt text is whose names captions are held against; None where they are not.
        repeats: of every set the captions that many images share.
    """

    target: Target
    pipeline: str | None
    clip: ClipSource | None
    clip_name: str | None
    clip_parts: Sequence[str]
    evidence: tuple[EvidenceSource, ...]
    alt: str | None = None
    repeats: Mapping[str, Repeats] = field(default_factory=dict)


class Auditor:
    """Audits units with what it loads at its first one."""

    def __init__(self, tools: Tools, *, parsers: int, decoders: int, nlp: "Language | None" = None) -> None:
        """Prepare.

        Args:
            parsers: processes that parse captions; 1 for this one.
            decoders: threads that decode images.
            nlp: the pipeline, where it is loaded already.
        """
        self._tools = tools
        self._parsers = parsers
        self._decoders = decoders
        self._nlp = nlp or load_pipeline(tools.pipeline)
        self._names = load_names(tools.pipeline, self._nlp) if tools.alt is not None else None
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
        tools = self._tools
        readings = Readings(
            tools.target,
            _unread(units),
            self._nlp if self._parsers == 1 else tools.pipeline,
            processes=self._parsers,
            batch_rows=TEXT_BATCH,
        )
        with closing(readings):
            engine = Engine(
                readings=readings,
                clip=self._loaded() if any(plan.stale & SCORED for unit in units for plan in unit) else None,
                evidence=tools.evidence,
                decoders=self._decoders,
                names=self._names,
                alt=tools.alt,
                repeats=tools.repeats,
            )
            for unit in units:
                yield audit_shard(tools.target, unit, engine, advance)

    def _loaded(self) -> Clip | None:
        """The CLIP model, loaded once; None where none was asked for."""
        tools = self._tools
        if self._clip is None and tools.clip is not None:
            self._clip = load_clip(tools.clip, parts=tools.clip_parts)
        return self._clip


def captions_of(unit: Unit, target: Target) -> int:
    """How many captions a unit has, or would have."""
    return target.rows(unit[0].shard) * len(unit)


def looks_at_pictures(units: Sequence[Unit], evidence: Sequence[EvidenceSource]) -> bool:
    """Whether anything in these units needs pictures, and so perhaps a model that looks at them."""
    looks = any("image" in source.columns for source in evidence)
    return any(
        bool(plan.stale & SCORED) or (looks and "evidence" in plan.stale) for unit in units for plan in unit
    )


def _unread(units: Sequence[Unit]) -> list[tuple[int, list[str]]]:
    """The shards and sets whose captions have to go through the pipeline."""
    tasks = [(unit[0].shard, [plan.set_name for plan in unit if "claims" in plan.stale]) for unit in units]
    return [(shard, sets) for shard, sets in tasks if sets]
