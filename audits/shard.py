"""Auditing one shard: captions, images, evidence and the old audit as parallel streams of the same rows; audit rows out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audits.clip import Clip, ClipScores, Encoded, encode_ahead
from audits.evidence import Evidence, EvidenceSource
from audits.grounding import Grounding, ground
from audits.plan import ShardPlan
from audits.reading import Readings
from audits.tables import AUDIT_SCHEMA
from recapdata.records import Claim
from recapdata.store import ROW_GROUP_ROWS, ShardWriter
from recapdata.targets import Target, aligned

TEXT_BATCH = 1024
IMAGE_BATCH = 128
"""Rows read at once where their images are wanted: a few batches of large photographs fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a run computes with, loaded once.

    Attributes:
        readings: the captions whose claims are stale, in the order of the shards.
        clip: None where no score is stale, so that no model is loaded for nothing.
    """

    readings: Readings
    clip: Clip | None
    evidence: tuple[EvidenceSource, ...]
    decoders: int


def audit_shard(
    target: Target, plans: Sequence[ShardPlan], engine: Engine, advance: Callable[..., None]
) -> int:
    """Compute the stale parts of the sets of one shard and write their audit shards.

    Args:
        plans: one per caption set, all of the same shard, none of them fresh.
        advance: called with the number of captions done.

    Returns:
        Images that could not be read, and so have no CLIP score; their rows say why.
    """
    unreadable = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(ShardWriter(plan.path, AUDIT_SCHEMA)) for plan in plans]
        buffers: list[list[pa.Table]] = [[] for _ in plans]
        for step, images in _steps(target, plans, engine):
            evidence = _collect(engine, step.main) if _any(plans, "evidence") else None
            unreadable += sum(error is not None for error in images.errors) if images is not None else 0
            for plan, writer, buffer in zip(plans, writers, buffers, strict=True):
                rows = _audit_rows(plan, step, images, evidence, engine.clip)
                buffer.append(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
                if sum(part.num_rows for part in buffer) >= ROW_GROUP_ROWS:
                    writer.write(pa.concat_tables(buffer))
                    buffer.clear()
                advance(step.main.num_rows)
        for plan, writer, buffer in zip(plans, writers, buffers, strict=True):
            writer.write(pa.concat_tables(buffer) if buffer else AUDIT_SCHEMA.empty_table())
            writer.commit(plan.identity.to_footer())
    return unreadable


# --- the streams ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """The same rows of all streams: the target's columns, readings by set, and the old audit by set."""

    main: pa.RecordBatch
    readings: pa.RecordBatch | None
    old: dict[str, pa.RecordBatch]


def _steps(
    target: Target, plans: Sequence[ShardPlan], engine: Engine
) -> Iterator[tuple[_Step, Encoded | None]]:
    """The shard step by step; with the image embeddings of each where scores are stale."""
    steps = _aligned_steps(target, plans, engine)
    if engine.clip is None or not _any(plans, "clip"):
        yield from ((step, None) for step in steps)
        return
    scored = [plan.set_name for plan in plans if "clip" in plan.stale]
    yield from encode_ahead(
        engine.clip,
        ((step, _pictures(step.main, scored)) for step in steps),
        workers=engine.decoders,
    )


def _pictures(batch: pa.RecordBatch, sets: Sequence[str]) -> list[bytes | None]:
    """Image bytes per row; None where no set has a caption, as in most rows of a pilot."""
    captions = zip(*(batch.column(name).is_valid().to_pylist() for name in sets), strict=True)
    images = batch.column("image").field("bytes")
    return [images[row].as_py() if any(there) else None for row, there in enumerate(captions)]


