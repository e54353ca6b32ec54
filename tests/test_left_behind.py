"""What a run of the tests leaves in the temporary folder: nothing, and it takes away what a killed one left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

REPOSITORY = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "pytest", "tests/recapdata/test_sentences.py", "-q"]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def caches(folder: Path) -> list[Path]:
    return list(folder.glob("recapdata-tests-*"))


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_run_leaves_no_cache(tmp_path: Path, workers: list[str]) -> None:
    subprocess.run([*COMMAND, *workers], cwd=REPOSITORY, env=environment(tmp_path), check=True)
    assert caches(tmp_path) == []


def test_the_next_run_takes_away_what_a_killed_one_left(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", "import tests.conftest; input()"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
    )
    (left,) = until(lambda: caches(tmp_path))
    subprocess.run([*COMMAND, "--collect-only"], cwd=REPOSITORY, env=environment(tmp_path), check=True)
    assert caches(tmp_path) == [left]  # it is still in use
    running.send_signal(signal.SIGKILL)
    running.wait()
    subprocess.run([*COMMAND, "--collect-only"], cwd=REPOSITORY, env=environment(tmp_path), check=True)
    assert caches(tmp_path) == []
