"""Reading the files that a source names: never outside its folder, never more than is sane, never a device."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from recapdata.errors import SourceError
from recapdata.ingest.source import failed
from recapdata.records import Item
from recapdata.store import MANIFEST

MAX_TEXT = 2**20
"""Bytes of a text file beside an image; more is no caption."""


def walk(root: Path, below: str = "") -> Iterator[str]:
    """Relative paths of all files, folder by folder in the order of their names.

    Hidden files, linked folders and dataset folders are left out.

    Raises:
        SourceError: a folder cannot be read.
    """
    names: list[str] = []
    folders: set[str] = set()
    try:
        with os.scandir(root / below) as entries:
            # Names alone are kept: a folder may hold a million files, and an entry takes ten times its name.
            for entry in entries:
                if not entry.name.startswith("."):
                    if entry.is_dir(follow_symlinks=False):
                        folders.add(entry.name)
                    elif not entry.is_file():
                        continue
                    names.append(entry.name)
    except OSError as error:
        raise SourceError(f"the folder {root / below} cannot be read: {error.strerror}") from error
    if MANIFEST in names:
        return  # a dataset of this project, perhaps the very one that is being made
    for name in sorted(names):
        path = f"{below}/{name}" if below else name
        if name in folders:
            yield from walk(root, path)
        else:
            yield path


def inside(name: str) -> bool:
    """Whether a relative name stays inside the folder that it is relative to."""
    path = PurePosixPath(name)
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not path.is_absolute() and "\0" not in name


def read_image(root: Path, name: str, source: str, max_bytes: int) -> bytes | Item:
    """The bytes of an image file below `root`, or the failed item of the row that names it."""
    if not inside(name):
        return failed(source, "UnsafePath", f"the name leads outside the source: {name!a}")
    path = root / name
    try:
        if not path.is_file():
            return failed(
                source, "MissingFile", "there is no such file" if not path.exists() else "not a file"
            )
        if path.stat().st_size > max_bytes:
            return failed(source, "TooLarge", f"{path.stat().st_size:,} bytes; the limit is {max_bytes:,}")
        return path.read_bytes()
    except OSError as error:
        return failed(source, "UnreadableFile", str(error.strerror or type(error).__name__))


def read_caption(path: Path, source: str) -> str | Item | None:
    """The text of a file beside an image without the blanks around it; None where there is no such file."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return failed(source, "UnreadableFile", f"{path.name}: {error.strerror or type(error).__name__}")
    if len(content) > MAX_TEXT:
        return failed(source, "TooLarge", f"{path.name} holds more than {MAX_TEXT:,} bytes of text")
    return content.decode("utf-8-sig", "surrogateescape").strip()
