"""Tokens of a sentence under construction, and the tree that finished ones make.

Tags, labels and attachments are those of Universal Dependencies English EWT, in spaCy's form ("ROOT" for the root).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from recaptrain.embedded.language.treebank import Tree
from recaptrain.embedded.language.words import GERUND, PARTICIPLE, PRESENT, Part, Row


@dataclass(slots=True, eq=False)
class Token:
    """A token under construction, in the columns of Universal Dependencies.

    Attributes:
        head: the token that it depends on; the root's own self.
        space: whether a blank follows.
        kind: of a noun, from the word lists.
        index: its place in the finished sentence.
    """

    form: str
    tag: str
    pos: str
    morph: str
    lemma: str
    head: Token | None = None
    dep: str = ""
    space: bool = True
    kind: str | None = None
    index: int = -1


#: Tokens in order and the one that heads them.
Phrase: TypeAlias = tuple[list[Token], Token]
#: Besides, whether a noun phrase takes a plural verb, or whether a predicate is passive.
Marked: TypeAlias = tuple[list[Token], Token, bool]


def row_token(row: Row, dep: str = "", head: Token | None = None) -> Token:
    return Token(*row, head, dep)


def common(word: str, dep: str = "", head: Token | None = None) -> Token:
    """A noun in the singular."""
    return Token(word, "NN", "NOUN", "Number=Sing", word, head, dep)


def adjective(word: str, dep: str = "", head: Token | None = None) -> Token:
    return Token(word, "JJ", "ADJ", "Degree=Pos", word, head, dep)


def plural_noun(word: str, lemma: str, dep: str = "", head: Token | None = None) -> Token:
    return Token(word, "NNS", "NOUN", "Number=Plur", lemma, head, dep)


def present(base: str, dep: str = "", head: Token | None = None, *, plural: bool = False) -> Token:
    """A regular verb in the third person of the present."""
    form, tag, number = (base, "VBP", "Plur") if plural else (base + "s", "VBZ", "Sing")
    return Token(form, tag, "VERB", PRESENT.format(number), base, head, dep)


def verbal(form: str, tag: str, morph: str, base: str, dep: str = "", head: Token | None = None) -> Token:
    """A participle or gerund, by its form."""
    return Token(form, tag, "VERB", morph, base, head, dep)


def parts_of(parts: tuple[Part, ...]) -> list[Token]:
    tokens: list[Token] = [Token(*part.row, None, part.dep, part.space) for part in parts]
    if len(tokens) > 1:
        for part, token in zip(parts, tokens, strict=True):
            if part.head >= 0:
                token.head = tokens[part.head]
    return tokens


def under(phrase: Phrase, head: Token, dep: str) -> list[Token]:
    """The phrase's tokens, tied to a head."""
    root = phrase[1]
    root.head, root.dep = head, dep
    return phrase[0]


def statement(subject: Phrase, verb: Token, what: Phrase) -> Phrase:
    """Subject, verb and object."""
    return [*under(subject, verb, "nsubj"), verb, *under(what, verb, "obj")], verb


def finished(phrase: Phrase, *, capital: bool, stop: str) -> Tree:
    """The tree of a phrase that stands alone; `stop` is "", "." or " ."."""
    tokens, root = phrase
    root.head, root.dep = root, "ROOT"
    if stop:
        if stop == ".":
            tokens[-1].space = False
        tokens.append(Token(".", ".", "PUNCT", "", ".", root, "punct", False))
    following = ""
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        token.index = place
        tag = token.tag
        if tag == "DT":
            if token.lemma == "a" and _vowel_sound(following):
                token.form = "an"
        elif tag == "VBG" and token.pos == "VERB" and token.dep != "case":
            gerund = token.dep in ("acl", "amod") or (token.dep == "xcomp" and tokens[place - 1].form != "be")
            token.morph = GERUND if gerund else PARTICIPLE
        following = token.form
    if capital:
        first = tokens[0].form
        tokens[0].form = first[:1].upper() + first[1:]
    tokens[-1].space = False
    assert all(token.head for token in tokens)
    return Tree(
        words=tuple(token.form for token in tokens),
        spaces=tuple(token.space for token in tokens),
        tags=tuple(token.tag for token in tokens),
        pos=tuple(token.pos for token in tokens),
        morphs=tuple(token.morph for token in tokens),
        lemmas=tuple(token.lemma for token in tokens),
        heads=tuple(token.head.index for token in tokens if token.head),
        deps=tuple(token.dep for token in tokens),
    )


def _vowel_sound(word: str) -> bool:
    """Whether "an" stands before the word."""
    if word in ("hour", "suv", "8", "11", "18", "80"):
        return True
    if word[:1].lower() not in "aeiou" or not word:
        return False
    return not word.startswith(("uni", "urinal", "used", "one", "ute", "euro")) or word.startswith("unid")
