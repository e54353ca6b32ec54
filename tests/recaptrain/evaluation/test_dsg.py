"""DSG and Soft-TIFA by hand."""

import pytest

from recaptrain.evaluation.answers import Answer
from recaptrain.evaluation.dsg import Dsg, scores
from recaptrain.evaluation.questions import Question
from tests.recaptrain.evaluation.scripted_models import figures, measured, picture


class Scripted:
    """Answers by picture and question; no to all others."""

    identity = "scripted@1"

    def __init__(self, yes):
        self.yes = yes

    def ask(self, images, questions):
        numbers = [each.getpixel((0, 0))[0] for each in images]
        return [Answer(self.yes.get(each, 0.1), 0.8) for each in zip(numbers, questions, strict=True)]


ASKED = [
    Question("Is there a dog?", "object"),
    Question("Is there a cat?", "object"),
    Question("Is the dog brown?", "color", (0,)),
    Question("Is the dog to the left of the cat?", "position", (0, 1)),
]


def test_by_hand():
    found = scores(ASKED, [0.9, 0.4, 0.8, 0.6])
    # The cat is not there, so where the dog lies from it counts nothing: two of four. Without dependencies three.
    assert found["valid"] == [True, True, True, False]
    assert (found["dsg"], found["plain"]) == (0.5, 0.75)
    assert found["soft_am"] == pytest.approx(2.7 / 4)
    assert found["soft_gm"] == pytest.approx((0.9 * 0.4 * 0.8 * 0.6) ** 0.25)


def test_a_half_is_no_yes():
    assert scores(ASKED[:1], [0.5])["dsg"] == 0.0


def test_what_is_surely_wrong_leaves_little_of_the_geometric_mean():
    assert scores(ASKED[:2], [1.0, 0.0])["soft_gm"] == pytest.approx(1e-3)  # √(1 · 10⁻⁶)


def test_of_pictures():
    metric = Dsg(
        answerer=Scripted(
            {
                (0, "Is there a dog?"): 0.9,
                (0, "Is the dog brown?"): 0.7,
                (1, "Is the dog brown?"): 0.9,  # of a dog that is not there
            }
        ),
        identity={},
        batch_size=3,
    )
    rows = measured(metric, [picture("A brown dog.", 0), picture("A brown dog.", 1), picture("Joy!", 2)])
    assert rows.num_rows == 2
    assert figures(metric, rows) == pytest.approx(
        {
            "dsg": 50.0,
            "dsg-plain": 75.0,
            "soft-tifa-am": 100 * (0.8 + 0.5) / 2,
            "soft-tifa-gm": 100 * ((0.9 * 0.7) ** 0.5 + (0.1 * 0.9) ** 0.5) / 2,
            "dsg-object": 50.0,
            "dsg-color": 50.0,
            "dsg-answered": 80.0,
        }
    )
