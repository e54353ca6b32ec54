"""Files that are there whole or not at all: written under a temporary name, made durable, renamed.

A reader sees the old content or the new, never a part, also after a kill or a power cut.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from recapdata.errors import OptionError


def check_folder(out: Path) -> None:
    """Check that files may be written below a path: it is a folder, or nothing yet.

    Raises:
        OptionError: it is a file, or lies below one.
    """
    for folder in (out, *out.parents):
        if folder.is_symlink() or folder.exists():
            if not folder.is_dir():
                raise OptionError(f"{out}: {folder} is a file; name a folder")
            return


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` at the end, or is deleted on an error.

    Args:
        shared: several threads or processes may write this file at once, under a temporary name each.
    """
    temporary = temporary_path(path, shared=shared)
    try:
        yield temporary
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a small file."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def open_to_append(path: Path) -> BinaryIO:
    """A file to add to, unbuffered, made if missing; a link is not followed, a FIFO not waited for.

    Raises:
        OptionError: it is a link, or no file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
    else:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "ab", buffering=0)
        os.close(handle)
    raise OptionError(f"{path} is a link, or no file; move it away, since it would be written to")


def temporary_path(path: Path, *, shared: bool = False) -> Path:
    """Where to write what is to become `path`: a hidden name beside it, in a folder that is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{f'.{secrets.token_hex(4)}' if shared else ''}.tmp")
    if temporary.is_symlink() or temporary.is_fifo():
        temporary.unlink()  # so that nothing is written through it, or waits for a reader
    return temporary


def rename(temporary: Path, path: Path) -> None:
    """Give a finished file its name, durably.

    Raises:
        OptionError: a folder has the name.
    """
    flush(temporary)
    try:
        os.replace(temporary, path)
    except IsADirectoryError as error:
        raise OptionError(f"{path} is a folder, where a file is to be written; move it away") from error
    flush(path.parent)


def remove(path: Path) -> None:
    """Delete a file, a folder with all that is in it, or a symbolic link and not what it leads to; nothing where there is none."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def flush(path: Path) -> None:
    """Bring the bytes of a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
