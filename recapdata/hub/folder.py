"""A Hub's folder: opened by one process at a time, and cleaned at each start of what a killed one left.

    hub.json                          says that this folder is a Hub's, and of which format
    lock                              held while a process serves the folder
    token                             the token of its user, readable by its owner only
    repos/<kind>/<namespace>/<name>.git
    objects/ab/cd/<sha256>            large objects
    incoming/                         uploads and repositories under way

Whatever is outside `incoming` is whole: it was written there, flushed, and renamed into its place.
"""

import fcntl
import json
import secrets
import shutil
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pygit2
from pygit2.enums import ConfigLevel, ObjectType

from recapdata.errors import HubError
from recapdata.hub.history import open_bare
from recapdata.hub.objects import POINTER_MAX_BYTES, ObjectStore, parse_pointer
from recapdata.hub.repositories import DELETIONS, KINDS, NAME, Repositories, replace_text

FORMAT = 1
KEEP_SECONDS = 24 * 3600
"""A large object that no repository names is kept for so long."""
MARKER = "hub.json"


@dataclass(frozen=True, slots=True)
class HubFolder:
    """An opened folder: what the requests work on."""

    root: Path
    user: str
    token: str
    repositories: Repositories
    objects: ObjectStore


@contextmanager
def opened(root: Path, *, token: str | None, user: str) -> Iterator[HubFolder]:
    """Open a Hub's folder (or make one of an empty or missing folder) and hold it until the end of the block.

    Args:
        token: the token that writes need; None for the folder's own, which is made at the first start.

    Raises:
        HubError: the folder is something else's, of a newer format, or another process serves it.
    """
    root = root.resolve()
    if not NAME.fullmatch(user):
        raise HubError(
            f"{user!r} cannot be a user's name: letters, digits, '-', '_' and '.', as in a repository's."
        )
    _recognise(root)
    with (root / "lock").open("ab") as lock:
        _hold(lock, root)
        _isolate_git()
        incoming = root / "incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        for folder in (incoming, root / "objects", *(root / "repos" / kind for kind in KINDS)):
            folder.mkdir(parents=True, exist_ok=True)
        for repository in (root / "repos").glob("*/*/*.git"):
            _tidy(repository)
        _reclaim(root / "repos", root / "objects")
        yield HubFolder(
            root=root,
            user=user,
            token=token or _own_token(root),
            repositories=Repositories(root / "repos", incoming, user),
            objects=ObjectStore(root / "objects", incoming),
        )


def _recognise(root: Path) -> None:
    """Make sure that the folder is a Hub's, or may become one.

    Raises:
        HubError: it holds something else, or cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise HubError(
            f"{root} cannot be a Hub's folder ({error.strerror}): choose another with --root."
        ) from error
    started = {
        name for name in names if name == "lock" or name.startswith(f"{MARKER}.")
    }  # and was killed at once
    if MARKER not in names and names - started - {"lost+found"}:
        raise HubError(f"{root} is neither empty nor a Hub's folder: choose another with --root.")


def _hold(lock: BinaryIO, root: Path) -> None:
    """Be the only process in the folder, and know its format.

    Raises:
        HubError: another process serves it, or it is of another format.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise HubError(
            f"Another process serves {root}: use that one, stop it, or choose another --root."
        ) from error
    marker = root / MARKER
    if not marker.exists():
        replace_text(marker, json.dumps({"format": FORMAT}))
    found = json.loads(marker.read_text()).get("format")
    if found != FORMAT:
        raise HubError(
            f"{root} is a Hub's folder of format {found}; this recapdata reads format {FORMAT}: update it."
        )


def _isolate_git() -> None:
    """Read no configuration of the person or the machine, and do not mind who owns the folder (a mounted volume, say)."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False


def _own_token(root: Path) -> str:
    path = root / "token"
    if not path.exists():
        alphabet = string.ascii_letters + string.digits
        replace_text(path, "hf_" + "".join(secrets.choice(alphabet) for _ in range(34)), mode=0o600)
    return path.read_text().strip()


def _tidy(repository: Path) -> None:
    """Remove what a killed process left in a repository: locks of references and half-written files."""
    for pattern in (
        "*.lock",
        "refs/**/*.lock",
        "objects/tmp_*",
        "objects/*/tmp_*",
        ".hub.json.*",
        "hub.json.*",
    ):
        for path in repository.glob(pattern):
            path.unlink(missing_ok=True)


def _reclaim(repos: Path, objects: Path) -> int:
    """Remove the large objects of deleted repositories; returns the bytes freed.

    Only at a start, because nobody is uploading; and only once an object is a day old, because it may have been uploaded for a
    commit that is still to come. What a repository names is taken from every object in its git database, reachable or not, so
    that even a commit known by nothing but its id keeps its files.
    """
    noted = repos / DELETIONS
    if not noted.exists():
        return 0
    named = {sha256 for path in repos.glob("*/*/*.git") for sha256 in _named(path)}
    freed = 0
    waiting = False
    for path in objects.glob("??/??/*"):
        if path.name in named:
            continue
        stat = path.stat()
        if stat.st_mtime > time.time() - KEEP_SECONDS:
            waiting = True
            continue
        path.unlink()
        freed += stat.st_size
    if not waiting:
        noted.unlink()
    return freed


def _named(repository: Path) -> set[str]:
    """The large objects that a repository's git database names."""
    repo = open_bare(repository)
    named = set()
    for oid in repo:
        kind, size = repo.odb.read_header(oid)
        if (
            kind == ObjectType.BLOB
            and size <= POINTER_MAX_BYTES
            and (pointer := parse_pointer(repo[oid].read_raw()))
        ):
            named.add(pointer.sha256)
    return named
