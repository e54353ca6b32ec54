"""Two caption sets, or two versions of one, side by side: paired differences and the rows that changed most.

pairing.py      which records both sides have a caption for, and how often each counts in the bootstrap
differences.py  the audit's figures on those records, their differences with intervals, and which of them may be compared
changes.py      what became of single rows, and the ones that changed most
outcome.py      what is handed back, and how it reads on a terminal

The module is not named compare, since `audits.compare` is the function of the Python API.
"""

from collections.abc import Sequence
from pathlib import Path

from audits.audited import AuditedSet, open_audit
from audits.comparison.changes import ROWS, changed_rows
from audits.comparison.differences import differences
from audits.comparison.outcome import Comparison, SetComparison
from audits.comparison.pairing import pair
from recapdata.console import progress
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shell_word
from recapdata.errors import CaptionSetNotFound

__all__ = ["ROWS", "Comparison", "SetComparison", "compare", "compare_versions"]


def compare(
    target_a: str | Path | Target,
    set_a: str,
    target_b: str | Path | Target | None = None,
    set_b: str | None = None,
    *,
    audits: tuple[Path | None, Path | None] = (None, None),
    rows: int = ROWS,
) -> Comparison:
    """Compare two audited caption sets record by record; `b` is measured against `a`.

    Args:
        target_b: another version or folder; the first one where None.
        set_b: the set of the second target; one of the same name where None.
        audits: where `audits run --out` put either audit; the targets' own where None.
        rows: how many rows that changed most for the worse are listed, and how many for the better.

    Raises:
        CaptionSetNotFound: a target has no set of that name.
        AuditNotFound: a set was not audited, or its captions have changed since.
    """
    one = open_dataset(target_a)
    other = one if target_b is None else open_dataset(target_b)
    found = _compare(open_audit(one, set_a, audits[0]), open_audit(other, set_b or set_a, audits[1]), rows)
    return Comparison(targets=(one.resolved, other.resolved), names=(one.name, other.name), sets=(found,))


def compare_versions(
    target_a: str | Path | Target,
    target_b: str | Path | Target,
    *,
    sets: Sequence[str] = (),
    audits: tuple[Path | None, Path | None] = (None, None),
    rows: int = ROWS,
) -> Comparison:
    """Compare two versions or folders, set by set.

    Args:
        sets: the caption sets; all that both have where empty.

    Raises:
        CaptionSetNotFound: a target lacks one of the sets, or they have none in common; `target_b` is a set of `target_a`.
        AuditNotFound: a set was not audited in one of them.
    """
    one = open_dataset(target_a)
    if isinstance(target_b, str) and target_b in one.set_names() and not Path(target_b).is_dir():
        others = [name for name in one.set_names() if name != target_b]
        raise CaptionSetNotFound(
            f"{target_b} is a caption set of {one.name}; name the other one too: audits compare {shell_word(str(one.name))} "
            f"{target_b} {others[0] if others else 'SET_B'}"
        )
    other = open_dataset(target_b)
    shared = [name for name in one.set_names() if name in other.set_names()]
    wanted = list(dict.fromkeys(sets)) or shared
    if not wanted:
        raise CaptionSetNotFound(
            f"{one.name} ({', '.join(one.set_names()) or 'no sets'}) and {other.name} "
            f"({', '.join(other.set_names()) or 'no sets'}) have no caption set in common"
        )
    opened = [(open_audit(one, name, audits[0]), open_audit(other, name, audits[1])) for name in wanted]
    return Comparison(
        targets=(one.resolved, other.resolved),
        names=(one.name, other.name),
        sets=tuple(_compare(a, b, rows) for a, b in opened),
        left_out=tuple(
            name for name in dict.fromkeys([*one.set_names(), *other.set_names()]) if name not in wanted
        ),
    )


def _compare(a: AuditedSet, b: AuditedSet, rows: int) -> SetComparison:
    total = sum(side.target.rows(shard) for side in (a, b) for shard in side.paths)
    with progress(f"compare {a.set_name}", total, unit="captions") as advance:
        pairing = pair(a, b)
        figures, effects = differences(a, b, pairing, advance)
        return SetComparison(
            sets=(a.set_name, b.set_name),
            pairs=pairing.pairs,
            only=pairing.only,
            without=pairing.without,
            figures=figures,
            rows=changed_rows(a, b, pairing, effects, rows),
        )
