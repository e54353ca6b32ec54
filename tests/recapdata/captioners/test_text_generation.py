"""Noise that depends on seed, key and step, and on nothing else; the choice among candidates, by hand."""

from collections import Counter

import pytest
import torch

from recapdata.captioners.text_generation import (
    KeyedDraw,
    Start,
    caption_seed,
    most_agreed,
    overlap,
    uniform,
)
from recapdata.records import Caption


def test_uniform_is_a_function_of_seed_and_step():
    assert uniform(1, 2) == uniform(1, 2)
    assert len({uniform(seed, step) for seed in range(10) for step in range(10)}) == 100
    numbers = [uniform(5, step) for step in range(4000)]
    assert min(numbers) >= 0
    assert max(numbers) < 1
    # The mean of 4,000 uniform numbers lies within 0.5 ± 0.0137 (three standard errors of 0.2887 / sqrt(4000)).
    assert abs(sum(numbers) / 4000 - 0.5) < 0.0137


def test_caption_seed_fits_the_schema():
    assert 0 <= caption_seed(0, "a") < 2**63
    assert len({caption_seed(seed, key) for seed in range(3) for key in "abc"}) == 9


def drawn(draw: KeyedDraw, scores: list[list[float]]) -> list[int]:
    return draw(torch.zeros((len(scores), 1), dtype=torch.long), torch.tensor(scores)).argmax(dim=-1).tolist()


def test_tokens_come_as_often_as_they_are_probable():
    scores = [[0.0, float("-inf"), float(torch.tensor(3.0).log())]] * 2000  # 1/4, 0, 3/4
    tokens = drawn(KeyedDraw(range(2000)), scores)
    assert tokens.count(1) == 0
    # Three standard errors of a share of 3/4 among 2,000.
    assert abs(tokens.count(2) / 2000 - 0.75) < 3 * (0.75 * 0.25 / 2000) ** 0.5


def test_a_row_is_drawn_alike_in_any_batch():
    torch.manual_seed(0)
    scores = torch.randn(6, 50).tolist()
    together = KeyedDraw(range(6))
    first, second = drawn(together, scores), drawn(together, scores)
    assert first != second  # another step, another number
    for row in range(6):
        alone = KeyedDraw([row])
        assert [drawn(alone, [scores[row]]), drawn(alone, [scores[row]])] == [[first[row]], [second[row]]]


def test_certain_tokens_are_drawn_whatever_the_number():
    sure = [[float("-inf"), 5.0, float("-inf")]]
    assert {drawn(KeyedDraw([seed]), sure)[0] for seed in range(50)} == {1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_the_drawn_token_is_left(dtype):
    left = KeyedDraw([1])(torch.zeros((1, 1), dtype=torch.long), torch.zeros((1, 9), dtype=dtype))
    assert left.dtype == dtype
    assert torch.isfinite(left).sum() == 1


def test_start_notes_the_first_length():
    start = Start()
    scores = torch.zeros((1, 3))
    for length in (5, 6, 7):
        assert start(torch.zeros((1, length)), scores) is scores
    assert start.position == 5


def candidates(*texts):
    return [Caption(caption=text, error=None if text else "EmptyCaption: none") for text in texts]


def test_overlap_is_f1_of_words():
    # Two words in common, of three and two: 2 · 2 / (3 + 2).
    assert overlap(Counter(["a", "red", "dog"]), Counter(["red", "dog"])) == pytest.approx(0.8)
    assert overlap(Counter(), Counter()) == 0.0


def test_what_most_say_wins():
    written = candidates("three red dogs", "two red dogs", "Two red dogs.", "a blue cat")
    assert most_agreed(written).caption == "two red dogs"


def test_failures_are_only_chosen_when_there_is_nothing_else():
    assert most_agreed(candidates(None, "a dog")).caption == "a dog"
    assert most_agreed(candidates(None, None)).error == "EmptyCaption: none"


def test_of_one_there_is_no_choice():
    assert most_agreed(candidates("a dog")).caption == "a dog"
