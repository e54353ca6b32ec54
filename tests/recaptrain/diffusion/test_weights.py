"""Weights of captions in the loss, from expressions over their audits."""

import numpy as np
import pytest

from recapdata.caption_sets.mixture import Mixture
from recapdata.dataset.target import open_dataset
from recapdata.errors import AuditNotFound, CaptionSetNotFound, ColumnNotFound, OptionError
from recaptrain.diffusion.weights import read_weights
from tests.builders import build_dataset, write_audit

SETS = {
    "short": ["a dog", "a cat", None, "a dog", "a cat"],
    "long": ["a dog that sleeps", "b", "c", "d", "e"],
}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = build_dataset(tmp_path_factory.mktemp("weights") / "ds", rows=5, shard_rows=3, sets=SETS)
    write_audit(folder, ["short", "long"])
    return open_dataset(folder.path)


def read(target, text, mixture="short=1,long=1"):
    return read_weights(target, Mixture.parse(mixture), text)


def test_the_mean_over_what_is_drawn_is_one(target):
    """short: dogs weigh 1 and cats 0.5, mean 0.75; long: one dog of five, mean 0.6; half and half 0.675."""
    weights = read(target, "'dog' in caption ? 1 : 0.5")
    assert weights.by_set["short"] == pytest.approx(np.array([1, 0.5, 0.675, 1, 0.5]) / 0.675)
    assert weights.by_set["long"] == pytest.approx(np.array([1, 0.5, 0.5, 0.5, 0.5]) / 0.675)
    assert weights.of("short", 1, "a cat") == pytest.approx(0.5 / 0.675)


def test_the_shares_of_the_mixture_count(target):
    weights = read(target, "'dog' in caption ? 1 : 0.5", "short=3,long=1")
    assert weights.by_set["short"][0] == pytest.approx(1 / (0.75 * 0.75 + 0.25 * 0.6))


def test_empty_captions_and_sets_without_an_expression_weigh_one(target):
    weights = read(target, "short: words * 1")
    assert set(weights.by_set) == {"short"}
    assert weights.of("long", 0, "a dog that sleeps") == 1.0
    assert weights.of("short", 0, "") == 1.0
    # short weighs 2 a caption and long 1: over half and half 1.5.
    assert weights.of("short", 0, "a dog") == pytest.approx(2 / 1.5)


def test_what_weighs_nothing_is_said(target):
    weights = read(target, "1 if 'dog' in caption else 0", "short")
    assert weights.by_set["short"].tolist() == [2.0, 0.0, 1.0, 2.0, 0.0]
    assert weights.lines() == [
        "weights of short: 0 to 2, mean 1; 2 captions weigh nothing; 1 without a value weigh 1"
    ]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("words - 3", OptionError, "it is -1 for a caption of short"),
        ("words * 0", OptionError, "every caption weighs nothing"),
        ("words / 0", OptionError, "a weight is a number from 0 on"),
        ("words > 1", OptionError, "is no number"),
        ("wrods * 1", ColumnNotFound, "did you mean words"),
        ("clip_score / 30", AuditNotFound, "--clip embedded"),
        ("alt: words * 1", CaptionSetNotFound, "has no caption set 'alt'"),
    ],
)
def test_what_cannot_weigh(target, text, error, said):
    with pytest.raises(error, match=said) as raised:
        read(target, text)
    assert "--weigh" in str(raised.value)


def test_sets_that_are_not_audited(tmp_path):
    folder = build_dataset(tmp_path / "ds", rows=2, sets=["short"])
    with pytest.raises(AuditNotFound, match=r"audits run .* --captions short"):
        read(open_dataset(folder.path), "1 if contradicted == 0 else 0.3", "short")
