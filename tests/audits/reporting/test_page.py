"""The report's parts without a browser: what is chosen, cut and drawn, and that a page is the same at every run."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audits.audited import open_audit
from audits.corrections import Correction, add_correction
from audits.reporting import write_report
from audits.reporting.boxes import LETTERS, boxes
from audits.reporting.charts import HEIGHT, NAMES, TEXTS, WIDTH, histograms, panels
from audits.reporting.gallery import LONGEST, exchanged, limit
from audits.reporting.pictures import thumbnail
from audits.reporting.survey import survey
from audits.runner.run import run
from recapdata.dataset.target import open_dataset
from recapdata.errors import AuditNotFound
from recapdata.records import Object, image_key
from recapdata.versions.figures import FigureValue
from tests.builders import add_set, build_dataset, noise_jpeg, png, write_captions
from tests.console import succeed

AUDITS = Path(sys.executable).with_name("audits")


# --- captions ------------------------------------------------------------------------------------------------------------


def test_a_lie_is_told_by_what_it_exchanges() -> None:
    assert exchanged("A star above a heart.", "A star below a heart.") == "“below” for “above”"
    assert exchanged("red star", "green star") == "“green” for “red”"
    assert exchanged("a dog", "a golden cat") == "“golden cat” for “dog”"


# --- drawings ------------------------------------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_share() -> None:
    half = FigureValue(value=0.5, low=0.25, high=1.0, unit="share", n=100)
    (panel,) = panels(["x", "unknown"], {"one": {"x": half}, "other": {}})
    (bar,) = panel.bars
    room = WIDTH - NAMES - TEXTS
    assert (bar.x, bar.low, bar.high) == (NAMES + room / 2, NAMES + room / 4, NAMES + room)
    assert bar.text == "50.0"


def test_histogram_by_hand() -> None:
    counts = np.zeros(200, int)
    counts[[10, 20]] = [1, 3]
    counts[100] = 4
    (found,) = histograms({"one": counts}, "tokens", (77, "no further"))
    assert sum(column.height > 0 for column in found.columns) == 3
    assert max(column.height for column in found.columns) == HEIGHT
    assert [column.height for column in found.columns if column.height] == pytest.approx(
        [HEIGHT / 4, HEIGHT * 3 / 4, HEIGHT], abs=0.1
    )
    assert [column.beyond for column in found.columns if column.height] == [False, False, True]
    assert found.median[1] == "median 20"
    assert found.mark is not None
    at_77 = next(column for column in found.columns if column.beyond)
    assert found.mark[0] <= at_77.x + 0.2
    assert histograms({"none": np.zeros(10, int)}, "words") == []


def test_names_in_a_picture_do_not_hide_each_other() -> None:
    seen = [Object(bbox=(x, 50, 40, 30), category="refrigerator").to_dict() for x in range(0, 60, 4)]
    found = boxes(seen, [], (200, 100))
    labels = [each.label for each in found if each.label]
    assert 1 < len(labels) < len(found)
    height = 200 / LETTERS
    for number, one in enumerate(labels):
        for other in labels[number + 1 :]:
            assert (
                abs(one.y - other.y) >= height
                or abs(one.x - other.x) >= height * 0.68 * len("refrigerator") - 0.2
            )


def test_a_box_is_missed_only_if_no_caption_speaks_of_it() -> None:
    seen = [Object(bbox=(0, 0, 4, 4), category=name).to_dict() for name in ("star", "heart")]
    audits = [{"scores": {"missed": ["star", "heart"]}}, {"scores": {"missed": ["heart"]}}]
    assert [each.missed for each in boxes(seen, audits, (8, 8))] == [False, True]
    assert [each.missed for each in boxes(seen, [*audits, {"scores": {"missed": None}}], (8, 8))] == [
        False,
        False,
    ]


def test_thumbnails_fit_their_budget() -> None:
    photo = noise_jpeg(1, (1200, 800))
    large, small = thumbnail(photo, 200_000), thumbnail(photo, 20_000)
    assert len(small.url) <= 20_000 < len(large.url) <= 200_000
    assert (large.width, large.height) == (1200, 800)
    tiny = png(1)
    assert thumbnail(tiny, 200_000).drawn
    assert thumbnail(b"no picture", 1000).error.startswith("NotAnImage")
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(turned, "JPEG", exif=exif)
    assert (thumbnail(turned.getvalue(), 10_000).width, thumbnail(turned.getvalue(), 10_000).height) == (
        20,
        40,
    )


# --- rows ----------------------------------------------------------------------------------------------------------------


def test_the_worst_rows_stand_first(tmp_path: Path) -> None:
    star, heart = Object(bbox=(0, 0, 4, 4), category="star"), Object(bbox=(0, 0, 4, 4), category="heart")
    captions = [
        "A star.",
        "A heart and a heart.",
        "A star and a star",
        "The image shows a star.",
        None,
        "A star.",
    ]
    folder = build_dataset(
        tmp_path / "ds",
        sets={"alt": captions},
        objects=[[star], [star], [heart], [star], [star], [star, heart]],
    )
    run(folder.path, evidence=["annotations"])
    audited = open_audit(open_dataset(folder.path), "alt")
    found = survey(audited, worst=4, random=3, seed=0, advance=lambda n: None)
    # Contradicted (two rows), then flagged, then with something left unsaid; of the rest nothing is wrong.
    keys = [row.key for row in found.worst]
    assert set(keys[:2]) == {image_key(png(1)), image_key(png(2))}
    assert keys[2:] == [image_key(png(3)), image_key(png(5))]
    assert [(row.shard, row.place) for row in found.worst[2:]] == [(0, 3), (1, 1)]
    assert found.flags == {"boilerplate": 1}
    assert found.words.sum() == 5
    assert len({row.key for row in found.random}) == 3
    other = survey(audited, worst=0, random=3, seed=1, advance=lambda n: None)
    assert {row.key for row in other.random} != {row.key for row in found.random}


# --- pages ---------------------------------------------------------------------------------------------------------------


def test_the_same_audit_gives_the_same_bytes(folder: Path, page: Path, tmp_path: Path) -> None:
    again = write_report(folder, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert again.bytes == len(page.read_bytes())
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page.read_text()


def test_a_page_stays_within_its_size(folder: Path, tmp_path: Path) -> None:
    large = write_report(folder, tmp_path / "large.html")
    small = write_report(folder, tmp_path / "small.html", max_bytes=250_000)
    assert small.bytes < 250_000 < large.bytes
    # Of captions of 10, 20 and 90 code points, 60 are left where the last is cut to 30.
    assert limit([90, 10, 20], 60) == 30
    assert limit([90, 10, 20], 120) == LONGEST


def test_agreement_with_people_is_said(tmp_path: Path) -> None:
    star = Object(bbox=(0, 0, 4, 4), category="star")
    folder = build_dataset(tmp_path / "ds", sets={"alt": ["a star"] * 6}, objects=[[star]] * 6)
    run(folder.path, evidence=["annotations"])
    write_report(folder.path, tmp_path / "before.html")
    assert "people agree" not in (tmp_path / "before.html").read_text()
    for index in range(4):
        correction = Correction(
            key=image_key(png(index)),
            set_name="alt",
            kind="object",
            span=(2, 6),
            claim={"object": "star"},
            verdict="supported",
            right=index > 0,
            sample=True,
            date="2026-01-01T00:00:00+00:00",
        )
        add_correction(folder.path, correction)
    write_report(folder.path, tmp_path / "after.html")
    assert "75.0 % (30.1–95.4) of 4 verdicts" in (tmp_path / "after.html").read_text()


def test_what_is_not_on_the_page_is_said(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds", sets={"alt": ["a star"] * 6, "long": ["a long star"] * 6})
    with pytest.raises(AuditNotFound, match="audits run"):
        write_report(folder.path, tmp_path / "page.html")
    run(folder.path)
    write_captions(folder, "long", 1, folder.read_keys(1), ["a bird", "two birds"])
    add_set(folder, "new", ["a new star"] * 6)
    summary = write_report(folder.path, tmp_path / "page.html")
    assert summary.sets == ["alt"]
    assert set(summary.left_out) == {"long", "new"}
    text = (tmp_path / "page.html").read_text()
    assert "have changed since their audit" in text
    assert "no claim was checked against its image" in text


def test_command_on_a_published_version(hub, repo_id: str, folder: Path, page: Path, tmp_path: Path) -> None:
    succeed("recapdata", "publish", folder, repo_id, "--license", "cc0-1.0", "--version", "1.0.0", "--yes")
    out = tmp_path / "page.html"
    summary = json.loads(succeed("audits", "report", f"{repo_id}@v1.0.0", out, "--json"))
    assert summary["pictures"] > 6
    text = out.read_text()
    assert open_dataset(f"{repo_id}@v1.0.0").commit in text
    # Beyond its head it is the page of the folder that was published.
    assert text[text.index("<main>") :] == page.read_text()[page.read_text().index("<main>") :]
