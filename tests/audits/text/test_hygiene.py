"""Every flag with captions that have it and captions that only look like it."""

import pytest

from audits.text import LONGEST, hygiene
from audits.text.hygiene import FLAGS, flags, habits

HAVE = {
    "empty": ["", "  ", "...", "—"],
    "refusal": [
        "I'm sorry, but I can't assist with that.",
        "As an AI language model, I cannot see images.",
        "I am unable to view the image.",
        "I cannot identify the people in this picture.",
        "Sorry, no image was provided.",
    ],
    "boilerplate": [
        "The image shows a dog on a mat.",
        "In this picture we can see a car.",
        "This is a photo of a cat.",
        "A cat on a sofa. The overall mood is calm.",
    ],
    "prompt_leakage": [
        "Describe this image in detail: a dog",
        "ASSISTANT: A dog on a mat.",
        "<|im_start|>a dog",
        "Caption: a dog",
        "Certainly! A dog on a mat.",
        "Here is a detailed caption for the image",
    ],
    "repetition": [
        "a very very very very big dog",
        "a dog on a mat, a dog on a mat, a dog on a mat",
        "red and blue and red and blue and red and blue and",
    ],
    "cut_off": [
        "A man standing in front of the",
        "A dog, a cat and",
        "A dog is on the mat. A cat is on the sofa. A bird is in the tree. The fox is ru",
        "a table with",
        "a red ball,",
        "and then...",
    ],
    "wrong_script": ["Красная машина на дороге", "一只狗在垫子上", "a كلب على السجادة"],
    "garbled": ["a cafÃ© table", "donâ€™t", "a \ufffd dog", "a\x00dog"],
    "markup": [
        "<p>a dog</p>",
        "a dog &amp; a cat",
        "**A dog** on a mat",
        "# A dog",
        "IMG_2034.jpg",
        "see https://example.org",
        '{"caption": "a dog"}',
        "[a dog](dog.png)",
        "```python",
    ],
    "not_english": ["Ein Hund sitzt auf einer grünen Bank.", "Una mujer con un paraguas rojo cruza la calle"],
    "json": ['{"caption": "a dog"}', "['a dog', 'a cat']"],
    "html": ["<p>a dog</p>", "a dog &amp; a cat"],
    "markdown": ["**A dog** on a mat", "# A dog", "- a dog\n- a cat", "| a | b |\n|---|---|\n| dog | cat |"],
    "latex": [r"\textbf{a dog} on a mat"],
    "tags": ["1girl, solo, red_dress", "car, street, night, rain, neon sign"],
    "prompt_syntax": ["a ((dog)) on a mat", "a (dog:1.2)", "a dog --ar 16:9", "a dog <lora:fur:0.7>"],
}
CLEAN = [
    "A dog on a mat.",
    "a chair that the woman is sitting on",
    "view of a clock tower from above",
    'A sign that says "I\'m sorry"',
    "Tom & Jerry in a red car",
    "a man with a hat on",
    "A photograph album on a table.",
    "a picture hangs on the wall",
    "People, people, people everywhere.",
    "Ein Hund — naïve café, Zoë's",
    "A bus, a car, a tram, a taxi and a truck",
    "a dog (brown) and a cat (white)",
    "Château de Chambord, France",
    "cat < dog > mouse",
    "two men, two women and two children",
    "a woman holding a sign with the word 日本 on it",
    "the assistant helps a customer",
    "A user interface: buttons, sliders",
]


@pytest.mark.parametrize(("flag", "caption"), [(flag, caption) for flag in HAVE for caption in HAVE[flag]])
def test_flagged(flag, caption):
    assert flag in flags(caption)


@pytest.mark.parametrize("caption", CLEAN)
def test_clean(caption):
    assert flags(caption) == ()


def test_every_flag_is_tested():
    assert set(HAVE) == set(FLAGS)


def test_habits_of_a_set():
    found = habits(["A dog.", "a dog. ", "THE CAT", "the cat runs", "1 2 3"])
    assert found.captions == 5
    assert found.lower_case == 2 / 5  # "a dog. ", "the cat runs"
    assert found.capitalized == 1 / 5  # "A dog."
    assert found.upper_case == 1 / 5  # "THE CAT"
    assert found.final_stop == 2 / 5
    assert found.words == pytest.approx((2, 2, 2, 2, 3, 3, 3))
    assert found.first_words[:2] == (("a", 2 / 5), ("the", 2 / 5))
    assert found.repeated == 2 / 5  # the two dogs, which differ in case and white space only
    assert found.most_repeated == 2


def test_habits_of_nothing():
    assert habits([]).captions == 0


def test_a_long_caption_is_read_in_no_time():
    assert flags("a b " * 20_000) == ("repetition",)
    assert "markup" in flags("<a " * 20_000 + ">")


def test_no_rule_reads_more_of_a_caption_than_a_caption_has(monkeypatch):
    """A megabyte of brackets, or of addresses that do not end, once took ten minutes; flags of both ends hold."""
    read = []
    rules = {
        name: lambda text, rule=rule: read.append(len(text)) or rule(text)
        for name, rule in hygiene.FLAGS.items()
    }
    monkeypatch.setattr(hygiene, "FLAGS", rules)
    found = flags("As an AI, I cannot describe this. " + "A dog is here. " * 5_000 + "There is a")
    assert {"refusal", "cut_off"} <= set(found)
    assert read == [LONGEST + 1] * len(rules)
