"""Console commands run as subprocesses, exactly as a user would type them, by whatever puts several of them together."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recapdata.atomic import open_to_append
from recapdata.display import shell_line
from recapdata.errors import RecapdataError

LAST_LINES = 15
"""Lines of its log that the error of a failed command shows."""


class CommandFailed(RecapdataError):
    """A command did not end with 0; its log says why."""


def run_command(words: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one of the project's console commands with `--json`; its summary. It ends when this process does, however that ends.

    Args:
        words: the command line, such as `["recapdata", "ingest", "scenes:100", "drawn"]`.
        log: takes the command line and all that the command says, behind what is there.
        env: environment of the command; this process's where None.

    Raises:
        CommandFailed: it did not exit with 0.
    """
    code = f"from recapdata.commands import end_with_parent; end_with_parent(); from {words[0]}.cli import main; main()"
    with open_to_append(log) as errors:
        errors.write(f"$ {shell_line(words)}\n".encode("utf8", "backslashreplace"))
        command = [sys.executable, "-c", code, *words[1:], "--json"]  # wherever the scripts lie
        with subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            said = process.stdout.read()
            process.wait()  # before its input is closed
        errors.write(said.encode("utf8", "backslashreplace"))
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf8", errors="replace").splitlines()[-LAST_LINES:])
        raise CommandFailed(
            f"{shell_line(words)} failed with exit code {process.returncode}; its log {log} ends with\n{tail}"
        )
    return json.loads(said.strip().splitlines()[-1])


def end_with_parent() -> None:
    """End this process when its standard input does: when the process that holds the other end is gone, be it killed.

    Left alone, a command would write on into what the next run of its parent wants to write.
    """

    def watch() -> None:
        while os.read(0, 1024):  # not through sys.stdin, whose lock a thread would hold at the end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
