"""Counts: "two dogs", "a pair of boots", "two of the three"; not "several", "about ten", "3D" or "5 feet"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from audits.extraction import words as lexicon
from audits.extraction.phrases import OBJECT, PARTITIVE, Mention, Phrases
from audits.extraction.tree import Tree
from recapdata.records import Claim, Hedge

GLUED_AFTER = frozenset(["-", "–", "/", "x", ":", ".", "°", "%", "'", '"', "th", "st", "nd", "rd"])
GLUED_BEFORE = frozenset(["-", "–", "/", "x", ":", "#", "$", "€", "£", "no.", "number", "::", "--"])
#: More things than these nobody counts in a picture: a larger number is a price, a code or a figure of speech.
LARGEST = 1_000_000
LONGEST_NUMBER = len(f"{LARGEST:,}")
_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


def value(tree: Tree, index: int) -> int | None:
    """The number that a token stands for, None where it is none or an estimate."""
    word = tree.lower[index]
    if word == "dozen":
        number = 12
    elif word in lexicon.NUMBERS:
        number = lexicon.NUMBERS[word]
    elif len(word) <= LONGEST_NUMBER and _DIGITS.fullmatch(word):
        number = int(word.replace(",", ""))
    else:
        parts = word.split("-")
        if len(parts) != 2 or not (parts[0] in lexicon.NUMBERS and parts[1] in lexicon.NUMBERS):
            return None
        number = lexicon.NUMBERS[parts[0]] + lexicon.NUMBERS[parts[1]]
    year = len(word) == 4 and word.isdigit()
    return number if 0 < number <= LARGEST and not year else None


def counts(phrases: Phrases) -> Iterator[Claim]:
    """The count claims of a caption, each spanning its number and its noun."""
    tree = phrases.tree
    for mention in phrases.mentions:
        if mention.kind not in (OBJECT, PARTITIVE) or not mention.real:
            continue
        found = _count_of(phrases, mention)
        if found is None:
            continue
        number, start, target = found
        # "two slices of pizza" counts slices and no pizzas
        counted = target.kind == OBJECT or (target is mention and mention.plural)
        if not counted or not target.real or (number > 1 and not _can_be_many(tree, target)):
            continue
        yield Claim(
            kind="count",
            span=(tree.start[start], tree.end[max(target.head, mention.head)]),
            object=target.object,
            count=number,
            hedge=_hedge_of(phrases, target, number, start),
        )


def _hedge_of(phrases: Phrases, mention: Mention, number: int, start: int) -> Hedge | None:
    """The hedge of a number: `partial` where it is of some of them ("two more", "one … the others"), else its noun's."""
    tree = phrases.tree
    if mention.hedge is not None:
        return mention.hedge
    around = {tree.lower[i] for i in range(max(0, start - 2), mention.head)}
    if "couple" in tree.lower[start : mention.head]:  # two at least
        return "partial"
    if around & lexicon.FURTHER or tree.lower[start + 1 : start + 2] == ["of"]:
        return "partial"
    sentences = [
        tree.lower[i]
        for i in range(mention.head + 1, len(tree.words))
        if tree.sent[i] <= tree.sent[mention.head] + 1
    ]
    following = pairwise([*sentences, ""])
    noun = mention.object.split()[-1].lower()
    rest = any(
        word == "others"
        or (word == "the" and after == "rest")
        or (word == "another" and _stands_for(after, noun))
        for word, after in following
    )
    other = any(
        word == "other" and sentences[place - 1 : place] and sentences[place - 1] in ("the", "an")
        for place, word in enumerate(sentences)
    )
    if rest or other:
        return "partial"
    same = [
        m
        for m in phrases.mentions
        if m is not mention
        and m.kind == OBJECT
        and m.real
        and m.object.split()[-1] == mention.object.split()[-1]
    ]
    return "partial" if any(_is_told_apart(phrases, m) for m in same) else None


