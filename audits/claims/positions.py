"""Positions: "a cup on a table", "to the left of the dog", and places in the picture ("in the background")."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from audits.claims import relations
from audits.claims import words as lexicon
from audits.claims.nouns import OBJECT, PICTURE, Mention, Phrases, conjuncts
from audits.claims.reference import RELATIVES, antecedent, relative_noun
from audits.claims.tree import NOMINAL, Tree
from recapdata.records import Claim

CLAUSAL = ("VERB", "AUX")
SUBJECTS = ("nsubj", "nsubj:pass", "nsubj:outer")
#: Verbs that put their object somewhere: what is on the table is the cup, not who put it there.
PLACING = frozenset(
    [
        "put",
        "place",
        "set",
        "lay",
        "hang",
        "have",
        "show",
        "keep",
        "park",
        "store",
        "leave",
        "display",
        "mount",
        "stack",
        "pile",
        "tie",
        "arrange",
        "feature",
        "depict",
        "contain",
        "find",
        "drop",
        "rest",
        "balance",
        "position",
        "pour",
        "attach",
        "draw",
        "paint",
        "write",
        "print",
        "install",
        "carry",
        "wear",
    ]
)
#: "we can see a man in front of the wall": what is seen is at the place, wherever the phrase stands.
SEEING = frozenset({"see", "observe", "notice", "find", "spot", "view", "show", "depict", "feature", "have"})
ONLOOKERS = frozenset({"we", "i", "you", "one", "which", "it", "image", "picture", "photo"})
#: What is done, and where: the place is the doer's ("playing a game at a console").
ACTIVITIES = frozenset({"play", "do", "perform", "enjoy", "take", "ride", "drive", "practice", "swing"})
HOLDING = frozenset({"hold", "grip", "clutch", "grasp"})
BODY = frozenset(
    [
        "hand",
        "mouth",
        "arm",
        "head",
        "lap",
        "shoulder",
        "finger",
        "neck",
        "back",
        "face",
        "paw",
        "beak",
        "teeth",
        "tooth",
        "ear",
        "eye",
        "foot",
        "leg",
        "knee",
    ]
)
#: After these, "at", "on", "in" and the like say no place.
NO_PLACE = frozenset(
    {
        "look",
        "stare",
        "gaze",
        "point",
        "aim",
        "smile",
        "wave",
        "laugh",
        "bark",
        "shout",
        "depend",
        "focus",
        "base",
    }
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A spatial phrase: its word, and the tokens of the phrase itself without its object."""

    relation: str | None
    region: str | None
    first: int
    last: int


def positions(phrases: Phrases, masked: set[int]) -> Iterator[Claim]:
    """The position claims of a caption; coordinated subjects and objects give one claim each."""
    tree = phrases.tree
    for phrase in _phrases(tree, masked):
        if phrase.region is not None:
            for subject in _subjects(phrases, phrase, None):
                yield _claim(tree, phrase, subject, None)
            continue
        yield from _related(phrases, phrase)
    yield from _covered(phrases, masked)


#: "a cake topped with berries" puts the berries on the cake.
TURNED = {"topped with": "on top of", "surrounded by": "around", "flanked by": "next to"}


def _covered(phrases: Phrases, masked: set[int]) -> Iterator[Claim]:
    """The participles of `TURNED`: subject and object change places."""
    tree = phrases.tree
    for index in range(1, len(tree) - 2):
        relation = TURNED.get(f"{tree.lower[index]} {tree.lower[index + 1]}")
        if relation is None or index in masked:
            continue
        phrase = Phrase(relation, None, index, index + 1)
        place = _object(phrases, phrase)
        if place is None:
            continue
        for whole in _climb(phrases, index, index + 1, phrase) or _nearest(phrases, phrase, place):
            for part in _coordinated(phrases, place):
                if part.kind == OBJECT and part.real and part is not whole:
                    claim = _claim(tree, phrase, part, whole)
                    yield claim


def _related(phrases: Phrases, phrase: Phrase) -> Iterator[Claim]:
    """The claims of a phrase that opens an object, or that leaves it out in a relative clause."""
    tree = phrases.tree
    place = _object(phrases, phrase)
    if place is None:
        yield from _stranded(phrases, phrase)
        return
    objects = [other for other in _coordinated(phrases, place) if other.kind == OBJECT and other.real]
    for subject in _subjects(phrases, phrase, place):
        for target in objects:
            if subject is not target and not phrase.first <= subject.head <= phrase.last:
                yield _claim(tree, phrase, subject, target)


