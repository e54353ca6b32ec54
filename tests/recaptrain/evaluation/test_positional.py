"""PA by hand, its ceiling with a model that knows positions and its floor with one that does not."""

from math import exp, log

import pytest

from recaptrain.evaluation.positional import PositionalAlignment, opposites, preference
from recaptrain.evaluation.stated import read_prompts
from tests.recaptrain.evaluation.scripted_models import embeddings, figures, measured, picture


def sides(text):
    """[left, right, above, below, a little of everything]."""
    return [2.0 * (each in text) for each in ("left", "right", "above", "below")] + [1.0]


def pa(images, factor):
    return PositionalAlignment(embeddings=embeddings(images, sides, factor), identity={})


LEFT, RIGHT, ABOVE = [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("A dog left of a cat.", {"left of": "A dog right of a cat."}),
        ("A dog above a cat.", {"above": "A dog below a cat."}),
        ("A dog behind a tree.", {"behind": "A dog in front of a tree."}),
        ("A dog at the top left.", {"top left": "A dog at the top right."}),
        ("A dog between two cats.", {}),  # nothing is the opposite
        ("A dog.", {}),
    ],
)
def test_the_opposite_of_a_prompt(prompt, words):
    (context,) = read_prompts([prompt])
    assert dict(opposites(context)) == words


def test_a_preference_is_a_softmax_over_two():
    assert preference(1.0, 1.0) == 0.5
    assert preference(log(3), 0.0) == pytest.approx(0.75)
    assert preference(-1e6, 1e6) < 1e-300


def test_by_hand():
    # The cosine with the own side is 2/√5, with the other 0: p = 1/(1 + e^(−f · 2/√5)), or less a half the other way.
    factor = log(3) / (2 / 5**0.5)  # e^… = 3, so that p is 0.75 or 0.25
    metric = pa([LEFT, RIGHT, LEFT, ABOVE], factor)
    prompts = ["A dog left of a cat.", "A dog left of a cat.", "A dog right of a cat.", "A dog above a cat."]
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    probabilities = [each for row in rows.column("probabilities").to_pylist() for each in row]
    assert probabilities == pytest.approx([0.75, 0.25, 0.25, 0.75])
    # left of 1 of 2, right of 0 of 1, above 1 of 1
    assert figures(metric, rows) == pytest.approx({"pa": 50.0, "pa-preferred": 50.0})


def test_what_is_preferred_by_less_than_the_margin_is_not_right():
    factor = log(0.59 / 0.41) / (2 / 5**0.5)
    metric = pa([LEFT], factor)
    rows = measured(metric, [picture("A dog left of a cat.")])
    assert rows.column("probabilities").to_pylist() == [[pytest.approx(0.59)]]
    assert figures(metric, rows) == {"pa": 0.0, "pa-preferred": 100.0}


def test_ceiling_and_chance():
    prompts = ["A dog left of a cat.", "A dog right of a cat."] * 20
    own = [LEFT, RIGHT] * 20
    shuffled = [LEFT, RIGHT, RIGHT, LEFT] * 10  # half of the pictures show what their prompt says
    pictures = [picture(each, number) for number, each in enumerate(prompts)]
    for images, share in ((own, 100.0), (shuffled, 50.0)):
        metric = pa(images, 100.0)
        assert figures(metric, measured(metric, pictures)) == {"pa": share, "pa-preferred": share}
    blind = pa([[0, 0, 0, 0, 1]] * 40, 100.0)  # sees no positions: every pair is a tie
    assert figures(blind, measured(blind, pictures)) == {"pa": 0.0, "pa-preferred": 0.0}


def test_of_a_model_without_a_factor_it_is_a_hundred():
    metric = pa([LEFT], 1.0)
    metric.embeddings.clip.model.logit_scale = None
    rows = measured(metric, [picture("A dog left of a cat.")])
    assert rows.column("probabilities").to_pylist() == [[pytest.approx(1 / (1 + exp(-200 / 5**0.5)))]]
