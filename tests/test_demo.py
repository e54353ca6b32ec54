"""`recapdata demo` as a newcomer runs it, on few pictures: every stage, and what it leaves behind."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from recapdata.demo import MARKER, run_demo
from recapdata.errors import OptionError

SCENES = 100


slow = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo"
    code = "from recapdata.cli import main; main()"
    words = ["demo", "--out", str(out), "--scenes", str(SCENES), "--steps", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out, json.loads(done.stdout), done.stderr


@slow
@pytest.mark.timeout(3600)
def test_both_versions_come_back_whole(demo):
    _, summary, _ = demo
    assert summary["rows"] == {"v1.0.0": SCENES, "v1.1.0": SCENES}
    assert summary["samples"] == SCENES
    assert len(set(summary["commits"].values())) == 2


@slow
def test_the_captions_say_more_than_the_alt_text(demo):
    figures = demo[1]["figures"]
    assert set(figures) == {"alt", "recap-short", "recap-long"}
    for name in ("recap-short", "recap-long"):
        assert figures[name]["claims per caption"] > 2 * figures["alt"]["claims per caption"]
        assert figures[name]["object recall"] > figures["alt"]["object recall"]


@slow
def test_every_artefact_stays_in_the_folder(demo):
    out, _, _ = demo
    assert (out / "model" / "model_index.json").is_file()
    assert (out / "dataset" / "recapdata.yaml").is_file()
    assert len(list((out / "logs").iterdir())) >= 9
    assert (out / MARKER).exists()


@slow
def test_the_report_is_self_contained(demo):
    out, summary, _ = demo
    page = (out / "report.html").read_text(encoding="utf8")
    sources: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            sources.extend(value for name, value in attrs if name in ("src", "href") and value[0] != "#")

    Reader().feed(page)
    assert len(sources) >= 24
    assert all(source.startswith("data:") for source in sources)
    assert set(summary["glance"]) == {"alt", "recap-short", "recap-long"}
    precision = summary["figures"]["recap-long"]["object precision"]
    assert summary["glance"]["recap-long"]["object precision"].startswith(f"{100 * precision:.1f} %")


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OptionError, match="not empty"):
        run_demo(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    with pytest.raises(OptionError, match="is no folder"):
        run_demo(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "precious"
