"""Which requests a server of this machine answers: those under its own names, from its own pages or from no page at all."""

import asyncio
import socket
from typing import Any

import pytest

from recapdata.hub.own_pages import Names, OwnPagesOnly

OWN = "127.0.0.1:5151"


def status(
    headers: list[tuple[str, str]],
    *,
    path: str = "/api",
    method: str = "GET",
    names: Names | None = None,
    kind: str = "http",
) -> int:
    """The status that a request is answered with; 1000 and 1008 of a websocket that was opened or closed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message.get("status") or message.get("code"))

    said: list[int | None] = []
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    guard = OwnPagesOnly(app, names or Names(), is_page=lambda path: path == "/")
    asyncio.run(guard(scope, receive, send))
    return next(each for each in said if each)


@pytest.mark.parametrize(
    "host", [OWN, "localhost:5151", "LOCALHOST:9", "localhost", "[::1]:5151", "127.0.0.1"]
)
def test_own_names(host: str) -> None:
    assert status([("host", host)]) == 200
    assert status([("host", host), ("origin", f"http://{host}"), ("sec-fetch-site", "same-origin")]) == 200
    assert status([("host", host)], kind="websocket") == 1000


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5151",
        "localhost.evil.example:5151",
        "127.0.0.1.evil.example",
        "127.0.0.1:5151@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:5151/",
        "127.0.0.1:5151#evil.example",
        "127.0.0.1 evil.example",
        "127.0.0.1:x",
        "127.1",
        "2130706433",
        "0.0.0.0:5151",
        "192.168.0.7:5151",
        "[::2]:5151",
        "::1",
        "app.localhost:5151",
        "",
        "ünknown",
    ],
)
def test_other_names(host: str) -> None:
    assert status([("host", host)]) == 403
    assert status([("host", host), ("origin", f"http://{host}")]) == 403
    assert status([("host", host)], kind="websocket") == 1008


def test_one_name_has_to_be_there() -> None:
    assert status([]) == 403
    assert status([("host", OWN), ("host", "evil.example")]) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "https://evil.example",
        "http://127.0.0.1:8000",
        "http://localhost:5151",
        "http://127.0.0.1",
        "http://127.0.0.1:5151.evil.example",
        "http://evil.example/http://127.0.0.1:5151",
        "file://",
        "chrome-extension://abc",
    ],
)
def test_other_origins(origin: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "PATCH"):
        assert status([("host", OWN), ("origin", origin)], method=method) == 403
    assert status([("host", OWN), ("origin", origin)], kind="websocket") == 1008
    assert status([("host", OWN), ("origin", f"http://{OWN}"), ("origin", origin)]) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard"])
def test_pictures_frames_and_forms_of_other_sites(site: str) -> None:
    at = [("host", OWN), ("sec-fetch-site", site)]
    link = [*at, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert status([*at, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], path="/") == 403
    assert status([*at, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], path="/") == 403
    assert status(at, path="/") == 403
    assert status(link, path="/") == 200  # somebody follows a link to the server's page
    assert status(link, path="/api") == 403
    assert status(link, path="/", method="POST") == 403


def test_names_of_a_server_that_the_network_reaches() -> None:
    everywhere = Names("0.0.0.0", ["Hub.Example.org"])
    for name in ("localhost", "192.168.0.7", "fe80::1", "hub.example.org", socket.gethostname().lower()):
        assert name in everywhere
    assert "evil.example" not in everywhere
    assert "192.168.0.7" not in Names("192.168.0.8")
    assert {"192.168.0.8" in Names("192.168.0.8"), "localhost" in Names("192.168.0.8")} == {True}
