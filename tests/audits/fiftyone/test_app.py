"""The App in a real Chromium: the pictures and captions are there, no request leaves, and it ends with its command."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from audits.fiftyone.app import check_port
from audits.fiftyone.server import ELSEWHERE, FIRST_LAYOUT, rewritten
from audits.runner.run import run
from recapdata.errors import OptionError
from recapdata.records import Object
from tests.audits.fiftyone.browser import TIMEOUT, browsing, needs_browser, open_sample, served
from tests.builders import build_dataset, noise_jpeg

CAPTION = "A dog <img src='https://example.com/x.png'> and a cat."


@pytest.fixture
def url(fo: ModuleType, tmp_path: Path) -> Iterator[str]:
    """Where `audits view` serves six pictures."""
    dog = Object(bbox=(10, 10, 20, 20), category="dog")
    folder = build_dataset(
        tmp_path / "dogs",
        images=[noise_jpeg(index) for index in range(6)],
        sets={"alt": [CAPTION] * 6},
        objects=[[dog]] * 6,
    )
    run(folder.path, evidence=["annotations"])
    with served(folder.path) as address:
        yield address


@pytest.mark.browser
@pytest.mark.timeout(TIMEOUT)
@needs_browser
def test_pictures_and_captions_are_shown_and_nobody_else_is_asked(url: str) -> None:
    asked: set[str | None] = set()
    with browsing(asked) as page:
        page.goto(url, wait_until="domcontentloaded")
        page.wait_for_function("document.querySelectorAll('[data-cy=looker]').length == 6")
        open_sample(page)
        modal = page.locator("[data-cy=modal]")
        modal.get_by_text(CAPTION).first.wait_for()  # as text: the picture it names is not fetched
        modal.locator("[data-cy=sidebar-group-ALT_AUDIT]").click()
        modal.locator("[data-cy='sidebar-entry-alt_audit.contradicted']").get_by_text("1").wait_for()
    assert asked <= {"127.0.0.1", None}


def test_a_taken_port_is_said_before_anything_is_built() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="--port"):
            check_port(taken.getsockname()[1])
    check_port(0)
    with pytest.raises(OptionError, match="65535"):
        check_port(99999)


def test_what_the_page_would_fetch_elsewhere_is_cut_out() -> None:
    page = b'<head><link rel="preload" href="https://fonts.example/a.css" as="font"><link rel="icon" href="./favicon.ico"></head>'
    assert ELSEWHERE.sub(b"", page) == b'<head><link rel="icon" href="./favicon.ico"></head>'
    style = b'@import "https://fonts.example/a.css";@import "./own.css";:root{color:red}'
    assert ELSEWHERE.sub(b"", style) == b'@import "./own.css";:root{color:red}'


def test_an_open_sample_has_its_captions_beside_it() -> None:
    page = rewritten(b"<html><head><title>App</title></head><body></head></body></html>")
    assert page.count(FIRST_LAYOUT) == 1
    assert page.index(FIRST_LAYOUT) < page.index(b"<body>")
    assert rewritten(b"a { color: red }") == b"a { color: red }"
