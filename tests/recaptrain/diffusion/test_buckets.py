"""Aspect-ratio buckets: sizes, which picture goes where, and that an epoch holds every picture."""

import numpy as np
import pytest

from recaptrain.diffusion.buckets import Batches, assign, bucket_sizes, nearest, report


def test_sizes_have_the_area_of_the_square() -> None:
    """Sides of 256 to 1024 in steps of 64; 320 × 768 = 245,760, and 320 × 832 would be 266,240 > 512² = 262,144."""
    sizes = bucket_sizes(512, 64)
    assert sizes[0] == (512, 512)
    assert (320, 768) in sizes
    assert (768, 320) in sizes
    assert (256, 1024) in sizes
    assert all(width % 64 == height % 64 == 0 and width * height <= 512**2 for width, height in sizes)
    assert all(256 <= side <= 1024 for size in sizes for side in size)
    assert len(set(sizes)) == len(sizes)


def test_a_grain_as_large_as_the_picture_leaves_the_square_alone() -> None:
    assert bucket_sizes(64, 64) == [(64, 64)]


def test_the_nearest_shape_counts_both_ways_alike() -> None:
    """ln 1.5 = 0.41 lies between 0 and ln 2 = 0.69, nearer to ln 2; 1:1.5 likewise to 1:2."""
    sizes = [(64, 64), (88, 44), (44, 88)]
    assert nearest(np.array([[100, 100], [150, 100], [100, 150], [140, 100]]), sizes).tolist() == [0, 1, 2, 0]


def test_small_buckets_are_merged_into_the_nearest() -> None:
    sizes = [(64, 64), (88, 44), (44, 88)]
    shapes = np.array([[2, 1]] * 3 + [[1, 1]] * 4 + [[1, 2]])
    assert assign(shapes, sizes, least=2) == [(88, 44)] * 3 + [(64, 64)] * 5
    assert assign(shapes, sizes, least=4) == [(64, 64)] * 8
    assert assign(shapes, sizes, least=100) == [assign(shapes, sizes, least=100)[0]] * 8


@pytest.mark.parametrize("counts", [(7, 5, 1), (8, 4), (3,), (1, 1, 1)])
def test_an_epoch_holds_every_picture_and_batches_of_one_size(counts: tuple[int, ...]) -> None:
    sizes = [(number, number) for number, count in enumerate(counts, 1) for _ in range(count)]
    rows = np.arange(len(sizes))
    batches = Batches.of(rows, sizes, 4)
    for epoch in range(3):
        own = batches.epoch(0, epoch)
        assert len(own) == batches.per_epoch == sum(-(-count // 4) for count in counts)
        assert {row for each in own for row in each.tolist()} == set(rows.tolist())
        assert all(len({sizes[row] for row in each.tolist()}) == 1 and len(each) == 4 for each in own)
        assert sum(map(len, own)) == len(rows) + batches.repeated


def test_batches_are_a_function_of_seed_and_number() -> None:
    batches = Batches.of(np.arange(10), [(8, 8)] * 10, 4)
    assert batches.per_epoch == 3
    epoch, rows = batches.batch(0, 4)
    assert epoch == 1
    assert rows.tolist() == batches.batch(0, 4)[1].tolist() == batches.epoch(0, 1)[1].tolist()
    assert [batches.batch(0, number)[1].tolist() for number in range(3)] != [
        batches.batch(0, number)[1].tolist() for number in range(3, 6)
    ]
    assert batches.batch(1, 4)[1].tolist() != rows.tolist()


def test_the_report_says_what_becomes_of_the_pictures() -> None:
    """A 200×100 picture at 64×64 loses its half; one of 32×32 is enlarged."""
    shapes = np.array([[200, 100], [32, 32], [64, 64]])
    sizes = [(64, 64)] * 3
    lines = report(Batches.of(np.arange(3), sizes, 2), shapes, sizes, cropped=True)
    assert lines == [
        "3 pictures in 1 size:",
        "  64×64: 3 pictures, 16.7% of their pixels cut off",
        "  1 of them are smaller and enlarged",
        "  1 come twice in an epoch, so that batches of 2 are whole",
    ]