def _aligned_steps(target: Target, plans: Sequence[ShardPlan], engine: Engine) -> Iterator[_Step]:
    shard = plans[0].shard
    images = _any(plans, "clip")
    rows = IMAGE_BATCH if images else TEXT_BATCH
    columns = ["key", *(["image"] if images else [])]
    columns += [plan.set_name for plan in plans if "clip" in plan.stale]
    if _any(plans, "evidence"):
        columns += [name for source in engine.evidence for name in source.columns if name not in columns]
    streams = [target.read(shard, columns, batch_rows=rows)]
    fresh = _any(plans, "claims")
    if fresh:
        streams.append(engine.readings.shard())
    kept = [plan for plan in plans if plan.keeps]
    streams += [_stream(plan) for plan in kept]
    for main, *others in aligned(streams, where=f"audit of {target.name}"):
        readings = others.pop(0) if fresh else None
        old = {plan.set_name: batch for plan, batch in zip(kept, others, strict=True)}
        yield _Step(main=main, readings=readings, old=old)


def _stream(plan: ShardPlan) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(plan.path) as file:
        yield from file.iter_batches(TEXT_BATCH, columns=["key", "claims", "scores"], use_threads=False)


def _any(plans: Sequence[ShardPlan], part: str) -> bool:
    return any(part in plan.stale for plan in plans)


def _collect(engine: Engine, batch: pa.RecordBatch) -> list[list[Evidence]]:
    """Per row what the sources know, in the order in which they were named."""
    found: list[list[Evidence]] = [[] for _ in range(batch.num_rows)]
    for source in engine.evidence:
        for row, evidence in zip(
            found, source.collect(batch.select(list(source.columns)).to_pylist()), strict=True
        ):
            if evidence is not None:
                row.append(evidence)
    return found


# --- the rows ------------------------------------------------------------------------------------------------------------


def _audit_rows(
    plan: ShardPlan,
    step: _Step,
    images: Encoded | None,
    evidence: list[list[Evidence]] | None,
    clip: Clip | None,
) -> list[dict[str, Any]]:
    """The rows of one set in one step: kept parts from the old audit, stale ones computed."""
    keys = step.main.column("key").to_pylist()
    claims, scores = _text_part(plan, step)
    scored: list[ClipScores] | None = None
    if "clip" in plan.stale and clip is not None and images is not None:
        scored = clip.score(images.images, step.main.column(plan.set_name).to_pylist(), images.rows)
    rows = []
    for place, key in enumerate(keys):
        row = {"key": key, "set": plan.set_name, "claims": claims[place], "scores": scores[place]}
        rows.append(row)
        if claims[place] is None:
            continue
        if scored is not None and images is not None:
            row["scores"] |= asdict(scored[place])
            row["scores"]["error"] = images.errors[place] or row["scores"]["error"]
        if "evidence" in plan.stale and evidence is not None and evidence[place]:
            found = ground([Claim.from_struct(each) for each in claims[place]], evidence[place])
            row["claims"] = [claim.to_struct() for claim in found.claims]
            row["scores"] |= found.scores()
    return rows


def _text_part(plan: ShardPlan, step: _Step) -> tuple[list[Any], list[Any]]:
    """Claims and scores of each row as far as they go without image and evidence; both None where there is no caption."""
    old = step.old.get(plan.set_name)
    if "claims" not in plan.stale:
        assert old is not None
        claims, scores = old.column("claims").to_pylist(), old.column("scores").to_pylist()
        if "evidence" in plan.stale:
            claims = [None if each is None else [_unjudged(claim) for claim in each] for each in claims]
            scores = [None if each is None else each | Grounding.EMPTY for each in scores]
        return claims, scores
    assert step.readings is not None
    readings = step.readings.column(plan.set_name).to_pylist()
    before = old.column("scores").to_pylist() if old is not None else [None] * len(readings)
    claims = [None if reading is None else reading.pop("claims") for reading in readings]
    scores = [
        None if reading is None else (kept or {}) | Grounding.EMPTY | reading
        for reading, kept in zip(readings, before, strict=True)
    ]
    return claims, scores


def _unjudged(claim: dict[str, Any]) -> dict[str, Any]:
    return claim | {"verdict": None, "evidence": None}
