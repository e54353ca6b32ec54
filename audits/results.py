"""What the Python API hands back: an audit and a comparison, whose tables are pandas DataFrames.

A table is made when it is first used. Those with a row per caption or claim hold the whole dataset in memory (about 1 kB a
caption); beyond some million captions read the Parquet files of the audit instead.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from audits.audited import open_audit
from audits.comparison import Comparison
from audits.comparison.outcome import FigureDifference, RowChange
from audits.contradicted import COLUMNS, write_wrong, wrong_rows
from audits.runner.run import AuditSummary
from recapdata.dataset.audit_files import SCORES_TYPE
from recapdata.dataset.target import Target
from recapdata.display import html_table
from recapdata.records import CLAIM_KINDS, CLAIM_TYPE, VERDICTS
from recapdata.versions.figures import read_figures

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FIGURES = ("set", "figure", "value", "low", "high", "unit", "better", "n")
DIFFERENCES = (
    *("set_a", "set_b", "figure", "a", "b", "difference", "low", "high"),
    *("unit", "n", "verdict", "reason"),
)
AUDITED = ("key", "source", "set", "claims", "scores", "caption")
SIDES = ("caption", "words", "clip_score", "contradicted")
CHANGES = (
    *("set_a", "set_b", "key", "source", "direction"),
    *(f"{name}_{side}" for name in SIDES for side in "ab"),
    *("clip_change", "now_wrong", "no_longer_wrong"),
)


@dataclass(frozen=True, repr=False)
class Audit:
    """The audit of a dataset's caption sets; made by `audits.run`.

    Attributes:
        summary: what the run did, and the content of `summary.json`.
        target: the dataset.
        out: the folder of the results.
    """

    summary: AuditSummary
    target: Target
    out: Path

    def __repr__(self) -> str:
        return self.summary.brief()

    def text(self) -> str:
        """All figures as a table, as `audits run` prints them."""
        return self.summary.text()

    def _repr_html_(self) -> str:
        figures = read_figures({"sets": self.summary.sets})
        names = dict.fromkeys(name for by_name in figures.values() for name in by_name)
        rows = [
            (name, *(by_name[name].text() if name in by_name else "–" for by_name in figures.values()))
            for name in names
        ]
        title = f"Audit of {self.summary.target}: {self.summary.records:,} records, 95 % intervals"
        return html_table(["figure", *figures], rows, caption=title)

    @cached_property
    def figures(self) -> "pd.DataFrame":
        """A row per caption set and figure.

        Columns: set, figure, value, low and high (95 % interval), unit (`share` from 0 to 1, else what is counted), better
        (`higher`, `lower` or None), n (captions or claims that it was measured on).
        """
        import pandas as pd

        rows = [
            (set_name, name, *(getattr(figure, column) for column in FIGURES[2:]))
            for set_name, figures in read_figures({"sets": self.summary.sets}).items()
            for name, figure in figures.items()
        ]
        return pd.DataFrame(rows, columns=list(FIGURES))

    @cached_property
    def captions(self) -> "pd.DataFrame":
        """A row per caption of the audited sets, in the dataset's order; a missing caption has its row too.

        Columns: key, source (the file or row that the image came from), set, caption, the scores of `SCORES_TYPE` (words, clip_tokens, flags, clip_score in 100·cos,
        objects_present, missed, …; null where that part was not run), claims (how many), claims_<kind>, and how many are
        supported, contradicted and unknown (null where nothing was judged).
        """
        return _frame(map(_caption_columns, self._batches()))

    @cached_property
    def claims(self) -> "pd.DataFrame":
        """A row per claim of the audited sets, in the order of the captions.

        Columns: key, source, set, kind, start and end (code points of the caption, end exclusive), words (the text of the span), the
        fields of the kind (object, count, color, size, subject, relation, region, text), verdict (`supported`, `contradicted`,
        `unknown`; null where nothing was judged), evidence (what the verdict rests on).
        """
        return _frame(map(_claim_columns, self._batches()))

    @cached_property
    def wrong(self) -> "pd.DataFrame":
        """A row per caption of the audited sets with a contradicted claim, in the dataset's order.

        Columns: key, source, set, caption, contradicted (how many claims), wrong (the claims with the evidence against them),
        left_out (what is there and not said), flags; texts of several parts have semicolons between them.
        """
        import pandas as pd

        sets = (open_audit(self.target, name, self.out) for name in self.summary.audited)
        return pd.DataFrame([row for each in sets for row in wrong_rows(each)], columns=list(COLUMNS))

    def export_wrong(self, path: str | Path) -> Path:
        """Write the rows of `wrong` as CSV, as `audits wrong` does, and return its path."""
        write_wrong(self.target, Path(path), sets=self.summary.audited, audits=self.out)
        return Path(path)

    def report(self, path: str | Path) -> Path:
        """Write the HTML page of `audits.report`, and return its path."""
        from audits.reporting import write_report

        write_report(self.target, Path(path), audits=self.out)
        return Path(path)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Audit rows of all sets with their captions."""
        for name in self.summary.audited:
            for _, _, batch in open_audit(self.target, name, self.out).batches(AUDITED):
                yield batch