def _stands_for(word: str, noun: str) -> bool:
    """ "another" of the same noun, or with a verb or nothing after it; "another one" too."""
    return word in (noun, "one", "", ".", ",", "is", "in", "on", "at", "of")


def _is_told_apart(phrases: Phrases, mention: Mention) -> bool:
    """Whether a noun said again speaks of other ones: with a number or an article of its own, not "the"."""
    tree = phrases.tree
    index = mention.first - 1
    while index >= 0 and tree.heads[index] == mention.head:
        if (
            tree.lower[index] in ("a", "an", "another", "some", "several", "many")
            or value(tree, index) is not None
        ):
            return True
        index -= 1
    return False


def set_of(phrases: Phrases) -> Iterator[Claim]:
    """ "cocktail napkins, white, set of four": the number is of what the caption opened with."""
    tree = phrases.tree
    for index in range(2, len(tree.words)):
        ends = index + 1 == len(tree.words) or tree.lower[index + 1] in (",", ".", ")", ";")
        if (
            not ends
            or tree.lower[index - 1] != "of"
            or tree.lower[index - 2] not in ("set", "group", "pack", "box", "lot")
        ):
            continue
        number = value(tree, index)
        subject = next(
            (m for m in phrases.mentions if m.kind == OBJECT and m.real and m.head < index - 2), None
        )
        if number is not None and subject is not None and subject.plural:
            yield Claim(
                kind="count",
                span=(tree.start[subject.first], tree.end[index]),
                object=subject.object,
                count=number,
            )


def _can_be_many(tree: Tree, mention: Mention) -> bool:
    """A plural, or a noun that has none: "two story house" counts no houses."""
    word = tree.lower[mention.head]
    return (
        mention.plural
        or word.endswith("s")
        or word in lexicon.INVARIABLE
        or (
            mention.first == mention.head
            and word not in lexicon.UNITS
            and any(tree.deps[kid] == "nummod" for kid in tree.kids[mention.head])
        )
    )


def _count_of(phrases: Phrases, mention: Mention) -> tuple[int, int, Mention] | None:
    """(number, token where it starts, what is counted) of a noun phrase."""
    tree = phrases.tree
    noun = tree.lower[mention.head]
    singular = noun.rstrip("s")
    if mention.kind == PARTITIVE and singular in lexicon.COUNTING_NOUNS and mention.target is not None:
        return _counting_noun(tree, mention, lexicon.COUNTING_NOUNS[singular])
    before = _number_before(tree, mention)
    if before is None:
        return None
    number, start = before
    return number, start, mention


def _counting_noun(tree: Tree, mention: Mention, each: int) -> tuple[int, int, Mention] | None:
    target = mention.target
    assert target is not None
    before = _number_before(tree, mention)
    if target.object.split()[-1].lower() in lexicon.PAIRED and each == 2:
        if before is None:  # "a pair of scissors" is one thing and no count
            return None
        each = 1
    times, start = before if before is not None else (1, mention.first)
    if tree.lower[mention.head].endswith("s") and before is None:  # "dozens of", "pairs of"
        return None
    if times * each > LARGEST:
        return None
    if before is None and mention.first > 0 and tree.lower[mention.first - 1] in ("a", "an", "the", "one"):
        start = mention.first - 1
    if _estimated(tree, start):
        return None
    return times * each, start, target


