"""Diversity by hand."""

import numpy as np
import pytest

from recaptrain.evaluation.diversity import Diversity, mean_distance
from tests.recaptrain.evaluation.scripted_models import embeddings, figures, measured, picture


def diversity(images, several):
    return Diversity(
        embeddings=embeddings(images, lambda _: [1.0, 0.0]), several=frozenset(several), identity={}
    )


def test_of_vectors():
    assert mean_distance(np.array([[1.0, 0], [1, 0], [1, 0]])) == pytest.approx(0)
    assert mean_distance(np.array([[1.0, 0], [0, 1]])) == pytest.approx(1)
    assert mean_distance(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(2)
    # pairs: 1 − 0.6, 1 − 0.8 and 1 − 0
    assert mean_distance(np.array([[0.6, 0.8], [1, 0], [0, 1]])) == pytest.approx((0.4 + 0.2 + 1) / 3)


def test_by_hand():
    metric = diversity([[1, 0], [0, 1], [1, 0], [1, 0], [5, 1]], ["a", "b"])
    pictures = [
        picture("x", number, prompt_id=prompt) for number, prompt in enumerate(["a", "a", "b", "b", "alone"])
    ]
    rows = measured(metric, pictures)
    assert rows.num_rows == 4
    assert figures(metric, rows) == pytest.approx({"diversity": 0.5})
    assert figures(metric, rows, [3, 3, 1, 1]) == pytest.approx({"diversity": 0.75})


def test_one_picture_a_prompt_does_not_apply():
    assert measured(diversity([[1, 0]], []), [picture("x")]).num_rows == 0
