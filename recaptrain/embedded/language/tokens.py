"""Tokens of a sentence under construction, and the tree that finished ones make.

Tags, labels and attachments are those of Universal Dependencies English EWT, in spaCy's form ("ROOT" for the root).
"""

from __future__ import annotations

from typing import Any, TypeAlias

from recaptrain.embedded.language.treebank import Tree
from recaptrain.embedded.language.words import GERUND, PARTICIPLE, PRESENT, Part, Row

#: A token under construction: form, tag, part of speech, morphology, lemma, head token, label, space after, and a free place
#: (a noun's kind, later the token's index).
Token: TypeAlias = list[Any]
#: Tokens in order and the one that heads them.
Phrase: TypeAlias = tuple[list[Token], Token]
#: Besides, whether a noun phrase takes a plural verb, or whether a predicate is passive.
Marked: TypeAlias = tuple[list[Token], Token, bool]


def row_token(row: Row, dep: str = "", head: Token | None = None) -> Token:
    return [*row, head, dep, True, None]


def common(word: str, dep: str = "", head: Token | None = None) -> Token:
    """A noun in the singular."""
    return [word, "NN", "NOUN", "Number=Sing", word, head, dep, True, None]


def adjective(word: str, dep: str = "", head: Token | None = None) -> Token:
    return [word, "JJ", "ADJ", "Degree=Pos", word, head, dep, True, None]


def plural_noun(word: str, lemma: str, dep: str = "", head: Token | None = None) -> Token:
    return [word, "NNS", "NOUN", "Number=Plur", lemma, head, dep, True, None]


def present(base: str, dep: str = "", head: Token | None = None, *, plural: bool = False) -> Token:
    """A regular verb in the third person of the present."""
    form, tag, number = (base, "VBP", "Plur") if plural else (base + "s", "VBZ", "Sing")
    return [form, tag, "VERB", PRESENT.format(number), base, head, dep, True, None]


def verbal(form: str, tag: str, morph: str, base: str, dep: str = "", head: Token | None = None) -> Token:
    """A participle or gerund, by its form."""
    return [form, tag, "VERB", morph, base, head, dep, True, None]


def parts_of(parts: tuple[Part, ...]) -> list[Token]:
    tokens: list[Token] = [[*part.row, None, part.dep, part.space, None] for part in parts]
    if len(tokens) > 1:
        for part, token in zip(parts, tokens, strict=True):
            if part.head >= 0:
                token[5] = tokens[part.head]
    return tokens


def under(phrase: Phrase, head: Token, dep: str) -> list[Token]:
    """The phrase's tokens, tied to a head."""
    root = phrase[1]
    root[5], root[6] = head, dep
    return phrase[0]


def statement(subject: Phrase, verb: Token, what: Phrase) -> Phrase:
    """Subject, verb and object."""
    return [*under(subject, verb, "nsubj"), verb, *under(what, verb, "obj")], verb


def finished(phrase: Phrase, *, capital: bool, stop: str) -> Tree:
    """The tree of a phrase that stands alone; `stop` is "", "." or " ."."""
    tokens, root = phrase
    root[5], root[6] = root, "ROOT"
    if stop:
        if stop == ".":
            tokens[-1][7] = False
        tokens.append([".", ".", "PUNCT", "", ".", root, "punct", False, None])
    following = ""
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        token[8] = place
        tag = token[1]
        if tag == "DT":
            if token[4] == "a" and _vowel_sound(following):
                token[0] = "an"
        elif tag == "VBG" and token[2] == "VERB" and token[6] != "case":
            gerund = token[6] in ("acl", "amod") or (token[6] == "xcomp" and tokens[place - 1][0] != "be")
            token[3] = GERUND if gerund else PARTICIPLE
        following = token[0]
    if capital:
        first = tokens[0][0]
        tokens[0][0] = first[:1].upper() + first[1:]
    tokens[-1][7] = False
    forms, tags, pos, morphs, lemmas, heads, deps, spaces, _ = zip(*tokens, strict=True)
    return Tree(forms, spaces, tags, pos, morphs, lemmas, tuple([head[8] for head in heads]), deps)


def _vowel_sound(word: str) -> bool:
    """Whether "an" stands before the word."""
    if word in ("hour", "suv", "8", "11", "18", "80"):
        return True
    if word[:1].lower() not in "aeiou" or not word:
        return False
    return not word.startswith(("uni", "urinal", "used", "one", "ute", "euro")) or word.startswith("unid")
