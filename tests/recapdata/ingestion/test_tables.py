"""Tables read tolerantly: types that every value fits, bad rows one by one, bytes that are no UTF-8."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.errors import SourceError
from recapdata.ingestion.tables import check_footer, column_types, fit, plain_type, read_parquet, read_rows

INTEGER, DECIMAL, TEXT = pa.int64(), pa.float64(), pa.string()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", ""], INTEGER),
        (["1", "2.5"], DECIMAL),
        (["007", "8"], TEXT),
        (["1", "one"], TEXT),
        (["99999999999999999999"], TEXT),
        (["nan", "1.5"], TEXT),
        (["", ""], TEXT),
        (["1e3"], DECIMAL),
    ],
)
def test_types_of_csv_cells(tmp_path: Path, cells: list[str], kind: pa.DataType) -> None:
    rows = "".join(f"{cell},{cell}\n" for cell in cells)
    (tmp_path / "t.csv").write_text("value,caption\n" + rows)
    assert column_types(tmp_path / "t.csv") == {"value": kind, "caption": TEXT}
    for row in read_rows(tmp_path / "t.csv"):
        pa.array([fit(row.values["value"], kind)], kind)


@pytest.mark.parametrize(
    ("values", "kind", "fitted"),
    [
        (["1", "null", "2.5"], DECIMAL, [1, None, 2.5]),
        (['"a"', "1"], TEXT, ["a", "1"]),
        (["[1, 2]", '"a"'], TEXT, ["[1, 2]", "a"]),
        (['["a"]', "[]"], pa.list_(TEXT), [["a"], []]),
        (['"a"', '["b", "c"]', "null", '""', '"d"'], pa.list_(TEXT), [["a"], ["b", "c"], None, None, ["d"]]),
        (["[]", '"a"'], pa.list_(TEXT), [[], ["a"]]),
        (['["a"]', "1", '"b"'], TEXT, ['["a"]', "1", "b"]),
        (["null"], TEXT, [None]),
        (["true", "false"], pa.bool_(), [True, False]),
        (["99999999999999999999"], TEXT, ["99999999999999999999"]),
        (['{"a": 1}', '{"b": "x"}'], pa.struct([("a", INTEGER), ("b", TEXT)]), [{"a": 1}, {"b": "x"}]),
    ],
)
def test_types_of_json_values(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: list[str],
    kind: pa.DataType,
    fitted: list[object],
) -> None:
    monkeypatch.setattr("recapdata.ingestion.tables.BATCH_ROWS", 1)  # so that types have to be merged
    (tmp_path / "t.jsonl").write_text("".join(f'{{"value": {value}}}\n' for value in values))
    assert column_types(tmp_path / "t.jsonl") == {"value": kind}
    found = [fit(row.values["value"], kind) for row in read_rows(tmp_path / "t.jsonl")]
    assert found == fitted
    pa.array(found, kind)


def test_text_that_is_no_utf8_is_marked_wherever_it_stands(tmp_path: Path) -> None:
    text = pa.array([b"good", b"b\xffd"]).cast(pa.binary()).view(pa.string())
    nested = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), text)
    pq.write_table(pa.table({"text": text, "nested": nested}), tmp_path / "t.parquet")
    rows = [row.values for row in read_rows(tmp_path / "t.parquet")]
    assert rows[0] == {"text": "good", "nested": ["good"]}
    assert rows[1]["text"] == "b\udcffd"
    with pytest.raises(UnicodeEncodeError):
        str(rows[1]["nested"]).encode()


def test_parquet_rows_from_any_start(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(25)}), tmp_path / "t.parquet", row_group_size=10)
    for start in (0, 1, 9, 10, 24, 25):
        rows = list(read_parquet(tmp_path / "t.parquet", start))
        assert [(row.number, row.values["n"]) for row in rows] == [(n + 1, n) for n in range(start, 25)]


def test_a_damaged_row_group_loses_its_own_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"text": [f"{n:05d}" * 40 for n in range(30)]})
    pq.write_table(table, path, row_group_size=10, use_dictionary=False, compression="snappy")
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    rows = list(read_parquet(path))
    assert [row.number for row in rows] == list(range(1, 31))
    assert [row.problem is None for row in rows] == [True] * 10 + [False] * 10 + [True] * 10
    assert [row.number for row in read_parquet(path, 14)] == list(range(15, 31))


class _Footer:
    """A footer that says what a hostile one may."""

    def __init__(self, rows: int, *groups: int) -> None:
        self.num_rows, self.num_row_groups, self._groups = rows, len(groups), groups

    def row_group(self, number: int) -> "_Footer":
        return _Footer(self._groups[number])


@pytest.mark.parametrize("footer", [(10**12, 10**12), (5, 4), (5, 6, -1), (5,), (-1, -1)], ids=str)
def test_a_footer_that_promises_what_is_not_there_is_refused(footer: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="its footer is damaged"):
        check_footer(_Footer(*footer), 2000)
    check_footer(_Footer(30, 10, 20), 2000)


def test_no_parquet_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("text")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        column_types(tmp_path / "t.parquet")


def test_types_that_every_shard_can_share() -> None:
    assert plain_type(pa.dictionary(pa.int32(), pa.large_string())) == TEXT
    assert plain_type(pa.large_list(pa.large_binary())) == pa.list_(pa.binary())
    assert plain_type(pa.struct([("a", pa.null()), ("b", pa.string_view())])) == pa.struct(
        [("a", TEXT), ("b", TEXT)]
    )
