"""Hedges: nouns without whose thing the caption is true all the same, and numbers of some of them."""

import pytest

from tests.audits.reading import claims_of

OBJECTS = {
    "a statue of a man": {"statue": None, "man": "depicted"},
    "a dog-shaped balloon": {"dog": "no claim", "balloon": None},
    "three stuffed animals: a rabbit, an elephant and a bear": {"rabbit": "depicted", "bear": "depicted"},
    "a photo of a dog": {"dog": None},
    "a painting of a ship above the sofa": {"ship": "depicted", "sofa": None},
    "a mug with a picture of a cat on it": {"mug": None, "cat": "depicted"},
    "a toy car beside a wooden horse": {"toy car": "depicted", "horse": "depicted"},
    "a wooden bench by a painted wall": {"bench": None, "wall": None},
    "a knitted owl on a knitted blanket": {"owl": "depicted", "blanket": None},
    "a girl dressed as a pirate": {"girl": None, "pirate": "depicted"},
    "a child's umbrella on the sand": {"child": "owner", "umbrella": None},
    "the men's jackets are black": {"man": "owner", "jacket": None},
    "a bowl for the cat": {"bowl": None, "cat": "owner"},
    "a woman is waiting for a bus": {"woman": None, "bus": "sought"},
    "a boy trying to catch a frisbee": {"boy": None, "frisbee": "sought"},
    "a man reading a newspaper": {"man": None, "newspaper": None},
    "a girl draws a dog with chalk": {"girl": None, "dog": "depicted"},
    "a man talks about a horse": {"man": None, "horse": "depicted"},
    "a boy catching a frisbee": {"boy": None, "frisbee": None},
}
COUNTS = {
    "three cats on a sofa": None,
    "two more people wait at the stop": "partial",
    "another three boats are moored": "partial",
    "one horse drinks while the others graze": "partial",
    "two dogs run and three dogs sleep": "partial",
    "a dog and two cats": None,
}


@pytest.mark.parametrize("caption", OBJECTS)
def test_objects(caption):
    found = {claim.object: claim.hedge for claim in claims_of(caption) if claim.kind == "object"}
    assert {name: found.get(name, "no claim") for name in OBJECTS[caption]} == OBJECTS[caption]


@pytest.mark.parametrize("caption", COUNTS)
def test_counts(caption):
    found = [claim.hedge for claim in claims_of(caption) if claim.kind == "count"]
    assert found
    assert set(found) == {COUNTS[caption]}


@pytest.mark.parametrize(
    "number", ["3000000000", "4006381333931", "9" * 4301, "1,000,001", "100000000 dozen"]
)
def test_a_number_out_of_range_is_no_count(number):
    found = claims_of(f"{number} bottles on a shelf")
    assert {claim.object for claim in found if claim.kind == "object"} >= {"bottle", "shelf"}
    assert not [claim for claim in found if claim.kind == "count"]


def test_large_numbers_are_counts():
    assert [claim.count for claim in claims_of("1,000 balloons and 250 kites") if claim.kind == "count"] == [
        1000,
        250,
    ]
