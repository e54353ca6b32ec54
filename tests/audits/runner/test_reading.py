"""How often an audit reads the captions: once to know what is there, once more only by the process that audits them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from tests.audits.models import save_small_clip
from tests.builders import build_dataset
from tests.reading import caption_reads

ALT = ["a dog in Paris", "two dogs", None, "a red car", "a cat on a table", "dog."]
LONG = ["A brown dog. It sits.", "Three dogs.", "A cat.", "A car.", "A cat.", "Nothing here."]
CAPTION_SHARDS = ("alt/train-00000", "alt/train-00001", "long/train-00000", "long/train-00001")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in shards of four and two, each with two captions: four caption shards."""
    return build_dataset(tmp_path / "ds", sets={"alt": ALT, "long": LONG})


@pytest.fixture
def reads() -> Iterator[Callable[[], dict[str, int]]]:
    with caption_reads() as since:
        yield since


def test_where_nothing_is_to_do_captions_are_read_once(
    folder: DatasetFolder, reads: Callable[[], dict[str, int]]
) -> None:
    run(folder.path)
    # Once to count what repeats, once to audit; a small dataset is audited by the very process that planned.
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 2)
    assert run(folder.path).kept == 4
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 1)


def test_of_one_set_the_others_are_read_once_for_the_summary(
    folder: DatasetFolder, reads: Callable[[], dict[str, int]]
) -> None:
    run(folder.path)
    reads()
    assert run(folder.path, captions=["long"]).kept == 2
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 1)


def test_everything_that_can_be_audited_takes_no_more(
    folder: DatasetFolder, reads: Callable[[], dict[str, int]], tmp_path: Path
) -> None:
    clip = str(save_small_clip(tmp_path / "clip"))
    run(folder.path, clip=clip, evidence=["annotations", "colors"], prompts="alt")
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 2)
    # Scores alone are stale: what is read again is what they are taken of.
    run(folder.path, clip=clip, clip_scores=["caption"])
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 2)
