"""Nouns meet classes: whole phrases first, then heads; what may be something else is never held to be absent."""

import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

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
        ("chocolate bunny", set(), {"teddy bear"}),
        ("rubber duck", set(), {"bird"}),
        ("plastic chair", {"chair"}, set()),  # what does not live is plastic and a chair
        ("chicken", set(), {"bird"}),
        ("speaker", set(), {"person"}),
        ("hospital bed", {"bed"}, set()),
        ("dog bed", set(), set()),
        ("cat bed", set(), {"bed"}),
        ("bus stop", set(), set()),
        ("record player", set(), set()),
        ("tennis player", {"person"}, set()),
        ("mother elephant", {"elephant"}, set()),
        ("elephant calf", {"elephant"}, set()),
        ("giraffe family", {"giraffe"}, set()),
        ("lion cub", set(), set()),
        ("suv", {"car", "truck"}, set()),
        ("lilies", set(), set()),
        ("knives", {"knife"}, set()),
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


def test_absence_says_nothing_of_a_noun_with_another_sense() -> None:
    lexicon = load_lexicon()
    assert (lexicon.meaning("chicken", COCO).firm, lexicon.meaning("chicken", COCO).other) == (False, "food")
    assert lexicon.meaning("pigeon", COCO).firm


def test_absence_says_nothing_where_a_class_of_the_noun_was_not_looked_for() -> None:
    # An SUV may be annotated as a car or as a truck: without a word on trucks its absence among cars proves nothing.
    assert load_lexicon().meaning("suv", frozenset({"car", "dog"})).firm is False
    assert load_lexicon().meaning("sedan", frozenset({"car", "dog"})).firm is True


def test_classes_that_are_kinds_of_a_class() -> None:
    # Open Images has boxes of persons and of women: "a person" is any of them, "a guy" is not told from a woman by a person's box.
    classes = frozenset({"person", "woman", "man", "dog"})
    lexicon = load_lexicon()
    assert lexicon.meaning("person", classes).classes == {"person", "woman", "man"}
    assert lexicon.meaning("woman", classes).classes == {"person", "woman"}
    guy = lexicon.meaning("guy", classes)
    assert (guy.classes, guy.near) == ({"person"}, {"woman", "man"})
    assert lexicon.meaning("dog", classes).near == frozenset()


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("dog", True), ("lion", True), ("mother elephant", True), ("puppy", True), ("hot dog", False), ("man", False),
     ("dog house", False), ("baby", False)],
)  # fmt: skip
def test_animals(noun: str, expected: bool) -> None:
    assert load_lexicon().animal(noun) is expected


def test_the_words_that_others_match_with_classes_are_known() -> None:
    # The words that CHAIR (Rohrbach et al. 2018) and its successors take for COCO's classes, where they are true.
    table = json.loads((Path(__file__).parent / "fixtures" / "coco_synonyms.json").read_text())
    words = [(class_, word) for class_, names in table.items() for word in names.split(" | ")]
    assert len(words) > 300
    assert set(table) <= COCO
    unknown = [each for each in words if each[0] not in load_lexicon().meaning(each[1], COCO).supporting]
    assert unknown == []


def test_no_word_is_entered_twice() -> None:
    # YAML silently takes the last of two equal keys.
    text = files("audits").joinpath("lexicon.yaml").read_text()
    sections = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    keys = [
        (section.split(":")[0], key)
        for section in sections
        for key in re.findall(r"^  ([^#\[\]:]+): ", section, re.M)
    ]
    assert [key for key, number in Counter(keys).items() if number > 1] == []


def test_every_sense_is_of_a_word_with_a_class() -> None:
    lexicon = load_lexicon()
    assert set(lexicon.senses) <= set(lexicon.names) | set(lexicon.maybe)
    named = set().union(*lexicon.names.values())
    for table in (
        lexicon.living,
        lexicon.enclosing,
        lexicon.ingredients,
        lexicon.pairs,
        lexicon.grouped,
        set(lexicon.confused),
    ):
        assert set(table) <= named
