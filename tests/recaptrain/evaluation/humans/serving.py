"""`recaptrain humans` in a process of its own, as a user starts it."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PATIENCE = 600
"""Seconds that a server has to come up or to end on a busy machine."""


@dataclass
class Server:
    """A `recaptrain humans` in a process of its own."""

    process: "subprocess.Popen[str]"
    raters: str
    results: str

    @contextmanager
    def entered(self, name: str) -> Iterator[httpx.Client]:
        """A browser in which a rater has entered."""
        with httpx.Client(base_url=self.raters, follow_redirects=True, timeout=PATIENCE) as client:
            assert client.post("/begin", data={"name": name}).status_code == 200
            yield client


@contextmanager
def serving(*words: "str | Path", port: int = 0) -> Iterator[Server]:
    """The command with these words; killed at the end, if it is still there."""
    command = [sys.executable, "-m", "recaptrain", "humans", *map(str, words), "--port", str(port), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert select.select([process.stdout], [], [], PATIENCE)[0], "no address"
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield Server(process, **json.loads(line))
    finally:
        process.kill()
        process.communicate()
