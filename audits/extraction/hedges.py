"""Hedges: nouns whose thing need not be in the picture for the caption to be true, and numbers of only some of them.

A statue of a man, a child's umbrella, a bus that is waited for: the noun is claimed, and evidence that sees no man, no child
and no bus does not make the caption false. Which nouns a caption denies is `reality`'s matter: those are no claims at all.
"""

from __future__ import annotations

from audits.extraction import words as lexicon
from audits.extraction.phrases import OBJECT, Mention, Phrases
from audits.extraction.tree import Tree

#: Prepositions by which a thing belongs to what is shown: "a painting of a man on a horse".
CARRYING = frozenset(
    [
        "of",
        "with",
        "in",
        "on",
        "at",
        "under",
        "near",
        "by",
        "about",
        "featuring",
        "depicting",
        "showing",
        "riding",
    ]
)
DRESSING = frozenset(["dress", "disguise", "costume", "shape"])
POSSESSIVES = frozenset(["'s", "’s", "'", "’"])


def hedge(phrases: Phrases) -> None:
    """Set `Mention.hedge` of every object of a caption."""
    for mention in phrases.mentions:
        if mention.kind != OBJECT:
            continue
        if _is_depicted(phrases, mention) or _is_printed(phrases, mention):
            mention.hedge = "depicted"
        elif _is_owner(phrases.tree, mention):
            mention.hedge = "owner"
        elif _is_sought(phrases.tree, mention):
            mention.hedge = "sought"
    for mention in phrases.mentions:  # "a statue of a man and a horse", "a child's and a dog's toys"
        above = phrases.at.get(phrases.tree.heads[mention.head])
        if (
            phrases.tree.deps[mention.head] in ("conj", "appos", "parataxis")
            and above is not None
            and above is not mention
        ):
            between = {phrases.tree.lower[i] for i in range(above.head, mention.first)}
            if (
                above.hedge is not None
                and mention.hedge is None
                and not between & {"with", "next", "near", ";"}
            ):
                mention.hedge = above.hedge
    for mention in phrases.mentions:  # "three stuffed animals: a rabbit, an elephant and a bear"
        if mention.hedge == "depicted" and phrases.tree.lower[mention.head + 1 : mention.head + 2] == [":"]:
            for other in phrases.mentions:
                if other.head > mention.head and _same_breath(phrases.tree, mention.head, other.head):
                    other.hedge = other.hedge or mention.hedge


def _same_breath(tree: Tree, first: int, last: int) -> bool:
    return not {".", ";"} & set(tree.lower[first:last])


def _noun(mention: Mention) -> str:
    return mention.object.split()[-1].lower()


def _is_depicted(phrases: Phrases, mention: Mention) -> bool:
    """Shown by another thing: "a statue of a man", "a toy car", "a stuffed bear", "dressed as a pirate"."""
    tree = phrases.tree
    noun = _noun(mention)
    words = set(tree.lower[max(mention.first, mention.head - 1) : mention.head])
    words |= {
        tree.lower[kid] for kid in tree.kids[mention.head] if tree.deps[kid] in ("amod", "compound", "acl")
    }
    if words & lexicon.IMITATING or (words & lexicon.MATERIALS and noun in lexicon.MODELLED):
        return True
    index, climbed = mention.head, 0
    while climbed < 6:
        above = tree.heads[index]
        if above == index:
            return False
        case = tree.case_of(index).split()
        other = phrases.at.get(above)
        if case and case[-1] not in CARRYING:
            return case[-1] == "as" and tree.lemmas[above].lower() in DRESSING
        if case and other is not None:
            shows = _noun(other) in lexicon.DEPICTIONS and (
                other.kind != "picture" or _noun(other) in lexicon.PICTURE_THINGS
            )
            if shows and case[-1] in ("of", "featuring", "depicting", "showing"):
                return True
            if case[-1] == "with" and _bears(phrases, other, mention):
                return True
            if case[-1] == "about":
                return True
        elif _is_imagined(tree, index, case):
            return True
        elif tree.deps[index] in ("obj", "obl") and tree.lemmas[above].lower() in lexicon.DEPICTING:
            noun_above = phrases.at.get(tree.heads[above])
            subject = next(
                (phrases.at.get(kid) for kid in tree.kids[above] if tree.deps[kid] == "nsubj"), None
            )
            shower = subject or noun_above
            return (
                shower is not None
                and _noun(shower) in lexicon.DEPICTIONS
                and (shower.kind == OBJECT or _noun(shower) in lexicon.PICTURE_THINGS)
            )
        elif tree.deps[index] not in ("conj", "acl", "nmod", "obj", "obl", "acl:relcl"):
            return False
        index, climbed = above, climbed + 1
    return False


