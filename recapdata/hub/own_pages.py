"""Keeps pages of other sites away from a server of this machine: an ASGI application's guard by Host and Origin.

A browser sends any page's requests to loopback, and a page whose name is made to lead there (DNS rebinding) may read the
answers. What arrives under another name than the server's own, or from another page than its own, is refused on every route,
before anything is looked at. Programs send neither `Origin` nor `Sec-Fetch-Site`, and are not concerned.
"""

import ipaddress
import json
import re
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("", "0.0.0.0", "::")
"""Addresses that stand for all of this machine's."""

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::[0-9]{1,5})?", re.IGNORECASE)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Names:
    """The names under which a server may be asked: loopback, the host that it is bound to, and further ones that were given.

    Bound to all addresses, it is reached by any of them and by the machine's name. An address in digits is never rebound, since
    no name is looked up.
    """

    def __init__(self, host: str = LOOPBACK[1], further: Collection[str] = ()) -> None:
        self._everywhere = host in WILDCARDS
        own = (socket.gethostname(), f"{socket.gethostname()}.local") if self._everywhere else (host,)
        self._known = {name.lower().rstrip(".") for name in (*LOOPBACK, *own, *further)}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._known or (self._everywhere and _is_address(name)))


class OwnPagesOnly:
    """An ASGI application that refuses requests under other names and from other pages.

    Args:
        names: names that the server has.
        is_page: whether a path is that of a page, which a link on another site may lead to.
    """

    def __init__(self, app: Application, names: Names, *, is_page: Callable[[str], bool]) -> None:
        self._app = app
        self._names = names
        self._is_page = is_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._reason(scope) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await _refuse(send, reason)

    def _reason(self, scope: Scope) -> str | None:
        """Why a request is refused; None where it is not."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        match = _HOST.fullmatch(host)
        if match is None or (match["six"] or match["name"]) not in self._names:
            return "This server is not called that: it answers under its own names only."
        if any(origin.lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            return "This server answers its own pages only, not those of another origin."
        if any(site not in ("same-origin", "none") for site in _values(scope, b"sec-fetch-site")):
            opened = _values(scope, b"sec-fetch-mode") == ["navigate"] and _values(
                scope, b"sec-fetch-dest"
            ) == ["document"]
            if not (opened and scope.get("method") == "GET" and self._is_page(scope["path"])):
                return "This server answers its own pages only, not those of another site."
        return None


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-error-message", reason.encode()),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _values(scope: Scope, name: bytes) -> list[str]:
    """All values of a header."""
    return [value.decode("latin-1").strip() for each, value in scope["headers"] if each.lower() == name]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