@dataclass(frozen=True, repr=False)
class Difference:
    """Two caption sets, or two versions, record by record; made by `audits.compare`.

    Attributes:
        comparison: all of it as plain data.
    """

    comparison: Comparison

    def __repr__(self) -> str:
        return self.comparison.brief()

    def text(self) -> str:
        """All figures and the rows that changed most, as `audits compare` prints them."""
        return self.comparison.text()

    def _repr_html_(self) -> str:
        tables = []
        for sets in self.comparison.sets:
            rows = [
                (
                    figure.name,
                    figure.a.text() if figure.a else "–",
                    figure.b.text() if figure.b else "–",
                    figure.text(),
                    figure.verdict,
                )
                for figure in sets.figures
            ]
            title = f"{sets.pairs:,} records with a caption in both, 95 % paired bootstrap intervals"
            tables.append(
                html_table(["figure", *_labels(self.comparison, sets.sets), "b − a", ""], rows, caption=title)
            )
        return "".join(tables)

    @cached_property
    def figures(self) -> "pd.DataFrame":
        """A row per compared pair of sets and figure, on the records that both have a caption for.

        Columns: set_a, set_b, figure, a and b (values), difference (b − a), low and high (its 95 % paired bootstrap interval),
        unit, n, verdict (`better`, `worse`, `different`, `no difference`, `not compared`), reason (why it is not compared).
        """
        import pandas as pd

        rows = [_difference(sets.sets, figure) for sets in self.comparison.sets for figure in sets.figures]
        return pd.DataFrame(rows, columns=list(DIFFERENCES))

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """The rows that changed most, for the worse and for the better, most changed first.

        Columns: set_a, set_b, key, source, direction (`worse`, `better`; `changed` where nothing tells), caption_a, caption_b, words_a,
        words_b, clip_score_a, clip_score_b, clip_change (100·cos), contradicted_a, contradicted_b (how many claims),
        now_wrong and no_longer_wrong (lists of claims with the evidence against them).
        """
        import pandas as pd

        rows = [_change(sets.sets, row) for sets in self.comparison.sets for row in sets.rows]
        return pd.DataFrame(rows, columns=list(CHANGES))


def _labels(comparison: Comparison, sets: tuple[str, str]) -> list[str]:
    """The two sides of a comparison, by set where that tells them apart, else by dataset."""
    names = sets if sets[0] != sets[1] else comparison.names
    return [f"{side}: {name}" for side, name in zip("ab", names, strict=True)]


def _difference(sets: tuple[str, str], figure: FigureDifference) -> dict[str, Any]:
    """A row of `DIFFERENCES`."""
    known = figure.a or figure.b
    values = {column: getattr(figure, column, None) for column in DIFFERENCES}
    return values | {
        "set_a": sets[0],
        "set_b": sets[1],
        "figure": figure.name,
        "a": figure.a and figure.a.value,
        "b": figure.b and figure.b.value,
        "unit": known and known.unit,
    }


