"""One caption, two label schemes, the same claims."""

import pytest

from audits.extraction.tree import read
from audits.language.pipeline import scheme_of
from tests.audits.extraction.parsed import parsed, said_by

# Each pair: Universal Dependencies, ClearNLP (as spaCy's en_core_web pipelines label), and what both claim.
PAIRS = {
    "preposition": (
        """
        two   two   CD  NUM  2 nummod
        black black JJ  ADJ  2 amod
        cats  cat   NNS NOUN 2 ROOT
        on    on    IN  ADP  5 case
        a     a     DT  DET  5 det
        table table NN  NOUN 2 nmod
        """,
        """
        two   two   CD  NUM  2 nummod
        black black JJ  ADJ  2 amod
        cats  cat   NNS NOUN 2 ROOT
        on    on    IN  ADP  2 prep
        a     a     DT  DET  5 det
        table table NN  NOUN 3 pobj
        """,
        {
            ("object", "cat"),
            ("object", "table"),
            ("count", "cat", 2),
            ("color", "cat", "black"),
            ("position", "cat", "on", "table"),
        },
    ),
    "copula with adjective": (
        """
        The the DT  DET  1 det
        car car NN  NOUN 3 nsubj
        is  be  VBZ AUX  3 cop
        red red JJ  ADJ  3 ROOT
        """,
        """
        The the DT  DET  1 det
        car car NN  NOUN 2 nsubj
        is  be  VBZ AUX  2 ROOT
        red red JJ  ADJ  2 acomp
        """,
        {("object", "car"), ("color", "car", "red")},
    ),
    "copula with place": (
        """
        The  the  DT  DET  1 det
        dog  dog  NN  NOUN 5 nsubj
        is   be   VBZ AUX  5 cop
        in   in   IN  ADP  5 case
        the  the  DT  DET  5 det
        park park NN  NOUN 5 ROOT
        """,
        """
        The  the  DT  DET  1 det
        dog  dog  NN  NOUN 2 nsubj
        is   be   VBZ AUX  2 ROOT
        in   in   IN  ADP  2 prep
        the  the  DT  DET  5 det
        park park NN  NOUN 3 pobj
        """,
        {("object", "dog"), ("object", "park"), ("position", "dog", "in", "park")},
    ),
    "existential with place in front": (
        """
        On    on    IN  ADP  2 case
        the   the   DT  DET  2 det
        wall  wall  NN  NOUN 4 obl
        there there EX  PRON 4 expl
        is    be    VBZ VERB 4 ROOT
        a     a     DT  DET  6 det
        clock clock NN  NOUN 4 nsubj
        """,
        """
        On    on    IN  ADP  4 prep
        the   the   DT  DET  2 det
        wall  wall  NN  NOUN 0 pobj
        there there EX  PRON 4 expl
        is    be    VBZ AUX  4 ROOT
        a     a     DT  DET  6 det
        clock clock NN  NOUN 4 attr
        """,
        {("object", "wall"), ("object", "clock"), ("position", "clock", "on", "wall")},
    ),
    "coordinated subjects": (
        """
        A     a     DT  DET   1 det
        man   man   NN  NOUN  4 nsubj
        and   and   CC  CCONJ 3 cc
        woman woman NN  NOUN  1 conj
        sit   sit   VBP VERB  4 ROOT
        on    on    IN  ADP   7 case
        a     a     DT  DET   7 det
        bench bench NN  NOUN  4 obl
        """,
        """
        A     a     DT  DET   1 det
        man   man   NN  NOUN  4 nsubj
        and   and   CC  CCONJ 1 cc
        woman woman NN  NOUN  1 conj
        sit   sit   VBP VERB  4 ROOT
        on    on    IN  ADP   4 prep
        a     a     DT  DET   7 det
        bench bench NN  NOUN  5 pobj
        """,
        {
            ("object", "man"),
            ("object", "woman"),
            ("object", "bench"),
            ("position", "man", "on", "bench"),
            ("position", "woman", "on", "bench"),
        },
    ),
    "passive and negated object": (
        """
        A       a      DT  DET  1 det
        boat    boat   NN  NOUN 3 nsubj:pass
        is      be     VBZ AUX  3 aux:pass
        painted paint  VBN VERB 3 ROOT
        blue    blue   JJ  ADJ  3 xcomp
        without without IN ADP  6 case
        sails   sail   NNS NOUN 3 obl
        """,
        """
        A       a      DT  DET  1 det
        boat    boat   NN  NOUN 3 nsubjpass
        is      be     VBZ AUX  3 auxpass
        painted paint  VBN VERB 3 ROOT
        blue    blue   JJ  ADJ  3 oprd
        without without IN ADP  3 prep
        sails   sail   NNS NOUN 5 pobj
        """,
        {("object", "boat"), ("color", "boat", "blue")},
    ),
    "relative clause and part": (
        """
        the     the   DT  DET  1 det
        man     man   NN  NOUN 1 ROOT
        who     who   WP  PRON 3 nsubj
        holds   hold  VBZ VERB 1 acl:relcl
        the     the   DT  DET  5 det
        dog~    dog   NN  NOUN 7 nmod:poss
        's      's    POS PART 5 case
        leash   leash NN  NOUN 3 obj
        """,
        """
        the     the   DT  DET  1 det
        man     man   NN  NOUN 1 ROOT
        who     who   WP  PRON 3 nsubj
        holds   hold  VBZ VERB 1 relcl
        the     the   DT  DET  5 det
        dog~    dog   NN  NOUN 7 poss
        's      's    POS PART 5 case
        leash   leash NN  NOUN 3 dobj
        """,
        {("object", "man"), ("object", "dog"), ("object", "leash")},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_schemes_claim_the_same(name):
    ud, clearnlp, expected = PAIRS[name]
    assert said_by(ud) == expected
    assert said_by(clearnlp) == expected


def test_clearnlp_trees_become_ud_trees():
    _, clearnlp, _ = PAIRS["preposition"]
    ud, _, _ = PAIRS["preposition"]
    converted, wanted = read(parsed(clearnlp)), read(parsed(ud))
    assert converted.heads == wanted.heads
    assert converted.deps == wanted.deps


def test_scheme_is_told_from_labels():
    assert scheme_of(["ROOT", "det", "pobj"]) == "clearnlp"
    assert scheme_of(["ROOT", "det", "obl"]) == "ud"
    assert scheme_of(["ROOT", "det", "amod"]) is None
