"""Captions that are none: empty, a loop, or words that no human caption has."""

import pytest

from recapdata.scenes import draw_scene, human_long
from recaptrain.captioner.degenerate import fault, vocabulary

KNOWN = vocabulary(["A red circle and a blue star on a white background.", "一只黑色的猫在桌子上"])


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("", "it is empty"),
        (" ... ", "it is empty"),
        ("TRRX left left left left", "it repeats 'left'"),
        ("a red circle a red circle A RED CIRCLE, a red circle", "it repeats 'a red circle'"),
        ("The star is the star is the star is the star is", "it repeats 'the star is'"),
        ("猫猫猫猫", "it repeats '猫'"),
        ("Xq zzyv 17 ploc RRT a", "hardly a word"),
        ("<loc0012><loc0044> kleur", "hardly a word"),
    ],
)
def test_a_fault_says_what_is_wrong(caption, message):
    wrong = fault(caption, KNOWN)
    assert wrong is not None
    assert message in wrong


@pytest.mark.parametrize(
    "caption",
    [
        "A red circle.",
        "A red circle, a red star, a red ring and a red heart.",
        "The red star is left of the blue star. The blue star is left of the green star.",
        "A photo of a zebra on a plain",  # three of its seven words are known
        "very, very, very big circle on a white star",
        "桌子上的黑猫",
    ],
)
def test_a_caption_has_none(caption):
    assert fault(caption, KNOWN) is None


def test_human_captions_have_none():
    captions = [human_long(draw_scene(3, index)) for index in range(500)]
    assert [
        wrong for caption in captions[100:] if (wrong := fault(caption, vocabulary(captions[:100])))
    ] == []
