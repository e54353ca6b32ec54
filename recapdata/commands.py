"""Console commands run as subprocesses, exactly as a user would type them, by whatever puts several of them together."""

import json
import subprocess
import sys
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
    """Run one of the project's console commands with `--json`; its summary.

    Args:
        words: the command line, such as `["recapdata", "ingest", "scenes:100", "drawn"]`.
        log: takes the command line and all that the command says, behind what is there.
        env: environment of the command; this process's where None.

    Raises:
        CommandFailed: it did not exit with 0.
    """
    program = [sys.executable, "-c", f"from {words[0]}.cli import main; main()"]  # wherever the scripts lie
    with open_to_append(log) as errors:
        errors.write(f"$ {shell_line(words)}\n".encode("utf8", "backslashreplace"))
        done = subprocess.run(
            [*program, *words[1:], "--json"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
        errors.write(done.stdout.encode("utf8", "backslashreplace"))
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf8", errors="replace").splitlines()[-LAST_LINES:])
        raise CommandFailed(
            f"{shell_line(words)} failed with exit code {done.returncode}; its log {log} ends with\n{tail}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])
