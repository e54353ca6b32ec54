"""Giving back the space of deleted repositories: large objects that no repository names any more are removed at a start.

Only then, because nobody is uploading; and only once an object is a day old, because it may have been uploaded for a commit that
is still to come. What a repository names is taken from every object in its git database, reachable or not, so that even a commit
known by nothing but its id keeps its files.
"""

import time
from pathlib import Path

from pygit2.enums import ObjectType

from recapdata.hub.history import open_bare
from recapdata.hub.objects import POINTER_MAX_BYTES, parse_pointer

KEEP_SECONDS = 24 * 3600


def note_deletion(repos: Path) -> None:
    """Remember that a repository was deleted: without one, no start looks for what could be removed."""
    (repos / "deletions").touch()


def reclaim(repos: Path, objects: Path) -> int:
    """Remove large objects that no repository names, if a repository was deleted; returns the bytes given back."""
    noted = repos / "deletions"
    if not noted.exists():
        return 0
    named = {sha256 for path in repos.glob("*/*/*.git") for sha256 in _named(path)}
    given_back = 0
    waiting = False
    for path in objects.glob("??/??/*"):
        if path.name in named:
            continue
        stat = path.stat()
        if stat.st_mtime > time.time() - KEEP_SECONDS:
            waiting = True
            continue
        path.unlink()
        given_back += stat.st_size
    if not waiting:
        noted.unlink()
    return given_back


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
