"""A Universal Dependencies treebank turned into training text that reads like captions.

Captions are noun-phrase fragments, often lower-cased, mostly without a final stop; a web treebank is made of
whole sentences. So each training tree also gives what a caption writer would have kept of it: a noun phrase
("the man in the car"), a subject with a participle ("a man riding a horse" from "a man is riding a horse"), or
a subject with its place ("the dog on the mat" from "the dog is on the mat"). Heads and labels stay gold.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

#: A noun in one of these roles heads a phrase that can stand alone (it is no predicate and carries no subject).
PHRASE_ROLES = frozenset({"nsubj", "nsubj:pass", "obj", "iobj", "obl", "nmod", "appos", "conj"})
#: What ties a phrase to the rest of its sentence and goes when the phrase is cut out.
LINKS = frozenset({"case", "cc", "mark", "punct", "cc:preconj"})
LONGEST_FRAGMENT = 24


@dataclass(frozen=True, slots=True)
class Tree:
    """One sentence: columns of equal length; `heads` are indices, the root's own index at the root."""

    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    tags: tuple[str, ...]
    pos: tuple[str, ...]
    morphs: tuple[str, ...]
    lemmas: tuple[str, ...]
    heads: tuple[int, ...]
    deps: tuple[str, ...]

    def children(self, index: int) -> list[int]:
        return [i for i, head in enumerate(self.heads) if head == index and i != index]

    def subtree(self, index: int) -> list[int]:
        """Indices of the token and all below it, in order."""
        found, queue = {index}, [index]
        while queue:
            below = [child for child in self.children(queue.pop()) if child not in found]
            found.update(below)
            queue.extend(below)
        return sorted(found)


def read_trees(path: Path) -> list[Tree]:
    """The sentences of a CoNLL-U file, read by spaCy's own converter (what `spacy convert` runs)."""
    from spacy.training.converters import conllu_to_docs

    text = Path(path).read_text(encoding="utf8")
    return [tree_of(doc) for doc in conllu_to_docs(text, n_sents=1, no_print=True)]


def tree_of(doc: Doc) -> Tree:
    """The columns of an annotated doc."""
    return Tree(
        words=tuple(token.text for token in doc),
        spaces=tuple(bool(token.whitespace_) for token in doc),
        tags=tuple(token.tag_ for token in doc),
        pos=tuple(token.pos_ for token in doc),
        morphs=tuple(str(token.morph) for token in doc),
        lemmas=tuple(token.lemma_ for token in doc),
        heads=tuple(token.head.i for token in doc),
        deps=tuple(token.dep_ for token in doc),
    )


def cut(
    tree: Tree, keep: list[int], root: int, edits: dict[int, tuple[int, str]] | None = None
) -> Tree | None:
    """The tree of the kept tokens under a new root; None where a kept token would lose its head.

    Args:
        keep: token indices in order.
        root: the kept token that becomes the root.
        edits: new (head, label) of some kept tokens, in the old tree's indices.
    """
    edits = edits or {}
    place = {old: new for new, old in enumerate(keep)}
    heads, deps = [], []
    for old in keep:
        head, dep = edits.get(old, (tree.heads[old], tree.deps[old]))
        if old == root:
            head, dep = old, "ROOT"
        if head not in place:
            return None
        heads.append(place[head])
        deps.append(dep)

    def pick(column: tuple) -> tuple:
        return tuple(column[i] for i in keep)

    kept_next = [following == index + 1 for index, following in itertools.pairwise(keep)] + [False]
    spaces = [tree.spaces[i] or not adjacent for i, adjacent in zip(keep, kept_next, strict=True)]
    return Tree(
        words=pick(tree.words),
        spaces=(*spaces[:-1], False),
        tags=pick(tree.tags),
        pos=pick(tree.pos),
        morphs=pick(tree.morphs),
        lemmas=pick(tree.lemmas),
        heads=tuple(heads),
        deps=tuple(deps),
    )


def _trimmed(tree: Tree, indices: list[int], root: int) -> list[int]:
    """The indices without punctuation at either end and without what tied the root to its sentence."""
    drop: set[int] = set()
    for child in tree.children(root):
        if tree.deps[child] in LINKS and (child < root or child == indices[-1]):
            drop.update(tree.subtree(child))
    kept = [i for i in indices if i not in drop]
    while kept and tree.deps[kept[0]] == "punct":
        kept = kept[1:]
    while kept and tree.deps[kept[-1]] == "punct":
        kept = kept[:-1]
    return kept


def noun_phrases(tree: Tree) -> Iterator[Tree]:
    """Every noun phrase of two or more tokens that could stand alone as a caption."""
    for index, (pos, dep) in enumerate(zip(tree.pos, tree.deps, strict=True)):
        if pos not in ("NOUN", "PROPN") or dep not in PHRASE_ROLES:
            continue
        kept = _trimmed(tree, tree.subtree(index), index)
        if 2 <= len(kept) <= LONGEST_FRAGMENT and index in kept and _contiguous(kept):
            phrase = cut(tree, kept, index)
            if phrase is not None:
                yield phrase


