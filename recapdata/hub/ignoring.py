"""Rules of a `.gitignore` that a client sends along: git's semantics, in time bounded by the lengths of rules and path.

The matchers of libgit2 and of pathspec backtrack over every `**`, so that one rule of forty bytes takes minutes for a path of five
hundred folders. Here the parts of a rule are held against the parts of a path in a table, each pair once.
"""

import fnmatch
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from recapdata.hub.refusals import bad_request

TEXT_MAX_CHARACTERS = 256 * 2**10
SECONDS_MAX = 5
"""For all paths of a request."""

_CLASS = re.compile(r"\\(.)|(\[)\^")
_DEEP = "**"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a `.gitignore`.

    Attributes:
        parts: between slashes; None stands for `**`, any number of folders.
        folders: whether it is for folders only (it ends with a slash).
    """

    parts: tuple[re.Pattern[str] | None, ...]
    negated: bool
    folders: bool

    def matches(self, names: Sequence[str]) -> bool:
        """Whether a path, in its parts, is one that the rule means."""
        reach = [True] + [False] * len(names)  # whether the parts so far can cover the first n names
        for part in self.parts:
            if part is None:
                first = reach.index(True) if True in reach else len(reach)
                reach = [place >= first for place in range(len(reach))]
            else:
                reach = [False] + [
                    before and part.match(name) is not None
                    for before, name in zip(reach[:-1], names, strict=True)
                ]
        return reach[-1]


class IgnoreRules:
    """The rules of one request.

    Raises:
        Refusal: 400 if there are too many, or one is no pattern.
    """

    def __init__(self, text: str) -> None:
        if len(text) > TEXT_MAX_CHARACTERS:
            raise bad_request(f".gitignore: {len(text):,} characters; at most {TEXT_MAX_CHARACTERS:,}.")
        self._rules = [rule for line in text.splitlines() if (rule := _parse(line)) is not None]
        self._until: float | None = None

    def match(self, path: str) -> bool:
        """Whether a file is ignored: the last rule that means it decides, but nothing comes back from an ignored folder.

        Raises:
            Refusal: 400 if the paths of this request take too long altogether.
        """
        self._until = self._until or time.monotonic() + SECONDS_MAX
        names = path.split("/")
        return any(self._decide(names[:depth], depth < len(names)) for depth in range(1, len(names) + 1))

    def _decide(self, names: Sequence[str], is_folder: bool) -> bool:
        for rule in reversed(self._rules):
            if self._until is not None and time.monotonic() > self._until:
                raise bad_request(".gitignore: its rules take too long to match; send fewer.")
            if (is_folder or not rule.folders) and rule.matches(names):
                return not rule.negated
        return False


def _parse(line: str) -> Rule | None:
    """The rule of a line; None for an empty one, a comment, and what can match nothing."""
    line = re.sub(r"(?<!\\) +$", "", line)
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    folders = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    if not pattern or line.startswith("#"):
        return None
    anchored = "/" in pattern
    parts = [part for part in pattern.split("/") if part]
    if not anchored:
        parts = [_DEEP, *parts]
    if parts[-1] == _DEEP and len(parts) > 1:
        parts.append("*")  # everything inside, and not the folder itself
    return Rule(tuple(None if part == _DEEP else _compiled(part) for part in parts), negated, folders)


def _literal(char: str) -> str:
    return f"[{char}]" if char in "*?[" else char


def _compiled(part: str) -> re.Pattern[str]:
    """A part without slashes as a regular expression that does not backtrack over its stars (see `fnmatch`)."""
    text = _CLASS.sub(lambda match: _literal(match[1]) if match[1] else "[!", part)
    try:
        return re.compile(fnmatch.translate(text))
    except (re.error, RecursionError, OverflowError) as error:
        raise bad_request(f".gitignore: {part[:80]!r} is no pattern ({error}).") from error
