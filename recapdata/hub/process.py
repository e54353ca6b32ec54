"""A Hub as a child process: started, waited for, and stopped when the block ends or this process dies."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from recapdata.errors import HubError

STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Hub:
    """A Hub that takes requests.

    Attributes:
        endpoint: its address, for HF_ENDPOINT.
        process: the child that serves it.
    """

    endpoint: str
    token: str
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def env(self) -> dict[str, str]:
        """What to export for the stock clients to speak to it."""
        return client_env(self.endpoint, self.token)


def client_env(endpoint: str, token: str) -> dict[str, str]:
    """The variables that the stock clients read, once, when they are imported.

    Where a proxy is configured and would be asked for this very address, the address is excepted from it.
    """
    env = {"HF_ENDPOINT": endpoint, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
    host = urlsplit(endpoint).hostname or ""
    proxies = urllib.request.getproxies()
    if ("http" in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host):
        env["no_proxy"] = ",".join(filter(None, [proxies.get("no"), host]))
    return env


@contextmanager
def running_hub(
    root: Path,
    *,
    port: int = 0,
    token: str | None = None,
    host: str = "127.0.0.1",
    user: str = "me",
    names: Sequence[str] = (),
) -> Iterator[Hub]:
    """Serve the Hub in `root` by a child process for the length of a block.

    Args:
        port: 0 takes any that is free.
        token: what writes need; None for the folder's own.
        names: further names under which clients reach it.

    Raises:
        HubError: the folder is in use or not a Hub's, or the port is taken.
    """
    hub = start_hub(root, port=port, token=token, host=host, user=user, names=names)
    try:
        yield hub
    finally:
        stop_hub(hub)


def start_hub(
    root: Path,
    *,
    port: int = 0,
    token: str | None = None,
    host: str = "127.0.0.1",
    user: str = "me",
    names: Sequence[str] = (),
) -> Hub:
    """As `running_hub`, to be ended by `stop_hub` (or by `hub.process.kill()`)."""
    command = [sys.executable, "-m", "recapdata.hub", str(root)]
    command += ["--host", host, "--port", str(port), "--user", user]
    command += [f"--name={name}" for name in names]
    env = {**os.environ, **({"RECAPDATA_HUB_TOKEN": token} if token else {})}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    assert process.stdout is not None
    line = process.stdout.readline()  # ends at the latest when the child does
    said = json.loads(line or "{}")
    if "endpoint" not in said:
        _end(process)
        raise HubError(
            said.get("error") or f"The Hub in {root} ended before it was ready (code {process.returncode})."
        )
    return Hub(endpoint=said["endpoint"], token=said["token"], root=root, process=process)


def stop_hub(hub: Hub) -> None:
    """End a Hub's process; requests under way get a few seconds."""
    _end(hub.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
