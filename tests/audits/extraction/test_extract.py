"""What captions claim, read with the pipeline that travels with the project."""

import pytest

from audits.extraction import claims, extract_claims
from tests.audits.extraction.parsed import said
from tests.audits.reading import own_pipeline

# caption -> claims that must be among those found, and objects or kinds that must not.
CAPTIONS = {
    "A black and white dog sitting on a red couch.": (
        {("color", "dog", "black"), ("color", "dog", "white"), ("color", "couch", "red"), ("position", "dog", "on", "couch")},
        set(),
    ),
    "two red apples and a green pear": (
        {("count", "apple", 2), ("color", "apple", "red"), ("color", "pear", "green"), ("object", "pear")},
        {("color", "apple", "green"), ("count", "pear", 2)},
    ),
    "a wall painted dark blue": ({("color", "wall", "dark blue")}, {("color", "wall", "blue")}),
    "The car is red and white.": ({("color", "car", "red"), ("color", "car", "white")}, set()),
    "two of the three cats are black": ({("count", "cat", 3)}, {("count", "cat", 2)}),
    "a dozen eggs in a carton": ({("count", "egg", 12), ("position", "egg", "in", "carton")}, {("object", "dozen")}),
    "a pair of boots": ({("count", "boot", 2), ("object", "boot")}, {("object", "pair")}),
    "a pair of scissors": ({("object", "scissors")}, {("count", "scissors", 2)}),
    "twenty-one candles on a cake": ({("count", "candle", 21)}, {("count", "candle", 1)}),
    "at least three birds and about ten boats": (
        {("object", "bird"), ("object", "boat")},
        {("count", "bird", 3), ("count", "boat", 10)},
    ),
    "a two story house": ({("object", "house")}, {("count", "house", 2)}),
    "a street with no people": ({("object", "street")}, {("object", "person")}),
    "A room without windows or doors.": ({("object", "room")}, {("object", "window"), ("object", "door")}),
    "The man is not wearing a hat.": ({("object", "man")}, {("object", "hat")}),
    "a dog standing as if it were riding a horse": ({("object", "dog")}, {("object", "horse")}),
    "a cloud shaped like a dragon": ({("object", "cloud")}, {("object", "dragon")}),
    "a group of people at a table": ({("object", "person"), ("position", "person", "at", "table")}, {("object", "group")}),
    "a stop sign next to an ice cream cone": (
        {("object", "stop sign"), ("object", "ice cream cone"), ("position", "stop sign", "next to", "ice cream cone")},
        {("object", "stop"), ("object", "ice")},
    ),
    "the dog's collar is red": ({("color", "collar", "red"), ("object", "dog")}, {("color", "dog", "red")}),
    "a cup to the left of a laptop": ({("position", "cup", "left of", "laptop")}, {("object", "left")}),
    "a bird in the top left corner of the image": ({("position", "bird", "top left")}, {("object", "image"), ("object", "corner")}),
    "mountains in the background": ({("position", "mountain", "background"), ("object", "mountain")}, {("object", "background")}),
    "In this image there is a clock on the wall.": (
        {("object", "clock"), ("position", "clock", "on", "wall")},
        {("object", "image"), ("position", "clock", "in", "image")},
    ),
    "A close-up photo of a bee on a flower": ({("object", "bee"), ("position", "bee", "on", "flower")}, {("object", "photo"), ("object", "up")}),
    "five photos on a wall": ({("count", "photo", 5), ("position", "photo", "on", "wall")}, set()),
    "a lake with cows in it": ({("position", "cow", "in", "lake")}, set()),
    "the chair that the woman is sitting on": ({("position", "woman", "on", "chair")}, set()),
    "a man in a suit on the street": ({("position", "man", "on", "street")}, {("position", "man", "in", "suit"), ("position", "suit", "on", "street")}),
    "a table surrounded by six chairs": ({("position", "chair", "around", "table"), ("count", "chair", 6)}, set()),
    "a glass of orange juice and an orange": ({("object", "orange")}, {("color", "juice", "orange"), ("color", "orange juice", "orange")}),
    "a portrait of a cat, highly detailed, 8k, art by Jane Smith, trending on artstation": (
        {("object", "cat")},
        {("object", "artstation"), ("object", "Jane Smith"), ("object", "art")},
    ),
    'a sign that says "STOP" in front of a house': ({("text", "STOP", "sign"), ("object", "sign")}, {("object", "STOP")}),
    "the word 'START' written on a blue t-shirt": ({("text", "START", "t-shirt"), ("color", "t-shirt", "blue")}, set()),
    "a man's hat and the dog's bowl": ({("object", "hat"), ("object", "bowl")}, {("text", "s hat and the dog")}),
    "a brown-haired man": ({("color", "hair", "brown"), ("object", "man")}, {("color", "man", "brown")}),
    "A cake topped with berries": ({("position", "berry", "on top of", "cake"), ("object", "cake")}, {("position", "cake", "on top of", "berry")}),
    "On the left, a boy in a green jacket; on the right, a girl": (
        {("position", "boy", "left"), ("position", "girl", "right"), ("color", "jacket", "green")},
        {("position", "girl", "left"), ("position", "boy", "right")},
    ),
    "a hot dog and a polar bear": ({("object", "hot dog"), ("object", "polar bear")}, {("object", "dog"), ("object", "bear")}),
    "A man and a woman are standing on the beach next to their dogs.": (
        {("position", "man", "next to", "dog"), ("position", "woman", "on", "beach")},
        {("position", "beach", "next to", "dog")},
    ),
    "The bus is yellow and has the number 42 on its side.": ({("text", "42", "bus"), ("color", "bus", "yellow")}, {("count", "number", 42)}),
    "A man eats a sandwich. He wears a red hat. It is white.": ({("color", "hat", "red")}, {("color", "man", "white")}),
    "two elephants in a river. they are gray.": ({("color", "elephant", "gray"), ("count", "elephant", 2)}, {("color", "river", "gray")}),
    "a cat::2 on a mat --ar 16:9": ({("object", "cat"), ("position", "cat", "on", "mat")}, {("count", "mat", 2), ("count", "cat", 2)}),
    "a 1950s car with 3D wheels, 5 feet tall": ({("object", "car")}, {("count", "wheel", 3), ("count", "foot", 5)}),
    "both hands on the wheel": ({("object", "hand")}, {("count", "hand", 2)}),
    "a photo of a red orange": ({("object", "orange")}, set()),
    "both cats on the sofa": ({("count", "cat", 2)}, set()),
    "the woman is looking at the dog": ({("object", "woman"), ("object", "dog")}, {("position", "woman", "at", "dog")}),
    "a picture above a bed": ({("object", "picture"), ("position", "picture", "above", "bed")}, set()),
}  # fmt: skip


