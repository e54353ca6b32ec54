"""Reading the files that a source names: never outside its folder, never more than is sane, never a device."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from recapdata.dataset.folder import MANIFEST
from recapdata.dataset.paths import NotAFile, UnsafePath, is_below, open_inside
from recapdata.errors import SourceError
from recapdata.ingestion.images import is_image_name
from recapdata.ingestion.source import failed
from recapdata.records import Item

MAX_TEXT = 2**20
"""Bytes of a text file beside an image, and of a caption of any source; more is no caption."""


def walk(root: Path, below: str = "", *, skipped: Callable[[str, str], None] | None = None) -> Iterator[str]:
    """Relative paths of all files, folder by folder in the order of their names.

    Hidden files, linked folders and dataset folders are left out.

    Args:
        skipped: is given what is left out, but for hidden files that are no images: what it is in the plural, and its path.

    Raises:
        SourceError: a folder cannot be read.
    """
    names: list[str] = []
    folders: set[str] = set()
    try:
        with os.scandir(root / below) as entries:
            # Names alone are kept: a folder may hold a million files, and an entry takes ten times its name.
            for entry in entries:
                what = _unread(entry)
                if what is None:
                    names.append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        folders.add(entry.name)
                elif what and skipped is not None:
                    skipped(what, f"{below}/{entry.name}" if below else entry.name)
    except OSError as error:
        raise SourceError(f"the folder {root / below} cannot be read: {error.strerror}") from error
    if MANIFEST in names:
        if skipped is not None:
            skipped("folders that are datasets of this project", below or ".")
        return  # a dataset of this project, perhaps the very one that is being made
    for name in sorted(names):
        path = f"{below}/{name}" if below else name
        if name in folders:
            yield from walk(root, path, skipped=skipped)
        else:
            yield path


def _unread(entry: os.DirEntry[str]) -> str | None:
    """Why an entry of a folder is left out, in the plural; empty where nobody misses it, None where it is read."""
    if entry.name.startswith("."):
        hidden_image = is_image_name(entry.name) and not entry.name.startswith("._")  # macOS writes those
        return "hidden images" if hidden_image else ""
    if entry.is_dir(follow_symlinks=False):
        return None
    try:
        if entry.is_file():
            return None
    except OSError:  # a link that leads to itself
        return "symbolic links that lead nowhere"
    if not entry.is_symlink():
        return "entries that are no files (FIFOs, sockets, devices)"
    folder = os.path.isdir(entry.path)
    return (
        "symbolic links to folders, which are not followed" if folder else "symbolic links that lead nowhere"
    )


def read_image(root: Path, name: str, source: str, max_bytes: int) -> bytes | Item:
    """The bytes of an image file below `root`, or the failed item of the row that names it."""
    return _read(root, name, source, max_bytes, "")


def read_caption(root: Path, name: str, source: str) -> str | Item | None:
    """The text of a file beside an image without the blanks around it; None where there is no such file."""
    content = _read(root, name, source, MAX_TEXT, f"{PurePosixPath(name).name}: ")
    if isinstance(content, Item):
        missing = content.error is not None and content.error.error == "MissingFile"
        return None if missing else content
    return content.decode("utf-8-sig", "surrogateescape").strip()


def captions_of(text: str) -> list[str]:
    """The captions of a text that has one a line; a blank text is one blank caption."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
    return [line for line in lines if line] or [""]


def is_file(root: Path, name: str) -> bool:
    """Whether there is a file of exactly this name, also one that a walk leaves out."""
    try:
        return (root / name).is_file()
    except (OSError, ValueError):
        return False


def check_own(root: Path, path: Path) -> None:
    """Refuse a table that is a link to somewhere else, or no file.

    Raises:
        SourceError: it is.
    """
    if not is_below(root, path):
        raise SourceError(f"{path} is a link that leads out of {root}; put the file itself there")
    if not path.is_file():
        raise SourceError(f"{path} is no file")


def _read(root: Path, name: str, source: str, max_bytes: int, what: str) -> bytes | Item:
    try:
        with open_inside(root, name) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(max_bytes + 1) if size <= max_bytes else b""
    except UnsafePath as error:
        return failed(source, "UnsafePath", f"{what}{error}")
    except (FileNotFoundError, NotADirectoryError):
        return failed(source, "MissingFile", f"{what}there is no such file")
    except NotAFile as error:
        return failed(source, "MissingFile" if not what else "UnreadableFile", f"{what}{error}")
    except OSError as error:
        return failed(source, "UnreadableFile", f"{what}{error.strerror or type(error).__name__}")
    if max(size, len(content)) > max_bytes:
        return failed(source, "TooLarge", f"{what}{size:,} bytes; the limit is {max_bytes:,}")
    return content
