"""T2I-CompBench's numeracy by hand."""

import pytest

from audits.evidence import Observation
from recaptrain.evaluation.detected import apart
from recaptrain.evaluation.numeracy import Numeracy, numeracy_score
from tests.recaptrain.evaluation.scripted_models import box, detector, figures, measured, picture


def numeracy(answers):
    return Numeracy(detector=detector(answers)[0], identity={})


def boxes(category, number):
    return [box(category, bbox=(30.0 * each, 0.0, 20.0, 20.0)) for each in range(number)]


def test_by_hand():
    # two there in their number, one there in another, one not there: (1 + 1 + 0.5 + 0) / 4
    assert numeracy_score([2, 1, 3, 1], [2, 1, 2, 0]) == 0.625


def test_of_prompts():
    metric = numeracy([[*boxes("dog", 1), *boxes("cat", 2)], boxes("sheep", 3)])
    rows = measured(metric, [picture("a dog and three cats", 0), picture("three sheep and two horses", 1)])
    assert [
        dict(zip(row["classes"], zip(row["stated"], row["detected"], strict=True), strict=True))
        for row in rows.to_pylist()
    ] == [{"cat": (3, 2), "dog": (1, 1)}, {"sheep": (3, 3), "horse": (2, 0)}]
    assert rows.column("score").to_pylist() == [0.75, 0.5]
    assert figures(metric, rows) == {"numeracy": 0.625}


def test_a_thing_that_the_detector_has_no_class_for_is_left_out_and_not_missing():
    metric = numeracy([boxes("dog", 2)])
    assert figures(metric, measured(metric, [picture("two dogs and four candles")])) == {"numeracy": 1.0}


def test_a_part_of_a_word_is_no_thing():
    metric = numeracy([boxes("car", 2)])
    assert measured(metric, [picture("two carpets")]).num_rows == 0


@pytest.mark.parametrize(
    ("other", "number"),
    [
        ((0.0, 0.0, 100.0, 95.0), 1),  # an IoU of 0.95
        ((10.0, 10.0, 20.0, 20.0), 1),  # all of it in the other
        ((0.0, 20.0, 100.0, 100.0), 2),  # 0.8 / 1.2
    ],
)
def test_two_boxes_on_each_other_are_one(other, number):
    seen = [Observation(category="dog", bbox=each) for each in ((0.0, 0.0, 100.0, 100.0), other)]
    assert len(apart(seen)) == number
    cat = [seen[0], Observation(category="cat", bbox=other)]
    assert len(apart(cat)) == 2
