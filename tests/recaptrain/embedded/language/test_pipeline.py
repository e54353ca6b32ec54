"""The recipe of the language pipeline: trees cut as captions are, trees kept where a scene graph agrees, a short training."""

import json
import random

import pytest
import spacy

from audits.language.pipeline import load_pipeline
from recaptrain.embedded.language.agreement import agreeing_trees, agrees, caption_docs, mended
from recaptrain.embedded.language.pipeline import Sources, later_round, train_pipeline
from recaptrain.embedded.language.treebank import (
    captions_of,
    lowered,
    noun_phrases,
    participles,
    read_trees,
    stopped,
    to_doc,
    tree_of,
    unstopped,
)

RIDING = """# text = The old man is riding a horse.
1	The	the	DET	DT	Definite=Def|PronType=Art	3	det	_	_
2	old	old	ADJ	JJ	Degree=Pos	3	amod	_	_
3	man	man	NOUN	NN	Number=Sing	5	nsubj	_	_
4	is	be	AUX	VBZ	Mood=Ind	5	aux	_	_
5	riding	ride	VERB	VBG	VerbForm=Part	0	root	_	_
6	a	a	DET	DT	Definite=Ind|PronType=Art	7	det	_	_
7	horse	horse	NOUN	NN	Number=Sing	5	obj	_	SpaceAfter=No
8	.	.	PUNCT	.	_	5	punct	_	_

"""
PLACE = """# text = We saw the dog in the old car
1	We	we	PRON	PRP	Case=Nom|Number=Plur|Person=1|PronType=Prs	2	nsubj	_	_
2	saw	see	VERB	VBD	Mood=Ind	0	root	_	_
3	the	the	DET	DT	Definite=Def|PronType=Art	4	det	_	_
4	dog	dog	NOUN	NN	Number=Sing	2	obj	_	_
5	in	in	ADP	IN	_	8	case	_	_
6	the	the	DET	DT	Definite=Def|PronType=Art	8	det	_	_
7	old	old	ADJ	JJ	Degree=Pos	8	amod	_	_
8	car	car	NOUN	NN	Number=Sing	4	nmod	_	_

"""


@pytest.fixture
def trees(tmp_path):
    path = tmp_path / "two.conllu"
    path.write_text(RIDING + PLACE, encoding="utf8")
    return read_trees(path)


def test_a_clause_becomes_a_noun_with_a_participle(trees):
    (clause,) = participles(trees[0])
    assert clause.words == ("The", "old", "man", "riding", "a", "horse")
    # "man" is the root; "riding" hangs on it as acl; the horse stays the verb's object.
    assert clause.heads == (2, 2, 2, 2, 5, 3)
    assert clause.deps == ("det", "amod", "ROOT", "acl", "det", "obj")
    assert list(participles(trees[1])) == []


def test_noun_phrases_lose_what_tied_them_to_the_sentence(trees):
    phrases = {" ".join(phrase.words): phrase for phrase in noun_phrases(trees[1])}
    assert set(phrases) == {"the dog in the old car", "the old car"}
    assert phrases["the old car"].deps == ("det", "amod", "ROOT")
    assert phrases["the dog in the old car"].heads == (1, 1, 5, 5, 5, 1)


def test_dress(trees):
    assert unstopped(trees[0]).words[-1] == "horse"
    assert unstopped(trees[1]) == trees[1]
    assert lowered(trees[0]).words[0] == "the"
    again = stopped(unstopped(trees[0]), 4, gap=True)
    vocab = spacy.blank("en").vocab
    assert to_doc([again], vocab).text == "The old man is riding a horse ."
    assert tree_of(to_doc([trees[1]], vocab)) == trees[1]


def test_fragments_depend_on_the_seed_only(trees):
    def drawn(seed):
        return [fragment.words for tree in trees for fragment in captions_of(tree, random.Random(seed))]

    assert drawn(3) == drawn(3)


GRAPH = {
    "objects": ["dogs", "mat"],
    "parts": [],
    "colors": [["dogs", "black"]],
    "positions": [["dogs", "lay on", "mat"]],
}


def test_agreement_is_all_or_nothing():
    nlp = load_pipeline()
    assert agrees(nlp("two black dogs on a mat"), GRAPH)
    for caption in (
        "two dogs on a mat",
        "two black dogs near a cat on a mat",
        "two black dogs and a mat",
        "a black mat",
    ):
        assert not agrees(nlp(caption), GRAPH), caption


def test_agreeing_captions_become_training_docs():
    nlp = load_pipeline()
    rows = [{"caption": "two black dogs on a mat", "gold": GRAPH}, {"caption": "a cat", "gold": GRAPH}] * 20
    trees = mended(agreeing_trees(nlp, rows))
    assert len(trees) == 20
    docs = list(caption_docs(trees, nlp.vocab, seed=0))
    assert all(doc.has_annotation("DEP") and doc.has_annotation("LEMMA") for doc in docs)
    assert sum(sum(token.dep_ == "ROOT" for token in doc) for doc in docs) == 20


def test_a_short_training_gives_a_pipeline_that_names_its_source(tmp_path, capsys):
    treebank = tmp_path / "treebank"
    treebank.mkdir()
    (treebank / "train.conllu").write_text((RIDING + PLACE) * 40, encoding="utf8")
    (treebank / "dev.conllu").write_text((RIDING + PLACE) * 5, encoding="utf8")
    out = train_pipeline(Sources(treebank=treebank), tmp_path / "out", seed=0, steps=30)
    nlp = spacy.load(out)
    assert nlp.pipe_names == ["tok2vec", "tagger", "morphologizer", "parser"]
    assert nlp.meta["license"] == "CC BY-SA 4.0"
    assert [source["license"] for source in nlp.meta["sources"]] == ["CC BY-SA 4.0"]
    assert set(nlp.meta["performance"]) >= {"dep_las", "tag_acc", "pos_acc"}
    assert str(tmp_path) not in (out / "config.cfg").read_text() + (out / "meta.json").read_text()


def test_a_later_round_goes_on_from_a_first(tmp_path):
    treebank = tmp_path / "treebank"
    treebank.mkdir()
    (treebank / "train.conllu").write_text((RIDING + PLACE) * 4, encoding="utf8")
    (treebank / "dev.conllu").write_text((RIDING + PLACE) * 2, encoding="utf8")
    captions = tmp_path / "captions.jsonl"
    captions.write_text("\n".join([json.dumps({"caption": "two black dogs on a mat", "gold": GRAPH})] * 20))
    sources = Sources(treebank=treebank, captions=captions)
    out = later_round(sources, tmp_path / "out", load_pipeline().path, seed=0, steps=3, grammar=20)
    nlp = load_pipeline(str(out))
    assert [token.dep_ for token in nlp("two black dogs")] == ["nummod", "amod", "ROOT"]
    assert [source["license"] for source in nlp.meta["sources"]] == ["CC BY-SA 4.0", "MIT"]
    assert str(tmp_path) not in (out / "config.cfg").read_text() + (out / "meta.json").read_text()
