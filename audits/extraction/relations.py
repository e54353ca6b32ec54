"""The spatial phrases of English and the field's word for each: a table to read and extend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

_THE = r"(?:the |its |his |her |their |our |my |one |each |either |both |a |an )?"
#: Whose left it is, where no "of" follows: the pronoun is the object.
_POSSESSIVE = r"(?:its|his|her|their) "
_FAR = r"(?:very |far |extreme |immediate |upper |lower |other |opposite |outer |inner |near )?"

#: (pattern, relation), the more specific first. A blank stands for any white space. What follows is the object.
RELATIONS: tuple[tuple[str, str], ...] = (
    (
        rf"(?:to|on|at|in|from|towards?) {_THE}{_FAR}left(?:[- ]?hand)?(?: sides?| edge| end| part| corner)? (?:of|to|from)",
        "left of",
    ),
    (
        rf"(?:to|on|at|in|from|towards?) {_THE}{_FAR}right(?:[- ]?hand)?(?: sides?| edge| end| part| corner)? (?:of|to|from)",
        "right of",
    ),
    (rf"(?:to|on|at|in) {_POSSESSIVE}{_FAR}left(?:[- ]hand sides?| sides?)?", "left of"),
    (rf"(?:to|on|at|in) {_POSSESSIVE}{_FAR}right(?:[- ]hand sides?| sides?)?", "right of"),
    (r"on (?:its|their) (?:sides?|front|top|surface|edges?|rim)", "on"),
    (r"(?:along|down) (?:its|their) (?:sides?|length|edges?|center|front)", "along"),
    (r"around (?:its|their) (?:rim|edges?|sides?)", "around"),
    (r"left (?:of|to)", "left of"),
    (r"right of", "right of"),
    (
        rf"(?:near|nearby|close to|next to|beside|by|towards?) {_THE}{_FAR}"
        r"(?:top|bottom|edge|end|side|foot|base|tip|front|back|rear|center|centre|middle|corner)s? of",
        "near",
    ),
    (r"(?:in|at) (?:the )?(?:very )?front of", "in front of"),
    (r"on (?:the )?front of", "on the front of"),
    (r"front of", "in front of"),
    (rf"(?:at|on|in|from|to) {_THE}(?:very )?top (?:side |part |half |end |edge )?of", "on top of"),
    (r"atop(?: of)?", "on top of"),
    (r"top of", "on top of"),
    (rf"(?:at|on|in) {_THE}(?:very )?bottom (?:side |part |half |end |edge )?of", "at the bottom of"),
    (r"in back of|in the rear of|at the (?:back|rear) of|to the rear of", "behind"),
    (r"on (?:the )?(?:back|rear) of", "on the back of"),
    (r"in the back of", "in the back of"),
    (
        rf"(?:in|at|on|around|through) {_THE}(?:very |exact )?(?:middle|center|centre) of",
        "in the middle of",
    ),
    (rf"(?:in|on|to|at|by|alongside|from) {_THE}{_FAR}sides? of", "on the side of"),
    (rf"(?:in|on) {_THE}inside of|inside(?: of)?", "inside"),
    (rf"(?:in|on) {_THE}outside of|outside(?: of)?", "outside"),
    (rf"on {_THE}{_FAR}(?:edge|surface|face|end|tip)s? of", "on"),
    (rf"along {_THE}{_FAR}(?:edge|side)s? of", "along"),
    (rf"at {_THE}{_FAR}(?:edge|end|foot|base|tip|surface|face)s? of", "at"),
    (rf"(?:in|at|on) {_THE}{_FAR}(?:corner|midst|interior)s? of", "in"),
    (
        r"side by side with|right next to|next to|adjacent to|beside(?: of)?|alongside(?: of)?|close by|right by|next",
        "next to",
    ),
    (r"close to|nearby to|near to|near by|nearby|in the vicinity of|near|not far from", "near"),
    (r"far (?:away )?from", "far from"),
    (r"in between|between", "between"),
    (r"across from|opposite(?: of| to| from)?", "across from"),
    (r"leaning (?:up )?against|up against|against", "against"),
    (r"all around|around", "around"),
    (r"directly above|right above|up above|above|overhead of", "above"),
    (r"over top of|over the top of", "above"),
    (r"all over|over", "over"),
    (r"directly below|right below|down below|below", "below"),
    (r"directly beneath|directly under|right under|underneath(?: of)?|beneath|under", "under"),
    (r"directly behind|right behind|behind", "behind"),
    (r"across", "across"),
    (r"along", "along"),
    (r"through", "through"),
    (r"within|throughout", "in"),
    (r"from", "hanging from"),
    (r"into", "into"),
    (r"past", "past"),
    (r"towards?", "toward"),
    (r"(?:half way |halfway |midway )?up", "up"),
    (r"(?:half way |halfway |midway )?down", "down"),
    (r"beyond", "behind"),
    (r"amongst|among|amid|amidst", "among"),
    (r"on top", "on top of"),
    (r"(?:attached|fixed|taped|pinned|glued|stuck|nailed|stapled|affixed|clipped|bolted) to", "attached to"),
    (r"up on|down on|on to|onto|upon|on", "on"),
    (r"in", "in"),
    (r"at", "at"),
    (r"by", "near"),
)

#: (pattern, region): where in the picture. Only a region where no object follows, or the picture itself does.
REGIONS: tuple[tuple[str, str], ...] = (
    (
        rf"(?:in|at|on|to|near) {_THE}{_FAR}(?:top|upper)[- ]left(?:[- ]?hand)?(?: corner| side| part| edge)?",
        "top left",
    ),
    (
        rf"(?:in|at|on|to|near) {_THE}{_FAR}(?:top|upper)[- ]right(?:[- ]?hand)?(?: corner| side| part| edge)?",
        "top right",
    ),
    (
        rf"(?:in|at|on|to|near) {_THE}{_FAR}(?:bottom|lower)[- ]left(?:[- ]?hand)?(?: corner| side| part| edge)?",
        "bottom left",
    ),
    (
        rf"(?:in|at|on|to|near) {_THE}{_FAR}(?:bottom|lower)[- ]right(?:[- ]?hand)?(?: corner| side| part| edge)?",
        "bottom right",
    ),
    (
        r"(?:in|at|on|to|near|along|down) (?:the )?(?:very |far |extreme )?left(?:[- ]?hand)?(?: side| edge| part| half| corner)?",
        "left",
    ),
    (
        r"(?:in|at|on|to|near|along|down) (?:the )?(?:very |far |extreme )?right(?:[- ]?hand)?(?: side| edge| part| half| corner)?",
        "right",
    ),
    (r"(?:in|at|on|near|across|along) the (?:very |far )?top(?: side| edge| part| half)?", "top"),
    (r"(?:in|at|on|near|across|along) (?:the )?(?:very |far )?bottom(?: side| edge| part| half)?", "bottom"),
    (r"(?:in|at|on|near) (?:the )?(?:very |exact )?(?:middle|center|centre)(?: part)?", "center"),
    (r"(?:in|on|at) (?:the )?(?:\w+ )?(?:foreground|forefront)", "foreground"),
    (r"(?:in|at) (?:the |its )?(?:far |distant |blurry |blurred |dark )?background", "background"),
    (r"(?:in|at|off in) (?:the |a )?(?:far |near )?distance", "background"),
    (r"(?:in|at) (?:the )?(?:back|rear)", "background"),
    (r"in (?:the )?front", "foreground"),
)

#: "… of the image": after a region, the picture itself.
OF_PICTURE = re.compile(
    r"\s+(?:of|in) (?:the |this |an? )?(?:image|picture|photo|photograph|frame|scene|shot|painting|drawing|illustration|view|screen|sky)\b",
    re.I,
)


def _openers(pattern: str) -> set[str]:
    """The words that a pattern of the tables can start with, in lower case."""
    words: set[str] = set()
    for alternative in _split(pattern):
        while alternative.startswith("(?:"):
            depths = accumulate((letter == "(") - (letter == ")") for letter in alternative)
            place = next(place for place, depth in enumerate(depths) if not depth)
            words |= _openers(alternative[3:place])
            optional = alternative[place + 1 : place + 2] == "?"
            alternative = alternative[place + 2 :] if optional else ""
        words |= set(re.findall(r"^[a-z]+", alternative))
    return words


def _split(pattern: str) -> Iterator[str]:
    """The alternatives of a pattern, at its bars outside parentheses."""
    depth, start = 0, 0
    for place, letter in enumerate(pattern):
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and not depth:
            yield pattern[start:place]
            start = place + 1
    yield pattern[start:]


@lru_cache(maxsize=2)
def _by_opener(regions: bool) -> dict[str, re.Pattern[str]]:
    """For every word that a phrase can start with a pattern of those phrases, the more specific first."""
    table = REGIONS if regions else RELATIONS
    parts: dict[str, list[str]] = {}
    for number, (pattern, _) in enumerate(table):
        for word in _openers(pattern):
            parts.setdefault(word, []).append(f"(?P<g{number}>{pattern})")
    return {
        word: re.compile(r"(?:" + "|".join(each).replace(" ", r"\s+") + r")\b", re.I)
        for word, each in parts.items()
    }


def matches(text: str, starts: list[int], lower: list[str], *, regions: bool) -> Iterator[re.Match[str]]:
    """The phrases of a table in a text, left to right without overlap; one can only start where a token does.

    Args:
        starts, lower: code point and lower-case text of each token.
        regions: look for `REGIONS`, else for `RELATIONS`.
    """
    patterns, end = _by_opener(regions), 0
    for start, word in zip(starts, lower, strict=True):
        if word in patterns and start >= end and (match := patterns[word].match(text, start)) is not None:
            end = match.end()
            yield match


def name_of(match: re.Match[str], table: tuple[tuple[str, str], ...]) -> str:
    """The table's word for what a match of its pattern found."""
    assert match.lastgroup is not None
    return table[int(match.lastgroup[1:])][1]
