"""The eight shapes as masks: which pixels of a square box belong to the shape.

Only additions, multiplications and comparisons of decimal constants, so that every machine draws the same pixels.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Mask = NDArray[np.bool_]

STAR = (
    (0.0, -1.05), (0.26, -0.36), (1.0, -0.32), (0.43, 0.14), (0.62, 0.86),
    (0.0, 0.46), (-0.62, 0.86), (-0.43, 0.14), (-1.0, -0.32), (-0.26, -0.36),
)  # fmt: skip
TRIANGLE = ((0.0, -1.02), (1.02, 1.0), (-1.02, 1.0))
EDGE = 1e-6
"""Keeps pixel centers off the outlines, where rounding would decide."""


def _inside(corners: tuple[tuple[float, float], ...], x: Grid, y: Grid) -> Mask:
    """Even-odd rule: a point is inside a polygon when a ray to the right crosses its outline an odd number of times."""
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        crosses = (ay + EDGE > y) != (by + EDGE > y)
        if ay != by:
            inside ^= crosses & (x - EDGE < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


def _heart(x: Grid, y: Grid) -> Mask:
    across, up = 1.2 * x, 0.12 - 1.12 * y
    round_part = across * across + up * up - 1.0
    return round_part * round_part * round_part - across * across * up * up * up < EDGE


def _ring(x: Grid, y: Grid) -> Mask:
    distance = x * x + y * y
    return (distance < 1.0 + EDGE) & (distance > 0.28)


_DRAW: dict[str, Callable[[Grid, Grid], Mask]] = {
    "circle": lambda x, y: x * x + y * y < 1.0 + EDGE,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.92,
    "triangle": lambda x, y: _inside(TRIANGLE, x, y),
    "star": lambda x, y: _inside(STAR, x, y),
    "heart": _heart,
    "diamond": lambda x, y: abs(x) * 1.2 + abs(y) < 1.0 + EDGE,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.34) & (np.maximum(abs(x), abs(y)) < 1.0),
    "ring": _ring,
}
SHAPES = tuple(_DRAW)


@cache
def mask(shape: str, diameter: int) -> Mask:
    """Pixels of a shape that is about `diameter` pixels wide, cut tight: no empty row or column at the edges."""
    axis = (2.0 * np.arange(diameter) + 1.0) / diameter - 1.0
    x, y = np.meshgrid(axis, axis)
    full = _DRAW[shape](x, y)
    rows, columns = np.flatnonzero(full.any(1)), np.flatnonzero(full.any(0))
    tight = full[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    tight.flags.writeable = False
    return tight
