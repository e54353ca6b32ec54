"""Targets over local folders; over a Hub they are tested with publishing, which makes what they read."""

from pathlib import Path

import pyarrow as pa
import pytest

from recapdata.dataset.journal import Journal
from recapdata.dataset.shards import aligned
from recapdata.dataset.target import open_dataset
from recapdata.endpoint import configure_client, endpoint, is_public
from recapdata.errors import (
    CaptionSetNotFound,
    ColumnNotFound,
    DatasetDamaged,
    HubError,
    NotADataset,
    OptionError,
    SourceNotFound,
)
from recapdata.records import Caption, image_key
from tests.builders import build_dataset, png, write_captions


@pytest.fixture
def folder(tmp_path: Path):
    return build_dataset(
        tmp_path / "birds",
        rows=6,
        shard_rows=4,
        sets={"alt": ["a", "b", None, "d", "e", "f"]},
        columns={"tags": pa.array([["x"], [], None, ["y"], ["z"], ["q"]], pa.list_(pa.string()))},
    )


def test_reads_images_columns_and_captions_together(folder):
    target = open_dataset(str(folder.path))
    assert (target.shards(), target.set_names(), target.rows(1)) == ([0, 1], ["alt"], 2)
    batches = list(target.read(0, ["alt", "image", "tags", "key"], batch_rows=3))
    assert [batch.num_rows for batch in batches] == [3, 1]
    assert batches[0].schema.names == ["alt", "image", "tags", "key"]
    table = pa.Table.from_batches(batches)
    assert table["alt"].to_pylist() == ["a", "b", None, "d"]
    assert table["image"].to_pylist()[3]["bytes"] == png(3)
    assert table["tags"].to_pylist() == [["x"], [], None, ["y"]]
    assert table["key"].to_pylist() == [image_key(png(row)) for row in range(4)]


def test_a_target_that_is_open_is_not_opened_again(folder):
    target = open_dataset(folder.path).so_far()
    assert open_dataset(target) is target
    assert (target.published, target.resolved) == (False, str(folder.path))


def test_whole_caption_rows(folder):
    rows = open_dataset(folder.path).read_captions("alt", 0, ["caption", "error"]).to_pylist()
    assert rows[2] == {"caption": None, "error": "Refused: built to fail"}


def test_unknown_column_names_those_there_are(folder):
    with pytest.raises(ColumnNotFound, match=r"no column 'long'.*tags, alt"):
        next(open_dataset(folder.path).read(0, ["long"]))
    with pytest.raises(CaptionSetNotFound, match="it has alt"):
        open_dataset(folder.path).read_captions("long", 0)


def test_unfinished_set_is_said(folder):
    folder.caption_shard("alt", 1).unlink()
    with pytest.raises(CaptionSetNotFound, match="finish it"):
        list(open_dataset(folder.path).read(1, ["key", "alt"]))


def test_a_set_under_way_is_read_as_far_as_it_is(folder):
    keys = folder.read_keys(1)
    folder.caption_shard("alt", 1).unlink()
    target = open_dataset(folder.path).so_far()
    assert (target.finished("alt", 0), target.finished("alt", 1)) == (True, False)
    assert target.captioned_shards("alt") == [0]
    with Journal(folder.journal("alt", 1)) as journal:
        journal.batch(keys[1:], [Caption(caption="F")])
    assert target.captioned_shards("alt") == [0, 1]
    batches = list(target.read(1, ["key", "alt", "tags"], batch_rows=1))
    assert [batch.to_pylist()[0]["alt"] for batch in batches] == [None, "F"]
    assert [batch.to_pylist()[0]["key"] for batch in batches] == keys
    with pytest.raises(CaptionSetNotFound, match="finish it"):
        list(open_dataset(folder.path).read(1, ["key", "alt"]))


def test_a_retry_under_way_counts_as_it_stands(folder):
    with Journal(folder.journal("alt", 0)) as journal:
        journal.retry(folder.read_keys(0)[2:3])
        journal.batch(folder.read_keys(0)[2:3], [Caption(caption="C")])
    texts = [batch.column("alt").to_pylist() for batch in open_dataset(folder.path).so_far().read(0, ["alt"])]
    assert texts == [["a", "b", "C", "d"]]


def test_captions_of_other_rows_are_refused(folder):
    write_captions(folder, "alt", 1, [image_key(png(5)), image_key(png(4))], ["e", "f"])
    with pytest.raises(DatasetDamaged, match="not of the same rows"):
        list(open_dataset(folder.path).read(1, ["alt"]))


def test_aligned_cuts_at_every_boundary_and_refuses_a_short_stream():
    def stream(*sizes):
        start = 0
        for size in sizes:
            yield pa.record_batch({"key": [str(row) for row in range(start, start + size)]})
            start += size

    cuts = [batches[0].num_rows for batches in aligned([stream(3, 0, 2), stream(1, 4)], where="here")]
    assert cuts == [1, 2, 2]
    with pytest.raises(DatasetDamaged, match="here"):
        list(aligned([stream(2), stream(1)], where="here"))


def test_audit_and_summary_are_none_until_made(folder):
    target = open_dataset(folder.path)
    assert target.summary() is None
    assert target.read_audit("alt", 0) is None
    (folder.path / "audits").mkdir()
    (folder.path / "audits" / "summary.json").write_text('{"format": 1}')
    assert target.summary() == {"format": 1}


def test_what_is_no_dataset_is_said(tmp_path, monkeypatch):
    with pytest.raises(NotADataset, match=r"recapdata\.yaml"):
        open_dataset(str(tmp_path))
    with pytest.raises(SourceNotFound, match="no such folder"):
        open_dataset("nowhere")
    with pytest.raises(SourceNotFound, match="no such folder"):
        open_dataset(tmp_path / "missing")


def test_unreachable_hub_is_one_line(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    assert (endpoint(), is_public()) == ("http://127.0.0.1:9", False)
    with pytest.raises(
        HubError,
        match=r"me/birds@v1 \(no folder of that name here\): the Hub at http://127\.0\.0\.1:9 cannot be reached",
    ):
        open_dataset("me/birds@v1")


def test_xet_is_switched_off_away_from_the_public_hub(monkeypatch):
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    configure_client()
    import os

    assert "HF_HUB_DISABLE_XET" not in os.environ
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    configure_client()
    assert os.environ["HF_HUB_DISABLE_XET"] == "1"


def test_a_folder_has_no_revisions_and_a_name_has_one(tmp_path):
    folder = build_dataset(tmp_path / "ds", rows=2).path
    assert open_dataset(str(folder), None).folder == folder
    with pytest.raises(OptionError, match="no revisions"):
        open_dataset(folder, "v1.0.0")
    with pytest.raises(OptionError, match="give the revision once"):
        open_dataset("me/ds@v1.0.0", "v1.0.0")
