"""What the browser tests share: the App served by the real command, and a real Chromium to look at it with.

With `RECAPDATA_SHOTS` set to a folder, `shot` leaves pictures of the page there, to be looked at by a person.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = ((1400, 900), (1000, 700))
PATIENCE = 240_000
"""Milliseconds after which a step is taken to hang: on a machine with a load of 15 the slowest step took less than two minutes."""
TIMEOUT = 1800
"""Seconds for a test of several steps: one that hangs ends by `PATIENCE`, which leaves the browser in order, before it ends by this."""

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
    # A file, since nobody would empty a pipe once the address is known, and a server that cannot write its warnings stands still.
    with tempfile.NamedTemporaryFile() as errors:
        process = subprocess.Popen(command, stderr=errors, stdout=subprocess.DEVNULL)

        def address() -> str | None:
            said = Path(errors.name).read_text(encoding="utf8")
            if found := re.search(r"the App is at (http://\S+)", said):
                return found[1]
            assert process.poll() is None, said
            return None

        try:
            yield until(address)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        until(lambda: _refuses(port), "the App's server goes on after its command was killed")


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


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
