"""The Python API: `import audits` is light, and its tables say the same as the files."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import audits
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import OptionError
from recapdata.records import Object, image_key
from tests.builders import build_dataset, png

STAR = Object(bbox=(0, 0, 4, 4), category="star")
HEART = Object(bbox=(4, 4, 4, 4), category="heart")
SHORT = ["a star", "a star", "a heart", None, "two stars", "a star"]
LONG = ["a red star", "a heart", "a star", "a star", "a star", "The image shows a star."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    path = tmp_path_factory.mktemp("api") / "ds"
    return build_dataset(path, sets={"short": SHORT, "long": LONG}, objects=[[STAR]] * 5 + [[STAR, HEART]])


@pytest.fixture(scope="module")
def audit(folder: DatasetFolder) -> audits.Audit:
    return audits.run(folder.path, evidence=["annotations"])


def test_import_is_light() -> None:
    probe = (
        "import time; began = time.perf_counter(); import audits; took = time.perf_counter() - began; import sys;"
        "print(took, [name for name in ('pandas', 'pyarrow', 'numpy', 'spacy', 'torch') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split(" ", 1)
    assert said[1].strip() == "[]"
    with pytest.raises(AttributeError, match="nope"):
        audits.nope  # noqa: B018


def test_figures(audit: audits.Audit) -> None:
    table = audit.figures.set_index(["set", "figure"])
    assert set(table.index.get_level_values("set")) == {"short", "long"}
    row = table.loc["short", "object precision"]
    assert (row["value"], row["unit"], row["better"], row["n"]) == (
        pytest.approx(4 / 5),
        "share",
        "higher",
        5,
    )
    assert row["low"] <= row["value"] <= row["high"]


def test_captions(audit: audits.Audit) -> None:
    table = audit.captions
    assert list(table["key"][:6]) == [image_key(png(index)) for index in range(6)]
    assert list(table.columns)[:4] == ["key", "source", "set", "caption"]
    sources = next(audit.target.read(0, ["source"])).column("source").to_pylist()
    assert list(table["source"][: len(sources)]) == sources
    assert all(sources)
    assert list(table["set"]) == ["short"] * 6 + ["long"] * 6
    short = table[table["set"] == "short"]
    assert list(short["caption"][:3]) == SHORT[:3]
    assert list(short["words"]) == [2, 2, 2, pd.NA, 2, 2]
    assert table["words"].dtype == pd.Int32Dtype()
    assert short["caption"].isna().tolist() == [False, False, False, True, False, False]
    assert short["contradicted"].fillna(-1).tolist() == [0, 0, 1, -1, 1, 0]  # two stars of one
    assert short["claims_object"].fillna(-1).tolist() == [1, 1, 1, -1, 1, 1]
    assert table.loc[11, "flags"].tolist() == ["boilerplate"]
    assert table["clip_score"].isna().all()


def test_claims(audit: audits.Audit) -> None:
    table = audit.claims
    assert len(table) == audit.captions["claims"].sum()
    named = audit.captions.set_index(["key", "set"])["source"]
    assert table["source"].tolist() == [
        named[key, name] for key, name in zip(table["key"], table["set"], strict=True)
    ]
    wrong = table[(table["verdict"] == "contradicted") & (table["set"] == "short")]
    assert wrong[["kind", "object", "words"]].values.tolist() == [
        ["object", "heart", "heart"],
        ["count", "star", "two stars"],
    ]
    color = table[table["kind"] == "color"].iloc[0]
    assert (color["key"], color["start"], color["end"], color["words"]) == (
        image_key(png(0)),
        2,
        10,
        "red star",
    )


def test_compare(audit: audits.Audit, folder: DatasetFolder) -> None:
    difference = audits.compare(folder.path, "short", "long")
    table = difference.figures.set_index("figure")
    assert table.loc["color coverage", "difference"] == pytest.approx(1 / 5)
    assert table.loc["color coverage", "verdict"] == "no difference"
    worse = difference.rows[difference.rows["direction"] == "worse"]
    assert worse["key"].tolist() == [image_key(png(1))]
    named = audit.captions.set_index("key")["source"]
    assert worse["source"].tolist() == [named[image_key(png(1))].iloc[0]]
    assert f"{image_key(png(1))[:12]}  {worse['source'].iloc[0]}" in difference.text()
    assert worse[["contradicted_a", "contradicted_b"]].values.tolist() == [[0, 1]]
    assert worse.iloc[0]["now_wrong"] == ["heart (annotations: no heart)"]
    with pytest.raises(OptionError, match="long are named already"):
        audits.compare(folder.path, "short", "long", sets="short")
    versions = audits.compare(folder.path, folder.path)
    assert versions.figures["difference"].abs().max() == 0
    assert versions.rows.empty


def test_report(audit: audits.Audit, tmp_path: Path) -> None:
    assert audit.report(tmp_path / "page.html").read_text().startswith("<!doctype html>")