def _change(sets: tuple[str, str], row: RowChange) -> dict[str, Any]:
    """A row of `CHANGES`."""
    values: dict[str, Any] = {"set_a": sets[0], "set_b": sets[1], "clip_change": row.clip_change}
    values |= {"key": row.key, "source": row.source, "direction": row.direction}
    for name, side in (("a", row.a), ("b", row.b)):
        values |= {f"{column}_{name}": getattr(side, column) for column in SIDES}
        values[f"contradicted_{name}"] = len(side.contradicted)
    return values | {"now_wrong": list(row.now_wrong), "no_longer_wrong": list(row.no_longer_wrong)}


def _caption_columns(audit: pa.RecordBatch) -> pa.Table:
    """The columns of `Audit.captions`."""
    claims, scores = audit.column("claims"), audit.column("scores")
    columns: dict[str, pa.Array] = {name: audit.column(name) for name in ("key", "source", "set", "caption")}
    for field in SCORES_TYPE:
        known = scores.type.get_field_index(field.name) >= 0
        columns[field.name] = (
            pc.struct_field(scores, field.name) if known else pa.nulls(audit.num_rows, field.type)
        )
    columns["claims"] = pc.list_value_length(claims)
    claim, parents = pc.list_flatten(claims), pc.list_parent_indices(claims).to_numpy()
    kinds, verdicts = pc.struct_field(claim, "kind"), pc.struct_field(claim, "verdict")
    for kind in CLAIM_KINDS:
        columns[f"claims_{kind}"] = _count(claims, parents, pc.equal(kinds, kind))
    judged = pc.any(pc.is_valid(verdicts)).as_py()
    for verdict in VERDICTS:
        counts = _count(claims, parents, pc.equal(verdicts, verdict))
        columns[verdict] = counts if judged else pa.nulls(audit.num_rows, pa.int32())
    return pa.table(columns)


def _count(claims: pa.Array, parents: "np.ndarray", counted: pa.Array) -> pa.Array:
    """How many claims of each caption are counted; null for a caption without claims, which is missing."""
    import numpy as np

    chosen = counted.fill_null(False).to_numpy(zero_copy_only=False)
    counts = np.bincount(parents[chosen], minlength=len(claims)).astype("int32")
    return pc.if_else(pc.is_valid(claims), counts, None)


def _claim_columns(audit: pa.RecordBatch) -> pa.Table:
    """The columns of `Audit.claims`."""
    claims = audit.column("claims")
    claim, parents = pc.list_flatten(claims), pc.list_parent_indices(claims)
    spans = pc.struct_field(claim, "span").to_pylist()
    texts = audit.column("caption").take(parents).to_pylist()
    words = [text[slice(*span)] for text, span in zip(texts, spans, strict=True)]
    columns: dict[str, Any] = {
        "key": audit.column("key").take(parents),
        "source": audit.column("source").take(parents),
        "set": audit.column("set").take(parents),
        "kind": pc.struct_field(claim, "kind"),
        "start": pa.array([span[0] for span in spans], pa.int32()),
        "end": pa.array([span[1] for span in spans], pa.int32()),
        "words": pa.array(words, pa.string()),
    }
    for field in CLAIM_TYPE:
        if field.name not in ("kind", "span"):
            columns[field.name] = pc.struct_field(claim, field.name)
    return pa.table(columns)


def _frame(tables: Iterable[pa.Table]) -> "pd.DataFrame":
    """One frame with nullable numbers, so that a count stays a count where it is missing in some rows."""
    import pandas as pd

    nullable = {pa.int32(): pd.Int32Dtype(), pa.float32(): pd.Float32Dtype(), pa.bool_(): pd.BooleanDtype()}
    batches = list(tables)
    return pa.concat_tables(batches).to_pandas(types_mapper=nullable.get) if batches else pd.DataFrame()
