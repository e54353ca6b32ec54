"""Tests of the caption grammar: well-formed trees in the conventions of UD English EWT, over all words and roles."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import spacy

from recaptrain.embedded.language.grammar import RULES, Grammar, grammar_trees
from recaptrain.embedded.language.tokens import finished
from recaptrain.embedded.language.treebank import Tree, to_doc
from recaptrain.embedded.language.words import Deck, Verb, lexicon, read_hyphenated, read_noun

#: The labels of UD English EWT's train split in spaCy's form, as far as captions need them.
LABELS = (
    "ROOT acl acl:relcl advcl advmod amod appos aux aux:pass case cc ccomp compound compound:prt conj cop det det:predet expl "
    "fixed iobj mark nmod nmod:poss nsubj nsubj:pass nummod obj obl obl:agent obl:unmarked punct xcomp"
)
#: Its part-of-speech tags, each with the universal tags that it goes with.
TAGS = {
    "NN": "NOUN PRON", "NNS": "NOUN", "NNP": "PROPN ADJ", "JJ": "ADJ", "JJR": "ADJ", "DT": "DET PRON", "PDT": "DET", "IN": "ADP SCONJ",
    "RB": "ADV PART", "RP": "ADP", "VB": "VERB AUX", "VBZ": "VERB AUX", "VBP": "VERB AUX", "VBD": "VERB AUX", "VBG": "VERB AUX",
    "VBN": "VERB", "MD": "AUX", "CD": "NUM", "CC": "CCONJ", "EX": "PRON", "PRP": "PRON", "PRP$": "PRON", "WP": "PRON", "WP$": "PRON",
    "WDT": "PRON", "WRB": "ADV", "TO": "PART", "POS": "PART", "HYPH": "PUNCT", ",": "PUNCT", ".": "PUNCT", "``": "PUNCT", "''": "PUNCT",
}  # fmt: skip


@pytest.fixture(scope="module")
def trees() -> list[Tree]:
    return list(grammar_trees(20_000, seed=3))


def text_of(tree: Tree) -> str:
    return "".join(word + " " * space for word, space in zip(tree.words, tree.spaces, strict=True))


def crossing(tree: Tree) -> bool:
    """Whether two arcs cross."""
    arcs = [(min(i, head), max(i, head)) for i, head in enumerate(tree.heads) if i != head]
    return any(a < c < b < d for (a, b), (c, d) in itertools.permutations(arcs, 2))


def test_every_tree_has_one_root_that_all_tokens_lead_to(trees: list[Tree]) -> None:
    for tree in trees:
        roots = [i for i, head in enumerate(tree.heads) if head == i]
        assert len(roots) == 1
        assert [i for i, dep in enumerate(tree.deps) if dep == "ROOT"] == roots
        assert tree.subtree(roots[0]) == list(range(len(tree.words))), text_of(tree)


def test_no_arcs_cross(trees: list[Tree]) -> None:
    assert not [text_of(tree) for tree in trees[:3000] if crossing(tree)]


def test_tokens_are_those_of_the_tokenizer(trees: list[Tree]) -> None:
    tokenizer = spacy.blank("en").tokenizer
    for tree in trees:
        assert tuple(token.text for token in tokenizer(text_of(tree))) == tree.words


def test_labels_and_tags_are_those_of_the_treebank(trees: list[Tree]) -> None:
    assert {dep for tree in trees for dep in tree.deps} <= set(LABELS.split())
    for tag, pos in {pair for tree in trees for pair in zip(tree.tags, tree.pos, strict=True)}:
        assert pos in TAGS[tag].split(), (tag, pos)


def test_one_seed_gives_the_same_trees(trees: list[Tree]) -> None:
    assert list(grammar_trees(50, seed=3)) == trees[:50]
    assert list(grammar_trees(50, seed=4)) != trees[:50]


def test_trees_become_documents(trees: list[Tree]) -> None:
    doc = to_doc(trees[:5], spacy.blank("en").vocab)
    assert len(list(doc.sents)) == 5


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_yields_trees(rule: str) -> None:
    grammar = Grammar(1)
    for _ in range(200):
        tree = finished(getattr(grammar, rule)(), capital=True, stop=".")
        assert tree.words[-1] == "."
        assert tree.deps.count("ROOT") == 1
        assert tree.subtree(tree.deps.index("ROOT")) == list(range(len(tree.words)))


def test_every_word_that_is_noun_and_verb_comes_as_both() -> None:
    """A noun of the lists that is a verb of the lists too must occur with both tags, in 60,000 captions."""
    words = lexicon()
    heads = {noun.lemma.split()[-1] for entries in words.nouns.values() for noun in entries}
    both = {lemma for lemma in words.verb_by_lemma if lemma in heads}
    assert len(both) >= 250
    nouns: Counter[str] = Counter()
    verbs: Counter[str] = Counter()
    for tree in grammar_trees(60_000, seed=0):
        for tag, lemma in zip(tree.tags, tree.lemmas, strict=True):
            if tag in ("NN", "NNS"):
                nouns[lemma] += 1
            elif tag.startswith("VB"):
                verbs[lemma] += 1
    assert not sorted(both - nouns.keys())
    assert not sorted(both - verbs.keys())


def test_the_lists_are_as_broad_as_captions() -> None:
    nouns = {noun.lemma for entries in lexicon().nouns.values() for noun in entries}
    assert len(nouns) >= 1500
    assert sum(" " in noun for noun in nouns) >= 300
    assert len(lexicon().verb_by_lemma) >= 350


def test_finite_verbs_follow_every_kind_of_subject(trees: list[Tree]) -> None:
    """A third of the captions at least are whole sentences with a finite full verb; half of those in the plural."""
    finite = Counter(
        tag
        for tree in trees
        for tag, pos, dep in zip(tree.tags, tree.pos, tree.deps, strict=True)
        if dep == "ROOT" and pos == "VERB" and tag in ("VBZ", "VBP")
    )
    assert finite.total() > len(trees) * 0.3
    assert finite["VBP"] > finite.total() * 0.3


def test_agreement_of_subject_and_verb() -> None:
    """A lone plural noun as subject takes a plural verb, in all rules but the templates without articles."""
    grammar = Grammar(2)
    checked = 0
    for rule in ("clause", "inversion", "fronted_clause", "picture_sentence"):
        for _ in range(500):
            tree = finished(getattr(grammar, rule)(), capital=False, stop="")
            for i, (tag, head, dep) in enumerate(zip(tree.tags, tree.heads, tree.deps, strict=True)):
                lone = not any(tree.deps[child] in ("nmod", "conj") for child in tree.children(i))
                if lone and dep == "nsubj" and tag == "NNS" and tree.tags[head] in ("VBZ", "VBP"):
                    assert tree.tags[head] == "VBP", text_of(tree)
                    checked += 1
    assert checked > 300


@pytest.mark.parametrize(
    ("entry", "singular", "plural", "deps"),
    [
        ("man|men", "man", "men", [""]),
        ("sheep|sheep", "sheep", "sheep", [""]),
        ("|scissors", None, "scissors", [""]),
        ("rice|", "rice", None, [""]),
        ("fire_hydrant", "fire hydrant", "fire hydrants", ["compound", ""]),
        ("hot~dog", "hot dog", "hot dogs", ["amod", ""]),
        ("hot~air_balloon", "hot air balloon", "hot air balloons", ["amod", "compound", ""]),
        ("t-shirt", "t - shirt", "t - shirts", ["compound", "punct", ""]),
    ],
)
def test_nouns_of_the_lists(entry: str, singular: str | None, plural: str | None, deps: list[str]) -> None:
    noun = read_noun(entry)
    for parts, words in ((noun.singular, singular), (noun.plural, plural)):
        if words is None:
            assert parts is None
        else:
            assert parts is not None
            assert " ".join(part.row[0] for part in parts) == words
            assert [part.dep for part in parts] == deps
    assert noun.mass == (entry == "rice|")


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("walk", "walk walks walk walked walking walked"),
        ("ride/rode/ridden", "ride rides ride rode riding ridden"),
        ("skip", "skip skips skip skipped skipping skipped"),
        ("box", "box boxes box boxed boxing boxed"),
        ("squat", "squat squats squat squatted squatting squatted"),
        ("carry", "carry carries carry carried carrying carried"),
        ("tie", "tie ties tie tied tying tied"),
        ("ski", "ski skis ski skied skiing skied"),
        ("row", "row rows row rowed rowing rowed"),
        ("canoe", "canoe canoes canoe canoed canoeing canoed"),
        ("lean", "lean leans lean leaned leaning leaned"),
    ],
)
def test_forms_of_verbs(entry: str, forms: str) -> None:
    verb = Verb.read(entry)
    assert [verb.forms[tag][0] for tag in ("VB", "VBZ", "VBP", "VBD", "VBG", "VBN")] == forms.split()


def test_hyphenated_modifiers() -> None:
    """UD English EWT: "rocket - propelled", "long - sleeved", "two - story house"."""
    assert [(p.row[0], p.row[1], p.dep) for p in read_hyphenated("noun", "snow-covered")] == [
        ("snow", "NN", "obl:unmarked"),
        ("-", "HYPH", "punct"),
        ("covered", "VBN", ""),
    ]
    assert [p.row[1] for p in read_hyphenated("adjective", "long-sleeved")] == ["JJ", "HYPH", "JJ"]
    assert [p.dep for p in read_hyphenated("number_compound", "two-story")] == ["nummod", "punct", ""]


def test_a_deck_deals_every_card_in_each_pass_and_the_first_more_often() -> None:
    import random

    deck = Deck(list("abcdefghij"), random.Random(0))
    drawn = Counter(deck.draw() for _ in range(len(deck.cards)))
    assert set(drawn) == set("abcdefghij")
    assert drawn["a"] == 6  # round(6 / 1 ** 0.6)
    assert drawn["j"] == 2  # round(6 / 10 ** 0.6) = round(1.51)
