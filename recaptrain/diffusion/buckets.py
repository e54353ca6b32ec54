"""Aspect-ratio buckets: which size each picture is trained at, and which pictures stand together in a batch.

A batch is of one size. A bucket's last batch is filled up with pictures of its own epoch, so that every picture is trained on in every
epoch; a bucket of fewer pictures than a batch is merged into the one nearest in shape.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Width and height in pixels."""

NARROWEST = 0.5
"""The shorter side is at least this part of the resolution, the longer at most its inverse."""


def bucket_sizes(resolution: int, step: int) -> list[Size]:
    """The sizes of about resolution² pixels, and no more, whose sides are multiples of `step`: the square, then all others.

    For each width the greatest height that the area allows, and the same lying on its side.
    """
    least, most = math.ceil(resolution * NARROWEST / step) * step, int(resolution / NARROWEST) // step * step
    sizes = {(resolution, resolution)}
    for width in range(least, most + 1, step):
        height = min(most, resolution**2 // width // step * step)
        if height >= least:
            sizes |= {(width, height), (height, width)}
    return [(resolution, resolution), *sorted(sizes - {(resolution, resolution)})]


def nearest(shapes: NDArray[np.int64], sizes: Sequence[Size]) -> NDArray[np.int64]:
    """The number of the size nearest in shape to each picture, by the logarithm of width / height; the first of equals.

    Args:
        shapes: (pictures, 2): width and height.
    """
    ratios = np.log([width / height for width, height in sizes])
    own = np.log(shapes[:, 0] / shapes[:, 1])
    return np.abs(own[:, None] - ratios[None]).argmin(1)


def assign(shapes: NDArray[np.int64], sizes: Sequence[Size], *, least: int) -> list[Size]:
    """The size of each picture; sizes of fewer pictures than `least` are merged into the nearest in shape that is kept.

    The smallest bucket goes first, into whichever is nearest of all that are left, until none is too small or one is left.
    """
    kept = list(sizes)
    chosen = nearest(shapes, kept)
    while len(kept) > 1:
        counts = np.bincount(chosen, minlength=len(kept))
        small = [number for number, count in enumerate(counts) if count < least]
        if not small:
            break
        del kept[min(small, key=lambda number: counts[number])]
        chosen = nearest(shapes, kept)
    return [kept[number] for number in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The endless sequence of batches that a run draws from, a function of the seed.

    Attributes:
        buckets: rows of each size, ascending.
        size: of a batch.
    """

    buckets: Mapping[Size, NDArray[np.int64]]
    size: int
    _last: dict[tuple[int, int], list[NDArray[np.int64]]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, rows: NDArray[np.int64], sizes: Sequence[Size], size: int) -> "Batches":
        """Batches of some rows, whose sizes stand in `sizes` by row."""
        buckets: dict[Size, list[int]] = {}
        for row in rows.tolist():
            buckets.setdefault(sizes[row], []).append(row)
        return cls(buckets={each: np.array(buckets[each], np.int64) for each in sorted(buckets)}, size=size)

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch."""
        return sum(math.ceil(len(rows) / self.size) for rows in self.buckets.values())

    @property
    def repeated(self) -> int:
        """Pictures of an epoch that come twice in it, to fill a bucket's last batch."""
        return self.per_epoch * self.size - sum(map(len, self.buckets.values()))

    def batch(self, seed: int, number: int) -> tuple[int, NDArray[np.int64]]:
        """The epoch and the rows, of one size, of the batch of that number, 0 upwards."""
        epoch, place = divmod(number, self.per_epoch)
        if (seed, epoch) not in self._last:
            self._last.clear()
            self._last[seed, epoch] = self.epoch(seed, epoch)
        return epoch, self._last[seed, epoch][place]

    def epoch(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch: each row in at least one of them, in an order of the epoch's own."""
        random = np.random.default_rng((seed, epoch))
        batches = []
        for rows in self.buckets.values():
            order = rows[random.permutation(len(rows))]
            whole = math.ceil(len(rows) / self.size) * self.size
            batches += list(np.resize(order, whole).reshape(-1, self.size))
        return [batches[place] for place in random.permutation(len(batches))]


def report(batches: Batches, shapes: NDArray[np.int64], sizes: Sequence[Size], *, cropped: bool) -> list[str]:
    """Lines that say before the first step what becomes of the pictures.

    Args:
        shapes: (rows, 2): width and height of each picture of the table.
        sizes: what each is trained at.
        cropped: whether what does not fit is cut off.
    """
    rows = np.concatenate(list(batches.buckets.values()))
    lost, enlarged = Counter[Size](), 0
    for row in rows.tolist():
        width, height = sizes[row]
        scale = max(width / shapes[row, 0], height / shapes[row, 1])
        lost[sizes[row]] += 1 - width * height / (shapes[row, 0] * shapes[row, 1] * scale**2)
        enlarged += scale > 1
    lines = [f"{len(rows):,} pictures in {len(batches.buckets)} size{'s' * (len(batches.buckets) > 1)}:"]
    for size, own in batches.buckets.items():
        cut = f", {lost[size] / len(own):.1%} of their pixels cut off" if cropped else ""
        lines.append(f"  {size[0]}×{size[1]}: {len(own):,} pictures{cut}")
    if enlarged:
        lines.append(f"  {enlarged:,} of them are smaller and enlarged")
    if batches.repeated:
        lines.append(
            f"  {batches.repeated:,} come twice in an epoch, so that batches of {batches.size} are whole"
        )
    return lines
