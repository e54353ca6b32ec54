"""FiftyOne's own App server for its own page alone, which asks nobody else, and shows an open sample beside its captions.

FiftyOne answers whoever reaches its port: any page in the browser, under any name, with any file of the user. Here requests
under another name or from another page are refused, and what is served as media are the pictures of `audits view` only.

The App's page names fonts, tiles and pictures on other hosts. What is looked at here may not be public, so a content policy tells
it to load nothing from elsewhere. Run as a process of its own, since FiftyOne's server settings are read when it is first imported; it
ends when its standard input does, that is with the process that started it, however that ends.

    python -m audits.fiftyone.server --port 5151 --media DIR
"""

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from audits.fiftyone.media import Media
from recapdata.hub.own_pages import Application, Names, OwnPagesOnly, Receive, Scope, Send

ADDRESS = "127.0.0.1"
GRACE = 10.0
"""Seconds that requests under way have to end."""
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' blob:",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
POLICY_HEADER = (b"content-security-policy", POLICY.encode())
ELSEWHERE = re.compile(rb"""<link[^>]*href="https?://[^>]*>|@import\s*["'(][^;]*https?://[^;]*;""")
"""Fonts that the page would ask other hosts for: left out, so that it does not even try."""

LAYOUT_KEY = "fo-sample-modal-plugins"
"""Where the App keeps, in the browser, how the panels of an open sample are laid out."""


def _panel(name: str, **more: Any) -> dict[str, Any]:
    inside = {"id": name, "type": name, "children": [], **more}
    return {"id": f"beside-{name}", "type": "panel-container", "activeChild": name, "children": [inside]}


LAYOUT = {
    "id": "root",
    "type": "panel-container",
    "layout": "horizontal",
    "sizes": [0.5, 0.5],
    "activeChild": "caption_verdicts",
    "children": [_panel("fo-sample-modal-plugin", pinned=True), _panel("caption_verdicts", pinned=False)],
}
"""The picture and its verdicts side by side, where the App itself would put them behind one another."""
FIRST_LAYOUT = (
    f"<script>localStorage.getItem('{LAYOUT_KEY}') ?? "
    f"localStorage.setItem('{LAYOUT_KEY}', {json.dumps(json.dumps(LAYOUT))})</script>"
).encode()
"""Laid out so until a person lays it out otherwise, which the App remembers."""

MEDIA = "/media"
"""FiftyOne's route that serves any file by its path."""


def guarded(app: Application, folders: Sequence[Path]) -> Application:
    """FiftyOne's ASGI application for its own page, with no other media than the pictures in these folders."""
    return OwnPagesOnly(_own_media(with_policy(app), folders), Names(ADDRESS), is_page=_is_page)


def _is_page(path: str) -> bool:
    """Whether a link may lead to a path: the App's page, alone or on a dataset."""
    return path == "/" or path.startswith("/datasets/")


def _own_media(app: Application, folders: Sequence[Path]) -> Application:
    shelves = [Media(folder) for folder in folders]

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].strip("/") != MEDIA.strip("/"):
            await app(scope, receive, send)
            return
        paths = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("filepath", [])
        # Two paths are refused, so that it does not matter which of them FiftyOne would take.
        if len(paths) == 1 and "\0" not in paths[0] and any(shelf.holds(paths[0]) for shelf in shelves):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"no picture of a dataset that is shown here"})

    return served


def with_policy(app: Application) -> Application:
    """The ASGI application with `POLICY` on every response, and its pages and style sheets as `rewritten` makes them."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, _Rewritten(send))

    return wrapped


def rewritten(content: bytes) -> bytes:
    """A page or style sheet without what the policy forbids; a page with the first layout of an open sample."""
    return ELSEWHERE.sub(b"", content).replace(b"</head>", FIRST_LAYOUT + b"</head>", 1)


class _Rewritten:
    """The `send` of one response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Scope | None = None
        self._body = bytearray()

    async def __call__(self, message: Scope) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), POLICY_HEADER]
            if _is_text(message):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            content = rewritten(bytes(self._body))
            kept = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
            await self._send({**self._start, "headers": [*kept, (b"content-length", b"%d" % len(content))]})
            message = {"type": "http.response.body", "body": content}
        await self._send(message)


def _is_text(message: Scope) -> bool:
    """Whether a response is a page or a style sheet."""
    headers = {name.lower(): value for name, value in message["headers"]}
    kind = headers.get(b"content-type", b"").split(b";")[0]
    return message["status"] == 200 and kind in (b"text/html", b"text/css")


def _end_with_parent() -> None:
    """Stop this process when its standard input is closed, also where a thread waits for a database that is gone."""
    while os.read(0, 1024):  # not through sys.stdin, whose lock a thread would hold at the end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(0)


def main() -> None:
    """Serve the App on loopback until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--media", type=Path, action="append", required=True)
    options = parser.parse_args()
    port = options.port
    # As FiftyOne's own server does before it is imported: this process only reads the database that the parent started.
    os.environ.pop("FIFTYONE_DISABLE_SERVICES", None)
    os.environ["FIFTYONE_SERVER"] = "1"
    # It would poll the database for other users' operator runs; there is one user here.
    os.environ.setdefault("FIFTYONE_EXECUTION_STORE_NOTIFICATION_SERVICE_DISABLED", "true")
    # Without this the App asks for a cluster before it delegates anything; here `audits view` runs the worker.
    os.environ["FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS"] = "true"
    os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "WARNING")
    from audits.fiftyone import require

    require()
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{ADDRESS}:{port}"]
    config.loglevel = "WARNING"
    # FiftyOne goes on writing to a page that was closed, and asyncio says so at every try.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    set_port(port)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(serve(guarded(app, options.media), config))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
