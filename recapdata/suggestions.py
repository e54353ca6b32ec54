"""What somebody may have meant: the known names that are nearest to a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean recap-long?)` for a name near to known ones, whatever its case; empty where none is near."""
    spelled = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), list(spelled), n=2)
    return f" (did you mean {' or '.join(spelled[each] for each in near)}?)" if near else ""
