"""Which images go together: by hand."""

import pytest

from recapdata.errors import ModelNotSupported
from recapdata.recaptioning.batches import (
    BatchCaptioner,
    Part,
    Prepared,
    Rows,
    cut,
    pilot_keys,
    pilot_quotas,
    storable,
)
from recapdata.records import Caption, Provenance

AREAS = [9, 1, 4, 1, 9, 4, 2]


def rows() -> Rows:
    return Rows(shard=3, keys=[f"k{row}" for row in range(7)], areas=AREAS, groups=[4, 3])


def test_similar_sizes_go_together_up_in_one_group_and_down_in_the_next():
    # Group one holds rows 0–3, ascending by area: 1, 3, 2, 0; group two rows 4–6, descending: 4, 5, 6.
    assert [batch.rows for batch in cut(rows(), 3)] == [(1, 3, 2), (0, 4, 5), (6,)]


def test_keys_follow_their_rows():
    (first, *_) = cut(rows(), 3)
    assert (first.shard, first.number, first.keys) == (3, 0, ("k1", "k3", "k2"))


def test_every_row_is_in_one_batch():
    for size in (1, 2, 5, 100):
        assert sorted(row for batch in cut(rows(), size) for row in batch.rows) == list(range(7))


def test_a_selection_is_cut_by_itself():
    assert [batch.rows for batch in cut(rows(), 2, {"k0", "k1", "k6"})] == [(1, 0), (6,)]
    assert cut(rows(), 2, set()) == []


def test_what_is_missing_keeps_its_batch():
    batch = cut(rows(), 3)[1].only({"k4", "k6"})
    assert (batch.number, batch.rows, batch.keys) == (1, (4,), ("k4",))


@pytest.mark.parametrize(
    ("sizes", "limit", "quotas"),
    [
        ([100, 100], 10, [5, 5]),
        ([100, 300], 4, [1, 3]),
        ([5, 5], 100, [5, 5]),
        ([0, 10], 3, [0, 3]),
        ([], 3, []),
        ([1, 1, 1], 2, [0, 1, 1]),
    ],
)
def test_pilot_takes_from_each_shard_by_its_size(sizes, limit, quotas):
    assert pilot_quotas(sizes, limit) == quotas


def test_pilot_of_many_shards_opens_no_more_than_it_needs():
    quotas = pilot_quotas([100] * 1000, 400)
    # 400 images at 8 a shard are 50 shards, every twentieth.
    assert [shard for shard, quota in enumerate(quotas) if quota] == list(range(0, 1000, 20))
    assert sum(quotas) == 400


def test_pilot_fills_up_from_other_shards_where_the_chosen_ones_are_small():
    assert sum(pilot_quotas([1] * 100, 60)) == 60


def test_larger_pilot_holds_the_smaller():
    keys = [f"{number:064x}" for number in range(50)]
    small, large = pilot_keys(keys, 5), pilot_keys(list(reversed(keys)), 20)
    assert len(small) == 5
    assert small < large


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"caption": "a \ud83d"}, "caption holds half a character"),
        ({"caption": ["a"]}, "caption is a list, no text"),
        ({"caption": "a", "tokens": 2**40}, "tokens is 1099511627776, no number"),
        ({"caption": "a", "seed": -(2**70)}, "seed is -"),
        ({"caption": "a", "finish_reason": ["stop"]}, "finish_reason is a list"),
        ({"caption": None, "error": "Bad: \udc80"}, "error holds half a character"),
    ],
)
def test_what_no_shard_can_hold_is_a_failure(values, fault):
    found = storable(Caption(**values))
    assert found.caption is None
    assert found.error.startswith(f"BadCaption: {fault}")


def test_what_a_shard_can_hold_stays():
    caption = Caption(caption="a 😀", seed=2**63 - 1, tokens=0, finish_reason="stop")
    assert storable(caption) is caption


def test_code_from_outside_that_fails_is_named():
    class Broken:
        provenance = Provenance(writer="model", captioner="mine:make", model="m", revision="1")

        def caption(self, prepared, keys):
            raise ZeroDivisionError("division by zero")

    prepared = Prepared((Part((0,), [1]),), {})
    with pytest.raises(
        ModelNotSupported, match="mine:make failed: ZeroDivisionError: division by zero; what is finished"
    ):
        BatchCaptioner(Broken())(prepared, ["a" * 64], lambda places, size: prepared)
