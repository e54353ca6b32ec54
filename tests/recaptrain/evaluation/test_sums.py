"""Weighted means by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from recaptrain.evaluation.sums import flat, mean, mean_of_groups, spread


def weights(*numbers):
    return np.array(numbers, np.float64)


def test_lists_one_after_the_other_with_their_rows():
    rows = pa.table({"names": [["a", "b"], [], ["c"]], "sizes": [[1, 2], [], [3]]})
    places, (names, sizes) = flat(rows, "names", "sizes")
    assert places.tolist() == [0, 0, 2]
    assert (names, sizes) == (["a", "b", "c"], [1, 2, 3])


def test_a_mean_counts_rows_as_often_as_they_weigh():
    assert mean([1.0, 4.0])(weights(2, 1)) == 2.0
    assert mean([1.0, None, 4.0])(weights(1, 9, 1)) == 2.5
    assert mean([1.0, 3.0, 8.0], np.array([0, 0, 1]))(weights(1, 1)) == 4.0  # values, not rows
    assert mean([True, False], scale=100)(weights(1, 3)) == 25.0


def test_without_weight_there_is_no_figure():
    assert math.isnan(mean([])(weights()))
    assert math.isnan(mean([1.0])(weights(0)))
    assert math.isnan(mean_of_groups([], [])(weights()))
    assert math.isnan(mean_of_groups([1.0], ["a"])(weights(0)))


def test_groups_count_the_same_whatever_their_size():
    value = mean_of_groups([1, 0, 0, 1], ["a", "a", "a", "b"])
    assert value(weights(1, 1, 1, 1)) == pytest.approx((1 / 3 + 1) / 2)
    assert value(weights(1, 1, 1, 0)) == pytest.approx(1 / 3)  # a group without weight is left out


def test_a_group_of_which_nothing_counts_is_nought():
    value = mean_of_groups([1, 1, 1], ["a", "a", "b"], counted=[True, False, False])
    assert value(weights(1, 1, 1)) == 0.5


def test_the_standard_deviation_is_of_the_population():
    assert spread([1.0, 3.0])(weights(1, 1)) == 1.0
    assert spread([1.0, 3.0])(weights(3, 1)) == pytest.approx(0.75**0.5)
