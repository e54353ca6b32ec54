"""The language of each sentence of a caption: only English ones are parsed.

Most sentences are known to be English by their commonest words. The others are asked of py3langid's classifier, whose
probability of English must be next to nothing before a sentence counts as foreign: a short English caption must never do.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from audits.text.squeezed import END, NOTHING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_ENGLISH = (
    "the with and from his their its that which while there this these those wearing standing sitting holding riding "
    "walking playing looking flying lying hanging parked near behind white black blue green yellow brown gray woman women "
    "people street two three four several young large small group through into next front view trees she they has have "
    "are made what who both each other another around across between above below inside outside"
)
ENGLISH = frozenset(_ENGLISH.split())
"""Frequent words of English captions that other languages do not have, or hardly."""
SHARED = frozenset(["a", "an", "of", "on", "and", "at", "by"])
"""Frequent words of English that other languages have, too, yet no other language has two of them."""

_CANDIDATES = (
    "en ar bg bn ca cs da de el es et eu fa fi fr gl he hi hr hu hy id it ja ka kk ko lt lv mk ms nl nn no pl pt ro ru sk "
    "sl sq sr sv sw ta te th tl tr uk ur vi yue zh"
)
CANDIDATES = tuple(_CANDIDATES.split())
"""ISO 639 codes of the languages that captions are written in; rarer ones are taken for a relative of theirs."""

MIN_WORDS = 4
"""A shorter sentence is undecided: "chicken tikka masala", "Notre-Dame de Paris"."""
MAX_ENGLISH = 0.004
"""A sentence is foreign where English is less probable than this; of 45,000 English captions of four words and more none was
below 0.005."""
MAX_ENGLISH_OF_NAMES = 0.0005
"""The same where most words are capitalized: names are written in their own language."""
LONGEST = 1000
"""Code points of a sentence that are classified."""

_QUOTED = re.compile(
    r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|«[^»\n]{1,200}»|„[^“”\n]{1,200}[“”]|‘[^’\n]{1,200}’|(?<!\w)'[^'\n]{1,200}'(?!\w)"
)
#: More than one sentence, or a quotation.
_SEVERAL = re.compile(rf"[.!?;|\n{END}\"']")
_SENTENCE = re.compile(
    rf"[^\n{END}.!?;|。！？।]+(?:[.!?;|。！？।]+(?!\s)[^\n{END}.!?;|。！？।]+)*[.!?;|。！？।]*"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LATIN = re.compile(r"[A-Za-zªºÀ-ɏʰ-˿Ḁ-ỿＡ-Ｚａ-ｚ]")
_NO_LATIN = re.compile(r"[^\W\d_A-Za-zªºÀ-ɏʰ-˿\u0300-\u036fḀ-ỿＡ-Ｚａ-ｚ]")


@dataclass(frozen=True, slots=True)
class Languages:
    """What a caption is written in.

    Attributes:
        language: ISO 639 code of the most of it; None where it is too short to tell.
        foreign: code point spans of its sentences that are not English.
        readable: some of it is, or may be, English.
    """

    language: str | None
    foreign: tuple[tuple[int, int], ...] = ()
    readable: bool = True


def languages(text: str) -> Languages:
    """The languages of a text outside of its quotations: a sign in French stands in an English caption."""
    if text.isascii() and not _SEVERAL.search(text.rstrip(".!? ")):
        return _one(text, sentence_language(text))
    unquoted = _QUOTED.sub(lambda match: " " * len(match.group()), text)
    if any(character.isalpha() for character in unquoted):
        text = unquoted
    letters: Counter[str | None] = Counter()
    spans = []
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        language = sentence_language(sentence)
        letters[language] += len(sentence)
        if language not in (None, "en"):
            spans.append(match.span())
    if not spans and not letters["en"]:
        return _one(text, sentence_language(text))
    decided = Counter({name: count for name, count in letters.items() if name is not None})
    main = decided.most_common(1)[0][0]
    english = letters["en"] >= 0.15 * decided.total()
    return Languages(main, tuple(spans), readable=english or not spans)


def _one(text: str, language: str | None) -> Languages:
    """The languages of a text that is all in one."""
    if language in (None, "en"):
        return Languages(language)
    return Languages(language, ((0, len(text)),), readable=False)


def sentence_language(sentence: str) -> str | None:
    """ISO 639 code of the language of a sentence; None where it has too few words to tell."""
    if not sentence.isascii():
        sentence = sentence.replace(NOTHING, "")
        others = len(_NO_LATIN.findall(sentence))
        if others >= 2 and others > len(_LATIN.findall(sentence)):
            return max(
                (pair for pair in _identifier().rank(sentence[:LONGEST]) if pair[0] != "en"),
                key=lambda pair: pair[1],
            )[0]
    words = _WORD.findall(sentence)
    if len(words) < MIN_WORDS:
        return None
    known = sum(word in ENGLISH for word in words)
    if 5 * known >= len(words) or ((known or len(words) < 20) and len(SHARED.intersection(words)) > 1):
        return "en"
    language, _ = _identifier().classify(sentence[:LONGEST])
    if language == "en":
        return "en"
    names = sum(word[0].isupper() for word in words) >= 0.6 * len(words) and not sentence.isupper()
    limit = MAX_ENGLISH_OF_NAMES if names else MAX_ENGLISH
    return language if dict(_identifier().rank(sentence[:LONGEST]))["en"] < limit else "en"


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(CANDIDATES)
    return identifier
