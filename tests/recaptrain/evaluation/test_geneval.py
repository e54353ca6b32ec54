"""GenEval's six tasks by hand, with both kinds of colors."""

import pytest
from PIL import Image

from audits.evidence import Evidence, Observation, Scope
from audits.evidence.colors import Colors, Pixels
from recaptrain.evaluation.geneval import GenEval, is_geneval, judge, surest
from recaptrain.evaluation.seen import SeenEvidence, Store
from tests.recaptrain.evaluation.scripted_models import box, detector, figures, image, measured, picture

LEFT, RIGHT = (0.0, 40.0, 20.0, 20.0), (80.0, 40.0, 20.0, 20.0)


def fields(tag, include, exclude=()):
    """As GenEval's evaluation_metadata.jsonl has them."""
    return {"tag": tag, "include": include, "exclude": list(exclude)}


def seen(*objects):
    return Evidence(source="detector", scope=Scope(), objects=objects, width=100, height=100)


def verdict(asked, *objects, colors=None):
    """The verdict on a picture of objects; `colors` says by class what color they have, None what nobody can tell."""
    evidence = seen(*objects)
    threshold = 0.9 if asked["tag"] == "counting" else 0.3
    by_class = {
        each["class"]: surest(evidence, frozenset({each["class"]}), threshold)
        for each in (*asked["include"], *asked["exclude"])
    }

    def colored(found, color):
        answers = [(colors or {}).get(each.bbox) for each in found]
        return [None if answer is None else answer == color for answer in answers]

    return judge(asked, by_class, evidence, colored)


DOG = [{"class": "dog", "count": 1}]
DOG_CAT = [{"class": "dog", "count": 1}, {"class": "cat", "count": 1}]
THREE = [{"class": "dog", "count": 3}]
FOUR = [{"class": "dog", "count": 4}]


@pytest.mark.parametrize(
    ("asked", "objects", "right"),
    [
        (fields("single_object", DOG), [box("dog", 0.31)], True),
        (fields("single_object", DOG), [box("dog", 0.3)], False),  # above, not from on
        (fields("single_object", DOG), [box("dog"), box("dog"), box("cat")], True),
        (fields("two_object", DOG_CAT), [box("dog"), box("cat")], True),
        (fields("two_object", DOG_CAT), [box("dog"), box("dog")], False),
        (fields("counting", THREE, FOUR), [box("dog", 0.95)] * 3, True),
        (fields("counting", THREE, FOUR), [box("dog", 0.95)] * 2 + [box("dog", 0.9)], False),  # above 0.9
        (fields("counting", THREE, FOUR), [box("dog", 0.95)] * 4, False),  # excluded
        (fields("counting", THREE, FOUR), [box("dog", 0.95)] * 3 + [box("dog", 0.5)], True),
    ],
)
def test_objects_and_numbers(asked, objects, right):
    assert verdict(asked, *objects) is right


RED = [{"class": "car", "count": 1, "color": "red"}]


@pytest.mark.parametrize(("color", "right"), [("red", True), ("blue", False), (None, None)])
def test_colors(color, right):
    assert verdict(fields("colors", RED), box("car", 1.0, LEFT), colors={LEFT: color}) is right


def test_an_unclear_color_cannot_mend_what_is_missing():
    asked = fields("color_attr", [*RED, {"class": "dog", "count": 1, "color": "brown"}])
    assert verdict(asked, box("car", 1.0, LEFT), colors={LEFT: None}) is False
    both = [box("car", 1.0, LEFT), box("dog", 1.0, RIGHT)]
    assert verdict(asked, *both, colors={LEFT: None, RIGHT: "brown"}) is None
    assert verdict(asked, *both, colors={LEFT: None, RIGHT: "red"}) is False


def test_the_surest_objects_are_looked_at_and_no_others():
    objects = [box("car", 0.9, LEFT), box("car", 0.8, RIGHT)]
    assert verdict(fields("colors", RED), *objects, colors={LEFT: "blue", RIGHT: "red"}) is False


LEFT_OF = [{"class": "cat", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}]


