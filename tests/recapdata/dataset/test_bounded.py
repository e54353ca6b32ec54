"""Files that anybody may have written: no more of them is read than anything written here could hold, and every value is checked."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.corrections import Correction, add_correction, read_corrections
from recapdata import load
from recapdata.dataset import shards
from recapdata.dataset.audit_files import check_summary, read_summary
from recapdata.dataset.bounded import TooLarge, read_lines, read_small
from recapdata.dataset.folder import CORRECTIONS
from recapdata.dataset.journal import Journal, replay
from recapdata.dataset.shards import read_shard
from recapdata.errors import DatasetDamaged, DatasetEmpty
from recapdata.records import Caption
from recapdata.versions.contents import Contents
from tests.builders import build_dataset, write_audit

LONG = 3 * 2**30


def sparse(path: Path) -> Path:
    """A file of 3 GB of zeros that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, LONG)
    return path


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"ab\ncdef\ng")
    assert read_small(path, 9) == b"ab\ncdef\ng"
    assert list(read_lines(path, 5)) == [b"ab\n", b"cdef\n", b"g"]
    with pytest.raises(TooLarge, match="more than 8 bytes"):
        read_small(path, 8)
    with pytest.raises(TooLarge, match="a line of more than 4 bytes"):
        list(read_lines(path, 4))


def test_three_gigabytes_in_place_of_a_small_file(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds")
    journal = sparse(folder.journal("alt", 0))
    with pytest.raises(DatasetDamaged, match="a line of more than"):
        replay(journal)
    with pytest.raises(DatasetDamaged, match="a line of more than"):
        Journal(journal)
    with pytest.raises(DatasetDamaged, match="more than 67,108,864 bytes"):
        read_summary(sparse(folder.path / "audits/summary.json"), "ds")
    sparse(folder.path / CORRECTIONS)
    correction = Correction(
        key="a" * 64, set_name="alt", kind="object", span=(0, 1), claim={}, verdict="supported", right=True
    )
    with pytest.raises(DatasetDamaged, match="its last line is no correction"):
        add_correction(folder.path, correction)
    with pytest.raises(DatasetDamaged, match=r"line \d is no correction"):
        read_corrections(folder.path)


@pytest.mark.parametrize(
    "rows",
    [
        pa.array(["k"] * 3_000_000),
        pa.array(["z" * 3_000_000]),
        pa.array(["z" * 30_000] * 100),
    ],
    ids=["rows", "one text", "one text often"],
)
def test_a_shard_that_unpacks_to_many_times_its_size(
    tmp_path: Path, rows: pa.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "UNPACKED_BYTES", 2**20)
    path = tmp_path / "train-00000.parquet"
    pq.write_table(pa.table({"key": rows}), path, compression="zstd", use_dictionary=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(DatasetDamaged, match="it unpacks to many times its size"):
        read_shard(path, ["key"])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"caption": 5},
        {"caption": "\ud800"},
        {"caption": "a", "seed": 2**70},
        {"caption": "a", "tokens": 2**40},
        {"caption": "a", "tokens": True},
        {"caption": "a", "finish_reason": ["stop"]},
        {"caption": "a", "unheard": 1},
        ["a"],
    ],
    ids=ascii,
)
def test_a_caption_of_a_journal_is_checked(tmp_path: Path, values: Any) -> None:
    path = tmp_path / ".00000.journal"
    path.write_text(json.dumps({"keys": ["a" * 64], "captions": [values]}) + "\n")
    with pytest.raises(DatasetDamaged, match="line 1 is not a journal's"):
        replay(path)


def test_a_caption_that_was_written_is_read() -> None:
    values = {"caption": "a", "seed": 2**63 - 1, "finish_reason": "stop", "tokens": 3, "error": None}
    assert Caption.from_dict(values) == Caption(caption="a", seed=2**63 - 1, finish_reason="stop", tokens=3)


SUMMARIES: list[Any] = [
    {"sets": []},
    {"sets": {"../x": {"captions": 1, "missing": 0, "figures": {}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0}}},
    {"sets": {"alt": {"captions": "1", "missing": 0, "figures": {}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": []}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": {"x": {"value": float("nan")}}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": {"x": {"value": 10**400}}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": {"x": {"value": 1, "rests_on": "claims"}}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": {}, "skew": {"distance": 1}}}},
    {"sets": {"alt": {"captions": 1, "missing": 0, "figures": {}, "habits": {"first_words": [["a"]]}}}},
    {"evidence": "annotations"},
    {"clip": 3},
    [],
]


@pytest.mark.parametrize("summary", SUMMARIES, ids=lambda each: ascii(each)[:60])
def test_a_summary_is_checked(summary: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        check_summary(summary)


def test_a_summary_that_was_written_is_read(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds")
    write_audit(folder, ["alt"])
    summary = read_summary(folder.path / "audits/summary.json", "ds")
    assert summary is not None
    assert list(summary["sets"]) == ["alt"]


@pytest.mark.parametrize(
    "change",
    [
        {"columns": ["a"]},
        {"columns": {"a": 1}},
        {"sets": {"alt": None}},
        {"keys": 3},
        {"shards": [{"rows": "1", "keys": "", "columns": "", "sets": {}}]},
        {"shards": [{"rows": 1, "keys": [], "columns": "", "sets": {}}]},
        {"history": [{"version": 1, "date": "", "changes": []}]},
        {"history": [{"version": "1", "date": "", "changes": [None]}]},
    ],
    ids=ascii,
)
def test_contents_are_checked(change: dict[str, Any]) -> None:
    whole = Contents(columns={"key": "string"}, shards=(), keys="k", sets={"alt": "h"})
    assert Contents.from_json(whole.to_json()) == whole
    with pytest.raises(DatasetDamaged, match="cannot be read"):
        Contents.from_json(json.dumps({**json.loads(whole.to_json()), **change}))


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["key", "key"]), tmp_path / "x.parquet")
    with pytest.raises(DatasetDamaged, match="two of its columns have one name"):
        read_shard(tmp_path / "x.parquet", ["key"])


def test_a_row_that_is_not_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"key": ["a", "b"]}), tmp_path / "x.parquet")
    with shards.ShardFile(tmp_path / "x.parquet") as file:
        assert file.take([1, 0], ["key"]) == [{"key": "b"}, {"key": "a"}]
        with pytest.raises(DatasetDamaged, match="it has no row 2"):
            file.take([0, 2], ["key"])


def test_a_shard_with_an_endless_number(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds")
    folder.image_shard(1).rename(folder.image_shard(999_999_999_999))
    with pytest.raises(DatasetDamaged, match=r"lacks train-00001\.parquet"):
        folder.shards()


def test_a_column_that_only_the_manifest_has(tmp_path: Path) -> None:
    from dataclasses import replace

    from recapdata import open_dataset

    folder = build_dataset(tmp_path / "ds")
    folder.save_manifest(replace(folder.manifest, columns=("made_up",)))
    for command in (lambda: load(folder.path), lambda: list(open_dataset(folder.path).read(0, ["made_up"]))):
        with pytest.raises(DatasetDamaged, match="no shard has the column 'made_up'"):
            command()


def test_a_dataset_without_records_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(DatasetEmpty, match="holds no records; finish its ingest"):
        load(build_dataset(tmp_path / "ds", rows=0).path)
