"""Names that came with data, as paths: whether they stay in their folder, and opening them without leaving it.

The one place where a name that somebody else wrote (a table's `file_name`, a COCO entry, a text beside an image) becomes a file
that is read.
"""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

LONGEST = 4096
"""Characters of a path; Linux opens no longer one."""


class UnsafePath(Exception):
    """A name, or a symbolic link that it goes through, leads out of its folder."""


class NotAFile(Exception):
    """A name of something that is no regular file: a folder, a FIFO, a device."""


def inside(name: str) -> bool:
    """Whether a relative name stays inside the folder that it is relative to, as far as the name itself tells."""
    if len(name) > LONGEST or "\0" in name:
        return False
    path = PurePosixPath(name)
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not path.is_absolute()


def is_below(root: Path, path: Path) -> bool:
    """Whether a path lies below a folder once all symbolic links in both are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def open_inside(root: Path, name: str) -> BinaryIO:
    """Open a regular file below a folder; a FIFO or device is never waited for.

    Args:
        name: relative to `root`; symbolic links are followed inside of it only.

    Raises:
        UnsafePath: the name or a link leads out of the folder.
        NotAFile: it is no regular file.
        OSError: there is none, or it cannot be opened.
    """
    if not inside(name):
        raise UnsafePath(f"the name leads outside the source: {name[:200]!a}")
    path = root / name
    if not is_below(root, path):
        raise UnsafePath(f"a symbolic link leads outside the source: {name[:200]!a}")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise NotAFile("not a file")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.fdopen(handle, "rb")
