"""Runs commands one after another, each in a process of its own that dies at its Nth change to the files of a dataset.

    python -m tests.recapdata.killing PROGRAM

reads one JSON object a line, `{"arguments": [...], "under": DIR, "at": N or null, "out": FILE}`, and answers each with a line
`{"code": …, "changes": …, "said": …}`. The libraries are imported once and every command is a fork, so that hundreds of them take a minute.
A process dies by SIGKILL, just before its Nth change: opening a file to write, renaming, deleting, making a folder, making durable,
and each step of writing a Parquet file.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from tests.waiting import HANGS

KILLED = -signal.SIGKILL
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_SHARED = (
    "concurrent.futures.process",
    "datasets",
    "multiprocessing.queues",
    "pydantic.type_adapter",
    "typer._coercion",
)
_IMPORTED = {
    "recapdata": (
        "recapdata.cli",
        "recapdata.engines.local",
        "recapdata.caption_sets.importing",
        "recapdata.ingestion.urls",
        "recapdata.recaptioning",
        "recapdata.dataset.removal",
        "tests.scripted",
    ),
    "audits": ("audits.cli", "audits.runner.run", "open_clip"),
}
"""What the commands of a program import while they run."""
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "sqlite3.connect")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code (`KILLED` where it died), the changes it came to, and what it said on stderr."""

    code: int
    changes: int
    said: str


class Killing:
    """The process that forks the commands of a program."""

    def __init__(self, program: str = "recapdata") -> None:
        self._program = program

    def __enter__(self) -> "Killing":
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(HANGS)

    def run(self, arguments: Sequence[str | Path], under: Path, at: int | None = None) -> Outcome:
        """Run a command of the program; with `at` it dies just before that change (from 1) to files under a folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"arguments": [str(each) for each in arguments], "under": str(under), "at": at}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


class _Counter:
    """Counts changes below a folder, and ends the process before one of them."""

    def __init__(self, under: str, at: int | None) -> None:
        self.changes = 0
        self._under = under
        self._at = at

    def change(self) -> None:
        self.changes += 1
        if self.changes == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook of Python."""
        if (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        ) or event in _CHANGES:
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)):
                name = os.fsdecode(path)
                # Names without a folder are those of a tree that is deleted through its open folders.
                if name.startswith(self._under) or (event != "open" and "/" not in name):
                    self.change()

    def attach(self) -> None:
        """Count from now on."""
        sys.addaudithook(self.hook)
        for owner, name in (
            (os, "fsync"),
            (pq.ParquetWriter, "__init__"),
            (pq.ParquetWriter, "write_table"),
            (pq.ParquetWriter, "close"),
        ):
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.change()
            return function(*arguments, **options)

        return counted


def _child(program: str, order: dict[str, Any], report: int, errors: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(errors, 2)
    counter = _Counter(order["under"], order["at"])
    code = 99
    try:
        from recapdata.captioners import CAPTIONERS

        CAPTIONERS["scripted"] = "tests.scripted:open_scripted"
        sys.argv = [program, *order["arguments"]]
        main = importlib.import_module(f"{program}.cli").main
        counter.attach()
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - told to whoever asked
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os.write(report, str(counter.changes).encode())
        os._exit(code)


def _serve(program: str) -> None:
    for name in (*_SHARED, *_IMPORTED[program]):
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        ours, report = os.pipe()
        errors = os.memfd_create("errors")
        if (child := os.fork()) == 0:
            _child(program, order, report, errors)
        os.close(report)
        status = os.waitpid(child, 0)[1]
        changes = os.read(ours, 20)
        os.close(ours)
        os.lseek(errors, 0, os.SEEK_SET)
        with os.fdopen(errors, "rb") as file:
            said = file.read().decode(errors="replace")
        answer = {"code": os.waitstatus_to_exitcode(status), "changes": int(changes or 0), "said": said}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
