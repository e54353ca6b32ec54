"""The plan of a recaption run: which images go together, a pure function of shard, batch size and what was asked for.

Batches never depend on what is already captioned: an interrupted run cuts the same ones again and makes what they lack, so that
a model whose words depend a little on their neighbors in the batch gives the same captions after any interruption.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

PILOT_SHARDS = 32
PILOT_ROWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What planning needs to know of an image shard: per row its key and area in pixels, and rows per row group.

    Attributes:
        values: per row what its prompt needs of other columns; nothing where the prompt has no places for them.
    """

    shard: int
    keys: Sequence[str]
    areas: Sequence[int]
    groups: Sequence[int]
    values: Sequence[tuple[Any, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images to be captioned at once: rows of one image shard, with their keys, and what their prompts need, if anything."""

    shard: int
    number: int
    rows: tuple[int, ...]
    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...] = ()

    def only(self, missing: Collection[str]) -> "Batch":
        """The part of the batch whose keys are missing; it keeps its number."""
        places = [place for place, key in enumerate(self.keys) if key in missing]
        return Batch(
            shard=self.shard,
            number=self.number,
            rows=tuple(self.rows[place] for place in places),
            keys=tuple(self.keys[place] for place in places),
            values=tuple(self.values[place] for place in places) if self.values else (),
        )


def cut(rows: Rows, batch_size: int, selected: Collection[str] | None = None) -> list[Batch]:
    """Cut a shard into batches of images of similar size.

    Rows are sorted by area within their row group, up in one group and down in the next, so that a batch needs at most two
    neighboring groups and little padding.

    Args:
        selected: only rows with these keys; all where None.
    """
    order: list[int] = []
    ends = list(accumulate(rows.groups))
    for number, (size, end) in enumerate(zip(rows.groups, ends, strict=True)):
        sign = -1 if number % 2 else 1
        group = [row for row in range(end - size, end) if selected is None or rows.keys[row] in selected]
        order += sorted(group, key=lambda row: (sign * rows.areas[row], row))
    return [
        Batch(
            shard=rows.shard,
            number=start // batch_size,
            rows=tuple(order[start : start + batch_size]),
            keys=tuple(rows.keys[row] for row in order[start : start + batch_size]),
            values=tuple(rows.values[row] for row in order[start : start + batch_size])
            if rows.values
            else (),
        )
        for start in range(0, len(order), batch_size)
    ]


def pilot_quotas(sizes: Sequence[int], limit: int) -> list[int]:
    """How many rows of each shard a pilot of `limit` images takes, in proportion to the shards' rows.

    Beyond 32 shards it takes no fewer than 8 images from one, so that it does not open thousands of files for one image
    each; the shards are then spread evenly.
    """
    limit = min(limit, sum(sizes))
    used = min(len(sizes), max(PILOT_SHARDS, limit // PILOT_ROWS))
    chosen = {place * len(sizes) // used for place in range(used)} if used else set()
    capped = [size if shard in chosen else 0 for shard, size in enumerate(sizes)]
    limit_here = min(limit, sum(capped))
    # Differences of rounded running shares sum to the limit exactly and never exceed a shard's rows.
    total = sum(capped) or 1
    marks = [0, *(running * limit_here // total for running in accumulate(capped))]
    quotas = [after - before for before, after in pairwise(marks)]
    for shard, size in enumerate(sizes):
        quotas[shard] += min(size - quotas[shard], limit - sum(quotas))
    return quotas


def pilot_keys(keys: Sequence[str], quota: int) -> set[str]:
    """The rows of a shard that a pilot takes: random to the eye, the same each time, and a larger pilot holds a smaller one."""
    return set(sorted(keys, key=lambda key: hashlib.sha256(f"pilot/{key}".encode()).digest())[:quota])
