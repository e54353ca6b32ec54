"""Axes of small drawings, 360 by 150 with a margin for numbers on the left: values to coordinates, and round ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 360, 150
MARGIN = 44
"""Width that is kept for the numbers of the vertical axis."""
TICKS = 4
"""Ticks of an axis, about."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from its first tick to its last."""

    ticks: Sequence[float]

    @classmethod
    def over(cls, values: Sequence[float]) -> "Axis":
        """The axis with round ticks, of which the first is at most the least value and the last at least the greatest."""
        low, high = min(values), max(values)
        if high <= low:
            spread = abs(low) / 10 or 1.0
            low, high = low - spread, high + spread
        raw = (high - low) / TICKS
        power = 10.0 ** floor(log10(raw))
        step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= raw * 0.999)
        first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        return cls([round(number * step, 12) for number in range(first, last + 1)])

    def along(self, value: float) -> float:
        """Where a value stands across."""
        return round(MARGIN + (WIDTH - MARGIN - 8) * self._share(value), 1)

    def up(self, value: float) -> float:
        """Where a value stands in height, counted from above."""
        return round(HEIGHT * (1 - self._share(value)), 1)

    @property
    def labels_along(self) -> list[tuple[float, str]]:
        """Places of the ticks across, with their texts."""
        return [(self.along(tick), f"{tick:,.10g}") for tick in self.ticks]

    @property
    def labels_up(self) -> list[tuple[float, str]]:
        """Places of the ticks in height, with their texts."""
        return [(self.up(tick), f"{tick:.6g}") for tick in self.ticks]

    def _share(self, value: float) -> float:
        return (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
