"""Nouns meet classes: whole phrases first, then heads; what may be something else is never held to be absent."""

import pytest

from audits.lexicon import load_lexicon

COCO = load_lexicon().vocabularies[0]
DRAWN = frozenset({"circle", "square", "ring", "word"})


@pytest.mark.parametrize(
    ("noun", "classes", "maybe"),
    [
        ("dog", {"dog"}, {"hot dog"}),
        ("hot dog", {"hot dog"}, set()),
        ("woman", {"person"}, set()),
        ("security guard", {"person"}, set()),
        ("stop sign", {"stop sign"}, set()),
        ("sign", set(), {"stop sign"}),
        ("bike", {"bicycle"}, {"motorcycle"}),
        ("vehicle", set(), {"bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"}),
        ("toy car", set(), {"car"}),
        ("wooden kitchen table", {"dining table"}, set()),
        ("table", set(), {"dining table"}),
        ("benche", {"bench"}, set()),
        ("giraffes", {"giraffe"}, set()),
        ("sky", set(), set()),
        ("circle", set(), set()),
        ("", set(), set()),
    ],
)
def test_meaning_among_coco_classes(noun: str, classes: set[str], maybe: set[str]) -> None:
    meaning = load_lexicon().meaning(noun, COCO)
    assert (meaning.classes, meaning.maybe) == (classes, maybe)


def test_a_class_of_the_evidence_needs_no_entry() -> None:
    assert load_lexicon().meaning("big glorp", frozenset({"glorp"})).classes == {"glorp"}


@pytest.mark.parametrize(
    ("noun", "exact"),
    [
        ("person", True),
        ("people", True),
        ("woman", False),
        ("crowd", False),
        ("sofa", True),
        ("fire truck", False),
    ],
)
def test_only_the_class_itself_can_be_counted(noun: str, exact: bool) -> None:
    assert load_lexicon().meaning(noun, COCO).exact is exact


def test_colors_and_sizes() -> None:
    lexicon = load_lexicon()
    assert lexicon.color("Grey") == {"gray"}
    assert lexicon.color("dark blue") == {"blue"}
    assert lexicon.color("turquoise") == {"green", "blue"}
    assert lexicon.color("colorful") == frozenset()
    assert lexicon.size("tiny") == {"small"}


def test_vocabulary_is_completed_where_it_is_known() -> None:
    lexicon = load_lexicon()
    assert lexicon.vocabulary(frozenset({"dog", "person"})) == COCO
    assert lexicon.vocabulary(frozenset({"dog", "glorp"})) == {"dog", "glorp"}
    assert lexicon.vocabulary(DRAWN) == DRAWN
    assert lexicon.vocabulary(frozenset()) == frozenset()


def test_every_class_named_is_some_class() -> None:
    # A misspelled class in `maybe` would silently never match.
    lexicon = load_lexicon()
    named = set().union(*lexicon.names.values())
    for noun, classes in lexicon.maybe.items():
        assert classes <= named, noun
    assert set().union(*lexicon.same.values()) <= named
