"""Comparison of a text that a caption quotes with the words in the image.

Case, blanks, punctuation and accents never matter. Annotated words are exact: a text that is not one of them, or some of them in
their order, is absent. Words by OCR are compared with its usual mistakes in mind:

- letters that look alike are one letter: 0 and O; 1, I, L, | and !; 5 and S; 8 and B; 2 and Z; 6 and G; RN and M; VV and W;
- a word matches a reading at an edit distance of at most one per `PER_ERROR` letters;
- a text matches if it can be cut into parts of one word or more that all match, in any order: OCR does not know which line comes
  first, and runs words together;
- a text is absent only if some words were read with certainty, none was left unread, and no word of the text (short ones apart)
  resembles any reading. Without a reading it stays unknown, since OCR overlooks words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from audits.evidence import Evidence, Observation

READ = 0.5
"""Readings below this confidence are ignored, and say that something is there that could not be read."""
PER_ERROR = 5
RESEMBLES = 0.5
"""Two words resemble each other if at least this share of the longer one's letters need no change."""
SHORT = 2

_LOOKALIKES = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "|": "l", "!": "l", "5": "s", "8": "b", "2": "z", "6": "g"}
)


def is_there(text: str, evidence: Evidence) -> bool | None:
    """Whether a text is in the image; None where the evidence cannot tell."""
    readings = [seen for seen in evidence.objects if seen.text]
    if evidence.scope.complete:
        return letters(text) in set(runs([letters(seen.text or "") for seen in readings], len(text)))
    believed = [folded(seen.text or "") for seen in readings if _score(seen) >= READ]
    words = [folded(word) for word in text.split()]
    if _read([word for word in words if word], believed):
        return True
    sure = [
        seen
        for seen in readings
        if _score(seen) >= evidence.counting and len(folded(seen.text or "")) > SHORT
    ]
    unread = any(_score(seen) < READ for seen in readings)
    long = [word for word in words if len(word) > SHORT]
    if not sure or unread or not long or any(_resembles(word, each) for word in long for each in believed):
        return None
    return False


def quoted(reading: str, texts: Sequence[str], *, exact: bool) -> bool:
    """Whether a word in the image is among the texts that a caption quotes."""
    if exact:
        return letters(reading) in {letters(text) for text in texts}
    words = [folded(word) for text in texts for word in (text, *text.split())]
    return any(_near(folded(reading), word) for word in words if word)


def letters(text: str) -> str:
    """Letters and digits alone, without case or accents."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return re.sub(r"[^\w]|_", "", plain).casefold()


def folded(text: str) -> str:
    """`letters` with those that OCR confuses made one."""
    alike = letters(re.sub(r"[|!](?=\w)", "l", text)).translate(_LOOKALIKES)
    return alike.replace("rn", "m").replace("vv", "w")


def _read(words: Sequence[str], readings: Sequence[str]) -> bool:
    """Whether the words can be cut into parts that all match a run of readings."""
    whole = set(runs(readings, 2 * sum(map(len, words))))
    reached = [True] + [False] * len(words)  # by number of words: whether the first ones match
    for stop in range(1, len(words) + 1):
        reached[stop] = any(
            reached[start] and any(_near(run, "".join(words[start:stop])) for run in whole)
            for start in range(stop)
        )
    return bool(words) and reached[-1]


def runs(words: Sequence[str], longest: int) -> Iterator[str]:
    """Neighboring words joined, up to a length."""
    for start in range(len(words)):
        run = ""
        for word in words[start:]:
            run += word
            yield run
            if len(run) > longest:
                break


def _near(one: str, other: str) -> bool:
    allowed = min(len(one), len(other)) // PER_ERROR
    return abs(len(one) - len(other)) <= allowed and edit_distance(one, other) <= allowed


def _resembles(one: str, other: str) -> bool:
    longer = max(len(one), len(other))
    return one in other or other in one or edit_distance(one, other) <= (1 - RESEMBLES) * longer


def edit_distance(one: str, other: str) -> int:
    """Edit distance (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        corner, row[0] = row[0], place
        for column, against in enumerate(other, 1):
            change = corner + (letter != against)
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, change)
    return row[-1]


def _score(seen: Observation) -> float:
    return 1.0 if seen.score is None else seen.score
