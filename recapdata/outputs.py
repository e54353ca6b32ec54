"""What a command may replace where it is told to write: a file of its own kind, and what lies in a folder of its own.

A name that was typed wrongly, or completed to another, never costs a file that somebody else made.
"""

import json
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from recapdata.atomic import check_folder
from recapdata.errors import OptionError

PAGE_BEGINNING = 4096
"""Bytes of a page in which its mark stands."""
LONGEST_LINE = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """A kind of file that a command writes under the name that it is given.

    Attributes:
        noun: what it is, for messages: `page of audits report`.
        example: a name for such a file.
        recognize: whether an open file that is not empty is of this kind, by its beginning.
    """

    noun: str
    example: str
    recognize: Callable[[BinaryIO], bool]


def page_kind(command: str, example: str) -> tuple[FileKind, str]:
    """HTML pages of a command, and the value of `<meta name="generator">` by which they are known."""
    generator = f"recapdata: {command}"
    mark = f'<meta name="generator" content="{generator}">'.encode()
    kind = FileKind(
        noun=f"page of {command}",
        example=example,
        recognize=lambda file: mark in file.read(PAGE_BEGINNING),
    )
    return kind, generator


def lines_kind(noun: str, example: str, is_row: Callable[[dict[str, Any]], bool]) -> FileKind:
    """Files of JSON lines, known by the first of them."""

    def recognize(file: BinaryIO) -> bool:
        try:
            row = json.loads(file.readline(LONGEST_LINE))
        except (ValueError, RecursionError):
            return False
        return isinstance(row, dict) and is_row(row)

    return FileKind(noun=noun, example=example, recognize=recognize)


def table_kind(noun: str, example: str, columns: Collection[str]) -> FileKind:
    """CSV tables, known by their header."""
    header = ",".join(columns).encode()
    return FileKind(
        noun=noun,
        example=example,
        recognize=lambda file: file.readline(len(header) + 2).rstrip(b"\r\n") == header,
    )


def check_replaceable(path: Path, kind: FileKind) -> None:
    """Check, before any work, that a file may be written: there is none, an empty one, or one of its kind.

    Raises:
        OptionError: it is anything else, or lies below a file.
    """
    if path.is_dir():
        raise OptionError(f"{path} is a folder; name the file in it, such as {path / kind.example}")
    check_folder(path.parent)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(there.st_mode):
        raise OptionError(f"{path} is no regular file; name another for the {kind.noun}")
    if there.st_size:
        with open(path, "rb") as file:
            if not kind.recognize(file):
                raise OptionError(
                    f"{path} is there already and is no {kind.noun}; name another file, or move it away"
                )


def check_own_folder(out: Path, own: Collection[str], noun: str) -> None:
    """Check, before any work, that a folder may be written to: there is none, or nothing to be seen in it, or it is one of ours.

    Args:
        own: names of which one stands in every such folder, from its first moment on.
        noun: what it is a folder of, for the message.

    Raises:
        OptionError: it holds other files, is a file, or lies below one.
    """
    check_folder(out)
    if not out.is_dir():
        return
    others = sorted(name for name in os.listdir(out) if not name.startswith("."))
    if others and not any((out / name).exists() for name in own):
        raise OptionError(
            f"{out} holds other files ({', '.join(others[:3])}{', …' if len(others) > 3 else ''}) and no {noun}; "
            "name a new or an empty folder"
        )
