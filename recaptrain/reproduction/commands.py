"""Console commands that are each run once: what ended well stands in a file, and is not run again."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from recapdata.atomic import open_to_append
from recapdata.commands import CommandFailed as CommandFailed
from recapdata.commands import run_command

COMMANDS = "commands.jsonl"
PROGRAMS = ("recapdata", "audits", "recaptrain")
"""Whose commands are run; a row of any other is no step of an experiment, and stands on no page to be typed again."""
Words = tuple[str, ...]


class Commands:
    """Runs console commands, as many threads at a time as ask.

    A command that was killed goes on where it was when it is run again: each of the project's does.

    Attributes:
        done: a row for each command that ended with 0, in the order of their ends: its words, seconds and summary.
    """

    def __init__(self, out: Path, env: Mapping[str, str]) -> None:
        self._out, self._env, self._lock = out, env, Lock()
        self.done: dict[Words, dict[str, Any]] = {}
        path = out / COMMANDS
        open_to_append(path).close()  # there from the first moment on: the folder is known by it
        for line in path.read_bytes().splitlines():
            if (row := _read(line)) is not None:
                self.done[_plain(row["command"])] = row

    def run(self, *words: str, **env: str) -> dict[str, Any]:
        """The summary of a command, run with further environment where it has not been yet.

        Raises:
            CommandFailed: it did not end with 0.
        """
        if (before := self.done.get(_plain(words))) is not None:
            summary: dict[str, Any] = before["summary"]
            return summary
        began = time.monotonic()
        logs = self._out / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256("\0".join(_plain(words)).encode()).hexdigest()[:8]
        summary = run_command(words, logs / f"{words[1]}-{name}.log", env={**self._env, **env})
        row = {"command": list(words), "seconds": round(time.monotonic() - began, 1), "summary": summary}
        with self._lock, open_to_append(self._out / COMMANDS) as file:
            file.write(b"\n" * self._cut_short() + json.dumps(row).encode() + b"\n")
            self.done[_plain(words)] = row
        return summary

    def seconds(self, *words: str) -> float:
        """How long a command took that was run."""
        return float(self.done[_plain(words)]["seconds"])

    def _cut_short(self) -> bool:
        """Whether the file ends within a line, as one that was being written when its process was killed."""
        with open(self._out / COMMANDS, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            return file.read(1) not in (b"", b"\n")


def _read(line: bytes) -> dict[str, Any] | None:
    """A row of the file; None of what is none, such as the end of what a killed process wrote, or what is no command of this project."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    words, seconds = (row.get("command"), row.get("seconds")) if isinstance(row, dict) else (None, None)
    known = isinstance(words, list) and all(isinstance(word, str) for word in words) and words[:1]
    timed = isinstance(seconds, int | float) and 0 <= seconds < float("inf")
    if not known or known[0] not in PROGRAMS or not timed or not isinstance(row.get("summary"), dict):
        return None
    found: dict[str, Any] = row
    return found


def _plain(words: Sequence[str]) -> Words:
    """A command without `--resume`, which is there or not by what was found."""
    return tuple(word for word in words if word != "--resume")