def _is_imagined(tree: Tree, index: int, case: list[str]) -> bool:
    """ "needs a spoon", "draws a dog", "talks about a horse"."""
    verb = tree.lemmas[tree.heads[index]].lower()
    if tree.deps[index] == "obj":
        return verb in lexicon.WANTING
    return case[-1:] in (["about"], ["of"]) and verb in lexicon.THINKING


def _is_printed(phrases: Phrases, mention: Mention) -> bool:
    """ "with a zebra on it", "the flag has a bear", "a dress patterned with bicycles": said of what bears pictures."""
    tree = phrases.tree
    after = tree.lower[mention.head + 1 : mention.head + 3]
    if after in (["on", "it"], ["on", "them"], ["on", "its"], ["on", "their"]):
        before = [other for other in phrases.mentions if other.head < mention.first and other.kind == OBJECT]
        return bool(before) and _noun(before[-1]) in lexicon.BEARING
    above = tree.heads[mention.head]
    if tree.pos[above] != "VERB":
        return False
    shows = tree.deps[mention.head] == "obj" and tree.lemmas[above].lower() in lexicon.SHOWING
    covered = tree.lower[above] in lexicon.PRINTED and tree.case_of(mention.head) in ("with", "in", "by")
    if not (shows or covered):
        return False
    subject = next(
        (kid for kid in tree.kids[above] if tree.deps[kid] in ("nsubj", "nsubj:pass")), tree.heads[above]
    )
    bearer = phrases.at.get(subject)
    return bearer is not None and _noun(bearer) in lexicon.BEARING


def _bears(phrases: Phrases, bearer: Mention, mention: Mention) -> bool:
    """ "a shirt with a zebra on it", "socks with bananas": what is printed on a thing; not "a boy in a shirt with a skateboard"."""
    tree = phrases.tree
    if _noun(bearer) not in lexicon.BEARING or bearer.head + 6 < mention.head:
        return False
    after = tree.lower[mention.head + 1 : mention.head + 3]
    printed = after in (["on", "it"], ["on", "them"], ["on", "the"])
    return printed or not {"in", "wearing"} & set(tree.lower[max(0, bearer.first - 4) : bearer.first])


def _is_owner(tree: Tree, mention: Mention) -> bool:
    """Whose the thing is or for whom: "a child's umbrella", "a train set for kids"."""
    after = tree.lower[mention.head + 1 : mention.head + 2]
    if after and after[0] in POSSESSIVES and tree.pos[mention.head + 1] in ("PART", "PUNCT"):
        return True
    above = tree.heads[mention.head]
    return (
        tree.case_of(mention.head) == "for"
        and above != mention.head
        and tree.pos[above] in ("NOUN", "PROPN", "ADJ")
    )


def _is_sought(tree: Tree, mention: Mention) -> bool:
    """Waited for, aimed at or about to be met: "waiting for a bus", "trying to catch a frisbee", "on the way to a beach"."""
    index = mention.head
    if {"neither", "nor"} & set(tree.lower[max(0, mention.first - 3) : mention.first]):
        return True  # "neither the cat nor the dog is on the sofa"
    case = tree.case_of(index).split()
    above = tree.heads[index]
    if case and case[-1] in ("for", "to", "after") and tree.lemmas[above].lower() in lexicon.SEEKING:
        return True
    if tree.deps[index] not in ("obj", "conj"):
        return False
    for _ in range(6):
        above = tree.heads[index]
        if above == index:
            return False
        if tree.pos[index] in ("VERB", "AUX") and any(
            tree.deps[kid] == "mark" and tree.lower[kid] == "to" for kid in tree.kids[index]
        ):
            governor = tree.lemmas[above].lower()
            return index != mention.head and (governor in lexicon.INTENDING or tree.deps[index] == "advcl")
        if tree.deps[index] in ("nsubj", "nsubj:pass", "acl:relcl"):
            return False
        index = above
    return False
