"""What became of single rows between two caption sets, and the rows that changed most, for the worse and for the better.

A row's harm is its gain in contradicted claims less its gain in CLIP score, each in units of the root mean square of that
gain over all pairs, so that a rare contradiction weighs more than a usual wobble of the score. Where neither tells anything,
rows are ranked by how much longer or shorter they became.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audits.audited import AuditedSet
from audits.comparison.differences import Effects
from audits.comparison.outcome import Direction, RowChange, RowSide
from audits.comparison.pairing import Pairing
from audits.spans import phrase

ROWS = 20
"""Rows listed for the worse, and as many for the better."""


def changed_rows(
    a: AuditedSet, b: AuditedSet, pairing: Pairing, effects: Effects, rows: int
) -> tuple[RowChange, ...]:
    """The rows that changed most: those for the worse, worst first, then those for the better, best first."""
    chosen = _chosen(pairing, effects, rows)
    places = [place for place, _ in chosen]
    sides = [
        _sides(side, pairing.rows[number][places], judged=effects.contradicted is not None)
        for number, side in enumerate((a, b))
    ]
    return tuple(
        _row(direction, one, other) for (_, direction), one, other in zip(chosen, *sides, strict=True)
    )


def _chosen(pairing: Pairing, effects: Effects, rows: int) -> list[tuple[int, Direction]]:
    """Places of the wanted rows among the pairs."""
    longer = (effects.words[1] - effects.words[0]).astype(float)
    harm = _harm(effects, pairing.pairs)
    if not harm.any():
        order = np.lexsort((pairing.keys, -np.abs(longer)))
        return [(int(place), "changed") for place in order[: 2 * rows] if longer[place]]
    ties = pairing.keys, -np.abs(longer)
    worse = np.lexsort((*ties, -harm))[:rows]
    better = np.lexsort((*ties, harm))[:rows]
    return [
        *((int(place), "worse") for place in worse if harm[place] > 0),
        *((int(place), "better") for place in better if harm[place] < 0),
    ]


def _harm(effects: Effects, pairs: int) -> np.ndarray:
    """[pairs] how much worse the second side is, in units of the usual change; nought where nothing tells."""
    harm = np.zeros(pairs)
    if effects.contradicted is not None:
        harm += _scaled(effects.contradicted[1].astype(float) - effects.contradicted[0])
    if effects.clip is not None:
        harm -= _scaled(np.nan_to_num(effects.clip[1].astype(float) - effects.clip[0]))
    return harm


def _scaled(change: np.ndarray) -> np.ndarray:
    usual = np.sqrt(np.mean(change**2)) if len(change) else 0.0
    return change / usual if usual else change


# --- the chosen rows, read whole -----------------------------------------------------------------------------------------


def _sides(side: AuditedSet, rows: np.ndarray, *, judged: bool) -> list[tuple[str, str, RowSide]]:
    """Key, source and content of the rows with these numbers, in that order."""
    counts = [(shard, side.target.rows(shard)) for shard in side.paths]
    starts = dict(zip([shard for shard, _ in counts], np.cumsum([0, *(n for _, n in counts)]), strict=False))
    found: dict[int, tuple[str, str, RowSide]] = {}
    for shard, count in counts:
        first = int(starts[shard])
        here = sorted({int(row) for row in rows if first <= row < first + count})
        if here:
            places = [row - first for row in here]
            audits, captions = side.rows(shard, places), side.captions(shard, places)
            records = side.target.take(shard, places, ["source"])
            for row, audit, caption, record in zip(here, audits, captions, records, strict=True):
                found[row] = (audit["key"], record.get("source") or "", _side(audit, caption or "", judged))
    return [found[int(row)] for row in rows]


def _side(audit: Mapping[str, Any], caption: str, judged: bool) -> RowSide:
    claims: Sequence[Mapping[str, Any]] = audit["claims"] or []
    wrong = [claim for claim in claims if judged and claim["verdict"] == "contradicted"]
    scores = audit["scores"]
    return RowSide(
        caption=caption,
        words=scores["words"],
        clip_score=scores["clip_score"],
        claims=tuple(phrase(claim) for claim in claims),
        contradicted=tuple(f"{phrase(claim)} ({claim['evidence']})" for claim in wrong),
        flags=tuple(scores["flags"] or ()),
    )


def _row(direction: Direction, one: tuple[str, str, RowSide], other: tuple[str, str, RowSide]) -> RowChange:
    (key, source, a), (_, _, b) = one, other
    return RowChange(
        key=key,
        source=source,
        direction=direction,
        a=a,
        b=b,
        now_wrong=_minus(b.contradicted, a.contradicted),
        no_longer_wrong=_minus(a.contradicted, b.contradicted),
    )


def _minus(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """What `some` holds beyond `others`, counting repetitions."""
    return tuple((Counter(some) - Counter(others)).elements())
