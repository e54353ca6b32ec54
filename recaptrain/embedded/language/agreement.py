"""Captions whose parse is known to be good: those from which the claims read are exactly a human's scene graph.

A treebank of web text knows few of the words and fewer of the turns of captions. Captions with scene graphs (FACTUAL's
train split) say nothing about trees, but a wrong tree rarely gives the right graph: so what a first pipeline parses
and `audits.extraction` reads back as the graph is kept, as further training text for the second.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from audits.extraction import extract_claims
from audits.extraction.words import COLORS, singular
from recaptrain.embedded.language.treebank import (
    Tree,
    capitalized,
    dressed,
    lowered,
    stopped,
    to_doc,
    tree_of,
    unstopped,
)

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

#: Words that the annotators of FACTUAL replaced by a more general one.
GENERALIZED = {
    "guy": "person",
    "lady": "woman",
    "people": "person",
    "kid": "child",
    "bike": "bicycle",
    "glasse": "glass",
}


def _head(noun: str) -> str:
    word = singular(noun.lower().split()[-1]) if noun.split() else ""
    return GENERALIZED.get(word, word)


def agrees(doc: Doc, gold: dict) -> bool:
    """Whether objects, colored objects and the pairs of positions are those of a graph, no more and no fewer.

    Args:
        gold: `objects` (names), `parts` (names that may be missing), `colors` ([object, color]), `positions`
            ([subject, relation, object]).
    """
    claims = extract_claims(doc)
    objects = {_head(claim.object or "") for claim in claims if claim.kind == "object"}
    wanted = {_head(name) for name in gold["objects"]}
    if objects - {_head(name) for name in gold["parts"]} != wanted:
        return False
    colors = {_head(claim.object or "") for claim in claims if claim.kind == "color"}
    if colors != {_head(name) for name, _ in gold["colors"]}:
        return False
    pairs = {
        (_head(claim.subject or ""), _head(claim.object))
        for claim in claims
        if claim.kind == "position" and claim.object
    }
    return pairs == {(_head(subject), _head(target)) for subject, _, target in gold["positions"]}


def agreeing_trees(nlp: Language, rows: Iterable[dict]) -> list[Tree]:
    """Trees of the captions on which pipeline and graph agree, in the order of the rows.

    Args:
        rows: `{"caption", "gold"}` as `agrees` takes it.
    """
    rows = list(rows)
    docs = nlp.pipe((row["caption"] for row in rows), batch_size=256)
    return [
        tree_of(doc) for doc, row in zip(docs, rows, strict=True) if len(doc) > 1 and agrees(doc, row["gold"])
    ]


def read_rows(path: Path) -> list[dict]:
    with open(path, encoding="utf8") as file:
        return [json.loads(line) for line in file]


def caption_docs(trees: list[Tree], vocab: Vocab, *, seed: int, alone: float = 0.85) -> Iterator[Doc]:
    """The captions as they are written: most alone, some as the sentences of a paragraph.

    Args:
        alone: the share of documents of one caption.
    """
    rng = random.Random(seed)
    trees = [unstopped(tree) for tree in trees if tree.deps.count("ROOT") == 1]
    rng.shuffle(trees)
    start = 0
    while start < len(trees):
        size = 1 if rng.random() < alone else rng.randint(2, 5)
        group = trees[start : start + size]
        start += size
        if len(group) == 1:
            yield to_doc([dressed(group[0], rng)], vocab)
        else:
            dress = capitalized if rng.random() < 0.7 else lowered
            yield to_doc([stopped(dress(tree), tree.deps.index("ROOT"), gap=False) for tree in group], vocab)


def mended(trees: list[Tree]) -> list[Tree]:
    """The trees without what a first pipeline gets wrong and a graph does not show.

    A word that is a noun in nearly all trees is no adjective or verb in one of them; a lower-cased common noun is no
    name; "next to" is a preposition of its noun.
    """
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for tree in trees:
        for word, pos in zip(tree.words, tree.pos, strict=True):
            kinds[word.lower()]["NOUN" if pos == "PROPN" else pos] += 1
    usual = {
        word: pos
        for word, counter in kinds.items()
        for pos, times in counter.most_common(1)
        if times >= 10 and times / counter.total() > 0.85
    }
    named = [_unnamed(tree) for tree in trees]
    return [tree for tree in named if _plausible(tree, usual)]


def _unnamed(tree: Tree) -> Tree:
    """Lower-cased words tagged as names become common nouns, or adjectives where they name a color."""
    pos, tags, lemmas, deps = list(tree.pos), list(tree.tags), list(tree.lemmas), list(tree.deps)
    for index, word in enumerate(tree.words):
        if pos[index] != "PROPN" or not word.islower():
            continue
        if word in COLORS and deps[index] in ("compound", "amod"):
            pos[index], tags[index], deps[index], lemmas[index] = "ADJ", "JJ", "amod", word
        else:
            lemmas[index] = singular(word)
            pos[index], tags[index] = "NOUN", "NN" if lemmas[index] == word else "NNS"
    return replace(tree, pos=tuple(pos), tags=tuple(tags), lemmas=tuple(lemmas), deps=tuple(deps))


def _plausible(tree: Tree, usual: dict[str, str]) -> bool:
    root = tree.deps.index("ROOT")
    if tree.pos[root] not in ("NOUN", "VERB", "PROPN") and not any(
        tree.deps[kid] == "nsubj" for kid in tree.children(root)
    ):
        return False
    if tree.pos[root] in ("ADP", "ADV", "DET", "NUM") or "dep" in tree.deps:
        return False
    for index, (word, pos) in enumerate(zip(tree.words, tree.pos, strict=True)):
        if usual.get(word.lower(), pos) != pos and "NOUN" in (pos, usual[word.lower()]):
            return False
        if word.lower() == "next" and index + 1 < len(tree.words) and tree.words[index + 1].lower() == "to":
            both = {tree.deps[index], tree.deps[index + 1]} == {"case"}
            if not both or tree.heads[index] != tree.heads[index + 1]:
                return False
    return True