def participles(tree: Tree) -> Iterator[Tree]:
    """Each clause "SUBJECT is riding …", "is seen …", "is on …" as "SUBJECT riding …", "seen …", "on …"."""
    for index, pos in enumerate(tree.pos):
        below = tree.children(index)
        subjects = [
            i for i in below if tree.deps[i] in ("nsubj", "nsubj:pass") and tree.pos[i] in ("NOUN", "PROPN")
        ]
        links = [i for i in below if tree.deps[i] in ("aux", "aux:pass", "cop")]
        if len(subjects) != 1 or len(links) != 1 or tree.lemmas[links[0]] != "be":
            continue
        subject, link = subjects[0], links[0]
        place = pos in ("NOUN", "PROPN") and any(tree.deps[i] == "case" for i in below)
        if not subject < link < index or not (place or tree.tags[index] in ("VBG", "VBN")):
            continue
        first = tree.subtree(subject)[0]
        kept = [i for i in tree.subtree(index) if i >= first and i != link]
        while kept and tree.deps[kept[-1]] == "punct":
            kept.pop()
        if not 3 <= len(kept) <= LONGEST_FRAGMENT or any(tree.lemmas[i] == "not" for i in below):
            continue
        clause = cut(tree, kept, subject, {index: (subject, "nmod" if place else "acl")})
        if clause is not None:
            yield clause


def _contiguous(indices: list[int]) -> bool:
    return indices[-1] - indices[0] + 1 == len(indices)


def lowered(tree: Tree) -> Tree:
    return replace(
        tree,
        words=tuple(word.lower() for word in tree.words),
        lemmas=tuple(lemma.lower() for lemma in tree.lemmas),
    )


def capitalized(tree: Tree) -> Tree:
    return replace(tree, words=(tree.words[0][:1].upper() + tree.words[0][1:], *tree.words[1:]))


def unstopped(tree: Tree) -> Tree:
    """The tree without its final stop, if that is a lone full stop."""
    if len(tree.words) < 2 or tree.words[-1] != "." or len(tree.words) - 1 in tree.heads:
        return tree
    shorter = cut(tree, list(range(len(tree.words) - 1)), tree.deps.index("ROOT"))
    return shorter or tree


def stopped(tree: Tree, root: int, *, gap: bool) -> Tree:
    """The tree with a final stop, with a blank before it where asked (" ." is common in caption sets)."""
    return Tree(
        words=(*tree.words, "."),
        spaces=(*tree.spaces[:-1], gap, False),
        tags=(*tree.tags, "."),
        pos=(*tree.pos, "PUNCT"),
        morphs=(*tree.morphs, ""),
        lemmas=(*tree.lemmas, "."),
        heads=(*tree.heads, root),
        deps=(*tree.deps, "punct"),
    )


def captions_of(tree: Tree, rng: random.Random) -> Iterator[Tree]:
    """Some caption-like fragments of a sentence: every participle clause, and one or two of its phrases."""
    fragments = list(participles(tree))
    phrases = sorted(noun_phrases(tree), key=lambda phrase: len(phrase.words), reverse=True)
    if phrases:
        fragments.append(phrases[0])
    if len(phrases) > 2 and rng.random() < 0.4:
        fragments.append(rng.choice(phrases[1:]))
    for fragment in fragments:
        yield dressed(fragment, rng)


def dressed(tree: Tree, rng: random.Random) -> Tree:
    """A fragment in one of the ways captions are written: lower-cased or capitalized, with a stop or without."""
    tree = lowered(tree) if rng.random() < 0.65 else capitalized(tree) if rng.random() < 0.7 else tree
    if rng.random() < 0.25:
        tree = stopped(tree, tree.deps.index("ROOT"), gap=rng.random() < 0.3)
    return tree


def varied(tree: Tree, rng: random.Random) -> Tree:
    """A whole sentence, some of the time lower-cased, some of the time without its final stop."""
    if rng.random() < 0.35:
        tree = unstopped(tree)
    return lowered(tree) if rng.random() < 0.25 else tree


def to_doc(trees: list[Tree], vocab: Vocab) -> Doc:
    """One Doc of the sentences in order, a blank between them."""
    from spacy.tokens import Doc

    docs = [
        Doc(
            vocab,
            words=list(tree.words),
            spaces=list(tree.spaces),
            tags=list(tree.tags),
            pos=list(tree.pos),
            morphs=list(tree.morphs),
            lemmas=list(tree.lemmas),
            heads=list(tree.heads),
            deps=list(tree.deps),
        )
        for tree in trees
    ]
    merged = Doc.from_docs(docs, ensure_whitespace=True)
    assert merged is not None
    return merged


def grouped(trees: list[Tree], rng: random.Random, longest: int = 6) -> Iterator[list[Tree]]:
    """Runs of one to `longest` sentences, so that the parser learns both lone captions and paragraphs."""
    start = 0
    while start < len(trees):
        size = 1 if rng.random() < 0.4 else rng.randint(2, longest)
        yield trees[start : start + size]
        start += size


def training_docs(trees: list[Tree], vocab: Vocab, *, seed: int) -> list[Doc]:
    """Sentences in runs, and fragments alone (some in runs with a stop each), in an order drawn from the seed."""
    rng = random.Random(seed)
    docs = [to_doc(group, vocab) for group in grouped([varied(tree, rng) for tree in trees], rng)]
    fragments = [fragment for tree in trees for fragment in captions_of(tree, rng)]
    docs.extend(to_doc([fragment], vocab) for fragment in fragments)
    rng.shuffle(docs)
    return docs
