"""Bringing files to the disk in the order that makes a rename the moment of truth, also across a power cut."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pygit2

from recapdata.atomic import flush, replacing

_THREADS = 8


def flush_objects(repo: pygit2.Repository, oids: Iterable[pygit2.Oid]) -> None:
    """Flush git objects: several at once, which a journaling file system takes as one."""
    names = {str(oid) for oid in oids}
    paths = [Path(repo.path) / "objects" / name[:2] / name[2:] for name in names]
    loose = [path for path in paths if path.exists()]  # one in a pack was flushed by whoever packed it
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(flush, loose))
        list(pool.map(flush, {path.parent for path in loose}))


def flush_reference(repo: pygit2.Repository, name: str) -> None:
    """Flush a reference that was just created or moved."""
    path = Path(repo.path) / name
    flush(path)
    flush(path.parent)


def replace_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small file, whole or not at all."""
    with replacing(path, shared=True) as temporary:
        temporary.touch(mode, exist_ok=False)
        temporary.write_text(text)
