"""What the captioner is asked and taught: answers that are true, labels that say what a patch shows, lies that are lies."""

import re
from collections import Counter

import numpy as np

from recapdata.scenes import SHAPES, draw_scene, font, human_long, human_short
from recaptrain.embedded.hard_negatives import hard_negative
from recaptrain.embedded.tasks import STYLES, caption_task, pretraining_task
from recaptrain.embedded.vision import HEADS, NOTHING, dense_targets

MANY = 300
AT = {head.name: place for place, head in enumerate(HEADS)}


def test_pretraining_has_every_task_and_no_captions():
    prompts, answers = zip(*(pretraining_task(draw_scene(31, index)) for index in range(MANY)), strict=True)
    kinds = Counter(" ".join(prompt.split()[:2]) for prompt in prompts)
    assert {"alt text", "read", "detect", "tags", "how many", "where is", "background"} < set(kinds)
    assert not set(prompts) & set(STYLES.values())
    assert not any(re.search(r"\b(There (is|are)|background there)\b", answer) for answer in answers)


def test_reading_and_background_are_the_truth():
    for index in range(MANY):
        scene = draw_scene(32, index)
        prompt, answer = pretraining_task(scene)
        if prompt == "read":
            assert answer == (scene.word.text if scene.word else "nothing")
        if prompt == "background":
            assert answer == scene.background


def test_detection_is_in_paligemmas_format():
    """Four tokens of 1024ths of the picture, in the order top, left, bottom, right: a box from 16 to 32 of 64 pixels is 256 … 512."""
    for index in range(MANY):
        scene = draw_scene(33, index)
        prompt, answer = pretraining_task(scene)
        if prompt != "detect":
            continue
        for part, drawn in zip(answer.split(" ; "), scene.objects, strict=True):
            top, left, bottom, right = (int(number) for number in re.findall(r"<loc(\d{4})>", part))
            x, y, width, height = drawn.box
            assert (top, left) == (y * 16, x * 16)
            assert (bottom, right) == (min(1023, (y + height) * 16), min(1023, (x + width) * 16))
            assert part.endswith(f" {drawn.size} {drawn.color} {drawn.shape}")


def test_caption_tasks_carry_the_styles_prompt():
    scene = draw_scene(34, 0)
    assert caption_task(scene, "short") == ("caption short", human_short(scene))
    assert caption_task(scene, "long") == ("caption long", human_long(scene))


def test_dense_labels_name_what_covers_the_patch():
    for index in range(60):
        scene = draw_scene(35, index)
        dense = dense_targets(scene, 8)
        shape = dense.labels[:, AT["shape"]].reshape(8, 8)
        for drawn in scene.objects:
            x, y, width, height = drawn.box
            rows = slice(y // 8, (y + height - 1) // 8 + 1)
            columns = slice(x // 8, (x + width - 1) // 8 + 1)
            assert (shape[rows, columns] == SHAPES.index(drawn.shape)).any()
        assert set(np.unique(shape)) == {SHAPES.index(drawn.shape) for drawn in scene.objects} | {len(SHAPES)}
        assert ((shape == len(SHAPES)) == (dense.labels[:, AT["color"]].reshape(8, 8) == NOTHING)).all()


def test_dense_letters_spell_the_word():
    for index in range(200):
        scene = draw_scene(36, index)
        labels = dense_targets(scene, 8).labels
        letters = {
            int(place): font.LETTERS[letter]
            for letter, place in labels[:, (AT["letter"], AT["place"])]
            if place != NOTHING
        }
        spelled = "".join(letters[place] for place in sorted(letters))
        assert spelled == (scene.word.text if scene.word else "")


def test_a_near_miss_is_never_the_scene_and_mostly_told_by_its_captions():
    told = 0
    for index in range(MANY):
        scene = draw_scene(37, index)
        lie = hard_negative(scene)
        assert lie != scene
        told += human_long(lie) != human_long(scene)
    assert told > 0.95 * MANY
