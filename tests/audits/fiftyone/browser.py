"""What the browser tests share: the App served by the real command, and a real Chromium to look at it with.

With `RECAPDATA_SHOTS` set to a folder, `shot` leaves pictures of the page there, to be looked at by a person.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = ((1400, 900), (1000, 700))
PATIENCE = 180_000
"""Milliseconds that a step may take on a busy machine."""

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"
)


@contextmanager
def served(target: Path | str, *options: str) -> Iterator[str]:
    """Where `audits view` serves a target; afterwards nothing may go on, however the command ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("audits"), "view", target, "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail("".join(said))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.2)
    pytest.fail("the App's server goes on after its command was killed")


@contextmanager
def browsing(asked: set[str | None] | None = None, *, rebind: str | None = None) -> Iterator["Page"]:
    """A page in Chromium; the hosts that it asks are put into `asked`, and the name `rebind` leads to this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        rules = [f"--host-resolver-rules=MAP {rebind} 127.0.0.1"] if rebind else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *rules])
        page = browser.new_page(viewport={"width": SIZES[0][0], "height": SIZES[0][1]})
        page.set_default_timeout(PATIENCE)
        if asked is not None:
            page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
        # FiftyOne's advertisement comes over the page some seconds after it, or lies under an open sample; it takes the clicks.
        page.add_locator_handler(
            page.get_by_text("Dismiss", exact=True), lambda found: found.evaluate("each => each.click()")
        )
        yield page
        browser.close()


def open_sample(page: "Page", place: int = 0) -> None:
    """Open a sample from the grid, beside the box that selects it and what is written over it."""
    tile = page.locator("[data-cy=looker]").nth(place)
    box = tile.bounding_box()
    assert box is not None
    tile.click(position={"x": box["width"] - 8, "y": box["height"] * 0.6})
    page.locator("[data-cy=modal]").wait_for()


def select_sample(page: "Page", place: int) -> None:
    """Put a sample of the grid among the selected ones."""
    tile = page.locator("[data-cy=looker]").nth(place)
    tile.hover()
    tile.click(position={"x": 10, "y": 10})


def open_sample_panel(page: "Page") -> None:
    """Turn to the panel Caption audit of the open sample."""
    page.locator("[data-cy=modal]").get_by_text("Caption audit", exact=True).first.click()


def shot(page: "Page", name: str) -> None:
    """Pictures of the page at both sizes, where they were asked for."""
    folder = os.environ.get("RECAPDATA_SHOTS")
    if folder:
        for width, height in reversed(SIZES):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(folder) / f"{name}-{width}x{height}.png")