def _number_before(tree: Tree, mention: Mention) -> tuple[int, int] | None:
    """The number among what stands before a noun phrase's first noun, unless it is an estimate or part of a range."""
    index = mention.first - 1
    while index >= 0:
        number = (
            value(tree, index)
            if tree.pos[index] in ("NUM", "NOUN", "PRON", "ADJ", "DET", "X", "PROPN")
            else None
        )
        if number is not None:
            if tree.deps[index] in ("nsubj", "conj") and tree.pos[index] == "PRON":
                return None
            if tree.lower[index + 1] == "-":  # "two 3-seater sofas": an attribute
                index -= 1
                continue
            if _bound(tree, index) or _estimated(tree, index):
                return None
            if (
                tree.lower[index] == "dozen"
                and index > 0
                and tree.lower[index - 1].isdigit()
                and value(tree, index - 1) is None
            ):
                return None
            return _compound(tree, number, index)
        if tree.lower[index] == "both" and mention.plural and tree.lower[index + 1] != "of":
            return None if mention.object.split()[-1] in lexicon.BODY else (2, index)
        if tree.lower[index] in ("single", "lone", "solitary") and tree.pos[index] == "ADJ":
            return 1, index
        if tree.pos[index] == "DET" and tree.lower[index] in ("a", "an"):
            return None
        if tree.pos[index] not in ("ADJ", "ADV", "VERB", "PUNCT", "NOUN", "CCONJ", "DET") or tree.lower[
            index
        ] in (".", ";", ":"):
            return None
        if tree.pos[index] == "VERB" and tree.deps[index] != "amod" and tree.tags[index] != "VBN":
            return None
        if (tree.pos[index] == "CCONJ" and tree.pos[index - 1] not in ("ADJ", "NOUN", "VERB")) or (
            tree.lower[index] == "," and tree.pos[index - 1] != "ADJ"
        ):
            return None
        if (
            tree.pos[index] == "NOUN"
            and tree.lower[index] not in lexicon.COLORS
            and tree.lower[index + 1] not in lexicon.PARTED
        ):
            return None
        index -= 1
    return None


def _compound(tree: Tree, number: int, index: int) -> tuple[int, int]:
    """ "twenty-one", "two dozen", "half a dozen", "a dozen": numbers of several tokens."""
    before = tree.lower[max(0, index - 2) : index]
    if (
        before[-1:] == ["-"]
        and number < 10
        and before[0] in lexicon.NUMBERS
        and lexicon.NUMBERS[before[0]] % 10 == 0
    ):
        return lexicon.NUMBERS[before[0]] + number, index - 2
    if tree.lower[index] == "dozen":
        if before[-2:] in (["half", "a"], ["half", "-"]):
            return 6, index - 2
        times = value(tree, index - 1) if index > 0 else None
        if times is not None and 12 * times <= LARGEST:
            return 12 * times, index - 1
        return 12, index - 1 if before[-1:] == ["a"] else index
    return number, index


def _bound(tree: Tree, index: int) -> bool:
    """A number glued to something else: "3-seater", "4x4", "no. 5", "2-3"; not the end of "twenty-one"."""
    after = tree.lower[index + 1] if index + 1 < len(tree.words) else ""
    before = tree.lower[index - 1] if index > 0 else ""
    tens = lexicon.NUMBERS.get(tree.lower[index - 2], 1) if index > 1 else 1
    return after in GLUED_AFTER or (before in GLUED_BEFORE and not (before == "-" and tens % 10 == 0))


def _estimated(tree: Tree, index: int) -> bool:
    """ "about ten", "at least three", "two or three"; not "a book about two dogs", "flying over two houses"."""
    if tree.lower[index] == "dozen" and tree.lower[index - 1 : index] in (["a"], ["half"]) and index > 1:
        index -= 1  # "about a dozen"
    window = tree.lower[max(0, index - 2) : index]
    if "than" in window or "least" in window or "most" in window:
        return True
    ahead = tree.lower[index + 1 : index + 2]
    if ahead in (["or"], ["to"]) and index + 2 < len(tree.words) and value(tree, index + 2):
        return True
    if not window or window[-1] not in lexicon.ESTIMATES:
        return False
    if window[-1] in ("over", "around", "under", "about", "up", "to"):
        before = tree.pos[index - 2] if index > 1 else ""
        return before not in ("NOUN", "PROPN", "VERB", "PRON", "AUX", "ADP", "ADV")
    return True
