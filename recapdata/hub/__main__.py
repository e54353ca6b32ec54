"""`python -m recapdata.hub ROOT …`: a Hub for another process, which it follows into the end (see process.py)."""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.errors import HubError, OptionError
from recapdata.hub.server import print_ready, serve

if TYPE_CHECKING:
    from recapdata.hub.folder import HubFolder


def main() -> None:
    """Serve; say where in one line of JSON on standard output; end when standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m recapdata.hub", description=main.__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="me")
    parser.add_argument("--name", action="append", default=[])
    options = parser.parse_args()
    token = os.environ.get("RECAPDATA_HUB_TOKEN") or None  # not an option: those can be read by every user
    try:
        serve(options.root, options.host, options.port, token, _announce, options.user, options.name)
    except (HubError, OptionError) as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        sys.exit(1)


def _announce(endpoint: str, folder: "HubFolder") -> None:
    print_ready(endpoint, folder)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """Standard input ends when the parent does, however it ended: no Hub is left behind by a killed test or demo."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
