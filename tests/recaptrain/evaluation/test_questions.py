"""Questions of prompts, with what they depend on."""

import pytest

from recaptrain.evaluation.questions import questions_of
from recaptrain.evaluation.stated import read_prompts


def asked(prompt, fields=None):
    (context,) = read_prompts([prompt])
    return [(each.text, each.kind, each.parents) for each in questions_of(context, fields or {})]


def test_objects_come_first_and_what_is_said_of_them_depends_on_them():
    assert asked("Two brown dogs left of a small cat.") == [
        ("Are there dogs?", "object", ()),
        ("Is there a cat?", "object", ()),
        ("Are there exactly two dogs?", "count", (0,)),
        ("Are the dogs brown?", "color", (0,)),
        ("Are the dogs to the left of the cat?", "position", (0, 1)),
        ("Is the cat small?", "size", (1,)),
    ]


@pytest.mark.parametrize(
    ("prompt", "question"),
    [
        ("An old orange car near an apple tree.", ("Is there an apple tree?", "object", ())),
        ("Three red apples on grass.", ("Is there grass?", "object", ())),
        ("A man at the top left.", ("Is the man in the top left?", "position", (0,))),
        ("A man on the left.", ("Is the man on the left?", "position", (0,))),
        ('A sign that says "STOP".', ('Is the text "STOP" written there?', "text", (0,))),
        ("one red circle", ("Is there exactly one circle?", "count", (0,))),
    ],
)
def test_words(prompt, question):
    assert question in asked(prompt)


def test_the_mention_that_a_claim_stands_on_is_what_it_depends_on():
    found = asked("a red circle and two blue circles")
    assert ("Is the circle red?", "color", (0,)) in found
    assert ("Are the circles blue?", "color", (1,)) in found


def test_what_need_not_be_there_is_not_asked_for():
    assert asked("A statue of a horse.") == [("Is there a statue?", "object", ())]
    assert asked("Joy!") == []


TABLE = [
    {
        "proposition_id": "1",
        "dependency": "0",
        "category_broad": "entity",
        "question_natural_language": "Is there a cup?",
    },
    {
        "proposition_id": "2",
        "dependency": "1",
        "category_broad": "attribute",
        "question_natural_language": "Is it red?",
    },
    {"proposition_id": "3", "dependency": "1,2", "question_natural_language": "Does it stand?"},
    {"proposition_id": "4", "dependency": "9", "question_natural_language": "Is it day?"},
]


def test_a_benchmark_asks_its_own():
    assert asked("a dog", {"questions": TABLE}) == [
        ("Is there a cup?", "entity", ()),
        ("Is it red?", "attribute", (0,)),
        ("Does it stand?", "other", (0, 1)),
        ("Is it day?", "other", ()),
    ]


@pytest.mark.parametrize("rows", ["what?", [{"question": "what?"}], [{**TABLE[0], "dependency": "none"}], []])
def test_a_table_of_another_form_is_left_alone(rows):
    assert asked("a dog", {"questions": rows}) == [("Is there a dog?", "object", ())]


PAIRS = [
    ["How many cows are in the image?", "three"],
    ["Are the cows plastic?", "Yes"],
    ["What are they made of?", "Wood."],
]


def test_geneval_2_asks_its_own_so_that_yes_is_right():
    fields = {"vqa_list": PAIRS, "skills": ["count", "attribute", "material"], "atom_count": 3}
    assert asked("three plastic cows", fields) == [
        ("Are there exactly three cows in the image?", "count", ()),
        ("Are the cows plastic?", "attribute", ()),
        ('Is "wood" the right answer to the question: What are they made of?', "material", ()),
    ]
    assert asked("a cow", {"vqa_list": [["How many cows are in the image?", "one"]], "skills": []}) == [
        ("Is there exactly one of the cows in the image?", "other", ())
    ]


@pytest.mark.parametrize("pairs", ["what?", [["what?"]], [["what?", 3]], [["what?", " "]], []])
def test_pairs_of_another_form_are_left_alone(pairs):
    assert asked("a dog", {"vqa_list": pairs}) == [("Is there a dog?", "object", ())]
