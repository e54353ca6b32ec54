"""A dataset that a page could break on: markup, other scripts, endless words and captions, a missing caption, long names."""

from pathlib import Path

import pytest

from audits.reporting import write_report
from audits.runner.run import run
from recapdata.records import Object
from tests.builders import build_dataset, noise_jpeg, png

SCRIPT = (
    "A star <script>alert(1)</script> & \"a heart\" <img src='https://example.com/x.png' onerror='alert(2)'>"
)
ARABIC = "نجمة حمراء (star) فوق قلب أزرق!"
ENDLESS = "A heart on a " + "W" * 500 + "."
LONG = "A red star is above a blue heart. " * 20 + ("W" * 99 + " ") * 210 + "A heart."
STAR = Object(bbox=(1, 1, 3, 3), category="star", color="red")
HEART = Object(bbox=(30, 20, 60, 30), category="heart")
SETS = {
    "alt": [SCRIPT, ARABIC, ENDLESS, LONG, None, "two hearts"],
    "a-set-with-a-name-that-is-longer-than-any-column-of-a-phone": ["A star."] * 6,
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six records, audited with evidence."""
    path = tmp_path_factory.mktemp("report") / "ds"
    images = [
        png(0),
        noise_jpeg(1, (640, 480)),
        noise_jpeg(2, (300, 900)),
        png(3),
        png(4),
        noise_jpeg(5, (900, 200)),
    ]
    build_dataset(
        path, images=images, sets=SETS, objects=[[STAR], [HEART], [HEART, STAR], [STAR], [], [HEART] * 9]
    )
    run(path, evidence=["annotations"])
    return path


@pytest.fixture(scope="session")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(folder, out)
    return out
