"""The Python API: an audit and a comparison whose tables are pandas DataFrames.

The tables are made when they are first asked for. Those with a row per caption or claim hold the whole dataset in memory (about
1 kB a caption); beyond some million captions read the Parquet files of the audit instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from audits.audited import AuditedSet, open_audit
from audits.comparison import ROWS, Comparison, compare_versions
from audits.comparison import compare as compare_sets
from audits.comparison.outcome import FigureDifference, RowChange
from audits.runner.run import AuditSummary
from audits.runner.run import run as run_audit
from recapdata.dataset.audit_files import SCORES_TYPE
from recapdata.dataset.target import Target, open_dataset
from recapdata.records import CLAIM_KINDS, CLAIM_TYPE, VERDICTS
from recapdata.versions.figures import read_figures

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("set", "figure", "value", "low", "high", "unit", "better", "n")
DIFFERENCES = (
    "set_a",
    "set_b",
    "figure",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "unit",
    "n",
    "verdict",
    "reason",
)
COLUMNS = ("key", "set", "claims", "scores", "caption")
SIDES = ("caption", "words", "clip_score", "contradicted")
CHANGES = (
    *("set_a", "set_b", "key", "direction"),
    *(f"{name}_{side}" for name in SIDES for side in "ab"),
    *("clip_change", "now_wrong", "no_longer_wrong"),
)


@dataclass(frozen=True)
class Audit:
    """The audit of a dataset's caption sets; made by `audits.run`.

    Attributes:
        summary: what the run did, and the content of `summary.json`.
    """

    summary: AuditSummary
    target: Target
    out: Path

    @cached_property
    def figures(self) -> "pd.DataFrame":
        """A row per caption set and figure.

        Columns: set, figure, value, low and high (95 % interval), unit (`share` from 0 to 1, else what is counted), better
        (`higher`, `lower` or None), n (captions or claims that it was measured on).
        """
        import pandas as pd

        rows = [
            (name, figure, each.value, each.low, each.high, each.unit, each.better, each.n)
            for name, figures in read_figures({"sets": self.summary.sets}).items()
            for figure, each in figures.items()
        ]
        return pd.DataFrame(rows, columns=list(FIGURES))

    @cached_property
    def captions(self) -> "pd.DataFrame":
        """A row per caption of the audited sets, in the dataset's order; a missing caption has its row too.

        Columns: key, set, caption, the scores of `recapdata.dataset.audit_files.SCORES_TYPE` (words, clip_tokens, flags, clip_score in 100·cos,
        objects_present, missed, …; null where that part was not run), claims (how many), claims_<kind>, and how many are
        supported, contradicted and unknown (null where nothing was judged).
        """
        return _frame(table for each in self._sets() for table in _captions(each))

    @cached_property
    def claims(self) -> "pd.DataFrame":
        """A row per claim of the audited sets, in the order of the captions.

        Columns: key, set, kind, start and end (code points of the caption, end exclusive), words (what stands there), the fields
        of the kind (object, count, color, size, subject, relation, region, text), verdict (`supported`, `contradicted`,
        `unknown`; null where nothing was judged), evidence (what the verdict rests on).
        """
        return _frame(table for each in self._sets() for table in _claims(each))

    def report(self, path: str | Path) -> Path:
        """Write the self-contained HTML page of `audits report`, and return where."""
        from audits.reporting import write_report

        write_report(self.target, Path(path), audits=self.out)
        return Path(path)

    def _sets(self) -> list[AuditedSet]:
        return [open_audit(self.target, name, self.out) for name in self.summary.audited]


@dataclass(frozen=True)
class Difference:
    """Two caption sets, or two versions, record by record; made by `audits.compare`.

    Attributes:
        comparison: all of it as plain data, with `text()` as the terminal shows it.
    """

    comparison: Comparison

    @cached_property
    def figures(self) -> "pd.DataFrame":
        """A row per compared pair of sets and figure, on the records that both have a caption for.

        Columns: set_a, set_b, figure, a and b (values), difference (b − a), low and high (its 95 % paired bootstrap interval),
        unit, n, verdict (`better`, `worse`, `different`, `no difference`, `not compared`), reason (why it is not compared).
        """
        import pandas as pd

        rows = [(*each.sets, *_line(figure)) for each in self.comparison.sets for figure in each.figures]
        return pd.DataFrame(rows, columns=list(DIFFERENCES))

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """The rows that changed most, for the worse and for the better, most changed first.

        Columns: set_a, set_b, key, direction (`worse`, `better`; `changed` where nothing tells), caption_a, caption_b, words_a,
        words_b, clip_score_a, clip_score_b, clip_change (100·cos), contradicted_a, contradicted_b (how many claims),
        now_wrong and no_longer_wrong (lists of claims with the evidence against them).
        """
        import pandas as pd

        rows = [_change(each.sets, row) for each in self.comparison.sets for row in each.rows]
        return pd.DataFrame(rows, columns=list(CHANGES))


def run(target: str | Path | Target, *, out: str | Path | None = None, **options: Any) -> Audit:
    """Audit caption sets and hand back their figures, captions and claims as tables.

    What is finished and still fresh is not computed again, so this also opens an audit that `audits run` has made.

    Args:
        target: a dataset folder, or `user/name@revision`.
        out: where the results go; `audits` in the dataset folder where None, required for a published version.
        options: those of `audits.runner.run.run`: captions, evidence, clip, pipeline, …

    Raises:
        RecapdataError: as `audits.runner.run.run`.
    """
    opened = open_dataset(target)
    summary = run_audit(opened, out=Path(out) if out is not None else None, **options)
    return Audit(summary=summary, target=opened, out=Path(summary.out))


def compare(
    target_a: str | Path | Target,
    set_a: str | Target | Path,
    set_b: str | None = None,
    *,
    sets: Sequence[str] = (),
    audits: tuple[Path | None, Path | None] = (None, None),
    rows: int = ROWS,
) -> Difference:
    """Compare two audited caption sets of a dataset, or two versions: `compare(TARGET, SET_A, SET_B)` or `compare(A, B)`.

    Args:
        set_a: the first caption set, or where `set_b` is None the second version or folder.
        sets: of two versions only these caption sets; all that both have where empty.
        audits: where `audits run --out` put either audit; the targets' own where None.
        rows: how many rows that changed most for the worse are listed, and how many for the better.

    Raises:
        CaptionSetNotFound: a target has no set of that name.
        AuditNotFound: a set was not audited, or its captions have changed since.
    """
    if set_b is None:
        return Difference(compare_versions(target_a, set_a, sets=sets, audits=audits, rows=rows))
    return Difference(compare_sets(target_a, str(set_a), set_b=set_b, audits=audits, rows=rows))


def _line(figure: FigureDifference) -> tuple[Any, ...]:
    """The line of a figure by `DIFFERENCES`, without the sets."""
    known = figure.a or figure.b
    values = tuple(None if side is None else side.value for side in (figure.a, figure.b))
    interval = (figure.difference, figure.low, figure.high)
    unit = known.unit if known is not None else None
    return (figure.name, *values, *interval, unit, figure.n, figure.verdict, figure.reason)


def _change(sets: tuple[str, str], row: RowChange) -> dict[str, Any]:
    """The line of a changed row by `CHANGES`."""
    values: dict[str, Any] = {"set_a": sets[0], "set_b": sets[1], "key": row.key, "direction": row.direction}
    for name, side in (("a", row.a), ("b", row.b)):
        told = (side.caption, side.words, side.clip_score, len(side.contradicted))
        values |= {f"{what}_{name}": value for what, value in zip(SIDES, told, strict=True)}
    now, before = list(row.now_wrong), list(row.no_longer_wrong)
    return values | {"clip_change": row.clip_change, "now_wrong": now, "no_longer_wrong": before}


# --- Arrow tables of one set, batch by batch -----------------------------------------------------------------------------


def _captions(each: AuditedSet) -> Iterator[pa.Table]:
    for _, _, batch in each.batches(COLUMNS):
        claims = batch.column("claims")
        scores = batch.column("scores")
        there = pc.is_valid(claims)
        columns: dict[str, pa.Array] = {
            "key": batch.column("key"),
            "set": batch.column("set"),
            "caption": batch.column("caption"),
        }
        for field in SCORES_TYPE:
            known = scores.type.get_field_index(field.name) >= 0
            columns[field.name] = (
                pc.struct_field(scores, field.name) if known else pa.nulls(batch.num_rows, field.type)
            )
        columns["claims"] = pc.list_value_length(claims)
        parents = pc.list_parent_indices(claims).to_numpy()
        flat = pc.list_flatten(claims)
        for name, values, of in (("claims_", CLAIM_KINDS, "kind"), ("", VERDICTS, "verdict")):
            field_values = pc.struct_field(flat, of)
            judged = pc.any(pc.is_valid(field_values)).as_py() or of == "kind"
            for value in values:
                counts = _counted(parents, pc.equal(field_values, value).fill_null(False), batch.num_rows)
                columns[f"{name}{value}"] = pc.if_else(there, counts if judged else None, None).cast(
                    pa.int32()
                )
        yield pa.table(columns)


def _counted(parents: Any, mask: pa.Array, rows: int) -> pa.Array:
    import numpy as np

    return pa.array(np.bincount(parents[mask.to_numpy(zero_copy_only=False)], minlength=rows).astype("int32"))


def _claims(each: AuditedSet) -> Iterator[pa.Table]:
    for _, _, batch in each.batches(COLUMNS):
        claims = batch.column("claims")
        parents = pc.list_parent_indices(claims)
        flat = pc.list_flatten(claims)
        spans = pc.struct_field(flat, "span").to_pylist()
        texts = batch.column("caption").take(parents).to_pylist()
        columns: dict[str, Any] = {
            "key": batch.column("key").take(parents),
            "set": batch.column("set").take(parents),
            "kind": pc.struct_field(flat, "kind"),
            "start": pa.array([span[0] for span in spans], pa.int32()),
            "end": pa.array([span[1] for span in spans], pa.int32()),
            "words": pa.array(
                [text[slice(*span)] for text, span in zip(texts, spans, strict=True)], pa.string()
            ),
        }
        for field in CLAIM_TYPE:
            if field.name not in ("kind", "span"):
                columns[field.name] = pc.struct_field(flat, field.name)
        yield pa.table(columns)


def _frame(tables: Iterator[pa.Table]) -> "pd.DataFrame":
    """One frame with nullable numbers, so that a count stays a count where it is missing in some rows."""
    import pandas as pd

    kinds: Mapping[pa.DataType, Any] = {
        pa.int32(): pd.Int32Dtype(),
        pa.float32(): pd.Float32Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    found = list(tables)
    return pa.concat_tables(found).to_pandas(types_mapper=kinds.get) if found else pd.DataFrame()
