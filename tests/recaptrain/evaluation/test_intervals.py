"""Repetitions of the bootstrap: the same whether a figure takes them one by one or some at once."""

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.intervals import AT_ONCE, replicate
from recaptrain.evaluation.metrics import Statistic


def test_repetitions_in_parts_are_those_one_by_one() -> None:
    """Two full parts and one of a single repetition, of a sum whose terms are powers of two, which rounds nothing."""
    row_values = 2.0 ** np.arange(6)
    prompt_of = np.array([0, 0, 1, 2, 2, 3])
    parts: list[int] = []

    def values(weights: NDArray[np.int32]) -> NDArray[np.float64]:
        parts.append(len(weights))
        return np.array([each @ row_values for each in weights])

    def value(weights: NDArray[np.int64]) -> float:
        return float(weights @ row_values)

    number = 2 * AT_ONCE + 1
    at_once = Statistic(name="sum", n=6, value=value, values=values, replicates=number)
    one_by_one = Statistic(name="sum", n=6, value=value, replicates=number)
    expected = replicate(one_by_one, prompt_of, 4, seed=0)
    assert np.array_equal(replicate(at_once, prompt_of, 4, seed=0), expected)
    assert parts == [AT_ONCE, AT_ONCE, 1]
    assert len(set(expected)) > 10
