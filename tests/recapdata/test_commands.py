"""Console commands as subprocesses: their summary, their failure, and their end with the process that runs them."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from recapdata.commands import CommandFailed, run_command

CLI = """
import os, sys, time
from pathlib import Path

def main():
    if "fail" in sys.argv:
        sys.exit("no such thing")
    Path(sys.argv[1]).write_text(str(os.getpid()))
    if "wait" in sys.argv:
        time.sleep(600)
    print('{"pid": %d}' % os.getpid())
"""


@pytest.fixture
def program(tmp_path):
    """The environment of a package `slowly` with a command line of its own."""
    (tmp_path / "slowly").mkdir()
    (tmp_path / "slowly" / "cli.py").write_text(CLI)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}


def test_the_summary_of_a_command(tmp_path, program):
    summary = run_command(["slowly", str(tmp_path / "pid")], tmp_path / "log", env=program)
    assert str(summary["pid"]) == (tmp_path / "pid").read_text()
    with pytest.raises(CommandFailed, match=r"exit code 1(.|\n)*no such thing"):
        run_command(["slowly", "fail"], tmp_path / "log", env=program)


def test_a_command_ends_when_its_parent_is_killed(tmp_path, program):
    code = (
        "import sys; from pathlib import Path; from recapdata.commands import run_command; "
        "run_command(['slowly', sys.argv[1], 'wait'], Path(sys.argv[2]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "pid"), str(tmp_path / "log")], env=program
    )
    child = int(_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    parent.kill()
    parent.wait()
    _until(lambda: not _alive(child))


def _alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _until(found):
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen in two minutes")
