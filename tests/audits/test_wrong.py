"""The captions with a wrong claim, as a table: `audits wrong`, `Audit.wrong`, `Audit.export_wrong`."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import audits
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import AuditNotFound, CaptionSetNotFound, OptionError
from recapdata.records import Object, image_key
from tests.builders import build_dataset, png

STAR = Object(bbox=(0, 0, 4, 4), category="star")
SHORT = [
    "a star",
    "=HYPERLINK(1) a heart",
    None,
    "two stars, one of them \u2028red; and a heart",
    "a star",
    "-5 hearts",
]
LONG = ["a star"] * 6


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(
        tmp_path / "ds",
        sets={"short": SHORT, "long": LONG},
        objects=[[STAR], [STAR], [STAR], [STAR], [], []],
    )


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_the_file_beside_the_key_and_what_is_wrong(
    folder: DatasetFolder, tmp_path: Path
) -> None:
    audit = audits.run(folder.path, evidence=["annotations"])
    summary = audits.wrong(folder.path, tmp_path / "wrong.csv")
    rows = read(tmp_path / "wrong.csv")
    assert list(rows[0]) == ["key", "source", "set", "caption", "contradicted", "wrong", "left_out", "flags"]
    # The builder calls its records after their rows; a heart, which no annotator looked for, is not judged.
    assert [(row["key"], row["set"], row["wrong"]) for row in rows] == [
        (image_key(png(3)), "short", "2 stars (annotations: 1 star)"),
        (image_key(png(4)), "short", "star (annotations: no star)"),
        (image_key(png(4)), "long", "star (annotations: no star)"),
        (image_key(png(5)), "long", "star (annotations: no star)"),
    ]
    record = next(audit.target.read(0, ["source"])).column("source")[3].as_py()
    assert record
    assert rows[0]["source"] == record
    assert rows[0]["caption"] == SHORT[3]
    assert summary.rows == {"short": 2, "long": 2}
    assert audit.wrong["key"].tolist() == [row["key"] for row in rows]
    assert audit.wrong["contradicted"].tolist() == [1, 1, 1, 1]
    audit.export_wrong(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "wrong.csv").read_bytes()
    assert pd.read_csv(tmp_path / "wrong.csv")["set"].tolist() == ["short", "short", "long", "long"]


def _stated(captions: Sequence[str], tmp_path: Path) -> list[dict[str, str]]:
    path = build_dataset(
        tmp_path / "ds",
        rows=len(captions),
        sets={"alt": captions},
        objects=[[]] * (len(captions) - 1) + [[STAR]],
    ).path
    audits.run(path, evidence=["annotations"])
    audits.wrong(path, tmp_path / "wrong.csv")
    return read(tmp_path / "wrong.csv")


def test_a_caption_is_no_formula(tmp_path: Path) -> None:
    captions = ["=1+1 a star", "+1 a star", "-1 a star", "@x a star", "\ta star", "a star = 1", "a star"]
    stated = [row["caption"] for row in _stated(captions, tmp_path)]
    assert stated == ["'=1+1 a star", "'+1 a star", "'-1 a star", "'@x a star", "'\ta star", "a star = 1"]


def test_sets_can_be_named_and_what_cannot_be_written_is_said(folder: DatasetFolder, tmp_path: Path) -> None:
    out = tmp_path / "wrong.csv"
    with pytest.raises(AuditNotFound, match=r"short of .* has not been audited; run: audits run"):
        audits.wrong(folder.path, out)
    audits.run(folder.path, evidence="annotations", captions="long")
    assert audits.wrong(folder.path, out).rows == {"long": 2}  # what was judged
    with pytest.raises(AuditNotFound, match=r"short of .* has not been audited"):
        audits.wrong(folder.path, out, captions=["short"])
    with pytest.raises(
        CaptionSetNotFound, match=r"no caption set 'shrt' \(did you mean short\?\); it has short, long"
    ):
        audits.wrong(folder.path, out, captions=["shrt"])
    with pytest.raises(OptionError, match="is a folder; name the file in it"):
        audits.wrong(folder.path, tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_without_evidence_nothing_is_wrong(folder: DatasetFolder, tmp_path: Path) -> None:
    audit = audits.run(folder.path)
    assert audits.wrong(folder.path, tmp_path / "wrong.csv").rows == {"short": 0, "long": 0}
    assert len(read(tmp_path / "wrong.csv")) == 0
    assert list(audit.wrong.columns)[:3] == ["key", "source", "set"]


def test_an_audit_elsewhere_of_a_dataset_without_sources(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds", sets={"alt": ["a star"] * 6}, objects=[[STAR]] * 5 + [[]])
    assert pa.types.is_string(
        next(audits.run(folder.path, out=tmp_path / "o").target.read(0, ["source"]))
        .schema.field("source")
        .type
    )
    audits.run(folder.path, evidence=["annotations"], out=tmp_path / "o")
    assert audits.wrong(folder.path, tmp_path / "w.csv", audit=tmp_path / "o").rows == {"alt": 1}
