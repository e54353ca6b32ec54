"""The page of an evaluation: which prompts stand side by side, hostile ones, the same bytes, and in a real Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recapdata.errors import OptionError
from recaptrain.evaluation.evaluations import EvaluateSummary
from recaptrain.evaluation.reporting.grids import FOLDED, LONGEST, folded
from recaptrain.evaluation.run import evaluate
from recaptrain.evaluation.settings import EvaluateSettings
from tests.audits.reporting.conftest import ARABIC, ENDLESS, LONG, SCRIPT
from tests.audits.reporting.test_browser import CHROMIUM, FLAGS, WIDER
from tests.recaptrain.evaluation.test_run import BRIGHTNESS, generated

HOSTILE = {"a": SCRIPT, "b": ARABIC, "c": ENDLESS, "d": LONG}


def write(folder: Path, grays: dict[str, int | None], model: str = "m") -> Path:
    """Pictures of one gray each for prompts of every kind that a page could break on."""
    generated(folder, grays)
    lines = (folder / "metadata.jsonl").read_text(encoding="utf8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["original"] = f"bright {HOSTILE.get(row['prompt_id'], row['prompt_id'])}"
        row["read"] = f"{row['original']}, in other words"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    (folder / "generation.json").write_text(json.dumps({"model": model}), encoding="utf8")
    return folder


def run(*sources: object, out: Path, **options: object) -> EvaluateSummary:
    given = {"metrics": (BRIGHTNESS,), "out": str(out), "report": str(out / "page.html"), **options}
    return evaluate([str(each) for each in sources], EvaluateSettings(**given))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints and a baseline; by brightness they lie 9, 8, … apart from prompt a on; one picture cannot be decoded."""
    root = tmp_path_factory.mktemp("runs")
    names = "abcdefghi"
    base = write(root / "base", {**dict.fromkeys(names, 100), "a-1": 100, "i": None})
    near = write(
        root / "near",
        {**{name: 109 - number for number, name in enumerate(names)}, "a-1": 109},
        "runs/recap/step-10",
    )
    far = write(root / "far", {**dict.fromkeys(names, 100), "a-1": 100}, "runs/recap/step-20")
    run(f"baseline={base}", f"r<b>10={near}", f"r20={far}", out=root / "out")
    return root / "out" / "page.html"


def test_most_different_prompts_come_first_and_the_rest_by_chance(page: Path) -> None:
    text = page.read_text(encoding="utf8")
    most, chance = text.index("Most different by brightness</h2>"), text.index("By chance</h2>")
    order = [text.index(f'<code title="{name}">') for name in "abcdef"]
    assert order == sorted(order)
    assert most < order[0]
    assert order[-1] < chance
    assert {name for name in "ghi" if text.index(f'<code title="{name}">') > chance} == {"g", "h", "i"}


def test_hostile_prompts_stay_text(page: Path) -> None:
    text = page.read_text(encoding="utf8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<img src='https" not in text
    assert "r&lt;b&gt;10" in text
    assert "no picture: NotAnImage" in text
    assert "<bdi>bright نجمة" in text


def test_the_same_command_gives_the_same_page(page: Path, tmp_path: Path) -> None:
    folder = page.parent.parent
    again = run(
        f"baseline={folder / 'base'}",
        f"r<b>10={folder / 'near'}",
        f"r20={folder / 'far'}",
        out=page.parent,
        report=str(tmp_path / "new" / "page.html"),
    )
    assert (tmp_path / "new" / "page.html").read_bytes() == page.read_bytes()
    assert again.report == str(tmp_path / "new" / "page.html")
    assert f"page: {again.report}" in again.text()


def test_of_one_run_the_worst_come_first(tmp_path: Path) -> None:
    """Brightness is better the higher: of 10, 30, 20 the darkest first."""
    folder = write(tmp_path / "p", {"x": 10, "y": 30, "z": 20})
    run(folder, out=tmp_path / "out")
    text = (tmp_path / "out" / "page.html").read_text(encoding="utf8")
    x, z, y = (text.index(f'<code title="{name}">') for name in "xzy")
    assert text.index("Worst by brightness</h2>") < x < z < y
    assert "By chance" not in text


def test_runs_without_a_prompt_in_common_are_not_set_side_by_side(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", {"x": 10}), write(tmp_path / "b", {"y": 30})
    run(one, other, out=tmp_path / "out")
    text = (tmp_path / "out" / "page.html").read_text(encoding="utf8")
    assert "No prompts stand here side by side" in text
    assert "b and a are not compared by brightness: other prompts" in text


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", {"x": 10})
    with pytest.raises(OptionError, match=r"is a folder; name the file in it"):
        run(folder, out=tmp_path / "out", report=str(tmp_path))
    with pytest.raises(OptionError, match="is a file; name a folder"):
        run(folder, out=tmp_path / "out", report=str(folder / "x.png" / "page.html"))
    assert not (tmp_path / "out").exists()


def test_a_long_prompt_is_folded_and_ends() -> None:
    text = folded("x" * (LONGEST + 5))
    assert (len(text.head), len(text.head + text.tail), text.beyond) == (FOLDED, LONGEST, 5)
    assert folded("short").tail == ""


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
def test_nothing_is_broken_in_a_browser(browser: Any, page: Path) -> None:
    asked: list[str] = []
    said: list[str] = []
    for width in (400, 1400):
        view = browser.new_page(viewport={"width": width, "height": 900})
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("dialog", lambda dialog: said.append(dialog.message))
        view.goto(page.as_uri())
        assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert view.evaluate(WIDER) == []
        pictures = view.evaluate("[...document.images].map(each => [each.complete, each.naturalWidth > 0])")
        assert len(pictures) == 29  # nine prompts of three runs, one of them of two pictures, one not decoded
        assert all(all(each) for each in pictures)
        assert view.locator("#curves svg circle").count() == 2
        assert view.locator("#table tbody tr").count() == 3
    assert [each for each in asked if not each.startswith("data:")] == [page.as_uri()] * 2
    assert said == []
