"""Bringing files to the disk in the order that makes a rename the moment of truth, also across a power cut."""

import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pygit2

_THREADS = 8


def flush_file(path: Path) -> None:
    """Flush a file's bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries, without which a rename may not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_objects(repo: pygit2.Repository, oids: Iterable[pygit2.Oid]) -> None:
    """Flush git objects: several at once, which a journaling file system takes as one."""
    names = {str(oid) for oid in oids}
    paths = [Path(repo.path) / "objects" / name[:2] / name[2:] for name in names]
    loose = [path for path in paths if path.exists()]  # one in a pack was flushed by whoever packed it
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(flush_file, loose))
        list(pool.map(flush_folder, {path.parent for path in loose}))


def flush_reference(repo: pygit2.Repository, name: str) -> None:
    """Flush a reference that was just created or moved."""
    path = Path(repo.path) / name
    flush_file(path)
    flush_folder(path.parent)


def replace_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small file, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    flush_folder(path.parent)
