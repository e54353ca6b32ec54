"""The rating application in a real Chromium: two raters at once, hostile captions, a reload, a server that is killed, a strange page."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.audits.fiftyone.browser import PATIENCE, TIMEOUT, browsing, needs_browser
from tests.recaptrain.evaluation.humans.folders import ARABIC, COLORS, HOSTILE, LONG, MODELS, write_folder
from tests.recaptrain.evaluation.humans.serving import serving
from tests.recaptrain.evaluation.humans.test_run import invoke
from tests.strange_page import attempts, elsewhere

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, needs_browser, pytest.mark.timeout(TIMEOUT)]
PROMPTS = ["two dogs", HOSTILE, ARABIC, LONG, "x" * 600]
OUTSIDE = """() => [...document.querySelectorAll('body *')].filter(each => each.checkVisibility() && !each.closest('.unseen'))
    .filter(each => { const box = each.getBoundingClientRect(); return box.right > innerWidth + 0.5 || box.left < -0.5; })
    .map(each => each.outerHTML.slice(0, 200))"""
"""Elements that reach beyond the sides of the window."""


@pytest.fixture
def words(tmp_path: Path) -> tuple[Any, ...]:
    folders = [
        write_folder(tmp_path / name, PROMPTS, color=color, size=(512, 512))
        for name, color in zip(MODELS, COLORS[:2], strict=False)
    ]
    return (*folders, "--out", tmp_path / "out", "--ratings", "2")


class Rater:
    """A person at a screen of their own."""

    def __init__(self, page: "Page", address: str, name: str, **screen: Any) -> None:
        assert page.context.browser is not None
        context = page.context.browser.new_context(**screen)
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.goto(address)
        self.page.fill("#name", name)
        self.page.keyboard.press("Enter")
        self.wait()

    def wait(self) -> None:
        """Until a question may be answered."""
        self.page.locator("button.choice:enabled").first.wait_for()
        self.page.wait_for_timeout(250)  # the page takes no answer sooner than a person could have looked

    @property
    def caption(self) -> str:
        return self.page.locator("#caption").text_content() or ""

    def answer(self, act: Any) -> None:
        """Do something that answers, and wait for the next question, or for the end."""
        before = self.caption
        act()
        self.page.wait_for_function(
            "before => document.querySelector('#caption').textContent !== before", arg=before
        )
        if not self.page.evaluate("document.body.classList.contains('over')"):
            self.wait()


@pytest.mark.slow
def test_two_raters_a_reload_and_a_server_that_is_killed(tmp_path: Path, words: tuple[Any, ...]) -> None:
    with browsing() as page:
        with serving(*words) as server:
            port = int(server.raters.rpartition(":")[2])
            ada = Rater(page, server.raters, "Ada", viewport={"width": 1280, "height": 800})
            tablet = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}
            bo = Rater(page, server.raters, "Bo", **tablet)
            met = []
            for key in ("ArrowLeft", "ArrowDown"):
                for rater in (ada, bo):
                    # One decision at a time, all of it on the screen, at both sizes.
                    assert rater.page.evaluate(OUTSIDE) == []
                    assert rater.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
                met.append(ada.caption)
                ada.answer(lambda key=key: ada.page.keyboard.press(key))  # type: ignore[misc]
                bo.answer(bo.page.locator("#right").tap)
            ada.page.keyboard.press("u")  # the tie is taken back …
            ada.page.wait_for_function(
                "text => document.querySelector('#caption').textContent === text", arg=met[1]
            )
            ada.wait()
            ada.page.reload()  # … and is still the question after a reload
            ada.wait()
            assert ada.caption == met[1]
            server.process.kill()
            server.process.wait()
            ada.page.keyboard.press("ArrowRight")
            ada.page.get_by_text("The server cannot be reached.").wait_for()
        with serving(*words, port=port):
            ada.answer(lambda: None)  # it was kept, and is sent now
            while not ada.page.evaluate("document.body.classList.contains('over')"):
                met.append(ada.caption)
                ada.answer(lambda: ada.page.keyboard.press(" "))
            assert "That was all. Thank you! You gave 5 ratings." in (ada.page.text_content("#message") or "")
            while not bo.page.evaluate("document.body.classList.contains('over')"):
                bo.answer(bo.page.locator("[data-answer=tie]").tap)
        assert sorted(met) == sorted(PROMPTS)
        for rater in (ada, bo):
            assert (rater.errors, rater.hosts, rater.page.title()) == (
                [],
                {f"127.0.0.1:{port}"},
                "Rating pictures",
            )
    invoke(*words, "--export", tmp_path / "votes.jsonl")
    rows = [
        json.loads(line) for line in (tmp_path / "votes.jsonl").read_text(encoding="utf8").split("\n")[:-1]
    ]
    sides = {
        name: [
            "tie" if row["winner"] is None else "left" if row["winner"] == row["left"] else "right"
            for row in rows
            if row["rater"] == name
        ]
        for name in ("Ada", "Bo")
    }
    assert sides == {
        "Ada": ["left", "right", "tie", "tie", "tie"],
        "Bo": ["right", "right", "tie", "tie", "tie"],
    }


def test_captions_are_text_and_pictures_are_large(words: tuple[Any, ...]) -> None:
    with browsing() as page, serving(*words) as server:
        ada = Rater(page, server.raters, "<i>Ada</i>", viewport={"width": 1280, "height": 800})
        assert ada.page.locator("header bdi").text_content() == "<i>Ada</i>"
        for _ in PROMPTS:
            assert ada.page.locator("#caption *").count() == 0
            box = ada.page.locator("#caption")
            if ada.caption == ARABIC:
                assert box.evaluate("each => each.matches(':dir(rtl)')")
            # The longest caption scrolls in its box, says so, and leaves the pictures more than half of the window's height.
            more = box.evaluate("each => each.scrollHeight > each.clientHeight + 2")
            assert more == (ada.caption == LONG) == box.evaluate("each => each.classList.contains('more')")
            for side in ("#left img", "#right img"):
                size = ada.page.locator(side).bounding_box()
                assert size is not None
                assert min(size["width"], size["height"]) > 400
            ada.answer(lambda: ada.page.keyboard.press("ArrowLeft"))
        assert (ada.errors, ada.page.title()) == ([], "Rating pictures")
        ada.page.goto(server.results)
        assert ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert "<i>Ada</i>" in ada.page.inner_text("body")


def test_a_page_of_another_site_learns_and_changes_nothing(tmp_path: Path, words: tuple[Any, ...]) -> None:
    with browsing(rebind="rebound.example") as page, serving(*words) as server, elsewhere() as address:
        with server.entered("Ada") as client:
            current = client.get("/next").json()["current"]
        body = json.dumps({"question": current["question"], "rating": current["rating"], "answer": "left"})
        requests = [
            {"url": f"{server.raters}/next"},
            {"url": f"{server.raters}{current['images'][0]}"},
            {"url": server.results},
            {"url": f"{server.raters}/vote", "method": "POST", "body": body},
            {"url": f"{server.raters}/begin", "method": "POST", "body": "name=Eve"},
        ]
        page.goto(server.raters)
        page.fill("#name", "Ada")
        page.keyboard.press("Enter")
        page.locator("button.choice:enabled").first.wait_for()
        page.goto(address)
        assert attempts(page, requests) == [[], [], [], [], []]
        page.goto(f"{server.raters.replace('127.0.0.1', 'rebound.example')}/")
        assert "own names only" in page.content()
    assert "0 ratings in " in invoke(*words, "--export", tmp_path / "votes.jsonl")
