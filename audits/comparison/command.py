"""The words after `audits compare` made into a comparison."""

from collections.abc import Sequence
from pathlib import Path

from audits.comparison import Comparison, compare, compare_versions
from recapdata.errors import OptionError

USAGE = "write: audits compare TARGET SET_A SET_B, or: audits compare A B for two versions or folders"


def compare_arguments(
    what: Sequence[str], *, sets: Sequence[str], audits: Sequence[Path], rows: int
) -> Comparison:
    """Compare what two or three words name: `TARGET SET_A SET_B`, or `A B`.

    Args:
        sets: of two versions only these caption sets.
        audits: where the audits lie, none, one for both, or one for each.

    Raises:
        OptionError: another number of words or folders, or `sets` beside two named ones.
    """
    if len(audits) > 2:
        raise OptionError(f"--audit was given {len(audits)} times; once for both sides, or once for each")
    folders = (audits[0], audits[-1]) if audits else (None, None)
    if len(what) == 3:
        if sets:
            raise OptionError(f"--set is for two versions; here the two sets are {what[1]} and {what[2]}")
        return compare(what[0], what[1], set_b=what[2], audits=folders, rows=rows)
    if len(what) != 2:
        raise OptionError(f"{len(what)} words to compare; {USAGE}")
    return compare_versions(what[0], what[1], sets=sets, audits=folders, rows=rows)
