"""FiftyOne's MongoDB: one that starts slowly is waited for, one that does not start is a line."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.builders import build_dataset

VIEW = """
import sys
import fiftyone.constants
if sys.argv[1]:
    fiftyone.constants.FIFTYONE_DB_BIN_DIR = sys.argv[1]
import audits.fiftyone.waiting
audits.fiftyone.waiting.NOTICE = 2.0
sys.argv[:2] = ["audits"]
from audits.cli import main
main()
"""
"""`audits view` with another `mongod`, saying sooner what it waits for."""


@pytest.fixture
def target(fo: ModuleType, tmp_path: Path) -> Path:
    return build_dataset(tmp_path / "pets", sets={"alt": ["a dog"] * 6}).path


def mongod(fo: ModuleType, folder: Path, script: str) -> Path:
    """A folder with a `mongod` that runs a shell script, in which "$MONGOD" is the real one."""
    folder.mkdir()
    program = folder / "mongod"
    real = Path(fo.constants.FIFTYONE_DB_BIN_DIR) / "mongod"
    program.write_text(f'#!/bin/sh\nMONGOD="{real}"\n{script}\n')
    program.chmod(0o755)
    return folder


def start(target: Path, home: Path, programs: Path | str = "", **more: str) -> "subprocess.Popen[str]":
    environment = {
        name: each for name, each in os.environ.items() if name != "FIFTYONE_PRIVATE_DATABASE_PORT"
    }
    environment |= {
        "FIFTYONE_DATABASE_DIR": str(home / "db"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(home),
        **more,
    }
    command = [sys.executable, "-c", VIEW, str(programs), "view", str(target), "--no-app"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_one_that_starts_slowly_is_waited_for_aloud(fo: ModuleType, target: Path, tmp_path: Path) -> None:
    slow = mongod(fo, tmp_path / "bin", 'sleep 5; exec "$MONGOD" "$@"')
    process = start(target, tmp_path, slow)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "6 samples" in out
    assert "waiting for MongoDB to start (" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_two_commands_share_one_that_is_starting(fo: ModuleType, target: Path, tmp_path: Path) -> None:
    slow = mongod(fo, tmp_path / "bin", f'echo . >> {tmp_path}/starts; sleep 5; exec "$MONGOD" "$@"')
    other = build_dataset(tmp_path / "others", sets={"alt": ["a cat"] * 6}).path
    first = start(target, tmp_path, slow)
    assert first.stderr is not None
    first.stderr.readline()  # it waits for its MongoDB
    second = start(other, tmp_path, slow)
    for process in (second, first):
        out, err = process.communicate()
        assert (process.returncode, "6 samples" in out) == (0, True), err
    assert (tmp_path / "starts").read_text() == ".\n"


def test_one_that_does_not_start_is_a_line(fo: ModuleType, target: Path, tmp_path: Path) -> None:
    script = "echo mongod: libcrypto.so.1.1: cannot open shared object file >&2; exit 127"
    process = start(target, tmp_path, mongod(fo, tmp_path / "bin", script))
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    (line,) = [each for each in err.splitlines() if not each.startswith("waiting for")]
    assert line.startswith("error: FiftyOne's MongoDB did not start: mongod: libcrypto.so.1.1: cannot open")
    assert "FIFTYONE_DATABASE_URI" in line


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exited with error 3"),
        ('"$MONGOD" --port 0 --dbpath /no/such/folder --logpath "$4"', "/no/such/folder not found"),
        (None, "Could not find `mongod`"),
    ],
    ids=["silent", "folder", "not installed"],
)
def test_why_it_does_not_start_is_said(
    fo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str
) -> None:
    from audits.fiftyone.database import DatabaseFailed, PatientService

    programs = mongod(fo, tmp_path / "bin", script) if script is not None else tmp_path / "none"
    monkeypatch.setattr(fo.constants, "FIFTYONE_DB_BIN_DIR", str(programs))
    monkeypatch.setattr(fo.config, "database_dir", str(tmp_path / "db"))
    monkeypatch.setenv("FIFTYONE_DATABASE_DIR", str(tmp_path / "db"))
    with pytest.raises(DatabaseFailed, match="FIFTYONE_DATABASE_URI") as failed:
        PatientService().port  # noqa: B018
    assert reason in str(failed.value)


def test_one_of_the_user_s_own_that_is_not_there_is_a_line(
    fo: ModuleType, target: Path, tmp_path: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"mongodb://127.0.0.1:{closed.getsockname()[1]}/?serverSelectionTimeoutMS=500"
        process = start(target, tmp_path, FIFTYONE_DATABASE_URI=uri)
        out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"error: FiftyOne cannot use the MongoDB at {uri}: ")
    assert len(err.splitlines()) == 1
