"""One view of a parsed caption for both label schemes: Universal Dependencies in plain lists.

spaCy's tokens are read once, because reading an attribute of a `Token` costs as much as a page of list work, and
ClearNLP trees are turned into UD ones, so that every rule of this package is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from audits.language import CLEARNLP_TO_UD, Scheme, scheme_of

if TYPE_CHECKING:
    from spacy.tokens import Doc

NOMINAL = frozenset({"NOUN", "PROPN"})


@dataclass(frozen=True, slots=True)
class Tree:
    """Columns over the tokens of one caption.

    Attributes:
        start, end: code points of each token, end exclusive.
        heads: index of each token's head; a root's own index.
        kids: indices below each token, in order.
        sent: number of the sentence that each token is in.
    """

    text: str
    words: list[str]
    lower: list[str]
    lemmas: list[str]
    pos: list[str]
    tags: list[str]
    deps: list[str]
    heads: list[int]
    start: list[int]
    end: list[int]
    kids: list[list[int]]
    sent: list[int]

    def __len__(self) -> int:
        return len(self.words)

    def case_of(self, index: int) -> str:
        """The prepositions that a token stands behind, in lower case ("in front of" is not one token's: "of")."""
        return " ".join(
            self.lower[kid] for kid in self.kids[index] if self.deps[kid] == "case" and kid < index
        )

    def has(self, index: int, *deps: str) -> bool:
        return any(self.deps[kid] in deps for kid in self.kids[index])


def read(doc: Doc, scheme: Scheme | None = None) -> Tree:
    """The tree of a parsed doc.

    Args:
        scheme: the labels' scheme; None reads it off the doc's own labels.
    """
    from spacy.attrs import HEAD, SENT_START

    words, blanks, lower, lemmas, pos, tags, deps, start, end = ([] for _ in range(9))  # type: ignore[var-annotated]
    for token in doc:
        word = token.text
        words.append(word)
        blanks.append(token.whitespace_)
        lower.append(word.lower())
        lemmas.append(token.lemma_ or word)
        pos.append(token.pos_)
        tags.append(token.tag_)
        deps.append(token.dep_)
        start.append(token.idx)
        end.append(token.idx + len(word))
    offsets, breaks = doc.to_array([HEAD, SENT_START]).astype("int64").T.tolist()
    heads = [index + offset for index, offset in enumerate(offsets)]
    sentences = accumulate(int(index > 0 and begins == 1) for index, begins in enumerate(breaks))
    if (scheme or scheme_of(deps)) == "clearnlp":
        _to_ud(lower, lemmas, pos, deps, heads)
    return Tree(
        doc.text, words, lower, lemmas, pos, tags, deps, heads, start, end, _kids(heads), list(sentences)
    )


def _kids(heads: list[int]) -> list[list[int]]:
    kids: list[list[int]] = [[] for _ in heads]
    for index, head in enumerate(heads):
        if head != index:
            kids[head].append(index)
    return kids


def _to_ud(lower: list[str], lemmas: list[str], pos: list[str], deps: list[str], heads: list[int]) -> None:
    """Moves heads and labels of a ClearNLP tree, in place, to where Universal Dependencies has them."""
    _move_copulas(lemmas, deps, heads)
    _move_prepositions(pos, deps, heads)
    for index, dep in enumerate(deps):
        if dep == "conj":  # ClearNLP chains conjuncts, UD hangs all on the first
            while deps[heads[index]] == "conj":
                heads[index] = heads[heads[index]]
        elif dep == "acomp":
            deps[index] = "xcomp"
        elif dep == "attr":
            deps[index] = (
                "nsubj"
                if "there" in (lower[k] for k in range(len(heads)) if heads[k] == heads[index])
                else "xcomp"
            )
        elif dep in CLEARNLP_TO_UD and not (dep == "nmod" and heads[index] < index):
            deps[index] = CLEARNLP_TO_UD[dep]


def _move_copulas(lemmas: list[str], deps: list[str], heads: list[int]) -> None:
    """ "The car is red": `is` over `red` becomes `red` over `is`; "there is a car" keeps the verb, as UD does."""
    for verb, lemma in enumerate(lemmas):
        if lemma != "be":
            continue
        below = [index for index, head in enumerate(heads) if head == verb and index != verb]
        predicate = next((index for index in below if deps[index] in ("acomp", "attr")), None)
        if predicate is None or any(deps[index] == "expl" for index in below):
            continue
        heads[predicate] = predicate if heads[verb] == verb else heads[verb]
        deps[predicate], deps[verb] = deps[verb], "cop"
        for index in below:
            if index != predicate:
                heads[index] = predicate
        heads[verb] = predicate


def _move_prepositions(pos: list[str], deps: list[str], heads: list[int]) -> None:
    """ "on the mat": `on` over `mat` becomes `mat` over `on`, and `mat` hangs where `on` did."""
    moved = {}
    for prep in range(len(heads) - 1, -1, -1):  # inner ones first: "out" over "of" over "box"
        if deps[prep] not in ("prep", "agent", "dative"):
            continue
        noun = next(
            (i for i, head in enumerate(heads) if head == prep and (deps[i] == "pobj" or i in moved)), None
        )
        clause = next((i for i, head in enumerate(heads) if head == prep and deps[i] == "pcomp"), None)
        target = noun if noun is not None else clause
        if target is None:
            if deps[prep] == "prep":
                deps[prep] = "advmod"
            continue
        above = heads[prep]
        agent, is_root = deps[prep] == "agent", above == prep
        heads[target] = target if is_root else above
        deps[target] = (
            "ROOT"
            if is_root
            else "obl:agent"
            if agent
            else "advcl"
            if noun is None
            else "nmod"
            if pos[above] in NOMINAL or pos[above] in ("PRON", "NUM")
            else "obl"
        )
        heads[prep], deps[prep] = target, "case" if noun is not None else "mark"
        moved[target] = prep
