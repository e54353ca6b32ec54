"""What a pronoun stands for, where only one noun can be meant: "a man … he wears", "a bowl with flowers in it"."""

from __future__ import annotations

from collections.abc import Sequence

from audits.extraction import words as lexicon
from audits.extraction.phrases import OBJECT, Mention, Phrases, conjuncts

RELATIVES = frozenset({"that", "which", "who", "whom"})
MALE, FEMALE, SEVERAL = (
    frozenset({"he", "him", "his"}),
    frozenset({"she", "her"}),
    frozenset({"they", "them", "these", "those", "their"}),
)


def antecedent(phrases: Phrases, index: int, apart: Sequence[Mention] = ()) -> Mention | None:
    """The mention that the pronoun at a token refers to; None where it is not safe to say.

    Args:
        apart: mentions that it cannot be (the subjects of what is said of the pronoun).
    """
    tree = phrases.tree
    word = tree.lower[index]
    if (
        word in RELATIVES
        and tree.pos[index] != "SCONJ"
        and (clause := relative_noun(phrases, index)) is not None
    ):
        return clause
    if word in ("one", "ones"):
        return _same_kind(phrases, index)
    earlier = [
        m for m in phrases.mentions if m.head < index and m.kind == OBJECT and m.real and m not in apart
    ]
    if word in MALE or word in FEMALE:
        people, others = (
            lexicon.PERSONS["he" if word in MALE else "she"],
            lexicon.PERSONS["she" if word in MALE else "he"],
        )
        fitting = [m for m in earlier if _noun(m) in people and not m.plural]
        fitting = fitting or [
            m
            for m in earlier
            if _noun(m) in lexicon.LIVING and _noun(m) not in others - people and not m.plural
        ]
    elif word in SEVERAL:
        fitting = [m for m in earlier if m.plural]
        subjects = [m for m in fitting if _is_topic(phrases, m)]
        fitting = subjects or fitting
        if not fitting and word == "they":  # one person whose gender is not told
            fitting = [m for m in earlier if _noun(m) in lexicon.ANY_PERSON]
    elif word in ("it", "its"):
        fitting = [m for m in earlier if not m.plural and _noun(m) not in lexicon.ANY_PERSON]
    else:
        return None
    return _one_of(phrases, fitting, index)


def _one_of(phrases: Phrases, fitting: list[Mention], index: int) -> Mention | None:
    """The only noun that fits, else what the sentence is about, else the only one in it, else what the one before is about."""
    tree = phrases.tree
    if len({m.object for m in fitting}) == 1:
        return fitting[-1]
    alone = [m for m in fitting if m.plural or len(conjuncts(phrases, m)) == 1]
    for sentence in (tree.sent[index], tree.sent[index] - 1):
        here = [m for m in fitting if tree.sent[m.head] == sentence]
        topics = [m for m in here if m in alone and _is_topic(phrases, m)]
        for candidates in (topics, here if sentence == tree.sent[index] else []):
            if candidates:
                return candidates[-1] if len({m.object for m in candidates}) == 1 else None
    return None


def _noun(mention: Mention) -> str:
    return mention.object.split()[-1].lower()


def _is_topic(phrases: Phrases, mention: Mention) -> bool:
    """Whether a sentence is about it: its subject, or the noun that a fragment is made of."""
    tree = phrases.tree
    return tree.deps[mention.head] in ("nsubj", "nsubj:pass", "ROOT") and not tree.has(mention.head, "cop")


def relative_noun(phrases: Phrases, index: int) -> Mention | None:
    """The noun that the relative clause around a token describes."""
    tree = phrases.tree
    for _ in range(5):
        if tree.deps[index] in ("acl:relcl", "acl"):
            return phrases.at.get(tree.heads[index])
        if tree.heads[index] == index:
            return None
        index = tree.heads[index]
    return None


def _same_kind(phrases: Phrases, index: int) -> Mention | None:
    """ "two dogs, the one on the left", "a red motorcycle beside a black one": the last noun before it."""
    earlier = [m for m in phrases.mentions if m.head < index and m.kind == OBJECT and m.real]
    plural = [m for m in earlier if m.plural]
    topics = [m for m in plural if _is_topic(phrases, m)]
    candidates = topics or plural or earlier
    return candidates[-1] if candidates else None
