"""What is at a place: the noun, or the subject or object of the clause, that a spatial phrase is said of."""

from __future__ import annotations

import re
from itertools import pairwise

from audits.extraction import words as lexicon
from audits.extraction.phrases import LETTERING, OBJECT, Mention, Phrases, conjuncts
from audits.extraction.reference import antecedent
from audits.extraction.spatial import Phrase
from audits.extraction.tree import NOMINAL, Tree

CLAUSAL = ("VERB", "AUX")
LINKS = frozenset([";", ":", ",", "and", "while", "but"])
PRESENTED = frozenset({"is", "are", "was", "were", "sits", "stands", "lies", "hangs"})
SUBJECTS = ("nsubj", "nsubj:pass", "nsubj:outer")


def located(phrases: Phrases, phrase: Phrase, place: Mention | None) -> list[Mention]:
    """What is at the place: the noun or the clause's subject that the phrase hangs on, with its conjuncts."""
    tree = phrases.tree
    end = place_end(tree, place.head) if place is not None else phrase.last
    if fronted := _fronted(phrases, phrase, end):
        return fronted
    if turned := inverted(phrases, phrase, end):
        return turned
    inside = set(range(phrase.first, (place.head if place is not None else phrase.last) + 1))
    index = place.head if place is not None else phrase.last
    subject_of_place = [kid for kid in tree.kids[index] if tree.deps[kid] in SUBJECTS and kid not in inside]
    while not subject_of_place and tree.heads[index] in inside and tree.heads[index] != index:
        index = tree.heads[index]
        subject_of_place = [
            kid for kid in tree.kids[index] if tree.deps[kid] in SUBJECTS and kid not in inside
        ]
    if subject_of_place:
        quoted = tree.pos[subject_of_place[0]] in NOMINAL and subject_of_place[0] not in phrases.at
        found = named(phrases, subject_of_place[0], phrase)
        return found or (
            nearest(phrases, phrase, place) if quoted else []
        )  # 'a sign that says "STOP" is on …'
    governor = tree.heads[index]
    if governor == index or governor in inside:
        return nearest(phrases, phrase, place)
    return climb(phrases, governor, index, phrase) or nearest(phrases, phrase, place)


def place_end(tree: Tree, head: int) -> int:
    """The last token of the noun phrase of a place with what belongs to it: "the roof of the house"."""
    end = head
    for kid in tree.kids[head]:
        if (
            kid > head
            and tree.deps[kid] == "nmod"
            and tree.case_of(kid).split()[:1] in (["of"], ["in"], ["on"])
        ):
            end = max(end, place_end(tree, kid))
    return end


def _fronted(phrases: Phrases, phrase: Phrase, end: int) -> list[Mention]:
    """ "On the left, a boy", "Above the door, a sign reads …": a place and a comma before the noun that is there."""
    tree = phrases.tree
    opens = phrase.first == 0 or tree.lower[phrase.first - 1] in (".", ";", ",", "and", ":", "while", "\n")
    if not opens:
        return []
    if tree.lower[end + 1 : end + 2] in ([","], [":"]):
        mention = phrases.following(end + 2)
    elif phrase.region is not None and tree.pos[end + 1 : end + 2] == ["DET"]:
        mention = phrases.following(end + 1)  # "In the lower left a hand …"
    else:
        return []
    if mention is None or mention.resolved().kind != OBJECT or not mention.real:
        return []
    if tree.deps[mention.head] == "conj" and tree.heads[mention.head] <= end:
        return []  # "on the table, the chair and the floor"
    return _together(phrases, mention)


def _together(phrases: Phrases, mention: Mention) -> list[Mention]:
    """A mention and its conjuncts after it, up to one that another clause presents."""
    tree, together = phrases.tree, []
    for other in conjuncts(phrases, mention):
        # "On the left is a car, and on the right is a truck": another place begins another list.
        between = tree.lower[mention.head : other.first]
        if other.head >= mention.head and not (PRESENTED & set(between)):
            together.append(other.resolved())
    return [other for other in together if other.kind == OBJECT and other.real]


def inverted(phrases: Phrases, phrase: Phrase, last: int) -> list[Mention]:
    """ "Behind the bench is a tree", "To the left of the table stands a waiter": what follows the verb is at the place.

    Args:
        last: the last token of the place.
    """
    tree = phrases.tree
    index, before = last + 1, phrase.first - 1
    opens = before < 0 or tree.sent[before] != tree.sent[phrase.first] or tree.lower[before] in LINKS
    while index < len(tree.words) and (
        tree.lower[index] in (",", "there") or tree.deps[index] in ("aux", "aux:pass", "advmod")
    ):
        index += 1
    if not opens or index + 1 >= len(tree.words) or not _presents(tree, index):
        return []
    if tree.tags[index] in ("VBN", "VBG") and tree.lower[index + 1] in ("by", "with", "in", "on"):
        return []
    mention = phrases.following(index + 1)
    if mention is None:
        return []
    return _together(phrases, mention)


def _presents(tree: Tree, index: int) -> bool:
    if tree.pos[index] not in CLAUSAL:
        return False
    after = any(tree.deps[kid] == "nsubj" and kid > index for kid in tree.kids[index])
    return after or tree.lemmas[index].lower() in lexicon.PRESENTING


