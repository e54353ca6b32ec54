"""Comparisons of audited sets and versions: figures that can be derived by hand, pairs by key, and what may not be compared."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from audits.comparison import compare, compare_versions
from audits.comparison.pairing import short_keys, weights
from audits.runner.run import run
from audits.summary import REPLICATES
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import AuditNotFound, CaptionSetNotFound
from recapdata.records import Object, image_key
from tests.audits.models import save_small_clip
from tests.builders import add_set, build_dataset, png, write_captions
from tests.console import run_command, succeed

AUDITS = Path(sys.executable).with_name("audits")
STAR = Object(bbox=(0, 0, 4, 4), category="star")
HEART = Object(bbox=(0, 0, 4, 4), category="heart")
OBJECTS = [[STAR], [STAR], [STAR], [HEART], [HEART], [HEART]]
SHORT = ["a star", "a star", "a star", "a heart", "a heart", None]
# Two wrong objects, and one more color claim; the last caption has no partner.
LONG = ["a red star", "a heart", "a star", "a star", "a heart", "a heart"]


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(tmp_path / "ds", sets={"short": SHORT, "long": LONG}, objects=OBJECTS)


def figure(comparison, name):
    return next(each for each in comparison.figures if each.name == name)


def test_differences_by_hand(folder: DatasetFolder) -> None:
    run(folder.path, evidence=["annotations"])
    found = compare(folder.path, "short", set_b="long")
    (each,) = found.sets
    assert (each.pairs, each.only, each.without) == (5, (0, 0), (1, 0))
    color = figure(found, "color coverage")
    assert (color.a.value, color.b.value, color.difference) == (0, pytest.approx(1 / 5), pytest.approx(1 / 5))
    assert color.low <= 1 / 5 <= color.high
    precision = figure(found, "object precision")  # 5 of 5 against 3 of 5
    assert precision.difference == pytest.approx(-2 / 5)
    assert figure(found, "claims per caption").difference == pytest.approx(1 / 5)
    assert figure(found, "object coverage").verdict == "no difference"


def test_a_set_against_itself_differs_in_nothing(folder: DatasetFolder) -> None:
    run(folder.path, evidence=["annotations"])
    found = compare(folder.path, "long", set_b="long")
    assert found.sets[0].pairs == 6
    assert {each.difference for each in found.figures} == {0.0}
    assert {each.verdict for each in found.figures} == {"no difference"}
    assert found.rows == ()


def test_pairing_finds_what_intervals_apart_would_not(tmp_path: Path) -> None:
    """Forty captions of very different lengths, each one word longer in the other set: sure in pairs, lost in the spread."""
    short = [" ".join(["star"] * (1 + row)) for row in range(40)]
    long = [f"{text} star" for text in short]
    folder = build_dataset(tmp_path / "ds", rows=40, shard_rows=40, sets={"short": short, "long": long})
    run(folder.path)
    found = compare(folder.path, "short", set_b="long")
    claims = figure(found, "words (median)")
    assert not claims.a.apart(claims.b)
    assert (claims.difference, claims.low, claims.high) == (1, 1, 1)
    assert claims.verdict == "different"


def test_rows_that_changed_most(folder: DatasetFolder) -> None:
    run(folder.path, evidence=["annotations"])
    found = compare(folder.path, "short", set_b="long", rows=5)
    worse = [row for row in found.rows if row.direction == "worse"]
    assert {row.key for row in worse} == {image_key(png(1)), image_key(png(3))}
    row = next(row for row in worse if row.key == image_key(png(1)))
    assert (row.a.caption, row.b.caption) == ("a star", "a heart")
    assert row.now_wrong == ("heart (annotations: no heart)",)
    assert row.no_longer_wrong == ()
    back = compare(folder.path, "long", set_b="short", rows=1)
    assert [(row.direction, row.no_longer_wrong) for row in back.rows] == [("better", worse[0].now_wrong)]


def test_without_evidence_rows_are_ranked_by_length(folder: DatasetFolder) -> None:
    run(folder.path)
    (row,) = compare(folder.path, "short", set_b="long").rows
    assert (row.direction, row.key, row.what()) == ("changed", image_key(png(0)), ["2 → 3 words"])


def test_versions_are_paired_by_key_in_any_order(tmp_path: Path) -> None:
    """The other folder lacks a picture, has a new one, and holds the rest backwards."""
    before = build_dataset(tmp_path / "before", sets={"alt": [*SHORT[:5], "a heart"]}, objects=OBJECTS)
    pictures = [png(7), *(png(index) for index in (5, 4, 3, 2, 1))]
    captions = ["a star", "a heart", "a red heart", "a heart", "a star", "a star"]
    after = build_dataset(tmp_path / "after", images=pictures, sets={"alt": captions}, objects=OBJECTS[::-1])
    for each in (before, after):
        run(each.path, evidence=["annotations"])
    found = compare_versions(before.path, after.path)
    assert (found.sets[0].pairs, found.sets[0].only) == (5, (1, 1))
    changed = figure(found, "color coverage")
    assert (changed.a.value, changed.b.value) == (0, pytest.approx(1 / 5))
    assert figure(found, "object coverage").difference == 0
    # The picture that the annotations of the second folder call a heart (its reversed objects) is not at issue here.
    assert {row.key for row in found.rows} <= {image_key(png(index)) for index in range(1, 6)}


def test_weights_follow_the_key() -> None:
    keys = pa.array([image_key(png(index)) for index in range(2000)])
    batch = pa.record_batch([keys], names=["key"])
    drawn = weights(batch)
    assert drawn.shape == (2000, 1 + REPLICATES)
    assert (drawn[:, 0] == 1).all()
    assert np.array_equal(weights(batch.slice(1500, 10)), drawn[1500:1510])
    # Poisson(1): mean and variance 1 within 4 standard errors (sd of the variance estimate: sqrt(3) / sqrt(n)).
    n = drawn[:, 1:].size
    assert abs(drawn[:, 1:].mean() - 1) < 4 / n**0.5
    assert abs(drawn[:, 1:].var() - 1) < 4 * 3**0.5 / n**0.5
    assert int(short_keys(keys)[3]) == int(image_key(png(3))[:16], 16)


def test_other_models_are_not_compared(folder: DatasetFolder, tmp_path: Path) -> None:
    one, other = (str(save_small_clip(tmp_path / name, seed)) for seed, name in enumerate(("one", "other")))
    run(folder.path, captions=["short"], clip=one, evidence=["annotations"])
    run(folder.path, captions=["long"], clip=other)
    found = compare(folder.path, "short", set_b="long")
    score = figure(found, "CLIP score")
    assert score.difference is None
    assert score.verdict == "not compared"
    assert "one@" in score.reason
    assert "other@" in score.reason
    assert figure(found, "claims per caption").difference is not None
    assert figure(found, "object precision").b is None  # the second was not judged at all
    assert "not compared: CLIP score" in found.text()
    assert {row.direction for row in found.rows} <= {"changed", "worse", "better"}


def test_errors_name_the_command(folder: DatasetFolder) -> None:
    with pytest.raises(AuditNotFound, match=r"audits run .* --captions short"):
        compare(folder.path, "short", set_b="long")
    run(folder.path)
    write_captions(folder, "long", 1, folder.read_keys(1), ["a bird", "two birds"])
    with pytest.raises(AuditNotFound, match="have changed since their audit"):
        compare(folder.path, "short", set_b="long")
    with pytest.raises(CaptionSetNotFound, match="short, long"):
        compare(folder.path, "short", set_b="nope")


def test_command(folder: DatasetFolder, tmp_path: Path) -> None:
    run(folder.path, evidence=["annotations"])
    command = ["audits", "compare", folder.path, "short", "long"]
    values = json.loads(succeed(*command, "--json"))
    assert values["sets"][0]["pairs"] == 5
    assert {each["verdict"] for each in values["sets"][0]["figures"]} <= {
        "better",
        "worse",
        "different",
        "no difference",
        "not compared",
    }
    assert "Changed most for the worse" in succeed(*command)
    wrong = run_command("audits", "compare", folder.path, "short")
    assert wrong.returncode == 1
    assert "name the other one too" in wrong.stderr


def test_published_versions(hub, repo_id: str, folder: DatasetFolder, tmp_path: Path) -> None:
    """A version with its audit published, and one audited into a folder of its own."""
    publish = ["recapdata", "publish", folder.path, repo_id, "--license", "cc0-1.0"]
    run(folder.path, evidence=["annotations"])
    succeed(*publish, "--version", "1.0.0", "--yes")
    add_set(folder, "extra", LONG)
    write_captions(folder, "long", 0, folder.read_keys(0), ["a red star", "a star", "a star", "a heart"])
    run(folder.path, evidence=["annotations"])
    succeed(*publish, "--version", "1.1.0", "--yes")
    found = compare_versions(f"{repo_id}@v1.0.0", f"{repo_id}@v1.1.0")
    assert [each.sets for each in found.sets] == [("short", "short"), ("long", "long")]
    assert found.left_out == ("extra",)
    changed = next(each for each in found.sets[1].figures if each.name == "object precision")
    assert changed.difference == pytest.approx(2 / 6)  # two of six objects were wrong
    out = tmp_path / "audit"
    run(open_dataset(f"{repo_id}@v1.1.0"), evidence=["annotations"], out=out)
    again = compare(f"{repo_id}@v1.0.0", "long", f"{repo_id}@v1.1.0", audits=(None, out))
    assert again.figures == found.sets[1].figures
