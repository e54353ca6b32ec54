"""The captions that evidence contradicts, a row each, as a table for a spreadsheet: `audits wrong`, `Audit.wrong`.

The module is not named wrong, since `audits.wrong` is the function of the Python API.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.audited import AuditedSet, open_audit
from audits.spans import phrase
from recapdata.atomic import replacing
from recapdata.console import progress
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shown_as_text
from recapdata.errors import AuditNotFound, CaptionSetNotFound
from recapdata.outputs import check_replaceable, table_kind

COLUMNS = ("key", "source", "set", "caption", "contradicted", "wrong", "left_out", "flags")
TABLE = table_kind("table of audits wrong", "wrong.csv", COLUMNS)
JOINT = "; "
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet takes for a formula; captions may come from anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class WrongSummary:
    """The outcome of `audits wrong`.

    Attributes:
        rows: captions with a contradicted claim, by set.
    """

    target: str
    path: str
    rows: Mapping[str, int]

    def text(self) -> str:
        """How many rows of each set were written."""
        counts = ", ".join(f"{name} {count:,}" for name, count in self.rows.items())
        return f"→ {self.path}: captions with a wrong claim: {counts}"


def write_wrong(
    target: str | Path | Target, path: Path, *, sets: Sequence[str] = (), audits: Path | None = None
) -> WrongSummary:
    """Write the captions with a contradicted claim as CSV (UTF-8, one header line, `COLUMNS`).

    A cell that a spreadsheet would take for a formula has an apostrophe before it.

    Args:
        sets: the caption sets; all that were judged where empty.
        audits: where `audits run --out` put the audit; the target's own where None.

    Raises:
        CaptionSetNotFound: no such caption set.
        AuditNotFound: a set that was named was not audited, or none was.
        OptionError: `path` is a folder, or a file that is no such table.
    """
    check_replaceable(path, TABLE)
    opened = open_dataset(target)
    audited = _opened(opened, sets, audits)
    rows: dict[str, int] = {}
    total = sum(each.target.rows(shard) for each in audited for shard in each.paths)
    with (
        replacing(path) as temporary,
        progress("read", total, unit="captions") as advance,
        open(temporary, "w", encoding="utf8", errors="replace", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for each in audited:
            rows[each.set_name] = 0
            for row in wrong_rows(each, advance):
                rows[each.set_name] += 1
                writer.writerow([_cell(row[name]) for name in COLUMNS])
    return WrongSummary(target=opened.resolved, path=str(path), rows=rows)


def _opened(target: Target, sets: Sequence[str], audits: Path | None) -> list[AuditedSet]:
    if sets:
        return [open_audit(target, name, audits) for name in dict.fromkeys(sets)]
    names = target.set_names()
    if not names:
        raise CaptionSetNotFound(f"{target.name} has no caption sets")
    found, reasons = [], []
    for name in names:
        try:
            found.append(open_audit(target, name, audits))
        except AuditNotFound as error:
            reasons.append(str(error))
    if not found:
        raise AuditNotFound("; ".join(reasons))
    return found


def wrong_rows(audited: AuditedSet, advance: Any = None) -> Iterator[dict[str, Any]]:
    """The rows of a set with a contradicted claim, by `COLUMNS`, in the dataset's order; lists are joined by semicolons.

    Args:
        advance: called with the number of captions read.
    """
    for _, _, batch in audited.batches(["key", "source", "claims", "scores", "caption"]):
        for row in batch.to_pylist():
            wrong = [claim for claim in row["claims"] or () if claim["verdict"] == "contradicted"]
            if wrong:
                scores = row["scores"]
                yield {
                    "key": row["key"],
                    "source": row["source"],
                    "set": audited.set_name,
                    "caption": row["caption"],
                    "contradicted": len(wrong),
                    "wrong": JOINT.join(f"{phrase(claim)} ({claim['evidence']})" for claim in wrong),
                    "left_out": JOINT.join(scores["missed"] or ()),
                    "flags": JOINT.join(scores["flags"] or ()),
                }
        if advance is not None:
            advance(batch.num_rows)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
