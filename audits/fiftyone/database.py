"""FiftyOne's MongoDB: shared or started, and waited for as long as its process lives.

FiftyOne gives a new MongoDB a minute, and starts a second one on the same files where the first does not answer yet, which then
fails; on a busy machine both happen. Here a wait ends by what is waited for, or by the end of the process that it is expected of.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm.database as database
import fiftyone.core.service as service
import fiftyone.service.util as processes
import psutil
from fiftyone.core.config import FiftyOneConfigError
from mongoengine.errors import MongoEngineException
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from audits.fiftyone.waiting import PATIENCE, waiting
from recapdata.errors import RecapdataError

PORT = "FIFTYONE_PRIVATE_DATABASE_PORT"
"""The variable by which FiftyOne tells the processes that it starts where its MongoDB listens."""
ANOTHER = "or name a MongoDB of your own: export FIFTYONE_DATABASE_URI=mongodb://HOST:PORT"
HANGS = f"has not come within {PATIENCE / 60:.0f} minutes, though its process lives; end that process and try again"


class DatabaseFailed(RecapdataError):
    """FiftyOne's MongoDB did not start, or does not answer."""


@cache
def connect() -> None:
    """Connect FiftyOne to its MongoDB, starting it where none serves the configured folder.

    Raises:
        DatabaseFailed: it does not start, or there is none where it was configured to be.
    """
    service.DatabaseService = PatientService
    for _ in waiting("MongoDB to answer"):
        try:
            database._connect()
        except DatabaseFailed:
            database._db_service = None  # else FiftyOne would take it for a running one
            raise
        except (OSError, RuntimeError, FiftyOneConfigError, PyMongoError, MongoEngineException) as error:
            database._disconnect()
            if not (isinstance(error.__cause__, ServerSelectionTimeoutError) and _listens()):
                raise DatabaseFailed(_unreachable(error)) from error
        else:
            return
    raise DatabaseFailed(f"an answer of MongoDB {HANGS}")


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the errors of a database that goes away meanwhile into one line.

    Raises:
        DatabaseFailed: it does not answer any more, or refuses.
    """
    try:
        yield
    except (PyMongoError, MongoEngineException) as error:
        raise DatabaseFailed(
            f"FiftyOne's MongoDB failed: {_first_line(error)}; the same command goes on from here. Its log: {_log()}"
        ) from error


class PatientService(service.DatabaseService):  # type: ignore[misc]
    """FiftyOne's MongoDB of the configured folder."""

    _began = 0.0

    def start(self) -> None:
        """Attach to the service that has the folder; else start one, as soon as an ending one has let go of it.

        Raises:
            DatabaseFailed: the folder cannot be written to, or no MongoDB is installed.
        """
        try:
            command = self.command
        except (OSError, service.ServiceExecutableNotFound) as error:
            raise DatabaseFailed(f"FiftyOne's MongoDB cannot be started: {error}; {ANOTHER}") from error
        for process in _services(self._service_args):
            if _attached(process):
                self.attached, self.child = True, process
                return
        program = Path(processes.__file__).with_name("main.py")
        self._began = time.time()
        with open(_service_log(), "wb") as log:  # shown where it says why nothing came of it
            self.child = psutil.Popen(
                [sys.executable, str(program), *self._service_args, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "FIFTYONE_DISABLE_SERVICES": "1"},
            )

    @property
    def port(self) -> int:
        """Where MongoDB listens, as soon as it does.

        Raises:
            DatabaseFailed: it ended instead.
        """
        for _ in waiting("MongoDB to start"):
            with suppress(psutil.Error):  # a process that has just ended
                for child in self.child.children(recursive=True):
                    for port in processes.get_listening_tcp_ports(child):
                        return int(port)
            if not _lives(self.child):
                raise DatabaseFailed(
                    f"FiftyOne's MongoDB did not start: {_last_words(self._began)}; its logs are in {_log().parent}. "
                    f"Mend that, {ANOTHER}"
                )
        raise DatabaseFailed(f"the start of MongoDB {HANGS}")


def _services(args: list[str]) -> list[Any]:
    """The running services of the configured folder.

    FiftyOne itself attaches to any of this user, whatever folder it serves, so that with another App open a dataset would be
    written into the wrong database (seen with FiftyOne 1.22).
    """
    folder = fo.config.database_dir
    return [each for each in processes.find_processes_by_args(args) if folder in each.info["cmdline"]]


def _attached(process: Any) -> bool:
    """Whether a service keeps its MongoDB for this process too; one that is ending is waited for."""
    for _ in waiting(f"the MongoDB of process {process.pid}, which starts or ends"):
        if not _lives(process):
            return False
        with suppress(OSError, EOFError, psutil.Error):  # it does not listen yet, or no longer
            if processes.send_ipc_message(process, ("register", os.getpid())) is True:
                return True
    raise DatabaseFailed(f"the end of process {process.pid}, which has {fo.config.database_dir}, {HANGS}")


def _lives(process: Any) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _listens() -> bool:
    """Whether something accepts connections where FiftyOne's own MongoDB is."""
    if fo.config.database_uri is not None or PORT not in os.environ:
        return False
    with socket.socket() as probe:
        probe.settimeout(60)
        return probe.connect_ex(("127.0.0.1", int(os.environ[PORT]))) == 0


def _unreachable(error: Exception) -> str:
    where = fo.config.database_uri or (
        f"port {os.environ[PORT]}" if PORT in os.environ else _log().parent.parent
    )
    reason = _first_line(error.__cause__ or error)
    return f"FiftyOne cannot use the MongoDB at {where}: {reason}; start it, {ANOTHER}"


def _first_line(error: BaseException) -> str:
    words = str(error).partition(" (configured timeouts")[0]  # pymongo's own remarks follow
    return next(iter(words.splitlines()), type(error).__name__)[:300].rstrip(".")


def _log() -> Path:
    return Path(fo.config.database_dir) / "log" / "mongo.log"


def _service_log() -> Path:
    return _log().with_name("service.log")


def _last_words(began: float) -> str:
    """Why a MongoDB that was started at a time ended: the last error of its log, else the last line that it wrote at all."""
    log = _log()
    for line in reversed(_lines(log)) if log.exists() and log.stat().st_mtime >= began else ():
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            entry = json.loads(line)
            if entry["s"] in ("E", "F") and (reason := entry.get("attr", {}).get("error") or entry["msg"]):
                return str(reason)[:300].rstrip(".")
    last = next(iter(reversed(_lines(_service_log()))), "it said nothing")
    if ended := re.search(r"exited with error -?\d+", last):  # FiftyOne's own word, behind the whole command
        return ended[0]
    return last[:300].rstrip(".")


def _lines(path: Path) -> list[str]:
    try:
        return [
            line for line in path.read_text(encoding="utf8", errors="replace").splitlines() if line.strip()
        ]
    except OSError:
        return []
