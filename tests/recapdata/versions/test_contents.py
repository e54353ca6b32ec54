"""Contents of a dataset: hashes per shard, and hashes of the whole that do not know of shards."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, DatasetDamaged
from recapdata.versions.contents import Contents, Release, read_contents
from tests.builders import build_dataset


def contents(path: Path, **options) -> Contents:
    return read_contents(open_dataset(build_dataset(path, **options).path))


def test_shards_do_not_change_the_fingerprint(tmp_path):
    fours, threes = (
        contents(tmp_path / "a", shard_rows=4),
        contents(tmp_path / "b", shard_rows=3, row_group_rows=3),
    )
    assert [shard.rows for shard in fours.shards] == [4, 2]
    assert [shard.rows for shard in threes.shards] == [3, 3]
    assert (fours.rows, fours.fingerprint) == (threes.rows, threes.fingerprint)
    assert fours.shards[0] != threes.shards[0]


def test_what_changes_which_hash(tmp_path):
    base = contents(tmp_path / "base", columns={"n": pa.array(range(6))})
    captions = contents(
        tmp_path / "captions",
        columns={"n": pa.array(range(6))},
        sets={"alt": [*(f"alt {i}" for i in range(5)), None]},
    )
    assert captions.shards[0] == base.shards[0]
    assert captions.shards[1].same_images(base.shards[1])
    assert captions.fingerprint != base.fingerprint
    columns = contents(tmp_path / "columns", columns={"n": pa.array([0, 1, 2, 3, 4, 9])})
    assert columns.fingerprint == base.fingerprint
    assert not columns.shards[1].same_images(base.shards[1])
    assert base.columns["n"] == "int64"


def test_json_round_trip_keeps_history(tmp_path):
    release = Release(version="1.0.0", date="2026-01-02", changes=("first version",), commit="c" * 40)
    before = replace(contents(tmp_path / "a"), history=(release,))
    after = Contents.from_json(before.to_json())
    assert after == before
    assert after.history == (release,)
    with pytest.raises(DatasetDamaged, match="later recapdata"):
        Contents.from_json(before.to_json().replace('"format": 1', '"format": 2'))
    with pytest.raises(DatasetDamaged, match="publish the version again"):
        Contents.from_json("{}")


def test_an_unfinished_set_is_said(tmp_path):
    folder = build_dataset(tmp_path / "a")
    folder.caption_shard("alt", 1).unlink()
    with pytest.raises(CaptionSetNotFound, match="finish it"):
        read_contents(open_dataset(folder.path))
