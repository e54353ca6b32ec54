"""One bad row costs itself alone: the run ends, sums hold, and the ledger says what was wrong."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.errors import SourceError
from recapdata.ingestion import IngestSummary, ingest
from recapdata.ingestion.tables import distinct
from tests.builders import png
from tests.recapdata.ingestion.sources import table


def read(tmp_path: Path, lines: list[str]) -> IngestSummary:
    root = tmp_path / "in"
    root.mkdir()
    for number in range(len(lines)):
        (root / f"{number}.png").write_bytes(png(number))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    summary = ingest(str(root), tmp_path / "out")
    assert summary.counts.balanced
    return summary


@pytest.mark.parametrize(
    "value",
    [{}, {"a": {}}, [{}], [[{}]], {"a": [{}]}, 2**70, -(2**70), [2**70], {"a": 2**70}, float("inf")],
    ids=str,
)
def test_odd_values_in_every_row_come_along(tmp_path: Path, value: Any) -> None:
    lines = [json.dumps({"file_name": f"{number}.png", "meta": value}) for number in range(3)]
    assert read(tmp_path, lines).counts.records == 3


@pytest.mark.parametrize(
    "value",
    ["1" * 4301, "[" * 100_000, '"\\ud800"', '{"\\ud800": 1}', '["\\udfff"]'],
    ids=["digits", "nesting", "text", "key", "list"],
)
@pytest.mark.parametrize("name", ["meta", "license", "caption"])
def test_a_bad_row_is_one_failure(tmp_path: Path, name: str, value: str) -> None:
    good = json.dumps({"file_name": "0.png", name: "fine"})
    read(tmp_path, [good, f'{{"file_name": "1.png", "{name}": {value}}}'])
    expected = "NotUtf8" if "ud" in value else "BadMetadata"
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == [expected]


@pytest.mark.parametrize("depth", [20, 60, 65, 300, 700, 900, 970])
@pytest.mark.parametrize("nested", ["[", '{"a":'])
@pytest.mark.parametrize("name", ["meta", "objects", "caption"])
def test_whatever_nests_is_text_or_a_failure_of_its_row(
    tmp_path: Path, name: str, nested: str, depth: int
) -> None:
    value = nested * depth + ("" if nested == "[" else "1") + {"[": "]"}.get(nested, "}") * depth
    good = json.dumps({"file_name": "0.png", "text": "fine"})
    summary = read(tmp_path, [good, f'{{"file_name": "1.png", "text": "odd", "{name}": {value}}}'])
    assert [each.error for each in summary.failures] == (["BadMetadata"] if depth > 63 else [])
    assert (
        len(table(tmp_path / "out", "images")) == summary.counts.records == 2
    )  # a picture without its row comes in


def test_a_row_of_a_thousand_members_and_one_is_a_failure(tmp_path: Path) -> None:
    wide = {"file_name": "1.png", **{f"k{number}": number for number in range(1000)}}
    summary = read(tmp_path, [json.dumps({"file_name": "0.png", "text": "fine"}), json.dumps(wide)])
    assert [each.error for each in summary.failures] == ["BadMetadata"]
    deep = {"file_name": "0.png", "meta": {f"k{number}": number for number in range(1001)}}
    (tmp_path / "second").mkdir()
    read(tmp_path / "second", [json.dumps(deep)])
    assert isinstance(table(tmp_path / "second/out", "images")[0]["meta"], str)


def test_a_header_of_thousands_of_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(png(0))
    names = ",".join(["file_name", *(f"k{number}" for number in range(2000))])
    (tmp_path / "metadata.csv").write_text(f"{names}\n0.png\n")
    with pytest.raises(SourceError, match="2,001 columns"):
        ingest(str(tmp_path), tmp_path / "out")


def test_columns_of_one_name_both_come_along(tmp_path: Path) -> None:
    read(tmp_path, [json.dumps({"file_name": "0.png", "a": "one", " a ": "two", "key": "k"})])
    row = table(tmp_path / "out", "images")[0]
    assert (row["a"], row["a_2"], row["key_in_source"]) == ("one", "two", "k")


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), 2**70, None, "1"])
def test_coco_takes_no_box_polygon_or_caption_that_is_none(tmp_path: Path, bad: Any) -> None:
    root = tmp_path / "in"
    (root / "annotations").mkdir(parents=True)
    (root / "0.png").write_bytes(png(0))
    identity = 2**70
    images = [{"id": identity, "file_name": "0.png", "height": 8, "width": 8, "license": [1]}]
    object_ = {"image_id": identity, "category_id": [1], "bbox": [0, 0, bad, 1]}
    object_["segmentation"] = [[0, 0, bad, 0, 4, 4]]
    content = {"images": images, "annotations": [object_], "categories": [{"id": [1], "name": None}]}
    (root / "annotations/instances_a.json").write_text(json.dumps(content))
    content = {"images": images, "annotations": [{"image_id": identity, "caption": None}]}
    (root / "annotations/captions_a.json").write_text(json.dumps(content))
    assert ingest(f"coco:{root}", tmp_path / "out").counts.records == 1
    row = table(tmp_path / "out", "images")[0]
    assert row["captions"] is None
    assert row["objects"][0]["bbox"] is None
    assert row["objects"][0]["mask"] is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("ms"), 2**60),
        (pa.timestamp("us"), -(2**62)),
        (pa.timestamp("us", tz="Mars/Olympus"), 0),
        (pa.date32(), 2**30),
        (pa.list_(pa.timestamp("ms")), [2**60]),
    ],
    ids=str,
)
def test_a_date_that_is_none_is_one_failure(tmp_path: Path, kind: pa.DataType, value: Any) -> None:
    rows = pa.table({"jpg": [png(0), png(1)], "when": pa.array([None, value], kind)})
    pq.write_table(rows, tmp_path / "in.parquet")
    summary = ingest(f"urls:{tmp_path / 'in.parquet'}", tmp_path / "out")
    assert summary.counts.balanced
    assert summary.counts.records == 1
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == ["BadValue"]


def test_invisible_characters_are_taken_out_of_captions_and_noted(tmp_path: Path) -> None:
    texts = ["\ufeffa dog", "a red\u200b ball\u2060", "a family 👩\u200d👧 می\u200cخواهم", "\u200b\ufeff"]
    lines = [
        json.dumps({"file_name": f"{n}.png", "\u200bcaption": text, "id": text})
        for n, text in enumerate(texts)
    ]
    read(tmp_path, lines)
    rows = table(tmp_path / "out", "images")
    assert [row["caption"] for row in rows] == ["a dog", "a red ball", texts[2]]
    assert [row["id"] for row in rows] == texts[:3]
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == ["EmptyCaption"]
    assert [(row["note"], row["message"].rpartition(" ")[2]) for row in table(tmp_path / "out", "notes")] == [
        ("InvisibleCharacters", "(1)"),
        ("InvisibleCharacters", "(2)"),
    ]


LONG = "é" * 2**19
"""A text of a million bytes, the most that a caption has; a blank more is too much."""


def _text(root: Path, caption: str) -> str:
    (root / "0.txt").write_text(caption, encoding="utf8")
    return str(root)


def _row(root: Path, caption: str) -> str:
    (root / "metadata.csv").write_text(f"file_name,caption\n0.png,{caption}\n", encoding="utf8")
    return str(root)


def _line(root: Path, caption: str) -> str:
    (root / "metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "captions": ["a", caption]}))
    return str(root)


def _parquet(root: Path, caption: str) -> str:
    pq.write_table(pa.table({"jpg": [png(0)], "caption": [caption]}), root / "rows.parquet")
    return f"urls:{root / 'rows.parquet'}"


def _coco(root: Path, caption: str) -> str:
    (root / "annotations").mkdir()
    content = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "annotations": [{"image_id": 1, "caption": caption}],
    }
    (root / "annotations/captions_a.json").write_text(json.dumps(content))
    return f"coco:{root}"


def _tar(root: Path, caption: str) -> str:
    with tarfile.open(root / "0.tar", "w") as tar:
        for name, content in (("0.png", png(0)), ("0.txt", caption.encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return f"wds:{root / '0.tar'}"


@pytest.mark.parametrize("make", [_text, _row, _line, _parquet, _coco, _tar])
def test_one_limit_of_captions_holds_for_every_source(tmp_path: Path, make: Any) -> None:
    for caption, records in ((LONG, 1), (LONG + "a", 0)):
        root = tmp_path / str(records)
        root.mkdir()
        (root / "0.png").write_bytes(png(0))
        summary = ingest(make(root, caption), root / "out")
        assert (summary.counts.records, [each.error for each in summary.failures]) == (
            records,
            [] if records else ["TooLarge"],
        )
        assert all("1,048,57" in each.message for each in summary.failures)


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)  # type: ignore[arg-type]

    __hash__ = str.__hash__


def test_names_are_told_apart_in_time_that_grows_as_they_do() -> None:
    """A header of 60,001 columns, half a megabyte, once took half a minute; here each of 2,000 is compared a few times at most."""
    Counted.compared = 0
    names = [Counted(f"c{number}") for number in range(1000)] + [Counted("same")] * 1000
    assert distinct(names) == [*names[:1001], *(f"same_{number}" for number in range(2, 1001))]
    assert Counted.compared < 10 * len(names)
    assert distinct(["a", "a_2", "a", "a", "b", "b"]) == ["a", "a_2", "a_3", "a_4", "b", "b_2"]


ENDLESS = "x" * 5000
ROWS = {
    "csv": f"file_name,caption\n0.png,fine\n1.png,{ENDLESS}\n2.png,fine\n",
    "csv of many lines": 'file_name,caption\n0.png,fine\n1.png,"' + "x\n" * 2500 + '"\n',
    "jsonl": "\n".join(
        json.dumps({"file_name": f"{number}.png", "caption": ENDLESS if number == 1 else "fine"})
        for number in range(3)
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_without_end_is_a_failure_and_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Three gigabytes without a line break are a file that takes no room on a disk."""
    monkeypatch.setattr("recapdata.ingestion.tables.MOST_CHARACTERS", 1000)
    root = tmp_path / "in"
    root.mkdir()
    for number in range(3):
        (root / f"{number}.png").write_bytes(png(number))
    (root / f"metadata.{kind.split()[0]}").write_text(ROWS[kind])
    summary = ingest(str(root), tmp_path / "out")
    assert summary.counts.balanced
    assert summary.counts.records == 3  # the picture of a row that cannot be read comes in without it
    failures = table(tmp_path / "out", "failures")
    assert "more than 1,000 characters" in failures[0]["message"]
    if kind != "csv of many lines":  # of which the rest are rows of their own
        assert [each["error"] for each in failures] == ["BadMetadata"]


