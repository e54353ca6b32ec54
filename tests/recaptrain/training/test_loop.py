"""The loop that every model is trained with: the order of examples, learning rates, figures, exact resume."""

import numpy as np
import pytest

from recaptrain.training.loop import shuffled
from recaptrain.training.settings import Optimization


def test_each_row_comes_once_before_any_comes_again():
    rows = np.array([3, 5, 8, 9])
    epoch = [*shuffled(rows, 1, 0, 2)[1], *shuffled(rows, 1, 1, 2)[1]]
    assert sorted(epoch) == [3, 5, 8, 9]
    assert shuffled(rows, 1, 1, 2)[1].tolist() == epoch[2:]
    assert len(shuffled(rows, 1, 0, 6)[1]) == 6  # fewer than a batch holds: some come twice


def test_rates():
    flat = Optimization(steps=10, batch_size=1, learning_rate=2.0, warmup=4)
    assert [flat.rate_at(step) for step in (0, 3, 9)] == [0.5, 2.0, 2.0]
    falling = Optimization(steps=12, batch_size=1, learning_rate=2.0, warmup=4, course="cosine")
    assert falling.rate_at(8) == pytest.approx(1.0)  # half way down