def _stranded(phrases: Phrases, phrase: Phrase) -> Iterator[Claim]:
    """ "the chair she sits on", "a lake with cows in it", "sand on which a girl walks": the object is said elsewhere."""
    tree = phrases.tree
    following = phrase.last + 1
    word = tree.lower[following] if following < len(tree) else ""
    if (
        word in ("it", "them", "him", "her")
        and tree.pos[following] == "PRON"
        and not tree.deps[following].startswith("nmod:poss")
    ):
        subjects = _subjects(phrases, phrase, None)
        target = antecedent(phrases, following, apart=subjects[-1] if subjects else None)
    elif (
        word in RELATIVES
        or following == len(tree)
        or tree.pos[following] in ("PUNCT", "VERB", "AUX", "CCONJ")
    ):
        target = relative_noun(phrases, phrase.first)
        verb = phrase.first
        while verb != tree.heads[verb] and tree.deps[verb] not in ("acl:relcl", "acl"):
            verb = tree.heads[verb]
        index = next((kid for kid in tree.kids[verb] if tree.deps[kid] in SUBJECTS), None)
        subjects = _named(phrases, index, phrase) if index is not None else []
        subjects += [
            m for m in ([phrases.at[index]] if index in phrases.at and not subjects else []) if m.real
        ]
    else:
        return
    if target is None or not target.real or target.resolved().kind != OBJECT:
        return
    for subject in subjects:
        if subject is not target.resolved():
            yield _claim(tree, phrase, subject, target.resolved())


def _coordinated(phrases: Phrases, mention: Mention) -> list[Mention]:
    """The mention and the conjuncts after it, each resolved to what it is of."""
    found = []
    for other in conjuncts(phrases, mention):
        if other.head >= mention.head:
            found.append(other.resolved())
    return found or [mention.resolved()]


def _claim(tree: Tree, phrase: Phrase, subject: Mention, target: Mention | None) -> Claim:
    ends = [phrase.first, phrase.last, subject.first, subject.head]
    if target is not None:
        ends += [target.first, target.head]
    return Claim(
        kind="position",
        span=(tree.start[min(ends)], tree.end[max(ends)]),
        subject=subject.object,
        relation=phrase.relation,
        object=target.object if target is not None else None,
        region=phrase.region,
    )


def _phrases(tree: Tree, masked: set[int]) -> Iterator[Phrase]:
    """The spatial phrases in order; a region wins over the relation it is made of ("in" of "in the background")."""
    taken = -1
    regions = {}
    for match in relations.matches(tree.text, tree.start, tree.lower, regions=True):
        found = _tokens(tree, match.start(), match.end())
        if found is None:
            continue
        after = relations.OF_PICTURE.match(tree.text, match.end())
        following = tree.lower[found[1] + 1] if found[1] + 1 < len(tree) else ""
        if after is None and (following in ("of", "-", "to") or _goes_on(tree, found[1])):
            continue
        last = _tokens(tree, match.start(), after.end())[1] if after is not None else found[1]  # type: ignore[index]
        regions[found[0]] = Phrase(None, relations.name_of(match, relations.REGIONS), found[0], last)
    for match in relations.matches(tree.text, tree.start, tree.lower, regions=False):
        found = _tokens(tree, match.start(), match.end())
        if found is None or found[0] <= taken or found[0] in masked:
            continue
        first, last = found
        if first in regions:
            taken = regions[first].last
            yield regions[first]
            continue
        if _is_place(tree, first, last):
            taken = last
            yield Phrase(relations.name_of(match, relations.RELATIONS), None, first, last)


def _tokens(tree: Tree, start: int, end: int) -> tuple[int, int] | None:
    """First and last token of a span of the text; None where the span cuts a token."""
    first = bisect_left(tree.start, start)
    last = bisect_left(tree.end, end)
    if first >= len(tree) or last >= len(tree) or tree.start[first] != start or tree.end[last] != end:
        return None
    return first, last


def _goes_on(tree: Tree, last: int) -> bool:
    """The region word modifies a noun: "on the left shoulder", "in the front yard", "at the top shelf"."""
    following = last + 1
    return (
        following < len(tree)
        and tree.pos[following] in NOMINAL
        and (tree.heads[last] == following or tree.deps[last] in ("amod", "compound"))
    )


def _is_place(tree: Tree, first: int, last: int) -> bool:
    """Whether a preposition is one here: not a particle ("put on"), not a conjunction, not an agent ("made by")."""
    if first > 0 and tree.lower[first - 1] == "-":
        return False
    if last > first:
        return True
    if tree.pos[first] in ("SCONJ", "CCONJ") or tree.deps[first] == "compound:prt":
        return False
    word = tree.lower[first]
    if word == "by":
        head = tree.heads[first]
        return tree.deps[head] != "obl:agent" and not (first > 0 and tree.tags[first - 1] in ("VBN", "VBD"))
    governor = tree.heads[tree.heads[first]]
    if (
        word in ("at", "on", "in", "over", "across", "through", "around")
        and tree.lemmas[governor].lower() in NO_PLACE
    ):
        return False
    return tree.pos[first] not in NOMINAL


def _object(phrases: Phrases, phrase: Phrase) -> Mention | None:
    """The noun phrase that a spatial phrase opens."""
    tree = phrases.tree
    mention = phrases.following(phrase.last + 1)
    if mention is None:
        return None
    target = mention.resolved()
    if target.kind == PICTURE or target.kind != OBJECT or not mention.real:
        return None
    if phrase.relation in ("in", "inside") and target.object.split()[-1].lower() in lexicon.WORN:
        return None
    if tree.sent[target.head] != tree.sent[phrase.first]:
        return None
    return mention


