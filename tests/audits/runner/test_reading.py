"""How often an audit reads the captions: once to know what is there, once more only by the process that audits them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardFile
from tests.audits.models import save_small_clip
from tests.builders import build_dataset

ALT = ["a dog in Paris", "two dogs", None, "a red car", "a cat on a table", "dog."]
LONG = ["A brown dog. It sits.", "Three dogs.", "A cat.", "A car.", "A cat.", "Nothing here."]
CAPTION_SHARDS = ("alt/train-00000", "alt/train-00001", "long/train-00000", "long/train-00001")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in shards of four and two, each with two captions: four caption shards."""
    return build_dataset(tmp_path / "ds", sets={"alt": ALT, "long": LONG})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, int]]:
    """Gives how often the captions of each caption shard were read since it was last asked."""
    counts: Counter[str] = Counter()

    def note(file: ShardFile, columns: Sequence[str] | None) -> None:
        path = Path(file.name)
        if path.parts[-3:-2] == ("captions",) and (columns is None or "caption" in columns):
            counts[f"{path.parent.name}/{path.stem}"] += 1

    read, read_row_group, iter_batches = ShardFile.read, ShardFile.read_row_group, ShardFile.iter_batches

    def noted_read(file: ShardFile, columns: Sequence[str] | None = None, **options: object) -> object:
        note(file, columns)
        return read(file, columns, **options)

    def noted_group(
        file: ShardFile, i: int, columns: Sequence[str] | None = None, **options: object
    ) -> object:
        note(file, columns)
        return read_row_group(file, i, columns, **options)

    def noted_batches(file: ShardFile, batch_size: int = 65_536, **options: object) -> Iterator[object]:
        note(file, options.get("columns"))  # type: ignore[arg-type]
        return iter_batches(file, batch_size, **options)

    monkeypatch.setattr(ShardFile, "read", noted_read)
    monkeypatch.setattr(ShardFile, "read_row_group", noted_group)
    monkeypatch.setattr(ShardFile, "iter_batches", noted_batches)

    def since() -> dict[str, int]:
        found = dict(sorted(counts.items()))
        counts.clear()
        return found

    return since


def test_where_nothing_is_to_do_captions_are_read_once(
    folder: DatasetFolder, reads: Callable[[], dict[str, int]]
) -> None:
    run(folder.path)
    # A small dataset is audited by the very process that planned: once each.
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
    run(folder.path, clip=clip, clip_parts=["caption"])
    assert reads() == dict.fromkeys(CAPTION_SHARDS, 2)