@pytest.mark.parametrize(
    "value", ['"' + ENDLESS + '"', "[" + "1," * 2500 + "1]", '{"a": "' + ENDLESS + '\\"]}"}']
)
def test_an_element_of_an_annotation_file_without_end_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr("recapdata.ingestion.jsonstream.LONGEST", 1000)
    monkeypatch.setattr("recapdata.ingestion.jsonstream.CHUNK", 100)
    (tmp_path / "in" / "annotations").mkdir(parents=True)
    (tmp_path / "in" / "0.png").write_bytes(png(0))
    content = f'{{"info": {value}, "images": [{{"id": 0, "file_name": "0.png"}}], "categories": [], '
    content += f'"annotations": [{{"image_id": 0, "segmentation": {value}}}, {{"image_id": 0, "bbox": [1, 1, 2, 2]}}]}}'
    (tmp_path / "in" / "annotations" / "instances.json").write_text(content)
    summary = ingest(f"coco:{tmp_path / 'in'}", tmp_path / "out")
    assert [len(row["objects"]) for row in table(tmp_path / "out", "images")] == [1]
    assert any("1 entries of the annotation files" in note for note in summary.notes)


def test_a_row_group_that_unpacks_to_all_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros to a megabyte in the second of three row groups; a gigabyte of them once took four of memory."""
    monkeypatch.setattr("recapdata.ingestion.tables.UNPACKED_BYTES", 2**19)
    images = [png(0), b"\0" * 2**20, png(1)]
    pq.write_table(pa.table({"image": images}), tmp_path / "in.parquet", row_group_size=1, compression="zstd")
    summary = ingest(f"urls:{tmp_path / 'in.parquet'}", tmp_path / "out")
    assert (summary.counts.records, summary.counts.failures) == (2, 1)
    assert "unpacks" in table(tmp_path / "out", "failures")[0]["message"]


INT = pa.int8()
LISTS = [
    (pa.list_(INT), [[1], [0] * 50, [2]]),
    (pa.list_(pa.list_(INT)), [[[1]], [[0] * 5] * 10, [[2]]]),
    (pa.large_list(pa.struct([("a", pa.string()), ("b", pa.list_(INT))])), [[{"a": "x"}], [{"b": [0] * 25}] * 2, None]),
    (pa.map_(pa.string(), pa.list_(INT)), [[("a", [1])], [("a", [0] * 50)], []]),
    (pa.list_(pa.list_(INT, 4)), [[[1] * 4], [[0] * 4] * 12, None]),
    (pa.struct([("a", INT), ("b", pa.list_(INT))]), [{"a": 1}, {"b": [0] * 50}, {"b": [2]}]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values"), LISTS, ids=str)
def test_a_list_without_end_is_a_failure_and_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType, values: list[Any]
) -> None:
    """Sixty million equal numbers in one row, a few kilobytes of Parquet, once took 1.7 GB and half a minute; here 40 are too many."""
    monkeypatch.setattr("recapdata.ingestion.tables.MOST_VALUES", 40)
    images = [png(number) for number in range(3)]
    pq.write_table(pa.table({"image": images, "v": pa.array(values, kind)}), tmp_path / "in.parquet")
    ingest(f"urls:{tmp_path / 'in.parquet'}", tmp_path / "out")
    (failure,) = table(tmp_path / "out", "failures")
    assert (failure["source"], failure["error"]) == ("in.parquet#2", "BadValue")
    assert len(table(tmp_path / "out", "images")) == 2


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_header_of_a_tar_without_end_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: int
) -> None:
    """What is whole before it comes in; a header of 200 MB once took three times as much memory."""
    monkeypatch.setattr("recapdata.ingestion.webdataset.MOST_HEADER", 1000)
    with tarfile.open(tmp_path / "in.tar", "w", format=form) as tar:
        for name, number in (("a.png", 0), ("b.png", 1), (f"{'c' * 5000}.png", 2), ("d.png", 3)):
            member = tarfile.TarInfo(name)
            member.size = len(png(number))
            tar.addfile(member, io.BytesIO(png(number)))
    summary = ingest(f"wds:{tmp_path / 'in.tar'}", tmp_path / "out")
    assert summary.counts.records == 1
    (failure,) = table(tmp_path / "out", "failures")
    assert failure["error"] == "BrokenTar"
    assert "at most 1,000 are read" in failure["message"]
