"""Captions of other kinds than those that rules are tuned on: products, prompts, lists, answers of long-winded models.

All were written for this test, and read by the project's own pipeline.
"""

import pytest

from recapdata.records import Claim
from tests.audits.reading import claims_of


def said(claim: Claim) -> str:
    """A claim in short: "3 man", "red tie", "cat on rug", "man @left", 'text "OPEN"'."""
    match claim.kind:
        case "object":
            return str(claim.object)
        case "count":
            return f"{claim.count} {claim.object}"
        case "color":
            return f"{claim.color} {claim.object}"
        case "size":
            return f"{claim.size} {claim.object}"
        case "position" if claim.region is not None:
            return f"{claim.subject} @{claim.region}"
        case "position":
            return f"{claim.subject} {claim.relation} {claim.object}"
        case _:
            return f'text "{claim.text}" on {claim.object}'


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        # What is for sale, and for whom.
        ("Women's Red Shoes - Size 8", {"red shoe", "shoe"}),
        ("Set of 4 blue ceramic mugs with white handles, 12 oz", {"4 mug", "blue mug", "mug", "white handle", "handle"}),
        ("a red double-decker bus", {"red bus", "bus"}),
        ("The left-hand mug is chipped", {"mug"}),
        # Prompts.
        ("portrait of a fisherman with a gray beard, 85mm f/1.4", {"fisherman", "gray beard", "beard"}),
        ("isometric 3D render of a coffee shop with a green awning --ar 16:9 --v 5", {"coffee shop", "green awning", "awning"}),
        # Lists.
        ("red car, blue sky, white fence", {"red car", "car", "blue sky", "sky", "white fence", "fence"}),
        ("Two tomatoes, three mangoes, four boxes and two glasses of water",
         {"2 tomato", "tomato", "3 mango", "mango", "4 box", "box", "2 glass", "glass", "water"}),
        # A place, a verb, and only then the thing.
        ("To the left of the table stands a waiter holding a tray.", {"waiter left of table", "table", "waiter", "tray"}),
        ("Behind the bench is a tree.", {"tree behind bench", "bench", "tree"}),
        ("On the table are two cups and a plate.", {"cup on table", "plate on table", "2 cup", "table", "cup", "plate"}),
        ("On the left is a red car, and on the right is a blue truck.",
         {"car @left", "red car", "car", "truck @right", "blue truck", "truck"}),
        # One of several.
        ("Three women sit at a table; the one on the left is holding a cup.",
         {"3 woman", "woman", "woman at table", "woman @left", "table", "cup"}),
        # What something has is at the place, not the thing itself.
        ("A sign with an arrow below it", {"sign", "arrow", "arrow below sign"}),
        ("A large group of people standing on a beach", {"person", "beach", "person on beach"}),
        # Where lettering is in the picture, said of the noun that announces or carries it.
        ('The word "STOP" is at the top.', {"word", 'text "STOP" on None', "word @top"}),
        ('The word "STOP" in the top left corner', {"word", 'text "STOP" on None', "word @top left"}),
        ("The word STOP is written at the bottom right.", {"word", 'text "STOP" on None', "word @bottom right"}),
        ('The text "OPEN" is at the bottom of the image.', {'text "OPEN" on None', "text @bottom"}),
        ('A sign that says "STOP" is on the left.', {"sign", 'text "STOP" on sign', "sign @left"}),
        ('"STOP" in the top left corner.', {'text "STOP" on None'}),
        # How lettering looks is no place; when is no place; who took the picture is not in it.
        ("A t-shirt that reads I LOVE NY in black letters",
         {"t-shirt", 'text "I LOVE NY" on t-shirt', "black letter", "letter"}),
        ("Couple walking on the beach at sunset", {"couple", "couple on beach", "beach", "sunset"}),
        ("A small dog is looking at the camera.", {"small dog", "dog"}),
        ("A camera on a table", {"camera", "camera on table", "table"}),
        # Denied and supposed.
        ("Neither the man nor the woman is wearing a hat.", {"man", "woman"}),
        ("An empty street without cars or people", {"street"}),
        ("Not one but two elephants are drinking from the river.", {"2 elephant", "elephant", "river"}),
    ],
)  # fmt: skip
def test_claims(caption: str, expected: set[str]) -> None:
    found = claims_of(caption)
    assert {said(claim) for claim in found} == expected


def test_a_supposed_place_is_none() -> None:
    found = claims_of("It looks as if the dog is about to jump over the fence.")
    assert not [claim for claim in found if claim.kind == "position"]