def climb(phrases: Phrases, governor: int, child: int, phrase: Phrase) -> list[Mention]:
    """The located thing of a governor: itself if a noun, else its clause's subject or, for placing verbs, object."""
    tree = phrases.tree
    for _ in range(8):
        if tree.lower[governor] in ("one", "ones"):  # "the one in the middle"
            return named(phrases, governor, phrase)
        if governor in phrases.at and tree.pos[governor] not in CLAUSAL:
            mention = phrases.at[governor]
            above = tree.heads[governor]
            if tree.deps[governor] == "obj" and tree.lemmas[above].lower() in lexicon.ACTIVITIES:
                child, governor = governor, above
                continue
            if above != governor and _hangs_on(phrases, governor, child):
                child, governor = governor, above
                continue
            if mention.resolved().kind == OBJECT or above == governor:
                return named(phrases, governor, phrase)
        elif tree.pos[governor] in CLAUSAL:
            placed = _placed(tree, governor, child, phrase)
            if placed is not None:
                return named(phrases, placed, phrase)
        subjects = [kid for kid in tree.kids[governor] if tree.deps[kid] in SUBJECTS and kid != child]
        if subjects:
            return named(phrases, subjects[0], phrase)
        child, governor = governor, tree.heads[governor]
        if governor == child:
            return []
    return []


def _hangs_on(phrases: Phrases, noun: int, child: int) -> bool:
    """Whether a place said after a noun that itself says where or of what is its head's: "a box on the wall above
    the sink" (the box), "a bowl of fruit on the table" (the bowl), "a man in a suit on the street" (the man)."""
    tree = phrases.tree
    case, above = tree.case_of(noun), tree.heads[noun]
    if (
        case in ("in", "with")
        and above in phrases.at
        and phrases.at[noun].object.split()[-1].lower() in lexicon.WORN
    ):
        return True
    if child < noun:
        return False
    if above in phrases.at:
        return case in ("of", "on", "in") and phrases.at[above].kind == OBJECT
    return case in ("on", "in", "at") and tree.pos[above] in CLAUSAL


def _placed(tree: Tree, verb: int, child: int, phrase: Phrase) -> int | None:
    """The object of a verb that says where its object is, None for other verbs ("eats", "plays")."""
    lemma = tree.lemmas[verb].lower()
    objects = [kid for kid in tree.kids[verb] if tree.deps[kid] in ("obj", "nsubj:pass") and kid != child]
    if not objects:
        return None
    subjects = [tree.lower[kid] for kid in tree.kids[verb] if tree.deps[kid] in SUBJECTS]
    if lemma in lexicon.SEEING and (subjects and subjects[0] in lexicon.ONLOOKERS):
        return objects[-1]
    if objects[-1] > phrase.first:
        return None
    if lemma in lexicon.HOLDING and phrase.last + 1 < len(tree.words):
        return (
            objects[-1]
            if any(
                tree.lemmas[i].lower() in lexicon.BODY
                for i in range(phrase.last + 1, min(len(tree.words), phrase.last + 4))
            )
            else None
        )
    return objects[-1] if lemma in lexicon.PLACING else None


def named(phrases: Phrases, index: int, phrase: Phrase) -> list[Mention]:
    """The mentions of a subject: itself and its conjuncts, a pronoun's antecedent, a relative's noun."""
    tree = phrases.tree
    mention = phrases.at.get(index)
    if mention is None and tree.pos[index] in ("PRON", "DET", "SCONJ", "NUM", "NOUN"):
        mention = antecedent(phrases, index)
    if mention is None:
        return []
    if mention.head < phrase.first and not _joined(phrases, mention):
        together = [mention.resolved()]
    else:
        together = [other.resolved() for other in _sharing(phrases, mention)]
    if mention.head < phrase.first:
        together = [other for other in together if other.head < phrase.first] or [mention.resolved()]
    kinds = (OBJECT, LETTERING) if phrase.region is not None else (OBJECT,)
    return [other for other in together if other.kind in kinds and other.real]


def _sharing(phrases: Phrases, mention: Mention) -> list[Mention]:
    """The mention and its conjuncts, less those before it that have a place of their own: "a cup on a table and a spoon"."""
    tree, together = phrases.tree, conjuncts(phrases, mention)
    at, first = together.index(mention), 0
    for number, (one, next_) in enumerate(pairwise(together[: at + 1]), start=1):
        between = range(one.head + 1, next_.first)
        if any(tree.pos[i] == "ADP" and tree.lower[i] not in ("of", "with") for i in between):
            first = number
    return together[first:]


def _joined(phrases: Phrases, mention: Mention) -> bool:
    """Whether a conjunct is tied to those before it by "and": after a comma alone, what follows is said of it only."""
    tree = phrases.tree
    if tree.deps[mention.head] != "conj":
        return True
    before = [other.head for other in conjuncts(phrases, mention) if other.head < mention.first]
    return not before or any(word in ("and", "or", "&") for word in tree.lower[before[-1] : mention.first])


def nearest(phrases: Phrases, phrase: Phrase, place: Mention | None) -> list[Mention]:
    """The noun just before the phrase in its sentence, for fragments whose parse names no governor."""
    tree = phrases.tree
    before = [
        m
        for m in phrases.mentions
        if m.head < phrase.first
        and tree.sent[m.head] == tree.sent[phrase.first]
        and m is not place
        and m.kind == OBJECT
        and m.real
    ]
    if not before or re.search(r"[.;:]", tree.text[tree.end[before[-1].head] : tree.start[phrase.first]]):
        return []
    mention = before[-1]
    while tree.case_of(mention.head) == "of" and tree.heads[mention.head] in phrases.at:
        mention = phrases.at[tree.heads[mention.head]]  # "a cup of tea to its right": the cup
    return [each for each in [mention.resolved()] if each.kind == OBJECT and each.real]
