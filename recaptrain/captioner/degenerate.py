"""Whether what a captioner writes is a caption at all: neither empty, nor a loop, nor words of no human caption."""

import re
from collections.abc import Iterable, Sequence

LOOP = 4
"""So many times the same words in a row are a loop; no caption says a thing four times over."""
LONGEST_LOOP = 6
"""Words that a loop may have."""
LEAST_KNOWN = 0.25
"""Least share of a caption's words that some human caption has: articles and prepositions alone are more."""
_WRITTEN_WITHOUT_SPACES = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_WRITTEN_WITHOUT_SPACES}]|[^\W{_WRITTEN_WITHOUT_SPACES}]+")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; of scripts that are written without spaces, each character."""
    return _WORD.findall(text.casefold())


def vocabulary(captions: Iterable[str]) -> frozenset[str]:
    """The words of human captions."""
    return frozenset(word for caption in captions for word in words_of(caption))


def fault(caption: str, known: frozenset[str]) -> str | None:
    """Why a caption is none; None where it is one.

    Args:
        known: words of the human captions that it was learned from.
    """
    words = words_of(caption)
    if not words:
        return "it is empty"
    if loop := _loop(words):
        return f"it repeats {' '.join(loop)!r}"
    if sum(word in known for word in words) < LEAST_KNOWN * len(words):
        return "hardly a word of it is in the human captions"
    return None


def _loop(words: Sequence[str]) -> Sequence[str] | None:
    """The shortest run of words that comes at least `LOOP` times in a row."""
    for length in range(1, LONGEST_LOOP + 1):
        alike = 0
        for place in range(length, len(words)):
            alike = alike + 1 if words[place] == words[place - length] else 0
            if alike == length * (LOOP - 1):
                return words[place - length + 1 : place + 1]
    return None
