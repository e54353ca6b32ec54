"""B-VQA by hand."""

import pytest

from recaptrain.evaluation.answers import Answer
from recaptrain.evaluation.bvqa import Bvqa
from tests.recaptrain.evaluation.scripted_models import figures, measured, picture


class Scripted:
    """Answers by the question; keeps what it was asked."""

    identity = "scripted@1"

    def __init__(self, yes):
        self.yes = yes
        self.asked = []

    def ask(self, images, questions):
        self.asked.append(list(questions))
        return [Answer(self.yes.get(question, 0.0), 0.9) for question in questions]


def test_by_hand():
    answerer = Scripted(
        {
            "Is there a green bench in this picture?": 0.8,
            "Is there a blue bowl in this picture?": 0.5,
            "Is there a fluffy sweater in this picture?": 1.0,
        }
    )
    metric = Bvqa(answerer=answerer, identity={}, batch_size=2)
    prompts = ["A green bench and a blue bowl", "a fluffy sweater", "Joyful!"]
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    assert rows.column("phrases").to_pylist() == [["A green bench", "a blue bowl"], ["a fluffy sweater"]]
    assert [len(each) for each in answerer.asked] == [2, 1]
    assert rows.column("score").to_pylist() == pytest.approx([0.4, 1.0])
    assert figures(metric, rows) == pytest.approx(
        {"bvqa": 70.0, "bvqa-phrases": 100 * 2.3 / 3, "bvqa-answered": 90.0}
    )


def test_one_wrong_attribute_spoils_the_picture():
    metric = Bvqa(answerer=Scripted({"Is there a green bench in this picture?": 1.0}), identity={})
    assert measured(metric, [picture("a green bench and a blue bowl")]).column("score").to_pylist() == [0.0]
