"""Auditing one shard: captions, images, evidence and the old audit as parallel streams of the same rows; audit rows out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from audits.cache import ShardCache
from audits.clip.cache import EMBEDDING_SCHEMA, embeddings_maker, encode_cached
from audits.clip.counterfactuals import counterfactuals
from audits.clip.scorer import Clip, Encoded
from audits.clip.scores import Cosines, Margin, margins, score
from audits.evidence import EvidenceSource
from audits.evidence.cache import EvidenceCache
from audits.evidence.collect import Collected, collect, detections
from audits.grounding.verdicts import Grounding, ground
from audits.runner.plan import Part, ShardPlan
from audits.runner.text_part import Readings, reading_of
from audits.text.duplicates import Repeats
from audits.text.names import Names, retained
from recapdata.dataset.audit_files import AUDIT_SCHEMA, read_audit
from recapdata.dataset.folder import ROW_GROUP_ROWS
from recapdata.dataset.shards import ShardFile, ShardWriter, aligned
from recapdata.dataset.target import Target
from recapdata.records import Claim

TEXT_BATCH = 1024
KEPT = ["key", "claims", "scores", "detections"]
SCORED: frozenset[Part] = frozenset({"clip", "margin"})
"""The parts for which images are encoded."""
COMPARED: frozenset[Part] = frozenset({"names", "copies"})
"""The parts for which captions are held against other texts."""
JUDGED: frozenset[Part] = frozenset({"evidence"})
"""The part for which captions are read again beside their claims."""
NO_MARGIN = asdict(Margin())
IMAGE_BATCH = 128
"""Rows read at once where their images are wanted: a few batches of large photographs fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a run computes with, loaded once.

    Attributes:
        readings: the captions whose claims are stale, in the order of the shards.
        names: what finds the names of the alt text, which is in the column or set `alt`.
        repeats: of every set the captions that many images share.
        clip: None where no score and no margin is stale, so that no model is loaded for nothing.
        cache: where the cache of what was seen of the pictures is (`audits.cache.cache_roots`).
    """

    readings: Readings
    clip: Clip | None
    evidence: tuple[EvidenceSource, ...]
    decoders: int
    names: Names | None = None
    alt: str | None = None
    repeats: Mapping[str, Repeats] = field(default_factory=dict)
    cache: tuple[Path, ...] = ()


def audit_shard(
    target: Target, plans: Sequence[ShardPlan], loaded: Loaded, advance: Callable[..., None]
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
        shard = plans[0].shard
        cache = EvidenceCache(loaded.cache, loaded.evidence if _any(plans, "evidence") else (), shard)
        maker = embeddings_maker(loaded.clip.identity if loaded.clip else "")
        embeddings = ShardCache(loaded.cache, maker, shard, EMBEDDING_SCHEMA)
        for each in (cache, embeddings):
            stack.callback(each.close)
        keys: set[str] = set()
        for step, images in _steps(target, plans, loaded, embeddings):
            texts = [_text_part(plan, step) for plan in plans]
            evidence = _collect(target, loaded, plans, step, texts, cache)
            keys.update(step.main.column("key").to_pylist())
            unreadable += sum(error is not None for error in images.errors) if images is not None else 0
            # One for all sets, which have captions in common.
            cosines = Cosines(loaded.clip, images.images) if loaded.clip and images else None
            names = _names(loaded, plans, step)
            for plan, text, writer, buffer in zip(plans, texts, writers, buffers, strict=True):
                _compare_texts(plan, step, text, names, loaded.repeats)
                rows = _audit_rows(plan, step, text, images, cosines, evidence)
                buffer.append(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
                if sum(part.num_rows for part in buffer) >= ROW_GROUP_ROWS:
                    writer.write(pa.concat_tables(buffer))
                    buffer.clear()
                advance(step.main.num_rows)
        for each in (cache, embeddings):
            each.close(keys)
        for plan, writer, buffer in zip(plans, writers, buffers, strict=True):
            writer.write(pa.concat_tables(buffer) if buffer else AUDIT_SCHEMA.empty_table())
            writer.commit(plan.identity.to_footer())
    return unreadable


# --- the streams ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """The same rows of all streams: columns of the target, captions and their readings among them, and the old audit by set."""

    main: pa.RecordBatch
    old: dict[str, pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class _Text:
    """Per row of one set in a step: claims and scores as far as text alone goes, both None where there is no caption."""

    claims: list[Any]
    scores: list[Any]
    detections: list[Any]


def _steps(
    target: Target, plans: Sequence[ShardPlan], loaded: Loaded, embeddings: ShardCache
) -> Iterator[tuple[_Step, Encoded | None]]:
    """The shard step by step; with the image embeddings of each where scores are stale."""
    steps = _aligned_steps(target, plans, loaded)
    scored = [plan.set_name for plan in plans if plan.stale & SCORED]
    if loaded.clip is None or not scored:
        yield from ((step, None) for step in steps)
        return
    yield from encode_cached(
        loaded.clip,
        ((step, step.main.column("key").to_pylist(), _pictures(step.main, scored)) for step in steps),
        embeddings,
        workers=loaded.decoders,
        max_pixels=target.max_pixels,
    )


def _pictures(batch: pa.RecordBatch, sets: Sequence[str]) -> list[bytes | None]:
    """Image bytes per row; None where no set has a caption, as in most rows of a pilot."""
    captions = zip(*(batch.column(name).is_valid().to_pylist() for name in sets), strict=True)
    images = batch.column("image").field("bytes")
    return [images[row].as_py() if any(there) else None for row, there in enumerate(captions)]


def _aligned_steps(target: Target, plans: Sequence[ShardPlan], loaded: Loaded) -> Iterator[_Step]:
    scored = [plan.set_name for plan in plans if plan.stale & SCORED]
    looks = any("image" in source.columns for source in loaded.evidence) and _any(plans, "evidence")
    read = {
        plan.set_name for plan in plans if "claims" in plan.stale
    }  # their captions come with their readings
    columns = {"key": True, "image": bool(scored)}
    columns |= {
        plan.set_name: True
        for plan in plans
        if plan.stale & (SCORED | COMPARED | JUDGED) and plan.set_name not in read
    }
    if _any(plans, "names") and loaded.alt is not None and loaded.alt not in read:
        columns[loaded.alt] = True
    if _any(plans, "evidence"):
        columns |= {name: True for source in loaded.evidence for name in source.columns if name not in read}
    wanted = [name for name, needed in columns.items() if needed]
    streams = []
    if not read or wanted != ["key"]:
        rows = IMAGE_BATCH if scored or looks else TEXT_BATCH
        streams.append(target.read(plans[0].shard, wanted, batch_rows=rows))
    if read:
        streams.append(loaded.readings.shard())
    kept = [plan for plan in plans if plan.keeps]
    inputs = len(streams)
    streams += [_stream(plan) for plan in kept]
    for batches in aligned(streams, where=f"audit of {target.name}"):
        arrays = {name: batch.column(name) for batch in batches[:inputs] for name in batch.schema.names}
        old = {plan.set_name: batch for plan, batch in zip(kept, batches[inputs:], strict=True)}
        yield _Step(main=pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)), old=old)


def _stream(plan: ShardPlan) -> Iterator[pa.RecordBatch]:
    with ShardFile(plan.path) as file:
        yield from read_audit(file, KEPT, batch_rows=TEXT_BATCH)


def _any(plans: Sequence[ShardPlan], part: str) -> bool:
    return any(part in plan.stale for plan in plans)


def _collect(
    target: Target,
    loaded: Loaded,
    plans: Sequence[ShardPlan],
    step: _Step,
    texts: Sequence[_Text],
    cache: EvidenceCache,
) -> list[Collected] | None:
    """Per row what the sources know, of those that have a caption to judge; None where no verdict is stale."""
    judged = [text.claims for plan, text in zip(plans, texts, strict=True) if "evidence" in plan.stale]
    if not judged:
        return None
    asked = list(dict.fromkeys(["key", *(name for source in loaded.evidence for name in source.columns)]))
    return collect(
        loaded.evidence,
        step.main.select(asked),
        [_nouns([claims for claims in row if claims is not None]) for row in zip(*judged, strict=True)],
        decoders=loaded.decoders,
        cache=cache,
        max_pixels=target.max_pixels,
    )


def _nouns(claims: Sequence[Sequence[dict[str, Any]]]) -> frozenset[str] | None:
    """What the captions of one row speak of; None where it has none."""
    if not claims:
        return None
    return frozenset(each["object"] for one in claims for each in one if each["kind"] == "object")


def _names(loaded: Loaded, plans: Sequence[ShardPlan], step: _Step) -> list[tuple[str, ...]] | None:
    """Per row the proper names of the alt text; None where no set is to be held against it."""
    if loaded.names is None or loaded.alt is None or not _any(plans, "names"):
        return None
    return loaded.names.find(step.main.column(loaded.alt).to_pylist())


# --- the rows ------------------------------------------------------------------------------------------------------------


def _audit_rows(
    plan: ShardPlan,
    step: _Step,
    text: _Text,
    images: Encoded | None,
    cosines: Cosines | None,
    evidence: list[Collected] | None,
) -> list[dict[str, Any]]:
    """The rows of one set in one step: kept parts from the old audit, stale ones computed."""
    keys = step.main.column("key").to_pylist()
    claims, scores = text.claims, text.scores
    scored = (
        _scored(plan, step, claims, images, cosines) if images and cosines and plan.stale & SCORED else None
    )
    captions = step.main.column(plan.set_name) if plan.stale & JUDGED else None
    rows = []
    for place, key in enumerate(keys):
        row = {"key": key, "set": plan.set_name, "claims": claims[place], "scores": scores[place]}
        row["detections"] = text.detections[place]
        rows.append(row)
        if claims[place] is None:
            continue
        if scored is not None and images is not None:
            row["scores"] |= scored[place]
            row["scores"]["error"] = images.errors[place] or row["scores"]["error"]
        if captions is not None and evidence is not None:
            row |= _grounded(row, evidence[place], captions[place].as_py())
    return rows


def _compare_texts(
    plan: ShardPlan,
    step: _Step,
    text: _Text,
    names: list[tuple[str, ...]] | None,
    repeats: Mapping[str, Repeats],
) -> None:
    """Put into the scores what other texts tell of a caption: the alt text of its row, and the other captions of its set."""
    if not plan.stale & COMPARED:
        return
    captions = step.main.column(plan.set_name).to_pylist()
    mine = repeats[plan.set_name] if "copies" in plan.stale else None
    copies = mine.copies(captions) if mine is not None else []
    for place, (caption, scores) in enumerate(zip(captions, text.scores, strict=True)):
        if caption is None or scores is None:
            continue
        if "names" in plan.stale and names is not None:
            scores |= asdict(retained(caption, names[place]))
        if mine is not None:
            scores["copies"] = copies[place]
            scores["flags"] = mine.flagged(scores["flags"], copies[place])


def _scored(
    plan: ShardPlan, step: _Step, claims: Sequence[Any], images: Encoded, cosines: Cosines
) -> list[dict[str, Any]]:
    """Per row of one set the scores that the image's embedding decides."""
    captions = step.main.column(plan.set_name).to_pylist()
    found: list[dict[str, Any]] = [{} for _ in captions]
    if "clip" in plan.stale:
        for row, plain in zip(found, score(cosines, captions, images.rows), strict=True):
            row |= asdict(plain)
    if "margin" in plan.stale:
        negatives = [
            counterfactuals(key, caption, [Claim.from_struct(each) for each in said]) if said else []
            for key, caption, said in zip(step.main.column("key").to_pylist(), captions, claims, strict=True)
        ]
        for row, margin in zip(found, margins(cosines, captions, images.rows, negatives), strict=True):
            row |= asdict(margin)
    return found


