"""The ingest as a whole: sums, shards, duplicates, resuming, appending, refusing."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import DatasetExists, DiskFull, NotADataset, OptionError, SourceError, SourceNotFound
from recapdata.ingestion import IngestOptions, IngestSummary, ingest
from recapdata.ingestion import run as run_module
from recapdata.ingestion import source as source_module
from recapdata.records import Counts, image_key
from tests.builders import build_dataset, noise_jpeg, png
from tests.recapdata.ingestion.sources import (
    SMALL,
    Interrupted,
    Listed,
    files,
    item,
    leftovers,
    mixed_items,
    table,
)

Run = Callable[..., IngestSummary]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`ingest` of a source made by hand, read only a few items ahead."""
    monkeypatch.setattr("recapdata.ingestion.checking.CHUNK_ITEMS", 2)

    def of(
        source: Listed, path: Path, *, append: bool = False, options: IngestOptions = SMALL
    ) -> IngestSummary:
        monkeypatch.setattr(run_module, "open_source", lambda text, given: source)
        return ingest(source.name, path, append=append, options=options)

    return of


def test_every_item_becomes_one_row(tmp_path: Path, run: Run) -> None:
    items = mixed_items(100)
    failures = [n for n in range(100) if n % 11 == 10 or n % 13 == 12]
    seen: set[int] = set()
    records, duplicates = [], []
    for n in (n for n in range(100) if n not in failures):
        picture = n - 6 if n % 7 == 6 else n
        (duplicates if picture in seen else records).append(n)
        seen.add(picture)

    summary = run(Listed(items), tmp_path / "out")

    folder = DatasetFolder.open(tmp_path / "out")
    assert summary.counts == Counts(100, len(records), len(duplicates), len(failures), 0)
    assert summary.counts.balanced
    assert folder.manifest.counts == summary.dataset == summary.counts
    assert folder.manifest.sources == ("listed",)
    assert folder.manifest.columns == ("caption",)
    assert [row["caption"] for row in table(folder, "images")] == [f"caption {n}" for n in records]
    assert [row["caption"] for row in table(folder, "duplicates")] == [f"caption {n}" for n in duplicates]
    assert [row["source"] for row in table(folder, "failures")] == [f"item {n}" for n in failures]
    assert {row["error"] for row in table(folder, "failures")} == {"MissingFile", "EmptyCaption"}
    assert [group.error for group in summary.failures] == ["MissingFile", "EmptyCaption"]
    assert leftovers(tmp_path / "out") == []


def test_records_hold_the_original_bytes_under_their_hash(tmp_path: Path, run: Run) -> None:
    run(Listed([item(3)]), tmp_path / "out")
    row = pq.read_table(tmp_path / "out/images/train-00000.parquet").to_pylist()[0]
    assert row["image"]["bytes"] == png(3)
    assert row["key"] == image_key(png(3))
    assert (row["width"], row["height"], row["source"], row["license"]) == (8, 8, "item 3", None)


def test_shards_close_by_rows_and_by_bytes(tmp_path: Path, run: Run) -> None:
    items = [item(index) for index in range(25)]
    run(Listed(items), tmp_path / "rows")
    by_rows = DatasetFolder.open(tmp_path / "rows")
    assert [by_rows.rows(shard) for shard in by_rows.shards()] == [10, 10, 5]

    picture = noise_jpeg(0, (8, 8))
    padded = [replace(each, image=picture + bytes([index])) for index, each in enumerate(items)]
    limit = 4 * (len(picture) + 1)
    run(Listed(padded), tmp_path / "bytes", options=IngestOptions(shard_bytes=limit))
    by_bytes = DatasetFolder.open(tmp_path / "bytes")
    assert [by_bytes.rows(shard) for shard in by_bytes.shards()] == [4] * 6 + [1]


