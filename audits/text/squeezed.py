"""The readable text of a caption without its gaps, which no tagger was trained on, and the way back to the caption.

In the text of a form a blank replaces a character between words that is no text, `NOTHING` one inside a word, and `END` ends a
sentence. So the text is as long as the caption, and every position is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NOTHING = "\u200b"
"""Stands where a character inside a word was no text: "na\\u00efve" is one word."""

END = "\x1e"
"""Ends a sentence where the caption has something that is no text: the end of a list item, a tag's comma."""

#: "2girls": the one tag that writes two words as one.
_COUNT = r"(?<=\b\d)(?=(?:girl|boy)s?\b)"
_GAP = re.compile(rf"[\s{NOTHING}]+|{_COUNT}")
_OTHER_SPACE = re.compile(rf"[^\S ]|  |{NOTHING}")
_COUNTS = re.compile(_COUNT)


def blank(match: re.Match[str]) -> str:
    """A replacement: blanks for what is no text."""
    return " " * len(match.group())


def nothing(match: re.Match[str]) -> str:
    """A replacement: what is no text, without parting the words around it."""
    return NOTHING * len(match.group())


def end_of_sentence(match: re.Match[str]) -> str:
    """A replacement: blanks for what is no text, at which a sentence ends."""
    return END + " " * (len(match.group()) - 1)


@dataclass(frozen=True, slots=True)
class Squeezed:
    """A text with single blanks.

    Attributes:
        origins: for each character, its index in the caption; None where they are the same.
        breaks: indices at which a new sentence begins, whatever a parser thinks.
    """

    text: str
    origins: tuple[int, ...] | None = None
    breaks: tuple[int, ...] = ()

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """The span of the caption that a span of the text stands for."""
        if self.origins is None:
            return span
        start, end = span
        return self.origins[start], self.origins[end - 1] + 1


def squeeze(text: str) -> Squeezed:
    """The text with one blank for a gap, and a full stop where `END` ends a sentence that has none."""
    counts = ("girl" in text or "boy" in text) and _COUNTS.search(text)
    if not counts and text == text.strip() and not _OTHER_SPACE.search(text):
        return Squeezed(text)
    characters: list[str] = []
    origins: list[int] = []
    breaks: list[int] = []
    end = 0
    for gap in _GAP.finditer(text):
        start = gap.start()
        characters += text[end:start]
        origins += range(end, start)
        end = gap.end()
        if not characters or end == len(text):
            continue
        if END in gap.group():
            if characters[-1] in ",;:–—":
                characters[-1] = "."
            elif characters[-1] not in ".!?…":
                characters.append(".")
                origins.append(start)
            characters.append(" ")
            origins.append(start)
            breaks.append(len(characters))
        elif not gap.group() or (gap.group().strip(NOTHING) and text[end] not in ",.;:!?"):
            characters.append(" ")
            origins.append(start if gap.group() else start - 1)
    characters += text[end:]
    origins += range(end, len(text))
    return Squeezed("".join(characters), tuple(origins), tuple(breaks))
