"""Noun phrases and what is known of each: the vocabulary that the other modules of this package share."""

from __future__ import annotations

from dataclasses import dataclass, field

from audits.extraction.tree import NOMINAL, Tree
from recapdata.records import Hedge

#: What kind of noun a mention is; only `object` mentions are claimed.
#: partitive: "a group (of people)"; region: "the left side"; picture: "a photo (of)"; abstract: "day", "style";
#: lettering: "the text 'OPEN'", no thing beside the words, but what a place in the picture can be said of.
OBJECT, PARTITIVE, REGION, PICTURE, ABSTRACT = "object", "partitive", "region", "picture", "abstract"
LETTERING = "lettering"
_POSSESSIVES = frozenset(["'s", "’s", "'", "’"])
_INSIDE = frozenset(["DET", "ADJ", "NUM", "ADV", "PUNCT", "CCONJ", "PART"])
_MARKS = frozenset(["-", ",", '"', "'", "“", "”", "‘", "’"])


@dataclass(slots=True)
class Mention:
    """One noun phrase.

    Attributes:
        head: token index of its last noun.
        first: token index of the first noun of its compound ("traffic" of "traffic light").
        object: the noun phrase's lemma without determiners, numbers and adjectives.
        kind: one of the constants of this module.
        real: False where the caption denies or supposes it ("no people", "as if riding a horse").
        target: for a partitive, the mention that it is a part or group of.
        plural: whether it names several.
        hedge: why the caption can be true without it (`Claim.hedge`).
    """

    head: int
    first: int
    object: str
    kind: str
    real: bool = True
    target: Mention | None = None
    plural: bool = False
    hedge: Hedge | None = None

    def resolved(self) -> Mention:
        """What a partitive is of, itself otherwise: people for "a group of people"."""
        mention = self
        for _ in range(3):
            if mention.target is None:
                break
            mention = mention.target
        return mention


@dataclass(slots=True)
class Phrases:
    """The mentions of a tree; `at` gives the mention that a token is part of."""

    tree: Tree
    mentions: list[Mention] = field(default_factory=list)
    at: dict[int, Mention] = field(default_factory=dict)

    def following(self, index: int) -> Mention | None:
        """The mention whose noun phrase starts at a token: only determiners, numbers and adjectives come before it."""
        tree = self.tree
        while index < len(tree.words):
            mention = self.at.get(index)
            if mention is not None:
                after = mention.head + 1
                if (
                    after < len(tree.words)
                    and tree.lower[after] in _POSSESSIVES
                    and tree.pos[after] in ("PART", "PUNCT")
                ):
                    owned = self.following(after + 1)  # "in the man's hand" is in the hand
                    return owned or mention
                return mention
            if not (tree.pos[index] in _INSIDE or _modifies(tree, index)):
                return None
            if tree.pos[index] == "PUNCT" and tree.lower[index] not in _MARKS:
                return None
            index += 1
        return None


def _modifies(tree: Tree, index: int) -> bool:
    """A participle or a possessive before its noun ("a painted wall", "his", "the man 's", "cutting board")."""
    dep, head = tree.deps[index], tree.heads[index]
    if tree.pos[index] == "VERB" and index + 1 < len(tree.words) and tree.pos[index + 1] in NOMINAL:
        return tree.tags[index] in ("VBG", "VBN")
    return head > index and dep in ("amod", "nmod:poss", "compound", "case", "det", "advmod", "nummod")


def conjuncts(phrases: Phrases, mention: Mention) -> list[Mention]:
    """The mention and those coordinated with it, in order: a "man and woman" that stand somewhere both do."""
    tree = phrases.tree
    first = mention.head
    while tree.deps[first] == "conj" and tree.heads[first] in phrases.at and tree.heads[first] < first:
        first = tree.heads[first]
    together = [first, *(kid for kid in tree.kids[first] if tree.deps[kid] == "conj")]
    found = [phrases.at[index] for index in together if index in phrases.at]
    return found if mention in found else [mention]
