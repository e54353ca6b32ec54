"""What every command line shares: one line for a mistake, exit codes, one JSON object."""

import errno
import importlib
import json
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import recapdata
from recapdata.console import finish, how_far, progress, run
from recapdata.display import one_line
from tests.builders import build_dataset
from tests.console import run_command

STRANGE = "\x1b[2J\x1b]0;mine\x07 \x9b31m \r \x7f \u202egpj \udcff é"
SHOWN = r"\x1b[2J\x1b]0;mine\x07 \x9b31m \r \x7f \u202egpj \udcff é"
PROGRAM = (
    f"STRANGE = {STRANGE!a}"
    + """
import os, signal, sys, typer
from dataclasses import dataclass
from recapdata.console import Debug, Json, Summary, application, command, finish, run
from recapdata.errors import InputError
app = application("A test.")
@app.command()
def fail(debug: Debug = False): raise InputError("what, where, what to do")
@app.command()
def stop():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
    os.kill(os.getpid(), signal.SIGINT)
@app.command()
def whole(as_json: Json = False): finish({"done": 2}, "two of two", as_json=as_json)
@app.command()
def strange(as_json: Json = False):
    finish({"name": STRANGE}, "line\\n\\ta " + STRANGE, as_json=as_json)
@app.command()
def wrong(): raise InputError(STRANGE)
@app.command()
def library():
    import logging, warnings
    logging.getLogger("library").warning("of a model: %s", STRANGE)
    warnings.warn(STRANGE)
    print("to print: " + STRANGE)
    sys.stderr.write("\\x1b[A\\x1b[K\\r 50%\\x1b[32m|\\x1b[0m")
    raise ValueError(STRANGE)
@dataclass
class Half:
    done: int = 1
    complete = False
    def text(self): return "one of two"
@command(app, "a half")
def half() -> Summary: return Half()
run(app)
"""
)


def _run(*words):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False
    )


def test_a_mistake_is_one_line_and_its_traceback_only_on_request():
    done = _run("fail")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: what, where, what to do\n")
    assert "Traceback" in _run("fail", "--debug").stderr


def test_every_command_line_says_its_version():
    for package in ("recapdata", "audits", "recaptrain"):
        app = importlib.import_module(f"{package}.cli").app
        done = CliRunner().invoke(app, ["--version"], prog_name=package)
        assert (done.exit_code, done.output) == (0, f"{package} {recapdata.__version__}\n")
        assert "--version" in CliRunner().invoke(app, ["--help"]).output


def test_interrupted_says_that_nothing_is_lost():
    done = _run("stop")
    assert done.returncode == 130
    assert "the same command goes on" in done.stderr


def test_what_is_not_complete_exits_with_1_and_still_reports():
    done = _run("half", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"done": 1}
    assert _run("half").stdout == "one of two\n"


def test_progress_without_a_terminal_is_silent_or_lines(monkeypatch, capsys):
    def three_of_four() -> list[str]:
        with progress("recap-long", 4) as advance:
            advance(1)
            advance(2, failed=1)  # within the same second: not worth a line
            advance(1)
        return capsys.readouterr().err.splitlines()

    assert three_of_four() == []
    monkeypatch.setenv("RECAPDATA_PROGRESS", "lines")
    lines = three_of_four()
    assert lines == ["recap-long: 1/4 images", "recap-long: 4/4 images, 1 failed"]
    assert [how_far(line) for line in lines] == [0.25, 1.0]
    assert how_far("captioning 4 images: 1/0 of them") is None
    assert how_far("a 3/4 view") is None


@pytest.mark.filterwarnings("ignore:IProgress not found")  # said where a notebook lacks ipywidgets
def test_progress_is_a_bar_in_a_notebook(monkeypatch, capsys):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    with progress("recap-long", 4) as advance:
        advance(3)
        advance(1, failed=1)
    shown = capsys.readouterr().err
    assert "recap-long: 100%" in shown
    assert "4/4" in shown
    assert "1 failed" in shown
    shell.config.clear()  # IPython in a terminal that standard error does not go to
    with progress("recap-long", 4) as advance:
        advance(4)
    assert capsys.readouterr().err == ""


def test_control_characters_of_data_never_reach_the_terminal():
    assert _run("strange").stdout == f"line\n\ta {SHOWN}\n"
    assert _run("wrong").stderr == f"error: {SHOWN}\n"
    done = _run("strange", "--json")
    assert done.stdout.rstrip("\n").isprintable()
    assert json.loads(done.stdout) == {"name": STRANGE}
    assert one_line("a\nb\x1b") == r"a\nb\x1b"


def test_what_libraries_say_of_data_reaches_the_terminal_as_text():
    """Logs, warnings, prints and the traceback of a mistake; bars and colors are still drawn."""
    done = _run("library")
    harmless = SHOWN.replace(r"\r", "\n")  # as universal newlines read what a bar needs
    assert done.stdout == f"to print: {harmless}\n"
    assert done.stderr.count(harmless) == 3
    assert "\x1b[A\x1b[K\n 50%\x1b[32m|\x1b[0m" in done.stderr
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "d/captions/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("failed to write out file: No space left on device"),  # libgit2's, without a number
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_full_disk_is_one_line(error, tmp_path, monkeypatch):
    folder = build_dataset(tmp_path / "d", columns={"alt_text": pa.array(["a"] * 6)})

    def full(*_, **__):
        raise error

    monkeypatch.setattr("recapdata.caption_sets.importing.import_captions", full)
    done = run_command("recapdata", "import-captions", folder.path, "web", "alt_text")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no space left on the disk")
    assert done.stderr.count("\n") == 1


def test_another_error_of_the_system_keeps_its_traceback(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise OSError(errno.EACCES, "Permission denied")

    folder = build_dataset(tmp_path / "d", columns={"alt_text": pa.array(["a"] * 6)})
    monkeypatch.setattr("recapdata.caption_sets.importing.import_captions", denied)
    with pytest.raises(OSError, match="Permission denied"):
        run_command("recapdata", "import-captions", folder.path, "web", "alt_text")


def test_a_name_that_no_file_can_have_is_one_line(capsys, monkeypatch) -> None:
    def too_long() -> None:
        (Path("/") / ("x" * 5000)).stat()

    monkeypatch.setattr(sys, "argv", ["recapdata"])
    with pytest.raises(SystemExit) as end:
        run(too_long)
    assert (end.value.code, capsys.readouterr().err) == (
        1,
        f"error: /{'x' * 59}…: no file has so long a name\n",
    )


def test_numbers_that_are_none_are_null(capsys) -> None:
    """RFC 8259 has no NaN, and most readers of JSON refuse it."""
    finish({"rank": float("nan"), "many": [1, float("-inf")], "fine": 0.5}, "", as_json=True)
    assert capsys.readouterr().out == '{"rank": null, "many": [1, null], "fine": 0.5}\n'
