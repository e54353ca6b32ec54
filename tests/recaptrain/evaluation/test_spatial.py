"""T2I-CompBench's 2D-spatial score by hand."""

import pytest

from recaptrain.evaluation.spatial import Spatial, position_score
from tests.recaptrain.evaluation.scripted_models import box, detector, figures, measured, picture

LEFT, RIGHT, TOP = (0.0, 40.0, 20.0, 20.0), (80.0, 40.0, 20.0, 20.0), (40.0, 0.0, 20.0, 20.0)


def spatial(answers):
    return Spatial(detector=detector(answers)[0], identity={})


@pytest.mark.parametrize(
    ("one", "other", "relation", "score"),
    [
        (LEFT, RIGHT, "left of", 1.0),
        (RIGHT, LEFT, "left of", 0.0),
        (RIGHT, LEFT, "right of", 1.0),
        (TOP, LEFT, "above", 0.0),  # 40 up and 40 across: not further up than across
        (TOP, (45.0, 60.0, 20.0, 20.0), "on top of", 1.0),
        ((45.0, 60.0, 20.0, 20.0), TOP, "at the bottom of", 1.0),
        # Two squares of 20, 10 apart: they share 10 · 20 of 600, a third.
        ((0.0, 0.0, 20.0, 20.0), (10.0, 0.0, 20.0, 20.0), "left of", 0.1 / (1 / 3)),
        # 150 of 512 pixels are 29.3 of 100.
        (LEFT, RIGHT, "next to", 1.0),  # on one height
        ((0.0, 0.0, 20.0, 20.0), (80.0, 40.0, 20.0, 20.0), "near", 150 / 512 * 100 / 80),
    ],
)
def test_positions(one, other, relation, score):
    assert position_score(one, other, relation, 100) == pytest.approx(score)


def test_by_hand():
    metric = spatial(
        [
            [box("dog", 0.8, LEFT), box("cat", 0.6, RIGHT)],  # 0.25 · 1.4 + 0.5
            [box("dog", 0.8, RIGHT), box("cat", 0.6, LEFT)],  # 0.25 · 1.4
            [box("dog", 0.8, LEFT)],  # 0.25 · 0.8
            [],
        ]
    )
    rows = measured(metric, [picture("a dog on the left of a cat", number) for number in range(4)])
    assert rows.column("score").to_pylist() == pytest.approx([0.85, 0.35, 0.2, 0.0])
    assert rows.column("position").to_pylist() == [1.0, 0.0, None, None]
    # The original sets what is below 0.5 to 0; of the two pictures that show both, one is right.
    assert figures(metric, rows) == pytest.approx(
        {"spatial": 1.4 / 4, "spatial-original": 0.85 / 4, "spatial-position": 0.5}
    )


def test_the_surest_box_of_each_counts():
    metric = spatial([[box("dog", 0.7, LEFT), box("dog", 0.9, RIGHT), box("cat", 0.9, TOP)]])
    (row,) = measured(metric, [picture("a dog left of a cat")]).to_pylist()
    assert (row["subject_score"], row["position"]) == (0.9, 0.0)


def test_two_things_of_one_class_are_two_boxes():
    metric = spatial([[box("person", 0.9, LEFT), box("person", 0.7, RIGHT)], [box("person", 0.9, LEFT)]])
    prompts = [picture("a boy on the left of a girl", number) for number in range(2)]
    rows = measured(metric, prompts)
    assert rows.column("score").to_pylist() == pytest.approx([0.25 * 1.6 + 0.5, 0.25 * 0.9])


@pytest.mark.parametrize(
    "prompt", ["a dog", "a dog behind a cat", "a dog on the left", "a dog left of a candle"]
)
def test_what_boxes_cannot_be_held_against_does_not_apply(prompt):
    assert measured(spatial([[]]), [picture(prompt)]).num_rows == 0