def _subjects(phrases: Phrases, phrase: Phrase, place: Mention | None) -> list[Mention]:
    """What is at the place: the noun or the clause's subject that the phrase hangs on, with its conjuncts."""
    tree = phrases.tree
    inside = set(range(phrase.first, (place.head if place is not None else phrase.last) + 1))
    index = place.head if place is not None else phrase.last
    subject_of_place = [kid for kid in tree.kids[index] if tree.deps[kid] in SUBJECTS and kid not in inside]
    while not subject_of_place and tree.heads[index] in inside and tree.heads[index] != index:
        index = tree.heads[index]
        subject_of_place = [
            kid for kid in tree.kids[index] if tree.deps[kid] in SUBJECTS and kid not in inside
        ]
    if subject_of_place:
        return _named(phrases, subject_of_place[0], phrase)
    governor = tree.heads[index]
    if governor == index or governor in inside:
        return _nearest(phrases, phrase, place)
    return _climb(phrases, governor, index, phrase) or _nearest(phrases, phrase, place)


def _hangs_on(case: str, mention: Mention, above: Mention, child: int, tree: Tree) -> bool:
    """Whether a place said after a noun that itself says where or of what is its head's: "a box on the wall above
    the sink" (the box), "a bowl of fruit on the table" (the bowl), "a man in a suit on the street" (the man)."""
    if case in ("in", "with") and mention.object.split()[-1].lower() in lexicon.WORN:
        return True
    if child < mention.head:
        return False
    if case == "of":
        return above.kind == OBJECT
    return case in ("on", "in") and above.kind == OBJECT


def _placed(tree: Tree, verb: int, child: int, phrase: Phrase) -> int | None:
    """The object of a verb that says where its object is, None for other verbs ("eats", "plays")."""
    lemma = tree.lemmas[verb].lower()
    objects = [kid for kid in tree.kids[verb] if tree.deps[kid] in ("obj", "nsubj:pass") and kid != child]
    if not objects:
        return None
    subjects = [tree.lower[kid] for kid in tree.kids[verb] if tree.deps[kid] in SUBJECTS]
    if lemma in SEEING and (subjects and subjects[0] in ONLOOKERS):
        return objects[-1]
    if objects[-1] > phrase.first:
        return None
    if lemma in HOLDING and phrase.last + 1 < len(tree):
        return (
            objects[-1]
            if any(
                tree.lemmas[i].lower() in BODY
                for i in range(phrase.last + 1, min(len(tree), phrase.last + 4))
            )
            else None
        )
    return objects[-1] if lemma in PLACING else None


def _climb(phrases: Phrases, governor: int, child: int, phrase: Phrase) -> list[Mention]:
    """The located thing of a governor: itself if a noun, else its clause's subject or, for placing verbs, object."""
    tree = phrases.tree
    for _ in range(8):
        if governor in phrases.at and tree.pos[governor] not in CLAUSAL:
            mention = phrases.at[governor]
            above, case = tree.heads[governor], tree.case_of(governor)
            if tree.deps[governor] == "obj" and tree.lemmas[above].lower() in ACTIVITIES:
                child, governor = governor, above
                continue
            if above in phrases.at and _hangs_on(case, mention, phrases.at[above], child, tree):
                child, governor = governor, above
                continue
            if mention.resolved().kind == OBJECT or above == governor:
                return _named(phrases, governor, phrase)
        elif tree.pos[governor] in CLAUSAL:
            placed = _placed(tree, governor, child, phrase)
            if placed is not None:
                return _named(phrases, placed, phrase)
        subjects = [kid for kid in tree.kids[governor] if tree.deps[kid] in SUBJECTS and kid != child]
        if subjects:
            return _named(phrases, subjects[0], phrase)
        child, governor = governor, tree.heads[governor]
        if governor == child:
            return []
    return []


def _named(phrases: Phrases, index: int, phrase: Phrase) -> list[Mention]:
    """The mentions of a subject: itself and its conjuncts, a pronoun's antecedent, a relative's noun."""
    tree = phrases.tree
    mention = phrases.at.get(index)
    if mention is None and tree.pos[index] in ("PRON", "DET", "SCONJ", "NUM", "NOUN"):
        mention = antecedent(phrases, index)
    if mention is None:
        return []
    together = [other.resolved() for other in conjuncts(phrases, mention)]
    if mention.head < phrase.first:
        together = [other for other in together if other.head < phrase.first] or [mention.resolved()]
    return [other for other in together if other.kind == OBJECT and other.real]


def _nearest(phrases: Phrases, phrase: Phrase, place: Mention | None) -> list[Mention]:
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
    if before and not re.search(r"[.;:]", tree.text[tree.end[before[-1].head] : tree.start[phrase.first]]):
        return [before[-1].resolved()]
    return []
