"""Examples of a dataset's own captions."""

import pytest

from recapdata.errors import CaptionSetNotFound, ColumnNotFound, InputError, OptionError
from recaptrain.generation.upsampling.examples import read_examples
from tests.builders import build_dataset, png

WORDS = ["a", "red", "bird", "sits", "on", "a", "green", "branch", "by", "the", "blue", "lake"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten captions of 1 to 10 words, one of them with a mark of a chat template, and one without."""
    long = [" ".join(WORDS[: number + 1]) for number in range(10)]
    long[5] = "a <image> of a red bird"
    short = [None if number == 4 else f"bird {number}" for number in range(10)]
    return build_dataset(
        tmp_path_factory.mktemp("examples") / "birds",
        sets={"long": [*long, None], "short": [*short, "bird"]},
        images=[png(row) for row in range(11)],
    ).path


def test_examples_are_of_usual_length_and_always_the_same(folder):
    """Of lengths 1 to 10 the quantiles 0.1 and 0.9 are 1.9 and 9.1, so 2 and 9."""
    found = read_examples(f"{folder}:long", shots=20)
    assert (found.shortest, found.longest, len(found.sample)) == (2, 9, 10)
    lengths = sorted(len(each.caption.split()) for each in found.shown)
    assert lengths == [2, 3, 4, 5, 7, 8, 9]  # the one of six words has <image> in it
    few = read_examples(f"{folder}:long", shots=3)
    assert list(few.shown) == list(found.shown[:3])
    assert list(few.shown) == list(read_examples(f"{folder}:long", shots=3).shown)
    assert [
        each.shown for each in (read_examples(f"{folder}:long", shots=3, seed=seed) for seed in range(5))
    ].count(few.shown) < 5
    assert found.source == f"{folder.name}:long"


def test_what_people_type_comes_from_another_set(folder):
    found = read_examples(f"{folder}:long", shots=20, prompts="short")
    pairs = {each.prompt: len(each.caption.split()) for each in found.shown}
    assert pairs == {"bird 1": 2, "bird 2": 3, "bird 3": 4, "bird 6": 7, "bird 7": 8, "bird 8": 9}


def test_what_cannot_be_shown_is_said(folder, tmp_path):
    with pytest.raises(OptionError, match="give a dataset and one of its caption sets"):
        read_examples(str(folder).replace(":", ""), shots=1)
    with pytest.raises(CaptionSetNotFound, match="has no caption set 'lung'; it has long, short"):
        read_examples(f"{folder}:lung", shots=1)
    with pytest.raises(ColumnNotFound, match="nope"):
        read_examples(f"{folder}:long", shots=1, prompts="nope")
    empty = build_dataset(tmp_path / "empty", sets={"long": [None]}, images=[png(1)]).path
    with pytest.raises(InputError, match="there are no captions in it"):
        read_examples(f"{empty}:long", shots=1)
    marked = build_dataset(tmp_path / "marked", sets={"long": ["<image>"]}, images=[png(1)]).path
    with pytest.raises(InputError, match="none of its 1 captions can be shown"):
        read_examples(f"{marked}:long", shots=1)
