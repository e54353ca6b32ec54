"""Bradley–Terry strengths and Elo: two models by hand, evalica's on more, and wins that have no maximum."""

import math

import numpy as np
import pytest

from recaptrain.evaluation.humans.strengths import bradley_terry, elo


def test_two_models_have_the_ratio_of_their_wins() -> None:
    """3 wins of 4: strengths of ratio 3 and geometric mean 1 are √3 and 1/√3, and Elo 1000 ± 200·log10 3."""
    (strengths,) = bradley_terry(np.array([[[0, 3], [1, 0]]], float))
    assert strengths == pytest.approx([math.sqrt(3), 1 / math.sqrt(3)])
    assert elo(strengths) == pytest.approx([1000 + 200 * math.log10(3), 1000 - 200 * math.log10(3)])


def test_three_models_in_a_chain_multiply() -> None:
    """A tree of comparisons has a closed form: 2:1 and 4:1 along the chain make 8 : 4 : 1, of geometric mean 32^(1/3)."""
    wins = np.array([[[0, 2, 0], [1, 0, 4], [0, 1, 0]]], float)
    expected = np.array([8, 4, 1]) / 32 ** (1 / 3)
    assert bradley_terry(wins)[0] == pytest.approx(expected)


def test_the_likelihood_is_greatest_and_evalica_agrees() -> None:
    """At the maximum each model has won as often as it was to be expected: Σ n·p_i / (p_i + p_j) = wins (Zermelo's equation)."""
    import evalica

    random = np.random.default_rng(0)
    wins = random.integers(1, 20, (3, 5, 5)).astype(float) * (1 - np.eye(5))
    strengths = bradley_terry(wins)
    for table, own in zip(wins, strengths, strict=True):
        expected = ((table + table.T) * own[:, None] / (own[:, None] + own)).sum(-1)
        assert expected == pytest.approx(table.sum(-1))
        assert np.log(own).mean() == pytest.approx(0, abs=1e-9)
        pairs = [(a, b) for a in range(5) for b in range(5) if a != b]
        theirs = evalica.bradley_terry(
            [f"m{a}" for a, _ in pairs],
            [f"m{b}" for _, b in pairs],
            [evalica.Winner.X] * len(pairs),
            weights=[table[pair] for pair in pairs],
            tolerance=1e-12,
            limit=10_000,
        ).scores
        scores = np.array([theirs[f"m{number}"] for number in range(5)])
        assert own == pytest.approx(scores / np.exp(np.log(scores).mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("wins", "expected"),
    [
        ([[0, 2], [0, 0]], [math.inf, 0]),
        ([[0, 0], [0, 0]], [math.nan, math.nan]),
        # The third beats the second, which is even with the first: the first two are infinitely weaker.
        ([[0, 1, 0], [1, 0, 0], [0, 1, 0]], [0, 0, math.inf]),
        # The middle one of a chain is neither strongest nor weakest.
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [math.inf, math.nan, 0]),
    ],
)
def test_without_a_maximum_strengths_are_infinite_or_unknown(
    wins: list[list[int]], expected: list[float]
) -> None:
    (strengths,) = bradley_terry(np.array([wins], float))
    assert strengths == pytest.approx(expected, nan_ok=True)
