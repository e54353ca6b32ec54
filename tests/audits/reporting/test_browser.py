"""The report in a real Chromium, on a phone and on a desk: nothing broken, nothing asked of the network, nothing run."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audits.reporting.conftest import ARABIC, ENDLESS, LONG, SCRIPT

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]

WIDER = """() => [...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll') && !each.closest('svg'))
    .filter(each => each.getBoundingClientRect().right > innerWidth + 0.5 || each.getBoundingClientRect().left < -0.5)
    .map(each => each.outerHTML.slice(0, 200))"""
"""Elements that reach beyond the window; a table may, inside a box of its own that scrolls."""


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def url(page: Path) -> Iterator[str]:
    """The page over HTTP, so that a request for anything else would be seen."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(page.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{page.name}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_broken(browser: Any, url: str, width: int) -> None:
    asked: list[str] = []
    said: list[str] = []
    view = browser.new_page(viewport={"width": width, "height": 900})
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("dialog", lambda dialog: said.append(dialog.message))
    view.goto(url)
    for details in view.locator("details > summary").all():
        details.click()
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert view.evaluate(WIDER) == []
    pictures = view.evaluate("[...document.images].map(each => [each.complete, each.naturalWidth > 0])")
    assert len(pictures) >= 6
    assert all(all(each) for each in pictures)
    assert [each for each in asked if not each.startswith("data:")] == [url]
    assert said == []
    assert (
        view.locator("main section").count() == 6
    )  # figures, lengths, hygiene, two worst galleries, random rows


def test_captions_are_text(browser: Any, url: str) -> None:
    view = browser.new_page(viewport={"width": 1400, "height": 900})
    view.goto(url)
    assert view.locator("script").count() == 0
    assert view.locator("[onerror]").count() == 0
    captions = view.locator(".card .caption").all_text_contents()
    assert SCRIPT in captions
    assert ARABIC in captions
    assert ENDLESS in captions
    # Right-to-left captions run from the right; what stands around them does not.
    assert view.locator(".caption", has_text=ARABIC).first.evaluate("each => each.matches(':dir(rtl)')")
    folded = view.locator("details .caption").first
    assert not folded.is_visible()
    view.get_by_text("characters: show the rest").first.click()
    assert folded.is_visible()
    head, tail = (
        view.locator(".telling", has=view.locator("details .caption"))
        .first.locator(".caption")
        .all_text_contents()
    )
    shown = head.removesuffix(" …") + tail.removeprefix("… ").split(" … (")[0]
    assert shown == LONG[:20_000]
    assert f"({len(LONG) - 20_000:,} more characters" in tail


def test_verdicts_do_not_rest_on_color(browser: Any, url: str) -> None:
    """Contradicted, supported and unknown differ in the style of their line and in the sign after them."""
    view = browser.new_page(viewport={"width": 1400, "height": 900})
    view.goto(url)
    styles = {}
    for verdict in ("contradicted", "supported", "unknown"):
        mark = view.locator(f".card mark.{verdict}").first
        line = mark.evaluate("each => getComputedStyle(each).textDecorationStyle")
        sign = mark.evaluate("each => getComputedStyle(each, '::after').content")
        styles[verdict] = (line, sign)
    assert len({line for line, _ in styles.values()}) == 3
    assert len({sign for _, sign in styles.values()}) == 3


def test_boxes_lie_on_the_picture(browser: Any, url: str) -> None:
    """The drawing over a picture has its size; the box of a star at 1, 1 of an 8 × 8 picture begins an eighth in."""
    view = browser.new_page(viewport={"width": 1400, "height": 900})
    view.goto(url)
    card = view.locator(".card", has_text=SCRIPT).first
    image, drawing, box = (
        card.locator(selector).first.bounding_box() for selector in ("img", ".picture svg", "rect.line")
    )
    for side in ("x", "y", "width", "height"):
        assert drawing[side] == pytest.approx(image[side], abs=1)
    stroke = image["width"] * (8 / 150) / 8
    assert box["x"] - image["x"] == pytest.approx(image["width"] / 8, abs=stroke + 1)
    assert box["width"] == pytest.approx(image["width"] * 3 / 8, abs=2 * stroke + 2)


def test_print_is_on_white_and_complete(browser: Any, url: str, tmp_path: Path) -> None:
    view = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="dark")
    view.goto(url)
    view.emulate_media(media="print")
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    view.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