def _grounded(row: dict[str, Any], known: Collected, caption: str) -> dict[str, Any]:
    """The parts of an audit row that the evidence decides."""
    scores = row["scores"] | {"error": row["scores"]["error"] or known.error}
    if not known.evidence:
        return {"scores": scores}
    found = ground([Claim.from_struct(each) for each in row["claims"]], known.evidence, caption)
    return {
        "claims": [claim.to_struct() for claim in found.claims],
        "scores": scores | found.scores(),
        "detections": detections(known.evidence),
    }


def _text_part(plan: ShardPlan, step: _Step) -> _Text:
    """The rows as far as they go without image and evidence."""
    old = step.old.get(plan.set_name)
    blank = [None] * step.main.num_rows
    kept = old.column("detections").to_pylist() if old is not None and "evidence" not in plan.stale else blank
    if "claims" not in plan.stale:
        assert old is not None
        claims, scores = old.column("claims").to_pylist(), old.column("scores").to_pylist()
        if "evidence" in plan.stale:
            claims = [None if each is None else [_unjudged(claim) for claim in each] for each in claims]
            scores = [None if each is None else each | Grounding.EMPTY for each in scores]
        return _Text(claims, scores, kept)
    readings = step.main.column(reading_of(plan.set_name)).to_pylist()
    before = old.column("scores").to_pylist() if old is not None else blank
    claims = [None if reading is None else reading.pop("claims") for reading in readings]
    scores = [
        None if reading is None else (each or {}) | Grounding.EMPTY | NO_MARGIN | reading
        for reading, each in zip(readings, before, strict=True)
    ]
    return _Text(claims, scores, blank)


def _unjudged(claim: dict[str, Any]) -> dict[str, Any]:
    return claim | {"verdict": None, "evidence": None}
