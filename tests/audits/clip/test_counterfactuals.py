"""Lies of captions: one thing changed, the grammar kept, the same lie every time."""

import pytest

from audits.clip.counterfactuals import KINDS, Counterfactual, counterfactuals, plural
from audits.lexicon import load_lexicon
from recapdata.records import Claim
from tests.audits.reading import claims_of


def exchanged(caption: str, kind: str, key: str = "k") -> str | None:
    """The caption with its lie of one kind, read by the project's own pipeline."""
    return next(
        (lie.text(caption) for lie in counterfactuals(key, caption, claims_of(caption)) if lie.kind == kind),
        None,
    )


def test_a_lie_of_each_kind_changes_one_thing() -> None:
    caption = "Two red circles left of a blue star."
    texts = {lie.kind: lie.text(caption) for lie in counterfactuals("k", caption, claims_of(caption))}
    assert set(texts) == set(KINDS)
    assert texts["position"] == "Two red circles right of a blue star."
    assert texts["count"] in [f"{number} red circles left of a blue star." for number in ("Three", "Four")]
    words = caption.split()
    changed = [
        [old for old, new in zip(words, text.split(), strict=True) if old != new] for text in texts.values()
    ]
    assert all(len(each) == 1 for each in changed)


@pytest.mark.parametrize(
    ("caption", "kind", "expected"),
    [
        # Only one thing can take the place of a man or a girl, and only one word the place of "above".
        ("A man on a beach", "object", "A woman on a beach"),
        ("GIRLS PLAYING", "object", "BOYS PLAYING"),
        ("Men at work. The men dig.", "object", "Women at work. The women dig."),
        ("A lamp above a desk", "position", "A lamp below a desk"),
        ("A cat on top of a car", "position", "A cat under a car"),
        ("A tree in the foreground", "position", "A tree in the background"),
        ("A bird in the top left corner", "position", "A bird in the top right corner"),
        ("a man with blue eyes and a green hat", "color", "a man with brown eyes and a green hat"),
    ],
)
def test_lies_that_have_no_choice(caption: str, kind: str, expected: str) -> None:
    assert expected in {exchanged(caption, kind, key) for key in "abcdef"}


def test_articles_agree_with_what_follows() -> None:
    seen = {exchanged("An orange car and a bicycle", "color", str(number)) for number in range(20)}
    assert {"A blue car and a bicycle", "A purple car and a bicycle"} <= seen
    assert not any(text and text.startswith("An ") for text in seen)
    seen = {exchanged("a blue wall", "color", str(number)) for number in range(30)}
    assert "an orange wall" in seen


def test_a_color_is_exchanged_for_one_that_is_plainly_another() -> None:
    near_red = {"red", "orange", "pink", "brown", "purple"}
    words = {str(exchanged("a crimson wall", "color", str(number))).split()[1] for number in range(40)}
    assert words
    assert not words & near_red
    # What the caption says of something else is no lie's color, and dogs are not green.
    words = {str(exchanged("a black dog by a white dog", "color", str(number))) for number in range(40)}
    assert not any("green" in text or "white dog by a white" in text for text in words)


def test_numbers_keep_their_form_and_stay_plural() -> None:
    assert {exchanged("2 dogs", "count", str(number)) for number in range(20)} == {"3 dogs", "4 dogs"}
    assert {exchanged("Three dogs", "count", str(number)) for number in range(20)} == {
        "Two dogs",
        "Four dogs",
        "Five dogs",
    }
    assert exchanged("a pair of dogs", "count") in ("three dogs", "four dogs")
    assert exchanged("one dog", "count") is None


def test_the_same_key_tells_the_same_lie_and_others_tell_others() -> None:
    caption = "a red car, a blue bus, a green truck and a yellow van"
    assert len({exchanged(caption, "color", "k") for _ in range(3)}) == 1
    assert len({exchanged(caption, "color", str(number)) for number in range(20)}) > 4


def test_nothing_to_exchange_is_no_lie() -> None:
    caption = "a thingamajig of sorts"
    assert counterfactuals("k", caption, claims_of(caption)) == []
    assert counterfactuals("k", "", []) == []
    # A claim whose words are not where it says is left alone.
    assert counterfactuals("k", "a dog", [Claim(kind="object", span=(0, 1), object="dog")]) == []


def test_a_part_of_the_caption_is_told_alone() -> None:
    lie = Counterfactual("object", (6, 9), ((6, 9, "cat"), (17, 20, "cat")))
    assert lie.text("See a dog. Good, dog!") == "See a cat. Good, cat!"
    assert lie.text("See a dog. Good, dog!", 0, 10) == "See a cat."


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("box", "boxes"),
        ("berry", "berries"),
        ("woman", "women"),
        ("stop sign", "stop signs"),
        ("toy", "toys"),
    ],
)
def test_plural(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_every_basic_color_is_exchanged_for_another_one() -> None:
    basic = frozenset().union(*load_lexicon().colors.values())
    assert len(basic) == 11
    for color in basic:
        claim = Claim(kind="color", span=(2, 2 + len(color) + 5), object="wall", color=color)
        for key in "abcdef":
            (lie,) = counterfactuals(key, f"a {color} wall", [claim])
            assert lie.text(f"a {color} wall").split()[1] in basic - {color}


def test_the_embedded_clip_tells_true_colors_and_shapes_from_lies() -> None:
    from audits.clip.scorer import encode_ahead, load_clip
    from audits.clip.scores import Cosines, margins
    from recapdata.models.dual_encoders import find_clip
    from recapdata.scenes import draw_scene, encode_png, human_short

    scenes = [draw_scene(77, index) for index in range(40)]
    captions = [human_short(scene) for scene in scenes]
    clip = load_clip(find_clip("embedded"), parts=["margin"])
    _, images = next(encode_ahead(clip, [("step", [encode_png(scene) for scene in scenes])], workers=1))
    mine = [
        counterfactuals(str(place), caption, claims_of(caption)) for place, caption in enumerate(captions)
    ]
    for kind, most in (("color", 0.1), ("object", 0.15)):
        told = [[lie for lie in each if lie.kind == kind] for each in mine]
        found = [
            each
            for each in margins(Cosines(clip, images.images), captions, images.rows, told)
            if each.low_margin is not None
        ]
        assert len(found) > 30
        # Measured on 600 scenes: 1 % of colors, 4 % of shapes, 16 % of counts, and positions no better than by chance.
        assert sum(bool(each.low_margin) for each in found) <= most * len(found)
