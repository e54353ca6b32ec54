"""One view of a parsed caption for both label schemes: Universal Dependencies in plain lists.

spaCy's tokens are read once, because reading an attribute of a `Token` costs as much as a page of list work, and
ClearNLP trees are turned into UD ones, so that every rule of this package is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from audits.language.pipeline import CLEARNLP_TO_UD, Scheme, scheme_of

if TYPE_CHECKING:
    from spacy.pipeline import Lemmatizer
    from spacy.strings import StringStore
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

    def case_of(self, index: int) -> str:
        """The prepositions that a token stands behind, in lower case ("in front of" is not one token's: "of")."""
        return " ".join(
            self.lower[kid] for kid in self.kids[index] if self.deps[kid] == "case" and kid < index
        )

    def has(self, index: int, *deps: str) -> bool:
        return any(self.deps[kid] in deps for kid in self.kids[index])


def read(doc: Doc, scheme: Scheme | None = None, lemmas_of: Lemmas | None = None) -> Tree:
    """The tree of a parsed doc.

    Args:
        scheme: the labels' scheme; None reads it off the doc's own labels.
        lemmas_of: gives the lemmas; None takes those that the doc has.
    """
    from spacy.attrs import DEP, HEAD, LEMMA, MORPH, ORTH, POS, SENT_START, SPACY, TAG

    columns = doc.to_array([ORTH, LEMMA, MORPH, POS, TAG, DEP, SPACY, HEAD, SENT_START])
    orth, lemma, morph, pos_, tag, dep, spaces = columns[:, :7].T.tolist()
    offsets, breaks = columns[:, 7:].astype("int64").T.tolist()
    strings = doc.vocab.strings
    words = [strings[word] for word in orth]
    if lemmas_of is not None:
        lemmas = [lemmas_of(doc, key) for key in enumerate(zip(orth, pos_, morph, strict=True))]
    else:
        lemmas = [strings[each] if each else word for each, word in zip(lemma, words, strict=True)]
    pos, tags, deps = ([_label(each, strings) for each in column] for column in (pos_, tag, dep))
    lower = [word.lower() for word in words]
    ends = list(accumulate(len(word) + space for word, space in zip(words, spaces, strict=True)))
    end = [after - space for after, space in zip(ends, spaces, strict=True)]
    start = [0, *ends[:-1]]
    heads = [index + offset for index, offset in enumerate(offsets)]
    sentences = accumulate(int(index > 0 and begins == 1) for index, begins in enumerate(breaks))
    if (scheme or scheme_of(deps)) == "clearnlp":
        _to_ud(lower, lemmas, pos, deps, heads)
    if "conj" in deps or "appos" in deps or "cc" in deps:
        _join_lists(lower, pos, deps, heads)
    # Not `doc.text`, which makes an object of every token.
    text = "".join(word + " " * space for word, space in zip(words, spaces, strict=True))
    return Tree(text, words, lower, lemmas, pos, tags, deps, heads, start, end, _kids(heads), list(sentences))


class Lemmas:
    """A rule lemmatizer's lemmas, each found once: they depend on word, part of speech and morphology alone.

    spaCy's own component goes through every token of every doc anew, a twentieth of the time of a pipeline.
    """

    LARGEST = 1 << 18

    def __init__(self, lemmatizer: Lemmatizer) -> None:
        self._lemmatizer = lemmatizer
        self._known: dict[tuple[int, int, int], str] = {}

    def __call__(self, doc: Doc, token: tuple[int, tuple[int, int, int]]) -> str:
        """The lemma of a token.

        Args:
            token: its index, and the ids of its word, part of speech and morphology.
        """
        index, key = token
        lemma = self._known.get(key)
        if lemma is None:
            if len(self._known) >= self.LARGEST:
                self._known.clear()
            lemma = self._known[key] = self._lemmatizer.lemmatize(doc[index])[0]
        return lemma


_LABELS: dict[int, str] = {}


def _label(number: int, strings: StringStore) -> str:
    """The name of a part of speech, tag or dependency: few, so that each is looked up once."""
    name = _LABELS.get(number)
    if name is None:
        name = _LABELS[number] = strings[number] if number else ""
    return name


def _kids(heads: list[int]) -> list[list[int]]:
    kids: list[list[int]] = [[] for _ in heads]
    for index, head in enumerate(heads):
        if head != index:
            kids[head].append(index)
    return kids


def _join_lists(lower: list[str], pos: list[str], deps: list[str], heads: list[int]) -> None:
    """Hang the members of a list on its first, in place, where a parser has parted them.

    In captions "two mugs, a bowl and three spoons" is a list and no apposition, a second subject after "and" stands beside
    the first, and what is coordinated with a coordinated noun belongs to the same list.
    """
    kids = _kids(heads)

    def joined(index: int) -> bool:
        return any(deps[kid] == "cc" and kid < index for kid in kids[index])

    for index in range(1, len(heads)):
        head = heads[index]
        if pos[index] not in NOMINAL or head >= index:
            if deps[index] in ("nsubj", "nsubj:pass") and pos[index] in NOMINAL and joined(index):
                before = [k for k in kids[head] if k < index and deps[k] == deps[index] and pos[k] in NOMINAL]
                if before:
                    heads[index], deps[index] = before[0], "conj"
            continue
        if deps[index] == "appos" and pos[head] in NOMINAL and lower[index - 1 : index] != ["("]:
            if any(deps[kid] == "conj" and joined(kid) for kid in kids[index]):
                deps[index] = "conj"
        elif (
            deps[index] == "conj"
            and pos[head] in ("VERB", "AUX")
            and not any(deps[kid] in ("nsubj", "nsubj:pass", "cop") for kid in kids[index])
        ):
            beside = [
                k
                for k in kids[head]
                if head < k < index and deps[k] in ("obj", "nsubj") and pos[k] in NOMINAL
            ]
            if beside:
                heads[index] = beside[-1]
    for index, dep in enumerate(deps):
        if dep == "conj" and pos[index] in NOMINAL:
            head = heads[index]
            if _has_own_place(lower, pos, deps, kids, index) and any(
                deps[kid] == "case" for kid in kids[head]
            ):
                above = heads[
                    head
                ]  # "a cup on the table and a spoon in the cup": the spoon is beside the cup
                if (
                    pos[above] in NOMINAL
                    and above < head
                    and not any(deps[kid] == "case" for kid in kids[index])
                ):
                    head = above
            while deps[head] == "conj" and pos[head] in NOMINAL and heads[head] < head:
                head = heads[head]
            heads[index] = head


def _has_own_place(
    lower: list[str], pos: list[str], deps: list[str], kids: list[list[int]], index: int
) -> bool:
    return any(
        deps[kid] == "nmod"
        and pos[kid] in NOMINAL
        and any(deps[low] == "case" and lower[low] not in ("of", "with") for low in kids[kid])
        for kid in kids[index]
    )


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