@pytest.mark.parametrize(
    ("dog", "cat", "right"),
    [
        (LEFT, RIGHT, True),
        (RIGHT, LEFT, False),
        # 5 apart; 0.1 · (20 + 20) off it leaves 1, a fifth of the distance
        (LEFT, (5.0, 40.0, 20.0, 20.0), False),
        # 9 apart leaves 5, more than half of 9
        (LEFT, (9.0, 40.0, 20.0, 20.0), True),
        # 40 across and 60 down leave 36 and 56 of 72: both more than half or just about
        (LEFT, (40.0, 100.0, 20.0, 20.0), False),
    ],
)
def test_positions(dog, cat, right):
    asked = fields("position", LEFT_OF)
    assert verdict(asked, box("dog", 1.0, dog), box("cat", 1.0, cat)) is right


def test_a_position_to_what_is_not_there_is_wrong():
    assert verdict(fields("position", LEFT_OF), box("dog", 1.0, LEFT)) is False


def test_sixteen_of_a_class_at_most():
    assert len(surest(seen(*[box("dog")] * 20), frozenset({"dog"}), 0.3)) == 16


class LikelyRed:
    """Says of every crop: gray most likely, then red."""

    model = "red@1"

    def likelihoods(self, picture, objects):
        import numpy as np

        from audits.evidence.color_names import NAMES

        return [
            np.array([0.5 if n == "gray" else 0.3 if n == "red" else 0.02 for n in NAMES]) for _ in objects
        ]


def geneval(answers, namer=None):
    made, _ = detector(answers)
    colored = SeenEvidence((made.source, Colors(Pixels(), dict.fromkeys(range(16), ""))), Store())
    return GenEval(detector=made, colored=colored, namer=namer or LikelyRed(), identity={})


def blue_car():
    """A blue car on white."""
    drawn = Image.new("RGB", (100, 100), (250, 250, 250))
    drawn.putpixel((0, 0), (0, 0, 7))  # its number
    drawn.paste((20, 40, 220), (30, 30, 70, 70))
    return drawn


def test_both_kinds_of_colors_of_a_picture():
    asked = picture("a photo of a red car", fields=fields("colors", RED))
    metric = geneval([[box("car", 0.9, (30.0, 30.0, 40.0, 40.0))]], LikelyRed())
    (row,) = measured(metric, [asked], [blue_car()]).to_pylist()
    assert (row["correct"], row["fixed"]) == (
        True,
        False,
    )  # CLIP errs here, and gray is none of its ten colors
    blue = picture("a photo of a blue car", fields=fields("colors", [{**RED[0], "color": "blue"}]))
    (row,) = measured(metric, [blue], [blue_car()]).to_pylist()
    assert (row["correct"], row["fixed"]) == (False, True)


def test_the_overall_score_is_the_mean_of_the_tasks():
    asked = [
        fields("single_object", DOG),
        fields("single_object", DOG),
        fields("single_object", DOG),
        fields("two_object", DOG_CAT),
        fields("position", LEFT_OF),
    ]
    answers = [
        [box("dog")],
        [box("dog")],
        [],
        [box("dog"), box("cat")],
        [box("dog", 1.0, RIGHT), box("cat", 1.0, LEFT)],
    ]
    metric = geneval(answers)
    rows = measured(metric, [picture("x", number, fields=each) for number, each in enumerate(asked)])
    found = figures(metric, rows)
    assert found == pytest.approx(
        {
            "geneval": 100 * (2 / 3 + 1 + 0) / 3,
            "geneval-fixed": 100 * (2 / 3 + 1 + 0) / 3,
            "geneval-single_object": 200 / 3,
            "geneval-two_object": 100,
            "geneval-position": 0,
        }
    )
    assert metric.figures(rows)[0].note == "of the tasks single_object, two_object, position alone"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tag": "colors"},
        {"tag": "riddle", "include": DOG},
        {"tag": "colors", "include": [{"class": "dog"}]},
        {"tag": "colors", "include": ["dog"]},
    ],
)
def test_other_prompts_do_not_apply(given):
    assert not is_geneval(given)
    assert measured(geneval([[]]), [picture("x", fields=given)]).num_rows == 0


def test_a_class_that_the_detector_does_not_know_is_not_judged():
    asked = fields("single_object", [{"class": "toaster", "count": 1}])
    assert measured(geneval([[]]), [picture("x", fields=asked)], [image(0)]).num_rows == 0


def test_classes_go_by_their_other_names():
    asked = fields("single_object", [{"class": "computer mouse", "count": 1}])
    rows = measured(geneval([[box("mouse")]]), [picture("x", fields=asked)])
    assert rows.column("correct").to_pylist() == [True]


def test_an_observation_without_a_score_is_certain():
    assert surest(seen(Observation(category="dog", bbox=LEFT)), frozenset({"dog"}), 0.9)
