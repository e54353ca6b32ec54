"""The choice among candidates, by hand."""

from collections import Counter

import pytest

from recapdata.captioners.choice import most_agreed, overlap
from recapdata.records import Caption


def candidates(*texts):
    return [Caption(caption=text, error=None if text else "EmptyCaption: none") for text in texts]


def test_overlap_is_f1_of_words():
    # Two words in common, of three and two: 2 · 2 / (3 + 2).
    assert overlap(Counter(["a", "red", "dog"]), Counter(["red", "dog"])) == pytest.approx(0.8)
    assert overlap(Counter(), Counter()) == 0.0


def test_what_most_say_wins():
    written = candidates("three red dogs", "two red dogs", "Two red dogs.", "a blue cat")
    assert most_agreed(written).caption == "two red dogs"


def test_failures_are_only_chosen_when_there_is_nothing_else():
    assert most_agreed(candidates(None, "a dog")).caption == "a dog"
    assert most_agreed(candidates(None, None)).error == "EmptyCaption: none"


def test_of_one_there_is_no_choice():
    assert most_agreed(candidates("a dog")).caption == "a dog"
