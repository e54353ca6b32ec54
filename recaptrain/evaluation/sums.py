"""Weighted means, by which every alignment metric sums its rows up: functions of how often each row counts.

A row may hold several values (a class, a position word, an object each); `flat` says which row each belongs to. The functions take
weights [rows] and give a figure, NaN where nothing that it rests on has any weight.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = Callable[[Floats], float]
"""Weights [rows] → a figure."""


def flat(rows: pa.Table, *columns: str) -> tuple[NDArray[np.intp], list[list[Any]]]:
    """The values of list columns one after the other, and the row of each.

    Args:
        columns: lists of equal length in every row.
    """
    lists = [rows.column(name).to_pylist() for name in columns]
    places = [place for place, values in enumerate(lists[0]) for _ in values]
    return np.array(places, np.intp), [[each for values in column for each in values] for column in lists]


def mean(
    values: Sequence[Any] | Floats, places: NDArray[np.intp] | None = None, *, scale: float = 1.0
) -> Value:
    """The weighted mean of values.

    Args:
        values: numbers or truth values; None where there is none, which counts nowhere.
        places: the row of each value; the values are of the rows in turn where None.
        scale: 100 for per cent.
    """
    numbers, rows = _known(values, places)

    def value(weights: Floats) -> float:
        own = weights[rows]
        return scale * _ratio(float(own @ numbers), float(own.sum()))

    return value


def mean_of_groups(
    values: Sequence[Any] | Floats,
    groups: Sequence[Any],
    places: NDArray[np.intp] | None = None,
    *,
    scale: float = 1.0,
    counted: Sequence[bool] | None = None,
) -> Value:
    """The plain mean over groups of the weighted mean in each; a group without weight is left out.

    Args:
        groups: the group of each value.
        counted: values that count in the mean of their group; a group of which none counts has the mean 0.
    """
    numbers, rows = _known(values, places)
    known = [place for place, each in enumerate(values) if each is not None]
    names, numbered = np.unique(
        np.array([str(groups[place]) for place in known], object), return_inverse=True
    )
    kept = np.ones(len(known)) if counted is None else np.array([counted[place] for place in known], float)

    def value(weights: Floats) -> float:
        own = weights[rows]
        there = np.bincount(numbered, own, len(names)) > 0
        total = np.bincount(numbered, own * kept, len(names))
        sums = np.bincount(numbered, own * kept * numbers, len(names))
        means = np.divide(sums, total, out=np.zeros(len(names)), where=total > 0)
        return scale * _ratio(float(means[there].sum()), float(there.sum()))

    return value


def spread(values: Sequence[Any] | Floats, *, scale: float = 1.0) -> Value:
    """The weighted standard deviation (of the population) of one value a row."""
    numbers, rows = _known(values, None)

    def value(weights: Floats) -> float:
        own = weights[rows]
        total = float(own.sum())
        middle = _ratio(float(own @ numbers), total)
        return scale * float(np.sqrt(_ratio(float(own @ (numbers - middle) ** 2), total)))

    return value


def _known(
    values: Sequence[Any] | Floats, places: NDArray[np.intp] | None
) -> tuple[Floats, NDArray[np.intp]]:
    known = [place for place, each in enumerate(values) if each is not None]
    rows = np.array(known, np.intp) if places is None else places[known]
    return np.array([float(values[place]) for place in known], np.float64), rows


def _ratio(sum_: float, total: float) -> float:
    return sum_ / total if total > 0 else float("nan")
