"""The sentences of a caption: one splitter, for CLIP scores, mixtures and whoever else cuts a text."""

import re

_END = re.compile(r"(?:[.!?]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*)(?P<gap>\s*)")
"""Closing punctuation with the quotation marks and brackets that close behind it, and the blanks up to what follows."""
_OPENING = "\"'“‘«([「『（"
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|Capt|Lt|Sgt|Gen|Col|Rev|Gov|Sen|Hon|vs|approx|ca|cf|e\.g|i\.e)\.$"
)
_NUMBERED = re.compile(r"\b(?:[Nn]os?|Fig|Vol|pp)\.$")
"""Abbreviations before a number; "No." alone is an answer."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Code point spans [start, end) of the sentences of a text, without the blanks between them.

    A sentence ends at `.`, `!` or `?`, with the closing marks behind it, before a line break, or before blanks and a capital, a
    digit or another letter without lower case; and at `。`, `！` or `？`. A title or another abbreviation ends none ("Dr. Smith",
    "No. 5").
    """
    spans = []
    start = len(text) - len(text.lstrip())
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 4].lstrip(_OPENING)[:1]
        ends = (
            text[match.start()] in "。！？"
            or "\n" in match["gap"]
            or (following.isalnum() and not following.islower())
        )
        stop = match.start() + 1
        abbreviated = _ABBREVIATION.search(text, start, stop) or (
            following.isdigit() and _NUMBERED.search(text, start, stop)
        )
        if ends and not abbreviated:
            spans.append((start, match.start("gap")))
            start = match.end()
    if (end := len(text.rstrip())) > start:
        spans.append((start, end))
    return spans


def sentences(text: str) -> list[str]:
    """The sentences of a text, see `sentence_spans`."""
    return [text[start:end] for start, end in sentence_spans(text)]
