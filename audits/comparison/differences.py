"""The audit's figures of both sides on the same records, their differences with intervals, and which of them may be compared.

A difference is that of the two figures over the paired records; its interval is the percentile interval of the difference over
repetitions in which both sides are resampled alike (paired bootstrap, Efron & Tibshirani 1993).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.audited import AuditedSet
from audits.comparison.outcome import FigureDifference
from audits.comparison.pairing import Pairing, paired_batches, weights
from audits.figures import in_reading_order, reads_captions
from audits.summary import SetSummary, interval
from recapdata.versions.comparable import Reason, affected, comparable
from recapdata.versions.figures import FigureValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Per side what rows are ranked by [pairs], in the order of the pairs; None where it may not be compared.

    Attributes:
        contradicted: contradicted claims.
        clip: CLIP scores (100·cos), nan where there is none.
    """

    words: tuple[np.ndarray, np.ndarray]
    contradicted: tuple[np.ndarray, np.ndarray] | None
    clip: tuple[np.ndarray, np.ndarray] | None


def differences(
    a: AuditedSet, b: AuditedSet, pairing: Pairing, advance: Callable[..., None]
) -> tuple[tuple[FigureDifference, ...], Effects]:
    """The figures that either side has, in reading order, and what single rows are ranked by."""
    summaries, columns = zip(
        *(_summed(side, mask, advance) for side, mask in zip((a, b), pairing.masks, strict=True)), strict=True
    )
    reasons = comparable(a.made, b.made)
    figures = [summary.figures() for summary in summaries]
    repeated = [summary.replicates() for summary in summaries]
    found = []
    for name in in_reading_order([*figures[0], *figures[1]]):
        one, other = figures[0].get(name), figures[1].get(name)
        if one is None or other is None:
            found.append(FigureDifference(name=name, a=one, b=other))
        elif mine := affected(reasons, one.rests_on):
            found.append(FigureDifference(name=name, a=one, b=other, reasons=tuple(mine)))
        else:
            change = repeated[1][name] - repeated[0][name]
            found.append(_difference(name, one, other, change))
    return tuple(found), _effects(columns, pairing, reasons)


def _difference(name: str, a: FigureValue, b: FigureValue, change: np.ndarray) -> FigureDifference:
    """The difference of a figure; `change` [1 + repetitions] is its value, then that of each repetition."""
    n = min(a.n or 0, b.n or 0)
    low, high = interval(change)
    if low == high and a.unit == "share" and n:
        # All or none on both sides in every repetition: the rule of three says how sure that is, as in the summary.
        low, high = max(low - 3 / n, -1.0), min(high + 3 / n, 1.0)
    return FigureDifference(name=name, a=a, b=b, difference=float(change[0]), low=low, high=high, n=n)


# --- the pass over one side ----------------------------------------------------------------------------------------------


def _summed(
    side: AuditedSet, mask: np.ndarray, advance: Callable[..., None]
) -> tuple[SetSummary, dict[str, np.ndarray]]:
    """The sums over the paired rows of a side, and per row what rows are ranked by."""
    summary = SetSummary()
    parts: dict[str, list[np.ndarray]] = {"words": [], "contradicted": [], "clip": []}
    wanted = ["key", "claims", "scores", *(["caption"] if reads_captions() else [])]
    for rows, batch in paired_batches(side, mask, wanted):
        summary.add(batch, weights)
        scores = batch.column("scores")
        words = pc.struct_field(scores, "words").to_numpy(zero_copy_only=False)
        parts["words"].append(words.astype(np.int32))
        parts["contradicted"].append(contradictions(batch.column("claims")))
        clip = pc.struct_field(scores, "clip_score").to_numpy(zero_copy_only=False)
        parts["clip"].append(clip.astype(np.float32))
        advance(rows)
    return summary, {name: np.concatenate(each) if each else np.empty(0) for name, each in parts.items()}


def contradictions(claims: pa.ListArray) -> np.ndarray:
    """[rows] how many claims of each row the evidence contradicts."""
    wrong = pc.equal(pc.struct_field(pc.list_flatten(claims), "verdict"), "contradicted").fill_null(False)
    parents = pc.list_parent_indices(claims).filter(wrong)
    return np.bincount(parents.to_numpy(), minlength=len(claims)).astype(np.int16)


def _effects(
    columns: tuple[dict[str, np.ndarray], ...], pairing: Pairing, reasons: Sequence[Reason]
) -> Effects:
    """Both sides' rows in the order of the pairs."""
    order = [np.cumsum(mask)[rows] - 1 for mask, rows in zip(pairing.masks, pairing.rows, strict=True)]

    def ordered(name: str) -> tuple[np.ndarray, np.ndarray]:
        return columns[0][name][order[0]], columns[1][name][order[1]]

    unlike = {reason.part for reason in reasons}
    scored = all(np.isfinite(side["clip"]).any() for side in columns)
    return Effects(
        words=ordered("words"),
        contradicted=None if {"claims", "evidence"} & unlike else ordered("contradicted"),
        clip=ordered("clip") if scored and "clip" not in unlike else None,
    )
