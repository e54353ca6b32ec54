"""KID's and CMMD's discrepancy on cases worked by hand, and against torch-fidelity's."""

import math
import tracemalloc

import numpy as np
import pytest

from recaptrain.evaluation import mmd
from recaptrain.evaluation.mmd import DiscrepancyTo, cubic, gauss


def test_kid_by_hand() -> None:
    """d = 2, k = (x·y/2 + 1)³: within 1 and (8/2 + 1)³ = 125; across 1, 1, (4/2 + 1)³ = 27 and 125, in the mean 38.5; 1 + 125 − 77 = 49."""
    own, others = np.array([(0, 0), (2, 0)]), np.array([(2, 0), (4, 0)])
    assert DiscrepancyTo(own, others, cubic)(np.ones(2, int)) == pytest.approx(49)


def test_cmmd_by_hand() -> None:
    """σ = 10, points 0 and 10 against 20 twice: e^−½ + 1 − 2·(e^−2 + e^−½)/2 = 1 − e^−2, times 1000."""
    own, others = np.array([[0.0], [10.0]]), np.array([[20.0], [20.0]])
    found = DiscrepancyTo(own, others, gauss, scale=1000)(np.ones(2, int))
    assert found == pytest.approx(1000 * (1 - math.exp(-2)))


def test_kid_as_torch_fidelity_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One subset of all, whatever the number of rows and columns that are in memory at once."""
    import torch
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    random = np.random.default_rng(0)
    own, others = random.normal(size=(60, 8)) + 0.3, random.normal(size=(60, 8))
    theirs = kid_features_to_metric(
        torch.from_numpy(own), torch.from_numpy(others), kid_subsets=1, kid_subset_size=60, verbose=False
    )[KEY_METRIC_KID_MEAN]
    for rows in (512, 60, 7):
        monkeypatch.setattr(mmd, "TILE", rows)
        assert DiscrepancyTo(own, others, cubic)(np.ones(60, int)) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("tile", [512, 1])
def test_a_row_that_counts_twice_makes_no_pair_with_itself(
    tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows a, b that count 2 and 1 the pairs are a–b alone, so what is within stays; across, a counts double."""
    monkeypatch.setattr(mmd, "TILE", tile)
    own, others = np.array([(0, 0), (2, 0)]), np.array([(2, 0), (4, 0)])
    found = DiscrepancyTo(own, others, cubic)
    across = (2 * 1 + (27 + 125) / 2) / 3
    many = found.many(np.array([[2, 1], [1, 1], [3, 0]]))
    assert many[:2] == pytest.approx([1 + 125 - 2 * across, 49])
    assert np.isnan(many[2])


def test_memory_grows_with_neither_pairs_nor_repetitions_in_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 pictures of 64 numbers in 100 repetitions: in 64 bits the features are 1.0 MB, the weights 1.6 MB, the kernel 32 MB.
    Tiles of 64 hold 32 kB each of the kernel and of the features, 50 kB of the weights."""
    monkeypatch.setattr(mmd, "TILE", 64)
    random = np.random.default_rng(0)
    own = random.normal(size=(2000, 64)).astype(np.float32)
    weights = random.integers(0, 4, (100, 2000)).astype(np.int32)
    tracemalloc.start()
    DiscrepancyTo(own, own, cubic).many(weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.8e6
