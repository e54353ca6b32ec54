"""Names in alt text, by capitals and tagger or by an entity recognizer, and what of them a caption keeps."""

import pytest
import spacy

from audits.text.names import Names, Retention, names_identity, retained
from tests.audits.reading import own_pipeline


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(own_pipeline())


@pytest.mark.parametrize(
    ("alt", "expected"),
    [
        ("John Smith plays guitar at Glastonbury 2015", ["John Smith", "Glastonbury"]),
        ("Barack Obama speaking in Berlin, July 2008", ["Barack Obama", "Berlin"]),
        ("a photo of my cat Whiskers", ["Whiskers"]),
        ("Beautiful Sunset Over The Ocean Wallpaper HD", []),
        ("Vintage Wooden Dining Table With Four Chairs", []),
        ("Black & White Zebra Print Handbag | eBay", []),
        ("two dogs on a beach", []),
        ("IMG_2041.JPG", []),
        ("Rome, Rome and ROME.jpg", ["Rome"]),
        ("", []),
        (None, []),
    ],
)
def test_names_of_alt_text(names: Names, alt: str | None, expected: list[str]) -> None:
    assert names.find([alt]) == [tuple(expected)]


def test_the_order_of_texts_does_not_matter(names: Names) -> None:
    alts = ["Himeji Castle At Night", "the himeji castle", "Himeji Castle At Night"]
    first, _, third = names.find(alts)
    assert first == third == ("Himeji",)


def test_a_recognizer_is_used_where_there_is_one() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler", name="ner").add_patterns(
        [
            {"label": "GPE", "pattern": "paris"},
            {"label": "DATE", "pattern": "July"},
            {"label": "ORG", "pattern": "eBay"},
        ]
    )
    names = Names(nlp)
    assert names.find(["a street in paris, July, eBay"]) == [("paris",)]
    assert names.recognizes
    assert "entities" in names_identity(names, own_pipeline())


def test_what_a_caption_keeps() -> None:
    names = ["Statue of Liberty", "São Paulo", "Mary's Diner", "Boeing"]
    kept = retained("The STATUE on Liberty island, a plane of Sao Paulo and mary's diner.", names)
    assert kept == Retention(4, 3, ["Boeing"])
    assert retained("a dog", []) == Retention(0, 0, [])
    assert retained("Boeings", ["Boeing"]).entities_kept == 0
