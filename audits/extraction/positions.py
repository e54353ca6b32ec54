"""Positions: "a cup on a table", "to the left of the dog", and places in the picture ("in the background")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from audits.extraction import words as lexicon
from audits.extraction.phrases import OBJECT, REGION, Mention, Phrases, conjuncts
from audits.extraction.reality import is_negated
from audits.extraction.reference import RELATIVES, antecedent, relative_noun
from audits.extraction.spatial import Phrase, spatial_phrases
from audits.extraction.subjects import SUBJECTS, climb, located, named, nearest
from audits.extraction.tree import Tree
from recapdata.records import Claim

#: "a cake topped with berries" puts the berries on the cake.
TURNED = {
    "topped with": "on top of",
    "topped by": "on top of",
    "covered with": "covering",
    "covered in": "covering",
    "covered by": "covering",
    "surrounded by": "around",
    "encircled by": "around",
    "enclosed by": "around",
    "flanked by": "next to",
    "bordered by": "next to",
    "lined with": "lining",
    "lined by": "lining",
    "filled with": "filling",
}

TIMES = frozenset(
    ["sunset", "sunrise", "dawn", "dusk", "night", "noon", "midnight", "midday", "twilight", "daybreak"]
)
#: What they own where that is a place: "on its left", "along its side".
OWNED = frozenset(
    {"left", "right", "side", "sides", "front", "top", "surface", "edge", "edges", "rim", "center", "length"}
)
#: Pronouns that say whose left it is.
OWNING = frozenset({"its", "his", "her", "their"})
#: "says OPEN in white letters" tells how it is written.
LETTERS = frozenset(["letter", "lettering", "font", "print", "script", "writing", "capital"])


def positions(phrases: Phrases, masked: set[int]) -> Iterator[Claim]:
    """The position claims of a caption; coordinated subjects and objects give one claim each."""
    tree = phrases.tree
    for phrase in spatial_phrases(tree, masked):
        if phrase.region is not None:
            for subject in located(phrases, phrase, None):
                yield _claim(tree, phrase, subject, None)
            continue
        yield from _related(phrases, phrase)
    yield from _covered(phrases, masked)
    yield from _said_by_verbs(phrases)


def _covered(phrases: Phrases, masked: set[int]) -> Iterator[Claim]:
    """The participles of `TURNED`: subject and object change places."""
    tree = phrases.tree
    for index in range(1, len(tree.words) - 2):
        relation = TURNED.get(f"{tree.lower[index]} {tree.lower[index + 1]}")
        if relation is None or index in masked:
            continue
        phrase = Phrase(relation, None, index, index + 1)
        place = _object(phrases, phrase)
        if place is None:
            continue
        if tree.deps[index] == "acl" and tree.heads[index] in phrases.at:
            wholes = [
                each
                for each in [phrases.at[tree.heads[index]].resolved()]
                if each.kind == OBJECT and each.real
            ]
        else:
            wholes = climb(phrases, index, index + 1, phrase) or nearest(phrases, phrase, place)
        for whole in wholes:
            for part in _coordinated(phrases, place):
                if part.kind == OBJECT and part.real and part is not whole:
                    claim = _claim(tree, phrase, part, whole)
                    yield claim


def _said_by_verbs(phrases: Phrases) -> Iterator[Claim]:
    """ "Trees surround the house", "a vase holds flowers": clauses whose verb says where its subject is."""
    tree = phrases.tree
    for verb, lemma in enumerate(tree.lemmas):
        lemma = lemma.lower()
        if tree.pos[verb] != "VERB" or lemma not in lexicon.PLACED_BY:
            continue
        if tree.has(verb, "nsubj:pass", "aux:pass") or is_negated(tree, verb):
            continue
        subject = next((kid for kid in tree.kids[verb] if tree.deps[kid] == "nsubj"), None)
        if subject is None and tree.deps[verb] == "acl" and tree.tags[verb] == "VBG":
            subject = tree.heads[verb]
        object_ = next((kid for kid in tree.kids[verb] if tree.deps[kid] == "obj"), None)
        if subject is None or object_ is None or object_ not in phrases.at:
            continue
        place = _whole(phrases, phrases.at[object_])
        if place is None:
            continue
        for one in named(phrases, subject, Phrase(None, None, verb, verb)):
            relation = lexicon.PLACED_BY[lemma]
            if lemma in lexicon.HOLDERS:
                noun = one.object.split()[-1].lower()
                relation = next((on for on, nouns in lexicon.HOLDERS[lemma].items() if noun in nouns), "")
            for other in _coordinated(phrases, place) if relation else ():
                if other.kind == OBJECT and other.real and other is not one:
                    pair = (other, one) if lemma in lexicon.HOLDERS else (one, other)
                    yield _claim(tree, Phrase(relation, None, verb, verb), *pair)


def _related(phrases: Phrases, phrase: Phrase) -> Iterator[Claim]:
    """The claims of a phrase that opens an object, or that leaves it out in a relative clause."""
    tree = phrases.tree
    possessor = next((i for i in range(phrase.first, phrase.last + 1) if tree.lower[i] in OWNING), None)
    if possessor is not None and tree.lower[phrase.last] in OWNED:
        yield from _of_its(phrases, phrase, possessor)
        return
    if tree.lower[phrase.first : phrase.last + 1] == ["on", "top"]:
        yield from _on_top(phrases, phrase)
        return
    place = _object(phrases, phrase)
    if place is None:
        yield from _stranded(phrases, phrase)
        return
    objects = [other for other in _coordinated(phrases, place) if other.kind == OBJECT and other.real]
    for subject in located(phrases, phrase, place):
        for target in objects:
            if subject is not target and not phrase.first <= subject.head <= phrase.last:
                yield _claim(tree, phrase, subject, target)


def _of_its(phrases: Phrases, phrase: Phrase, possessor: int) -> Iterator[Claim]:
    """ "a lamp on its left": whose left it is stands in a possessive."""
    had = _had(phrases, phrase)
    subjects = had or located(phrases, phrase, None)
    target = _referent(phrases, possessor, subjects, had)
    if target is None or not target.real or target.resolved().kind != OBJECT:
        return
    for subject in subjects:
        if subject is not target.resolved():
            yield _claim(phrases.tree, phrase, subject, target.resolved())


def _on_top(phrases: Phrases, phrase: Phrase) -> Iterator[Claim]:
    """ "a cake with three candles on top", "the table has a cup on top": on what, the host of "with" or "has" says."""
    tree = phrases.tree
    subjects = nearest(phrases, phrase, None)
    if not subjects:
        return
    host = _host(phrases, subjects[-1])
    if host is None:
        return
    for part in conjuncts(phrases, subjects[-1]):
        if (
            part.head < phrase.first
            and part.resolved().kind == OBJECT
            and part.resolved() is not host.resolved()
        ):
            yield _claim(tree, phrase, part.resolved(), host.resolved())


def _host(phrases: Phrases, mention: Mention) -> Mention | None:
    """What has the mention: "a cake with three candles", "the table has a cup"."""
    tree = phrases.tree
    index = mention.head
    while tree.deps[index] == "conj" and tree.heads[index] in phrases.at and tree.heads[index] < index:
        index = tree.heads[index]
    first, above = phrases.at.get(index, mention), tree.heads[index]
    host: Mention | None = None
    if "with" in tree.lower[max(0, first.first - 4) : first.first]:
        before = [
            m for m in phrases.mentions if m.head < first.first and m.resolved().kind == OBJECT and m.real
        ]
        # Between a thing and what has it may stand the place ("a cake with candles on top") and a verb ("sits, with a cup").
        for _ in range(4):
            subject = next((kid for kid in tree.kids[above] if tree.deps[kid] in SUBJECTS), above)
            if subject != index and phrases.at.get(subject) in before:
                return phrases.at[subject]
            above = tree.heads[above]
        host = before[-1] if before else None
    elif tree.lemmas[above].lower() in ("have", "feature") and tree.deps[index] == "obj":
        owner = next((kid for kid in tree.kids[above] if tree.deps[kid] == "nsubj"), None)
        host = phrases.at.get(owner) if owner is not None else None
    return host if host is not None and host.resolved().kind == OBJECT and host.real else None


def _referent(phrases: Phrases, index: int, subjects: list[Mention], had: list[Mention]) -> Mention | None:
    """What the pronoun of a place stands for: what has the thing that is there, else its antecedent, else the first of its list.

    Args:
        index: the token of the pronoun.
        subjects: what is at the place.
        had: the same, where another thing has it.
    """
    if had and (host := _host(phrases, had[-1])) is not None:
        return host
    found = antecedent(phrases, index, apart=subjects)
    if found is None and len(subjects) == 1 and phrases.tree.lower[index] in ("it", "its"):
        first = conjuncts(phrases, subjects[0])[0]
        return first if first is not subjects[0] and not first.plural else None
    return found


def _stranded(phrases: Phrases, phrase: Phrase) -> Iterator[Claim]:
    """ "the chair she sits on", "a lake with cows in it", "sand on which a girl walks": the object is said elsewhere."""
    tree = phrases.tree
    following = phrase.last + 1
    word = tree.lower[following] if following < len(tree.words) else ""
    if (
        word in ("it", "them", "him", "her")
        and tree.pos[following] == "PRON"
        and not tree.deps[following].startswith("nmod:poss")
    ):
        had = _had(phrases, phrase)
        subjects = had or located(phrases, replace(phrase, last=following), None)
        target = _referent(phrases, following, subjects, had)
    elif (
        word in RELATIVES
        or following == len(tree.words)
        or tree.pos[following] in ("PUNCT", "VERB", "AUX", "CCONJ")
    ):
        if (parted := _contact_clause(phrases, phrase)) is not None:
            yield parted
            return
        target = relative_noun(phrases, phrase.first)
        verb = phrase.first
        while verb != tree.heads[verb] and tree.deps[verb] not in ("acl:relcl", "acl"):
            verb = tree.heads[verb]
        index = next((kid for kid in tree.kids[verb] if tree.deps[kid] in SUBJECTS), None)
        subjects = named(phrases, index, phrase) if index is not None else []
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


def _contact_clause(phrases: Phrases, phrase: Phrase) -> Claim | None:
    """ "The lawn the bears are standing on": two nouns with only an article between, verbs, and a preposition left over."""
    tree = phrases.tree
    before = [m for m in phrases.mentions if m.head < phrase.first]
    if len(before) < 2 or phrase.first == before[-1].head + 1:
        return None
    target, subject = before[-2:]
    between = range(target.head + 1, subject.first)
    verbs = range(subject.head + 1, phrase.first)
    bare = subject.first == target.head + 1
    if (
        (
            not bare
            and tree.lower[target.head + 1]
            not in ("a", "an", "the", "two", "some", "his", "her", "their", "its")
        )
        or any(tree.pos[i] not in ("DET", "ADJ", "NUM", "PRON") for i in between)
        or any(tree.pos[i] not in ("AUX", "VERB", "ADV", "PART") for i in verbs)
        or {target.resolved().kind, subject.resolved().kind} != {OBJECT}
        or not (target.real and subject.real)
    ):
        return None
    return _claim(tree, phrase, subject.resolved(), target.resolved())


def _had(phrases: Phrases, phrase: Phrase) -> list[Mention]:
    """ "a sign with a plate underneath it": what it has is there, not itself."""
    before = nearest(phrases, phrase, None)
    return before if before and _host(phrases, before[-1]) is not None else []


def _coordinated(phrases: Phrases, mention: Mention) -> list[Mention]:
    """The mention and the conjuncts after it, each resolved to what it is of."""
    found = []
    for other in conjuncts(phrases, mention):
        if other.head >= mention.head:
            found.append(other.resolved())
    return found or [mention.resolved()]


def _whole(phrases: Phrases, mention: Mention) -> Mention | None:
    """The thing of a part that is only a place of it: the barn for "the side of the barn"."""
    if mention.kind == REGION and phrases.tree.lower[mention.head + 1 : mention.head + 2] == ["of"]:
        return phrases.following(mention.head + 2)
    return mention


def _object(phrases: Phrases, phrase: Phrase) -> Mention | None:
    """The noun phrase that a spatial phrase opens."""
    tree = phrases.tree
    mention = phrases.following(phrase.last + 1)
    mention = _whole(phrases, mention) if mention is not None else None
    if mention is None:
        return None
    target = mention.resolved()
    if target.kind != OBJECT or not mention.real:
        return None
    noun = target.object.split()[-1].lower()
    if (phrase.relation == "at" and noun in TIMES) or (phrase.relation == "in" and noun in LETTERS):
        return None
    if phrase.relation in ("in", "inside") and target.object.split()[-1].lower() in lexicon.WORN:
        return None
    if tree.sent[target.head] != tree.sent[phrase.first]:
        return None
    return mention


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
        hedge=subject.hedge or (target.hedge if target is not None else None),
    )
