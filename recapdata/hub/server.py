"""Serving a Hub's folder over HTTP, until interrupted."""

import json
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recapdata.console import say
from recapdata.hub.listening import address, listening_socket, own_address
from recapdata.hub.own_pages import LOOPBACK, WILDCARDS
from recapdata.hub.process import client_env

if TYPE_CHECKING:
    from recapdata.hub.folder import HubFolder

GOODBYE_SECONDS = 3


def serve(
    root: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    on_ready: "Callable[[str, HubFolder], None] | None" = None,
    user: str = "me",
    names: Collection[str] = (),
) -> None:
    """Serve the Hub in `root` (made if missing) until interrupted.

    Args:
        host: loopback by default; another address lets other machines in, with no more protection than the token.
        port: 0 takes any that is free.
        token: what writes need; None for the folder's own, made at the first start and kept in `root`/token.
        on_ready: called once with the address for HF_ENDPOINT and the opened folder, when requests are taken.
        user: the name of the token's owner, author of all commits; its token may write to any namespace.
        names: further names under which clients reach it, beside loopback, `host` and the machine's own.

    Raises:
        HubError: the folder is not a Hub's or in use.
        OptionError: the port is taken.
    """
    import uvicorn
    from uvicorn.protocols.http import h11_impl

    from recapdata.hub.app import application, is_page
    from recapdata.hub.endpoints.uploads import XET_PHRASE, XET_STATUS
    from recapdata.hub.folder import opened
    from recapdata.hub.own_pages import Names, OwnPagesOnly

    # All that hf_xet shows of a refusal is its status line, so that line has to say what to do.
    h11_impl.STATUS_PHRASES[XET_STATUS] = XET_PHRASE.encode()
    with listening_socket(host, port) as listening, opened(root, token=token, user=user) as folder:
        endpoint = address(host, listening.getsockname()[1])
        app = application(folder, lambda: on_ready(endpoint, folder) if on_ready else None)
        config = uvicorn.Config(
            OwnPagesOnly(app, Names(host, names), is_page=is_page),
            http="h11",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
        # uvicorn finishes what is under way and then raises the interrupt again: this is how a Hub is stopped.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def print_exports(endpoint: str, folder: "HubFolder", *, host: str = "", names: Collection[str] = ()) -> None:
    """The lines to export on standard output, what else a person wants to know on standard error.

    Args:
        host, names: those given to `serve`.
    """
    exports = client_env(endpoint, folder.token)
    say(f"Serving the Hub in {folder.root}. In another terminal:\n")
    sys.stdout.write("".join(f"export {name}={value}\n" for name, value in exports.items()))
    sys.stdout.flush()
    say(
        f"\nThe token writes to every namespace; a repository without one is {folder.user}/NAME. Ctrl-C stops the Hub."
    )
    at = urlsplit(endpoint)
    elsewhere = next(iter(names), own_address()) if host in WILDCARDS and host else at.hostname
    if elsewhere not in LOOPBACK:
        say(
            f"On other machines: export HF_ENDPOINT=http://{elsewhere}:{at.port}. What they send is not encrypted, the token "
            "included."
        )


def print_ready(endpoint: str, folder: "HubFolder") -> None:
    """One line of JSON: address, token and folder."""
    ready = {"endpoint": endpoint, "token": folder.token, "root": str(folder.root)}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
