"""CA by hand."""

from math import sqrt

import pytest

from recaptrain.evaluation.counting import CountingAlignment
from tests.recaptrain.evaluation.scripted_models import box, detector, figures, measured, picture


def ca(answers):
    return CountingAlignment(detector=detector(answers)[0], identity={})


def boxes(category, number, score=1.0):
    return [box(category, score, (10.0 * each, 0.0, 5.0, 5.0)) for each in range(number)]


def test_by_hand():
    metric = ca(
        [
            [*boxes("dog", 3), *boxes("cat", 1), *boxes("car", 5)],  # the cars were not spoken of
            boxes("person", 5),
            [*boxes("horse", 2), *boxes("horse", 1, 0.49)],
        ]
    )
    prompts = ["Two dogs and four cats.", "Two men and three women.", "Three horses."]
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    assert rows.column("stated").to_pylist() == [[2, 4], [5], [3]]
    assert rows.column("detected").to_pylist() == [[3, 1], [5], [2]]
    # √((1² + 3²) / 2), 0 and 1; of four numbers one is met.
    assert rows.column("error").to_pylist() == pytest.approx([sqrt(5), 0, 1])
    assert figures(metric, rows) == pytest.approx({"ca": (sqrt(5) + 0 + 1) / 3, "ca-exact": 25.0})


def test_a_stated_class_that_is_not_there_is_missed_by_its_number():
    metric = ca([[]])
    assert figures(metric, measured(metric, [picture("Four sheep.")]))["ca"] == 4.0


@pytest.mark.parametrize("prompt", ["A dog.", "Several dogs.", "Two dragons.", "A statue of two horses."])
def test_without_a_number_of_a_known_class_it_does_not_apply(prompt):
    assert measured(ca([[]]), [picture(prompt)]).num_rows == 0