def test_row_groups_stay_small(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recapdata.ingestion.shards.ROW_GROUP_ROWS", 4)
    run(Listed([item(index) for index in range(10)]), tmp_path / "out")
    footer = pq.read_metadata(tmp_path / "out/images/train-00000.parquet")
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [4, 4, 2]


@pytest.mark.parametrize("break_at", [0, 1, 9, 10, 11, 35, 64, 99])
def test_an_interrupted_ingest_goes_on_to_the_same_bytes(tmp_path: Path, run: Run, break_at: int) -> None:
    items = mixed_items(100)
    run(Listed(items), tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(Listed(items, break_at=break_at), tmp_path / "out")
    summary = run(Listed(items), tmp_path / "out")
    whole = {name: content for name, content in files(tmp_path / "whole").items() if name != "recapdata.yaml"}
    assert {
        name: content for name, content in files(tmp_path / "out").items() if name != "recapdata.yaml"
    } == whole
    assert summary.counts.items == 100
    assert leftovers(tmp_path / "out") == []


def test_a_ledger_of_a_shard_that_was_never_finished_is_forgotten(tmp_path: Path, run: Run) -> None:
    items = [item(index) for index in range(5)]
    with pytest.raises(Interrupted):
        run(Listed(items, break_at=3), tmp_path / "out")
    build_dataset(tmp_path / "other", rows=1)
    stale = tmp_path / "out/failures/train-00000.parquet"
    stale.parent.mkdir(parents=True)
    (tmp_path / "other/images/train-00000.parquet").rename(stale)
    assert run(Listed(items), tmp_path / "out").counts == Counts(5, 5)
    assert not stale.exists()


def test_a_finished_ingest_repeated_does_nothing(tmp_path: Path, run: Run) -> None:
    items = mixed_items(30)
    first = run(Listed(items), tmp_path / "out")
    before = files(tmp_path / "out")
    for append in (False, True):
        again = run(Listed(items), tmp_path / "out", append=append)
        assert again.items_done == 0
        assert again.counts == first.counts
        assert again.text().startswith("listed is already in")
    assert files(tmp_path / "out") == before


def test_another_source_needs_append(tmp_path: Path, run: Run) -> None:
    run(Listed([item(0), item(1)]), tmp_path / "out")
    finished = (tmp_path / "out/images/train-00000.parquet").read_bytes()
    other = Listed([item(1, "again"), item(2)], name="other")
    with pytest.raises(DatasetExists, match="--append"):
        run(other, tmp_path / "out")
    summary = run(other, tmp_path / "out", append=True)
    assert summary.counts == Counts(2, 1, 1)
    assert summary.dataset == Counts(4, 3, 1)
    folder = DatasetFolder.open(tmp_path / "out")
    assert folder.manifest.sources == ("listed", "other")
    assert (tmp_path / "out/images/train-00000.parquet").read_bytes() == finished
    assert [(row["source"], row["caption"]) for row in table(folder, "duplicates")] == [("item 1", "again")]


def test_an_interrupted_append_goes_on_with_and_without_the_option(tmp_path: Path, run: Run) -> None:
    for append in (True, False):
        path = tmp_path / str(append)
        run(Listed([item(index) for index in range(15)]), path)
        more = [item(index) for index in range(10, 45)]
        with pytest.raises(Interrupted):
            run(Listed(more, name="more", break_at=25), path, append=True)
        with pytest.raises(DatasetExists, match="unfinished ingest of more"):
            run(Listed([item(99)], name="third"), path, append=True)
        assert run(Listed(more, name="more"), path, append=append).counts == Counts(35, 30, 5)
    assert files(tmp_path / "True/images") == files(tmp_path / "False/images")


def test_a_changed_source_cannot_go_on_but_can_be_appended(tmp_path: Path, run: Run) -> None:
    items = [item(index) for index in range(30)]
    with pytest.raises(Interrupted):
        run(Listed(items, stamp="a", break_at=25), tmp_path / "out")
    with pytest.raises(SourceError, match="has changed since"):
        run(Listed(items, stamp="b"), tmp_path / "out")
    run(Listed(items, stamp="a"), tmp_path / "out")
    with pytest.raises(DatasetExists, match="it has changed since"):
        run(Listed([*items, item(30)], stamp="c"), tmp_path / "out")
    assert run(Listed([*items, item(30)], stamp="c"), tmp_path / "out", append=True).counts == Counts(
        31, 1, 30
    )


def test_another_source_may_take_the_place_of_one_that_brought_nothing_yet(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(Listed([item(0)], name="wrong", break_at=0), out)
    assert DatasetFolder.open(out).manifest.sources == ("wrong",)
    run(Listed([item(1)], name="right"), out)
    assert DatasetFolder.open(out).manifest.sources == ("right",)
    with pytest.raises(Interrupted):
        run(Listed([item(2)], name="wrong", break_at=0), out, append=True)
    with pytest.raises(DatasetExists, match="already holds right; to add third"):
        run(Listed([item(3)], name="third"), out)
    # The very one that was interrupted needs no option again.
    assert run(Listed([item(2)], name="wrong"), out).counts == Counts(1, 1)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recapdata.dataset.folder.os.fsync", full)
        with pytest.raises((DiskFull, NotADataset), match="space"):
            run(Listed([item(0)]), tmp_path / "new")
    run(Listed([item(0)]), tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("recapdata.dataset.folder.os.fsync", full)
        with pytest.raises(DiskFull, match="the same command goes on"):
            run(Listed([item(1)], name="more"), tmp_path / "out", append=True)
    assert run(Listed([item(1)], name="more"), tmp_path / "out", append=True).counts == Counts(1, 1)


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADataset, match="cannot be made"):
        run(Listed([item(0)]), tmp_path / "file" / "out")


def test_a_dataset_made_inside_its_own_source_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(png(index))
    monkeypatch.setattr(run_module, "_close", lambda *arguments: (_ for _ in ()).throw(Interrupted))
    with pytest.raises(Interrupted):
        ingest(str(tmp_path), tmp_path / "out")
    monkeypatch.undo()
    again = ingest(str(tmp_path), tmp_path / "out")
    assert (again.items_done, again.dataset) == (0, Counts(4, 4))


def test_new_columns_may_come_with_an_append_if_types_agree(tmp_path: Path, run: Run) -> None:
    import pyarrow as pa

    run(Listed([item(0)]), tmp_path / "out")
    wider = Listed([item(1)], name="wider")
    wider.columns = {"caption": pa.string(), "score": pa.float64()}
    run(wider, tmp_path / "out", append=True)
    assert DatasetFolder.open(tmp_path / "out").manifest.columns == ("caption", "score")
    clashing = Listed([item(2)], name="clashing")
    clashing.columns = {"score": pa.string()}
    with pytest.raises(SourceError, match="'score' is string"):
        run(clashing, tmp_path / "out", append=True)


def test_a_column_may_not_take_the_name_of_a_caption_set(tmp_path: Path, run: Run) -> None:
    build_dataset(tmp_path / "out", sets=("caption",))
    with pytest.raises(SourceError, match="caption set"):
        run(Listed([item(50)]), tmp_path / "out", append=True)


def test_a_dataset_that_no_ingest_wrote_can_be_appended_to(tmp_path: Path, run: Run) -> None:
    build_dataset(tmp_path / "out", rows=6)
    assert run(Listed([item(5), item(6)]), tmp_path / "out", append=True).dataset == Counts(8, 7, 1)


def test_nothing_is_left_behind_by_a_source_that_is_not_there(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    for source in ("nowhere", "coco:nowhere", "wds:nowhere/*.tar", "urls:nowhere.parquet"):
        with pytest.raises(SourceNotFound):
            ingest(source, out)
    with pytest.raises(SourceNotFound, match="no kind of source 'tfds'"):
        ingest("tfds:coco", out)
    with pytest.raises(SourceError, match="holds no images"):
        run(Listed([]), out)
    assert not out.exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, run: Run) -> None:
    (tmp_path / "photo.jpg").write_bytes(noise_jpeg(0))
    with pytest.raises(NotADataset, match="holds other files"):
        run(Listed([item(0)]), tmp_path)
    with pytest.raises(NotADataset, match="is a file"):
        run(Listed([item(0)]), tmp_path / "photo.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_source_of_nothing_but_failures_is_not_complete(tmp_path: Path, run: Run) -> None:
    summary = run(Listed([item(0, ""), item(1, " ")]), tmp_path / "out")
    assert summary.counts == Counts(2, 0, 0, 2)
    assert not summary.complete
    assert "EmptyCaption: item 0: the caption in column 'caption' is empty" in summary.text()


def test_text_that_is_no_unicode_is_a_failure_of_its_item(tmp_path: Path, run: Run) -> None:
    marked = b"caf\xe9".decode("utf8", "surrogateescape")
    odd_name = item(2)
    items = [item(0, marked), item(1), type(odd_name)(source=marked, image=odd_name.image)]
    summary = run(Listed(items), tmp_path / "out")
    assert summary.counts == Counts(3, 2, 0, 1)
    assert table(tmp_path / "out", "failures")[0]["error"] == "NotUtf8"
    assert table(tmp_path / "out", "images")[1]["source"] == "caf\\udce9"


def test_blank_captions_may_be_kept_as_none(tmp_path: Path, run: Run) -> None:
    items = [item(0, " "), item(1, "one"), item(2, None)]
    assert run(Listed(items), tmp_path / "out", options=IngestOptions(keep_blank=True)).counts == Counts(3, 3)
    assert [row["caption"] for row in table(tmp_path / "out", "images")] == [None, "one", None]


def test_limits_must_make_sense() -> None:
    with pytest.raises(OptionError, match="--shard-bytes 0: it must be at least 1"):
        IngestOptions(shard_bytes=0)


def test_every_kind_of_source_resolves() -> None:
    import importlib

    for target in source_module.SOURCES.values():
        module, name = target.split(":")
        assert callable(getattr(importlib.import_module(module), name))
