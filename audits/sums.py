"""What one caption adds to the sums that figures are made of.

It is either a `Sum`, made of fields of the caption's audit, which the database under the FiftyOne panel evaluates too, or, for a figure
from outside, a function of a batch of captions with their audits (`Rows`).

A field is one of `SCORES_TYPE`, or the number of a caption's claims: `claims_total`, `claims_<kind>`, `<verdict>`, `<verdict>_<kind>`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recapdata.records import CLAIM_KINDS, VERDICTS


class Rows:
    """A batch of captions with their audits, as figures read it.

    Attributes:
        scores: the scores of each caption, `SCORES_TYPE`.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self.scores: pa.StructArray = batch.column("scores")

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @cached_property
    def captions(self) -> list[str]:
        """The texts."""
        return list(self._batch.column("caption").to_pylist())

    @cached_property
    def claims(self) -> list[list[dict[str, Any]]]:
        """The claims of each caption by the field names of `CLAIM_TYPE`, with verdict and evidence where they were judged."""
        return list(self._batch.column("claims").to_pylist())

    def numbers(self, field: str) -> np.ndarray:
        """[rows] the number in a field, nought where it is null."""
        if field in self._counts:
            return self._counts[field]
        return _floats(pc.fill_null(self._score(field).cast(pa.float64()), 0))

    def known(self, field: str) -> np.ndarray:
        """[rows] 1 where a field is not null."""
        if field in self._counts:
            return np.ones(len(self))
        return _floats(pc.is_valid(self._score(field)))

    def entries(self, field: str) -> np.ndarray:
        """[rows] the length of a list."""
        return _floats(pc.fill_null(pc.list_value_length(self._score(field)), 0))

    def holds(self, field: str, entry: str) -> np.ndarray:
        """[rows] 1 where a list of distinct strings has this one."""
        lists = self._score(field)
        rows = pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), entry))
        return np.bincount(rows.to_numpy(), minlength=len(self)).astype(float)

    def _score(self, field: str) -> pa.Array:
        return pc.struct_field(self.scores, field)

    @cached_property
    def _counts(self) -> dict[str, np.ndarray]:
        """Claims of each caption by kind, by verdict, and by both."""
        claims = self._batch.column("claims")
        rows = pc.list_parent_indices(claims).to_numpy()
        flat = pc.list_flatten(claims)
        kinds, verdicts = (
            np.array(pc.struct_field(flat, name).to_pylist(), dtype=object) for name in ("kind", "verdict")
        )

        def count(chosen: np.ndarray) -> np.ndarray:
            return np.bincount(rows[chosen], minlength=len(self)).astype(float)

        found = {"claims_total": count(np.ones(len(flat), bool))}
        found |= {f"claims_{kind}": count(kinds == kind) for kind in CLAIM_KINDS}
        for verdict in VERDICTS:
            found[verdict] = count(verdicts == verdict)
            found |= {
                f"{verdict}_{kind}": count((kinds == kind) & (verdicts == verdict)) for kind in CLAIM_KINDS
            }
        return found


def _floats(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=float)


@dataclass(frozen=True, slots=True)
class Term:
    """A number of one caption: a field's `number`, whether it is `known`, its `entries`, or whether it `holds` the `entry`."""

    field: str
    of: Literal["number", "known", "entries", "holds"] = "number"
    entry: str = ""

    def values(self, rows: Rows) -> np.ndarray:
        """[rows]."""
        match self.of:
            case "number":
                return rows.numbers(self.field)
            case "known":
                return rows.known(self.field)
            case "entries":
                return rows.entries(self.field)
            case "holds":
                return rows.holds(self.field, self.entry)


@dataclass(frozen=True, slots=True)
class Sum:
    """What one caption adds to a sum: `plus` less `minus`; with `over`, 1 where that exceeds it, else nought."""

    plus: tuple[Term, ...]
    minus: tuple[Term, ...] = ()
    over: float | None = None

    def values(self, rows: Rows) -> np.ndarray:
        """[rows] what each caption adds."""
        total = sum(term.values(rows) for term in self.plus) - sum(term.values(rows) for term in self.minus)
        return np.asarray(total if self.over is None else total > self.over, dtype=float)


PerCaption = Sum | Callable[[Rows], Sequence[float] | np.ndarray]
"""What one caption adds to a sum, for each of a batch."""


def numbers(*fields: str, over: float | None = None) -> Sum:
    """The sum of some fields; with `over`, whether that is more."""
    return Sum(tuple(map(Term, fields)), over=over)


def known(field: str) -> Sum:
    """Whether a field is not null."""
    return Sum((Term(field, "known"),))


CAPTIONS = known("claims_total")
"""Every caption counts once."""


def values(per_caption: PerCaption, rows: Rows) -> np.ndarray:
    """[rows] what each caption adds to a sum."""
    if isinstance(per_caption, Sum):
        return per_caption.values(rows)
    return np.asarray(per_caption(rows), dtype=float)
