"""What a run reads: which rows can be trained on, in which order, and how many captions are too long."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recapdata.caption_sets.mixture import Mixture
from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, InputError
from recaptrain.diffusion.data import Examples, OverLength, read_examples, speaks_of_sides
from tests.builders import build_dataset


class Words:
    """A base model's tokenizer as far as the data go: a token a word, four of them read."""

    @staticmethod
    def readable(over_length):
        return 4

    @staticmethod
    def count_tokens(captions):
        return [len(caption.split()) for caption in captions]


def dataset(path):
    sets = {
        "short": ["one", None, "three", "four", "five"],
        "long": ["a b c d e", "a b c d e", "a b", None, "a b c d e f"],
    }
    return open_dataset(build_dataset(path, rows=5, shard_rows=3, sets=sets).path)


def test_rows_with_any_caption_are_used(tmp_path):
    examples = read_examples(dataset(tmp_path / "ds"), Mixture.parse("short=3,long=1"), Words())
    assert examples.rows.tolist() == [0, 1, 2, 3, 4]
    assert examples.over_length == {
        "short": OverLength(captions=4, over=0),
        "long": OverLength(captions=4, over=3),
    }
    assert examples.over_length_share == pytest.approx(0.25 * 3 / 4)


def test_drop_leaves_out_rows_whose_captions_are_all_too_long(tmp_path):
    mixture = Mixture.parse("short=3,long=1;over-length=drop")
    examples = read_examples(dataset(tmp_path / "ds"), mixture, Words())
    assert examples.rows.tolist() == [0, 2, 3, 4]
    drawn = [examples.captions(examples.rows, seed=0, epoch=epoch) for epoch in range(20)]
    assert {each.caption for epoch in drawn for each in epoch} == {"one", "three", "four", "five", "a b"}


def test_a_set_without_captions_for_any_row(tmp_path):
    with pytest.raises(InputError, match="none of its 5 records"):
        read_examples(
            open_dataset(build_dataset(tmp_path / "ds", rows=5, sets={"a": [None] * 5}).path),
            Mixture.parse("a"),
            Words(),
        )
    with pytest.raises(CaptionSetNotFound, match="no caption set 'b'"):
        read_examples(dataset(tmp_path / "other"), Mixture.parse("b"), Words())


def examples_of(rows):
    table = pa.table({"key": [str(row) for row in range(rows)], "a": ["x"] * rows})
    return Examples(
        mixture=Mixture.parse("a"),
        table=table,
        rows=np.arange(rows),
        shapes=np.full((rows, 2), 8),
        over_length={},
        count_tokens=Words.count_tokens,
        limit=4,
    )


def test_ten_thousand_draws_have_the_mixtures_shares_and_are_others_in_every_epoch():
    """Counts lie within four standard errors √(p(1−p)n) of a binomial; two epochs draw another set with chance 1 − Σp²."""
    count, shares = 10_000, {"short": 0.5, "long": 0.45, "alt": 0.05}
    examples = replace(
        examples_of(count),
        mixture=Mixture.parse("short=0.5,long=0.45,alt=0.05;dropout=0.1"),
        table=pa.table(
            {"key": [f"{row:064x}" for row in range(count)], **{name: [name] * count for name in shares}}
        ),
    )

    def near(counted, chance):
        return abs(counted - chance * count) < 4 * (chance * (1 - chance) * count) ** 0.5

    def drawn(*, seed, epoch):
        return examples.captions(examples.rows, seed=seed, epoch=epoch)

    first, second, other = drawn(seed=0, epoch=0), drawn(seed=0, epoch=1), drawn(seed=1, epoch=0)
    for draws in (first, second, other):
        for name, share in shares.items():
            assert near(sum(each.set_name == name for each in draws), share)
        assert near(sum(not each.caption for each in draws), 0.1)
    assert drawn(seed=0, epoch=0) == first
    differing = 1 - sum(share**2 for share in shares.values())
    for draws in (second, other):
        assert near(sum(a.set_name != b.set_name for a, b in zip(first, draws, strict=True)), differing)


@pytest.mark.parametrize(
    ("caption", "spoken_of"),
    [
        ("a cat to the left of a dog", True),
        ("the rightmost of three birds", True),
        ("a dial that turns counter-clockwise", True),
        ('a sign that says "STOP"', True),
        ("a bright leftover meal", False),
        ("", False),
    ],
)
def test_captions_that_a_mirrored_picture_may_belie(caption, spoken_of):
    assert speaks_of_sides(caption) is spoken_of


def test_rows_can_be_taken_out():
    assert examples_of(4).without(np.array([1, 3])).rows.tolist() == [0, 2]