@pytest.fixture(scope="module")
def nlp():
    return own_pipeline()


@pytest.mark.parametrize("caption", CAPTIONS)
def test_caption(nlp, caption):
    wanted, unwanted = CAPTIONS[caption]
    found = said(next(claims([caption], pipeline=nlp)))
    assert wanted <= found
    assert not unwanted & found


def test_spans_cover_attribute_and_noun(nlp):
    caption = "Ein \N{PARTY POPPER} two dark red cups, on the shelf"
    by_kind = {}
    for claim in extract_claims(nlp(caption)):
        by_kind.setdefault(claim.kind, caption[slice(*claim.span)])
    assert by_kind["count"] == "two dark red cups"
    assert by_kind["color"] == "dark red cups"


def test_claims_are_ordered_and_told_once(nlp):
    found = extract_claims(nlp("a red ball, a red ball on a red ball"))
    assert found == sorted(found, key=lambda claim: claim.span)
    assert len(found) == len(set(found))
    assert sum(claim.kind == "object" for claim in found) == 3


@pytest.mark.parametrize(
    "caption",
    ["", " ", "\n\n", "...", "?!", "🎉🎉", "<script>alert(1)</script>", "a" * 5000, "- - -", "'", '""'],
)
def test_odd_captions_are_read_without_complaint(nlp, caption):
    for claim in extract_claims(nlp(caption)):
        start, end = claim.span
        assert 0 <= start < end <= len(caption)


def test_capitals_are_read_as_words(nlp):
    captions = ["A BLACK DOG ON A RED COUCH", "Black Dog Sitting On A Red Couch", "A SIGN THAT SAYS 'Stop'"]
    first, second, third = (said(found) for found in claims(captions, pipeline=nlp))
    wanted = {("color", "dog", "black"), ("color", "couch", "red"), ("position", "dog", "on", "couch")}
    assert wanted <= first
    assert wanted <= second
    assert ("text", "Stop", "sign") in third


def test_many_captions_keep_their_order(nlp):
    captions = [f"{number} dogs" for number in ("two", "three", "four")] * 40
    counts = [
        next(c.count for c in found if c.kind == "count")
        for found in claims(captions, pipeline=nlp, batch_size=7)
    ]
    assert counts == [2, 3, 4] * 40
