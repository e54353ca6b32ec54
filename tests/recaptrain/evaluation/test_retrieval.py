"""R-precision by hand; its ceiling, and its chance of one in a hundred."""

import random

import pytest

from recaptrain.evaluation.retrieval import RPrecision, bins_of, draw, rank
from tests.recaptrain.evaluation.scripted_models import embeddings, figures, measured, picture


def one_hot(number, size):
    return [float(number == place) for place in range(size)]


def rp(images, prompts, *, factor=1.0, seed=0):
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    model = embeddings(images, lambda text: one_hot(places[text], len(places)), factor)
    return RPrecision(model, prompts, seed)


def test_a_rank_counts_what_is_as_near_before_it():
    assert rank([0.9, 0.1, 0.2]) == 1
    assert rank([0.2, 0.1, 0.9, 0.3]) == 3
    assert rank([0.5, 0.5, 0.1]) == 2


def test_others_are_drawn_without_the_own_text_and_without_one_twice():
    for own in (0, 7, 149):
        drawn = draw(own, 150, 99, "seed")
        assert len(set(drawn)) == 99
        assert own not in drawn
        assert set(drawn) <= set(range(150))
    assert draw(3, 150, 99, "a") != draw(3, 150, 99, "b")
    assert draw(3, 150, 5, "seed") == [61, 128, 131, 73, 32]  # on every machine


def test_bins_are_ten_of_equal_size():
    bins = bins_of([f"{number:04}" for number in range(103)])
    assert sorted(bins.count(number) for number in range(10)) == [10] * 7 + [11] * 3
    assert bins == sorted(bins)  # in the order of the hashes
    assert len(set(bins_of(["a", "b"]))) == 2


@pytest.mark.parametrize("count", [120])
def test_ceiling_and_chance(count):
    prompts = [f"prompt {number}" for number in range(count)]
    pictures = [picture(each, number) for number, each in enumerate(prompts)]
    metric = rp([one_hot(number, count) for number in range(count)], prompts)
    rows = measured(metric, pictures)
    assert set(rows.column("rank").to_pylist()) == {1}
    assert figures(metric, rows) == {"rp": 100.0, "rp-sd": 0.0}
    # A picture of another prompt: the true one is never nearest, and in 99 of 119 draws the picture's own is.
    other = rp([one_hot((number + 1) % count, count) for number in range(count)], prompts)
    assert figures(other, measured(other, pictures))["rp"] == 0.0


def test_chance_of_pictures_that_tell_nothing():
    # 400 pictures at random directions in 64 dimensions: each text is as likely nearest, one in a hundred: 4 are expected, and
    # more than 13 come with a probability below 0.0001 (binomial).
    dice = random.Random(3)
    prompts = [f"prompt {number}" for number in range(400)]
    directions = [[dice.gauss(0, 1) for _ in range(64)] for _ in range(800)]
    model = embeddings(directions[:400], lambda text: directions[400 + int(text.split()[1])])
    metric = RPrecision(model, prompts, 0)
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    assert 0 <= rows.column("rank").to_pylist().count(1) <= 13


def test_a_tie_is_lost():
    metric = rp([[1.0, 1.0]], ["a", "b"])
    rows = measured(metric, [picture("a")])
    assert rows.column("rank").to_pylist() == [2]


def test_prompts_that_repeat_are_not_held_against_themselves():
    prompts = ["a", "a", "b"]
    metric = rp([[1, 0], [1, 0], [0, 1]], prompts)
    assert metric.others == 1
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    assert rows.column("rank").to_pylist() == [1, 1, 1]
    note = metric.figures(rows)[0].note
    assert "only 1 other prompts" in note
    assert "chance is 50.0 %" in note


def test_one_prompt_alone_does_not_apply():
    assert measured(rp([[1.0]], ["a"]), [picture("a")]).num_rows == 0


def test_the_identity_holds_prompts_and_seed():
    one, other, seeded = rp([[1, 0]], ["a", "b"]), rp([[1, 0]], ["a", "c"]), rp([[1, 0]], ["a", "b"], seed=1)
    assert one.identity != other.identity
    assert one.identity != seeded.identity


def test_bins_mean_and_spread_by_hand():
    # 20 pictures in ten bins of two; those at odd places of the order are wrong in the first five bins.
    from recaptrain.evaluation.retrieval import _spread_of_bins
    from recaptrain.evaluation.sums import mean_of_groups

    bins = [place // 2 for place in range(20)]
    first = [not (place % 2 and place < 10) for place in range(20)]
    import numpy as np

    assert mean_of_groups(first, bins, scale=100)(np.ones(20)) == 75.0
    assert _spread_of_bins(first, bins)(np.ones(20)) == 25.0
