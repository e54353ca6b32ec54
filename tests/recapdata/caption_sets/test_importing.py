"""A column becomes a caption set: right rows, right reasons, completed after an append or an interruption."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.caption_sets.importing import ImportSummary, import_captions
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import CaptionSetExists, ColumnNotFound, NotADataset, OptionError
from recapdata.ingestion import IngestOptions, ingest
from recapdata.records import Counts
from tests.builders import build_dataset, png
from tests.recapdata.ingestion.sources import Interrupted, files, leftovers, table

ALT = ["one", None, " ", "four", "fünf", "six"]
LISTS = [["a", "b"], ["c"], None, [], ["", "d"], [None, "e"]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    columns = {
        "alt_text": pa.array(ALT),
        "captions": pa.array(LISTS, pa.list_(pa.string())),
        "likes": pa.array(range(6)),
        "odd[1]": pa.array(["x"] * 6),
    }
    build_dataset(tmp_path / "out", rows=6, shard_rows=4, sets=(), columns=columns)
    return tmp_path / "out"


def captions(out: Path, set_name: str) -> list[tuple[str | None, str | None]]:
    return [(row["caption"], row["error"]) for row in table(out, f"captions/{set_name}")]


def counts(summary: ImportSummary) -> tuple[int, int, int]:
    return summary.records, summary.captions, summary.failures


def test_a_column_of_text(out: Path) -> None:
    summary = import_captions(out, "alt", "alt_text")
    assert captions(out, "alt") == [
        ("one", None),
        (None, "NoCaption: nothing in column alt_text"),
        (None, "EmptyCaption: an empty text in column alt_text"),
        ("four", None),
        ("fünf", None),
        ("six", None),
    ]
    assert counts(summary) == (6, 4, 2)
    assert summary.failures_by_type == {"NoCaption": 1, "EmptyCaption": 1}
    rows = table(out, "captions/alt")
    assert [row["key"] for row in rows] == [row["key"] for row in table(out, "images")]
    assert {(row["set"], row["seed"], row["tokens"]) for row in rows} == {("alt", None, None)}
    assert [row["finish_reason"] for row in rows] == ["import", None, None, "import", "import", "import"]
    provenance = DatasetFolder.open(out).manifest.sets["alt"]
    assert (provenance.writer, provenance.column, provenance.model) == ("web", "alt_text", None)


def test_a_place_in_a_column_of_lists(out: Path) -> None:
    assert counts(import_captions(out, "human", "captions[0]")) == (6, 2, 4)
    assert captions(out, "human") == [
        ("a", None),
        ("c", None),
        (None, "NoCaption: nothing in column captions"),
        (None, "NoCaption: only 0 in column captions"),
        (None, "EmptyCaption: an empty text in column captions[0]"),
        (None, "EmptyCaption: an empty text in column captions[0]"),
    ]
    assert counts(import_captions(out, "second", "captions[1]")) == (6, 3, 3)
    assert captions(out, "second")[1] == (None, "NoCaption: only 1 in column captions")


def test_a_name_with_brackets_is_a_name_first(out: Path) -> None:
    assert counts(import_captions(out, "odd", "odd[1]")) == (6, 6, 0)


@pytest.mark.parametrize(
    ("set_name", "column", "writer", "expected"),
    [
        ("alt", "alt_text", None, "web"),
        ("human-1", "captions[1]", None, "human"),
        ("one", "alt_text", None, "web"),
        ("second", "captions[1]", None, "import"),
        ("second", "captions[1]", "human", "human"),
    ],
)
def test_the_writer_is_guessed_from_the_names(
    out: Path, set_name: str, column: str, writer: str | None, expected: str
) -> None:
    import_captions(out, set_name, column, writer=writer)
    assert DatasetFolder.open(out).manifest.sets[set_name].writer == expected


@pytest.mark.parametrize(
    ("set_name", "column", "error", "reason"),
    [
        ("alt", "nothing", ColumnNotFound, "there are: alt_text, captions, likes"),
        ("alt", "image", ColumnNotFound, "no column 'image' came along"),
        ("alt", "likes", OptionError, "holds int64, not text"),
        ("alt", "captions", OptionError, r"choose one, such as captions\[0\]"),
        ("alt", "alt_text[0]", OptionError, r"leave out \[0\]"),
        ("Alt", "alt_text", OptionError, "cannot name a caption set"),
        ("../alt", "alt_text", OptionError, "cannot name a caption set"),
        ("alt_text", "alt_text", OptionError, "is a column of"),
        ("image", "alt_text", OptionError, "is a column of"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    out: Path, set_name: str, column: str, error: type[Exception], reason: str
) -> None:
    before = files(out)
    with pytest.raises(error, match=reason):
        import_captions(out, set_name, column)
    assert files(out) == before


def test_a_bad_writer_and_a_missing_dataset(out: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="one of human, web, import"):
        import_captions(out, "alt", "alt_text", writer="model")
    with pytest.raises(NotADataset):
        import_captions(tmp_path / "nowhere", "alt", "alt_text")


def test_nothing_is_overwritten_unasked(out: Path) -> None:
    import_captions(out, "mine", "captions[0]")
    with pytest.raises(CaptionSetExists, match=r"column was captions\[0\], now captions\[1\]"):
        import_captions(out, "mine", "captions[1]")
    assert captions(out, "mine")[0] == ("a", None)
    import_captions(out, "mine", "captions[1]", overwrite=True)
    assert captions(out, "mine")[0] == ("b", None)


def test_again_does_nothing_and_after_an_append_only_what_is_new(out: Path, tmp_path: Path) -> None:
    import_captions(out, "alt", "alt_text")
    before = files(out)
    assert import_captions(out, "alt", "alt_text").done == 0
    assert files(out) == before
    more = build_dataset(tmp_path / "more", rows=8, shard_rows=2, sets=())
    # A shard appended without the column: its records have no such caption.
    more.image_shard(3).rename(DatasetFolder(out).image_shard(2))
    summary = import_captions(out, "alt", "alt_text")
    assert (summary.done, *counts(summary)) == (2, 8, 4, 4)
    after = files(out)
    assert {name: after[name] for name in before} == before


def test_interrupted_between_shards_the_same_command_completes_it(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = 0
    original = os.replace

    def replace(source: Path, target: Path) -> None:
        nonlocal replaced
        replaced += 1
        if replaced == 3:  # the manifest, the first shard, then
            raise Interrupted
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(Interrupted):
            import_captions(out, "alt", "alt_text")
    assert len(table(out, "captions/alt")) == 4
    assert import_captions(out, "alt", "alt_text").done == 2
    assert leftovers(out) == []


def test_texts_of_duplicates_are_places_after_the_records_own(tmp_path: Path) -> None:
    pictures = [png(number) for number in (1, 2, 1, 3, 1, 2)]
    rows = pa.table({"jpg": pictures, "caption": ["1a", "2a", "1b", "3a", "1c", None]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    summary = ingest(
        f"urls:{tmp_path / 'rows.parquet'}", tmp_path / "out", options=IngestOptions(shard_rows=2)
    )
    assert summary.counts == Counts(6, 3, 3)
    assert "import-captions" in summary.notes[0]
    assert "'caption[1]'" in summary.notes[0]
    import_captions(tmp_path / "out", "first", "caption[0]")
    import_captions(tmp_path / "out", "second", "caption[1]")
    import_captions(tmp_path / "out", "third", "caption[2]")
    out = tmp_path / "out"
    assert [caption for caption, _ in captions(out, "first")] == ["1a", "2a", "3a"]
    assert captions(out, "second") == [
        ("1b", None),
        (None, "EmptyCaption: an empty text in column caption[1]"),
        (None, "NoCaption: only 1 in column caption"),
    ]
    assert [caption for caption, _ in captions(out, "third")] == ["1c", None, None]
