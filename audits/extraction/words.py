"""The word lists that claims turn on, as `words.yaml` and `wordnet.txt` beside this file have them, and the plural rules."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml


def _read() -> dict[str, Any]:
    return yaml.load(
        files("audits.extraction").joinpath("words.yaml").read_text(encoding="utf8"), yaml.CSafeLoader
    )


def _sections() -> dict[str, frozenset[str]]:
    """The sections of `wordnet.txt`: names in brackets, each followed by lines of words."""
    text = files("audits.extraction").joinpath("wordnet.txt").read_text(encoding="utf8")
    _, *parts = re.split(r"^\[(\w+)\]$", text, flags=re.M)
    return {name: frozenset(words.split()) for name, words in zip(parts[::2], parts[1::2], strict=True)}


_LISTS = _read()
_WORDNET = _sections()


def _set(name: str) -> frozenset[str]:
    return frozenset(_LISTS[name].split())


PAIRED = _set("paired")
ESTIMATES = _set("estimates")
UNITS = _set("units")
COLORS = _set("colors")
UNSURE_COLORS = _set("unsure_colors")
SHADES = _set("shades")
PARTED: dict[str, str] = _LISTS["parted"]
COLORED = _set("colored")
SIZES = _set("sizes")
TRANSPARENT = _set("transparent")
IMITATING = _set("imitating")
MATERIALS = _set("materials")
TOYED = _set("toyed")
LIVING = _WORDNET["living"] | _set("living")
MODELLED = LIVING | TOYED
DEPICTIONS = _set("depictions")
DEPICTING = _set("depicting")
SEEKING = _set("seeking")
INTENDING = _set("intending")
FURTHER = _set("further")
STANDALONE = _set("standalone")
REGION_NOUNS = _set("regions")
PICTURE_WORDS = _set("picture")
PICTURE_THINGS = _set("picture_things")
ABSTRACT = _set("abstract") | (_WORDNET["unseen"] - _set("seen"))
STYLE_WORDS = _set("style")
WORN = _set("worn")
PLACING = _set("placing")
SEEING = _set("seeing")
ONLOOKERS = _set("onlookers")
ACTIVITIES = _set("activities")
HOLDING = _set("holding")
BODY = _set("body")
NO_PLACE = _set("no_place")
FIXED = _set("fixed") | _WORDNET["fixed"]
BEFORE_SIDES = _set("before_sides")
DRINKS = _set("drinks")
#: Verb → relation → nouns whose object is so placed.
HOLDERS = {verb: {"in": _set("vessels"), "on": _set("surfaces")} for verb in ("contain", "hold")}
FORMED = _set("formed")
DIRECTED = _set("directed")
LACKING = _set("lacking")
GONE = _set("gone")
LEAVING = _set("leaving")
TAKEN = _set("taken")
THINKING = _set("thinking")
WANTING = _set("wanting")
BEARING = _set("bearing")
SHOWING = _set("showing")
PRINTED = _set("printed")
WISHING = _set("wishing")
MADE_IN = _set("made_in")
HANGING = _set("hanging")
PATHS = _set("paths")
PLACED_BY: dict[str, str] = _LISTS["placed_by"]
PRESENTING = _set("presenting")
POSTURES = _set("postures")
INVARIABLE = _set("invariable")
#: Words that open a thing named by two.
FIXED_FIRST = frozenset(pair.partition("-")[0] for pair in FIXED)
PERSONS = {"he": _set("male") | _set("anyone"), "she": _set("female") | _set("anyone")}
ANY_PERSON = PERSONS["he"] | PERSONS["she"] | {"people", "crowd", "couple", "family", "friend"}
NEVER_NOUNS = COLORS | SIZES | COLORED | PARTED.keys() | SHADES | _set("never_nouns")
NOT_COLORED = {color: frozenset(nouns.split()) for color, nouns in _LISTS["not_colored"].items()}
IRREGULAR: dict[str, str] = _LISTS["irregular"]
COUNTING_NOUNS: dict[str, int] = _LISTS["counting"]
NUMBERS = {word: number for number, word in enumerate(_LISTS["numbers"].split())} | {
    word: 10 * tens
    for tens, word in enumerate(
        ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"), start=3
    )
}


def among_colors(lower: list[str], index: int) -> bool:
    """Whether a word stands in a list of colors: "cream" in "yellow, cream, red and green"."""
    before, after = index - 1, index + 1
    while before > 0 and lower[before] in (",", "and"):
        before -= 1
    while after < len(lower) - 1 and lower[after] in (",", "and"):
        after += 1
    return (
        0 <= before < index - 1
        and index + 1 < after < len(lower)
        and lower[before] in COLORS
        and lower[after] in COLORS
    )


_PLURALS = {single: plural for plural, single in reversed(IRREGULAR.items())} | {"person": "people"}
_ENDINGS = {"man": "men", "child": "children", "person": "people"}
_NO_MEN = frozenset({"human", "german", "roman", "shaman", "talisman"})
_UNCHANGED = frozenset(
    {"skis", "sheep", "deer", "fish", "broccoli", "furniture", "luggage", "equipment", "bread"}
)


def plural(noun: str) -> str:
    """The plural of a noun phrase, by rule: of its last word, or of the one before "of"; one that is plural stays as it is."""
    head, of, rest = noun.partition(" of ")
    before, blank, word = head.rpartition(" ")
    return f"{before}{blank}{_plural(word)}{of}{rest}"


def quantity(number: int, noun: str) -> str:
    """`no bear`, `1 dog`, `6 dining tables`, `2 cars or trucks`."""
    several = " or ".join(map(plural, noun.split(" or ")))
    return f"{number or 'no'} {noun if number < 2 else several}"


def _plural(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    for single, several in _ENDINGS.items():
        if word.endswith(single) and word not in _NO_MEN:
            return word.removesuffix(single) + several
    sibilant = word.endswith(("ss", "us", "is", "x", "z", "ch", "sh"))
    is_plural = singular(word) != word or (word in INVARIABLE and word.endswith("s") and not sibilant)
    if not word or word in _UNCHANGED or is_plural:
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if sibilant or word.endswith(("tomato", "potato", "mango", "hero")) else f"{word}s"


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """The singular of a plural noun, by rule: for nouns that the pipeline's lemmatizer has not met."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    for plural, single in IRREGULAR.items():
        if len(plural) > 3 and word.endswith(plural) and plural not in ("dice", "lives", "feet"):
            return word[: -len(plural)] + single
    if word in INVARIABLE or not word.endswith("s") or word.endswith(("ss", "us", "is")) or len(word) < 4:
        return word
    if (
        word.endswith("ies")
        and len(word) > 4
        and not word.endswith(("ookies", "ovies", "erbies", "eenies", "oodies", "eanies"))
    ):
        return word[:-3] + "y"
    if word in ("toes", "hoes", "does", "foes"):
        return word[:-1]
    if word.endswith(("sses", "xes", "ches", "shes", "zzes", "oes")) and not word.endswith(
        ("shoes", "canoes", "aches", "tiptoes", "oboes")
    ):
        return word[:-2]
    return word[:-1]
