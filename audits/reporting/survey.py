"""One pass over the audit shards of a caption set: how long captions are, which flags they carry, and which rows to show.

Memory stays flat: histograms have a fixed number of bins, and of the rows only the ones to be shown are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.audited import AuditedSet
from audits.comparison.differences import contradictions
from audits.comparison.pairing import short_keys

LONGEST = 4096
"""Words or tokens of a caption; the last bin holds all longer ones."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, order=True)
class Chosen:
    """A row to show; `rank` is its order, lower first, and `key` its record."""

    rank: tuple[float, ...]
    key: str
    shard: int
    place: int


@dataclass(slots=True)
class Survey:
    """What one pass found.

    Attributes:
        words, tokens: captions by length [LONGEST + 1].
        flags: captions by hygiene flag.
        worst: rows with the most contradicted claims, then the most flags, then the lowest CLIP score (without scores, the
            most that was left unsaid), worst first; rows with nothing wrong are none of them.
        random: rows drawn by key and seed, the same for every set of a dataset.
    """

    words: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    tokens: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    flags: Counter[str] = field(default_factory=Counter)
    worst: list[Chosen] = field(default_factory=list)
    random: list[Chosen] = field(default_factory=list)


def survey(
    audited: AuditedSet, *, worst: int, random: int, seed: int, advance: Callable[..., None]
) -> Survey:
    """Pass over a set once; choose so many of its worst rows and so many at random."""
    found = Survey()
    for shard, start, batch in audited.batches(["key", "claims", "scores"]):
        scores = batch.column("scores")
        lengths = {name: _numbers(scores, name) for name in ("words", "clip_tokens")}
        there = np.isfinite(lengths["words"])
        np.add.at(found.words, np.minimum(lengths["words"][there], LONGEST).astype(int), 1)
        np.add.at(found.tokens, np.minimum(lengths["clip_tokens"][there], LONGEST).astype(int), 1)
        flags = pc.struct_field(scores, "flags")
        for each in pc.value_counts(pc.list_flatten(flags)).to_pylist():
            found.flags[each["values"]] += each["counts"]
        ranks = _badness(batch, scores, flags)
        bad = there & (ranks < 0).any(axis=1)
        found.worst = _kept(found.worst, _rows(batch, shard, start, ranks, bad, worst), worst)
        drawn = _drawn(batch, seed)[:, None]
        everyone = np.ones(batch.num_rows, bool)
        found.random = _kept(found.random, _rows(batch, shard, start, drawn, everyone, random), random)
        advance(batch.num_rows)
    return found


def _badness(batch: pa.RecordBatch, scores: pa.StructArray, flags: pa.ListArray) -> np.ndarray:
    """[rows, 3] the worse the lower, below nought where something is wrong: contradicted claims, flags, score or gaps."""
    contradicted = contradictions(batch.column("claims")).astype(float)
    flagged = _lengths(flags)
    clip = _numbers(scores, "clip_score")
    missed = _lengths(pc.struct_field(scores, "missed"))
    # A score of 100·cos is never above 100: shifted, every scored caption has a place in the order.
    last = np.where(np.isfinite(clip), clip - 1000, -missed)
    return np.stack([-contradicted, -flagged, last], axis=1)


def _drawn(batch: pa.RecordBatch, seed: int) -> np.ndarray:
    """[rows] a number drawn from key and seed, exact as a float."""
    mixed = (short_keys(batch.column("key")) ^ np.uint64(seed)) * _STEP
    return (mixed >> np.uint64(12)).astype(float)


def _rows(
    batch: pa.RecordBatch, shard: int, start: int, ranks: np.ndarray, among: np.ndarray, wanted: int
) -> Iterable[Chosen]:
    """The first rows of a batch by rank."""
    places = np.flatnonzero(among)
    order = np.lexsort(ranks[places].T[::-1])[:wanted]
    for place in places[order]:
        rank = tuple(float(each) for each in ranks[place])
        yield Chosen(rank, batch.column("key")[int(place)].as_py(), shard, start + int(place))


def _kept(before: list[Chosen], more: Iterable[Chosen], wanted: int) -> list[Chosen]:
    return sorted([*before, *more])[:wanted]


def _numbers(scores: pa.StructArray, name: str) -> np.ndarray:
    """Numbers with nan for what is missing."""
    return pc.struct_field(scores, name).cast(pa.float64()).to_numpy(zero_copy_only=False)


def _lengths(lists: pa.ListArray) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(float)
