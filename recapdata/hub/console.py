"""What `recapdata hub` and `python -m recapdata.hub` say once requests are taken."""

import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recapdata.console import say
from recapdata.hub.process import client_env

if TYPE_CHECKING:
    from recapdata.hub.folder import HubFolder

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def print_exports(endpoint: str, folder: "HubFolder") -> None:
    """The lines to export on standard output, what else a person wants to know on standard error."""
    exports = client_env(endpoint, folder.token)
    say(f"Serving the Hub in {folder.root}. In another terminal:\n")
    sys.stdout.write("".join(f"export {name}={value}\n" for name, value in exports.items()))
    sys.stdout.flush()
    say(
        f"\nThe token writes to every namespace; a repository without one is {folder.user}/NAME. Ctrl-C stops the Hub."
    )
    if urlsplit(endpoint).hostname not in LOOPBACK:
        say(
            "Other machines reach it under this one's name; what they send is not encrypted, the token included."
        )


def print_ready(endpoint: str, folder: "HubFolder") -> None:
    """One line of JSON: address, token and folder."""
    ready = {"endpoint": endpoint, "token": folder.token, "root": str(folder.root)}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
