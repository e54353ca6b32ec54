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
MAX_ENGLISH = {4: 0.005, 5: 0.008}
"""A sentence of so many words is foreign where English is less probable than this. Of 45,000 English captions the least English
had 0.016 with four words, 0.011 with five, and 0.1 with more where no frequent word had told."""
MAX_ENGLISH_OF_MORE = 0.04
MAX_ENGLISH_OF_NAMES = 0.0005
"""The same where most words are capitalized, in lower case: names are written in their own language."""
MIN_NAMES = 6
_FOREIGN = (
    "mit und auf ein eine einem einen einer im am vor zur zum ist neben unter avec dans sur une un des les aux est et sous con una "
    "en los las por sobre su nel nella sul sulla uno em com uma num na sob het een met op bij voor uit och med på ett vid til og "
    "z w nad pod przy ve bir ile için"
)
FOREIGN = frozenset(_FOREIGN.split())
"""Frequent words of other languages, of which two in a short sentence weigh as much as its letters."""
MAX_ENGLISH_OF_FOREIGN = 0.3
PARTICLES = frozenset(
    [
        "de",
        "da",
        "di",
        "do",
        "dos",
        "del",
        "della",
        "du",
        "la",
        "le",
        "el",
        "van",
        "von",
        "der",
        "den",
        "y",
        "e",
    ]
)
"""Words in lower case inside names."""
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
    if len(set(words)) < MIN_WORDS:  # not "95 x 42 x 44 cm"
        return None
    known = sum(word in ENGLISH for word in words)
    if 5 * known >= len(words) or ((known or len(words) < 20) and len(SHARED.intersection(words)) > 1):
        return "en"
    language, _ = _identifier().classify(sentence[:LONGEST])
    if language == "en":
        return "en"
    if len(FOREIGN.intersection(words)) > 1:
        return language if _english(sentence) < MAX_ENGLISH_OF_FOREIGN else "en"
    small = [word for word in words if word not in PARTICLES and not word[0].isupper()]
    capitals = sum(word[0].isupper() for word in words)
    if capitals < 0.6 * (capitals + len(small)) or sentence.isupper():
        limit = MAX_ENGLISH.get(len(words), MAX_ENGLISH_OF_MORE)
        return language if _english(sentence) < limit else "en"
    # Names, or a language with capitals, or a title.
    if SHARED.intersection(small) or ENGLISH.intersection(small):
        return "en"
    if len(small) > 1:
        foreign = max(_english(sentence), _english(" ".join(small))) < MAX_ENGLISH_OF_MORE
    else:
        foreign = len(words) >= MIN_NAMES and _english(sentence.lower()) < MAX_ENGLISH_OF_NAMES
    return language if foreign else "en"


def _english(text: str) -> float:
    """The probability that a text is English."""
    return dict(_identifier().rank(text[:LONGEST]))["en"]


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(CANDIDATES)
    return identifier
