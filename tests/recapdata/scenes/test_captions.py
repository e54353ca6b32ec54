"""Captions of scenes: what the human ones say is true, and the alt text is what the web is."""

import re
from collections import Counter

from recapdata.scenes import alt_text, draw_scene, human_long, human_short
from recapdata.scenes.captions import NUMBERS, PLURALS

MANY = 500
SINGULAR = {plural: shape for shape, plural in PLURALS.items()} | {shape: shape for shape in PLURALS}
PHRASE = re.compile(rf"\b(an?|{'|'.join(NUMBERS[1:])}) ((?:small |large )?)([a-z]+) ({'|'.join(SINGULAR)})\b")
RELATION = re.compile(
    rf"The ([a-z]+) ({'|'.join(SINGULAR)}) (?:is|are) (to the left of|left of|to the right of|right of|above|below) "
    rf"the ([a-z]+) ({'|'.join(SINGULAR)})\."
)
REGION = re.compile(rf"The ([a-z]+) ({'|'.join(SINGULAR)}) is (?:at|on|in) the ([a-z ]+)\.")


def _phrases(caption):
    """(shape, color) → count, as an own small reader of the grammar finds them."""
    found = {}
    for count, _, color, noun in PHRASE.findall(caption.lower()):
        found[SINGULAR[noun], color] = 1 if count in ("a", "an") else NUMBERS.index(count)
    return found


def test_both_human_captions_name_every_object_with_color_and_count():
    for index in range(MANY):
        scene = draw_scene(11, index)
        truth = Counter((drawn.shape, drawn.color) for drawn in scene.objects)
        assert _phrases(human_short(scene)) == truth
        assert _phrases(human_long(scene).split(". ")[0]) == truth


def test_long_captions_tell_sizes_and_the_background():
    for index in range(MANY):
        scene = draw_scene(11, index)
        opening = human_long(scene).lower()
        sizes = {(SINGULAR[noun], color): size.strip() for _, size, color, noun in PHRASE.findall(opening)}
        assert sizes == {(drawn.shape, drawn.color): drawn.size for drawn in scene.objects}
        assert f"a {scene.background} background" in opening


def test_stated_relations_hold_between_all_members():
    stated = 0
    for index in range(MANY):
        scene = draw_scene(12, index)
        for color, noun, relation, other_color, other_noun in RELATION.findall(human_long(scene)):
            stated += 1
            for one in _members(scene, SINGULAR[noun], color):
                for other in _members(scene, SINGULAR[other_noun], other_color):
                    assert _holds(
                        one.box, relation.split()[-2] if relation.endswith(" of") else relation, other.box
                    )
    assert stated > MANY / 4


def test_stated_regions_hold():
    stated = 0
    for index in range(MANY):
        scene = draw_scene(13, index)
        for color, noun, region in REGION.findall(human_long(scene)):
            if " of " in region:
                continue
            stated += 1
            (drawn,) = _members(scene, SINGULAR[noun], color)
            x, y = drawn.box[0] + drawn.box[2] / 2, drawn.box[1] + drawn.box[3] / 2
            words = set(region.split())
            across = "left" if "left" in words else "right" if "right" in words else "middle"
            down = "top" if "top" in words else "bottom" if "bottom" in words else "middle"
            assert across == _third(x, "left", "right")
            assert down == _third(y, "top", "bottom")
    assert stated > MANY / 4


def test_words_are_quoted_and_placed():
    seen = 0
    for index in range(MANY):
        scene = draw_scene(14, index)
        quoted = re.findall(r'"([A-Z]+)"', human_long(scene))
        assert quoted == ([scene.word.text] if scene.word else [])
        assert re.findall(r'"([A-Z]+)"', human_short(scene)) == quoted
        if scene.word:
            seen += 1
            sentence = human_long(scene).rsplit(". ", 1)[-1]
            assert scene.word.row in sentence
            assert _third(scene.word.box[1] + scene.word.box[3] / 2, "top", "bottom") == scene.word.row
            assert _third(scene.word.box[0] + scene.word.box[2] / 2, "left", "right") == "middle"
    assert seen > MANY / 4


def test_wording_varies():
    openings = Counter(human_long(draw_scene(15, index)).split()[0] for index in range(MANY))
    assert {"There", "On"} < set(openings)
    assert len(openings) > 4


def test_alt_text_is_mostly_useless_and_sometimes_wrong():
    """A third names no color of the picture; nearly none counts or places anything; some name what is not there."""
    scenes = [draw_scene(16, index) for index in range(MANY)]
    texts = [alt_text(scene) for scene in scenes]
    assert all(texts)
    knows = [
        any(drawn.color in text for drawn in scene.objects) for scene, text in zip(scenes, texts, strict=True)
    ]
    assert 0.2 < sum(knows) / MANY < 0.7
    assert not any(re.search(r"\b(left|right|above|below) of\b", text) for text in texts)
    wrong = [
        any(
            shape in text.lower() for shape in PLURALS if all(drawn.shape != shape for drawn in scene.objects)
        )
        for scene, text in zip(scenes, texts, strict=True)
    ]
    assert 0.05 < sum(wrong) / MANY < 0.3
    assert len(set(texts)) > MANY / 3


def _members(scene, shape, color):
    return [drawn for drawn in scene.objects if (drawn.shape, drawn.color) == (shape, color)]


def _holds(one, relation, other):
    right = other[0] + other[2] / 2 - one[0] - one[2] / 2
    down = other[1] + other[3] / 2 - one[1] - one[3] / 2
    return {"left": right >= 10, "right": right <= -10, "above": down >= 10, "below": down <= -10}[relation]


def _third(center, low, high):
    return low if center < 64 / 3 else high if center > 128 / 3 else "middle"
