"""Console commands without a process of their own: importing torch again and again is most of what a short command costs.

What a command prints, its exit code and its errors are those of the entry point, `PROGRAM.cli:main`. Where the process itself is the
point (environment, signals, imports), tests start one.
"""

import contextlib
import io
import os
import subprocess
import sys
from importlib import import_module
from unittest import mock


def run_command(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run `recapdata`, `audits` or `recaptrain` with these words, in this process.

    Raises:
        Exception: what the command does not turn into an error message of its own.
    """
    arguments = [str(word) for word in words]
    out, err = io.StringIO(), io.StringIO()
    main = import_module(f"{arguments[0]}.cli").main
    with (
        mock.patch.object(sys, "argv", arguments),
        mock.patch.object(sys, "excepthook", sys.excepthook),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def succeed(*words: object) -> str:
    """The standard output of a command that has to exit with 0."""
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout
