"""The App in a real Chromium: the pictures and captions are there, no request leaves, and it ends with its command."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from audits.fiftyone.app import check_port
from audits.fiftyone.server import ELSEWHERE
from audits.runner import run
from recapdata.errors import OptionError
from recapdata.records import Object
from tests.builders import build_dataset, noise_jpeg

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("audits"), "view", folder.path, "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"http://\S+", line):
            yield found[0]
            break
    else:
        pytest.fail("".join(said))
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The server is a process of its own and must not outlive the command, however that ends.
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.2)
    pytest.fail("the App's server goes on after its command was killed")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
def test_pictures_and_captions_are_shown_and_nobody_else_is_asked(url: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: set[str | None] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
        page.goto(url, wait_until="domcontentloaded")
        pictures = page.locator("[data-cy=looker]")
        pictures.first.wait_for(timeout=120_000)
        page.wait_for_function("document.querySelectorAll('[data-cy=looker]').length == 6", timeout=60_000)
        if page.get_by_text("Dismiss").count():
            page.get_by_text("Dismiss").first.click()
        pictures.first.click()
        modal = page.locator("[data-cy=modal]")
        modal.get_by_text(CAPTION).first.wait_for(
            timeout=60_000
        )  # as text: the picture it names is not fetched
        modal.locator("[data-cy=sidebar-group-ALT_AUDIT]").click()
        modal.locator("[data-cy='sidebar-entry-alt_audit.contradicted']").get_by_text("1").wait_for(
            timeout=30_000
        )
        browser.close()
    assert asked <= {"127.0.0.1", None}


def test_a_taken_port_is_said_before_anything_is_built() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="--port"):
            check_port(taken.getsockname()[1])
    check_port(0)


def test_what_the_page_would_fetch_elsewhere_is_cut_out() -> None:
    page = b'<head><link rel="preload" href="https://fonts.example/a.css" as="font"><link rel="icon" href="./favicon.ico"></head>'
    assert ELSEWHERE.sub(b"", page) == b'<head><link rel="icon" href="./favicon.ico"></head>'
    style = b'@import "https://fonts.example/a.css";@import "./own.css";:root{color:red}'
    assert ELSEWHERE.sub(b"", style) == b'@import "./own.css";:root{color:red}'
