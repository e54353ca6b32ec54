"""Small files that anybody may have written: read up to a limit, so that no file takes all the memory."""

from collections.abc import Iterator
from pathlib import Path

SMALL_BYTES = 64 * 2**20
"""The most of a file that is read whole: a summary, a list of names, the contents of a version."""
LINE_BYTES = 64 * 2**20
"""The most of a line: a batch of captions is far smaller."""


class TooLarge(ValueError):
    """A file, or a line of it, is longer than anything that is written there."""


def read_small(path: Path, most: int = SMALL_BYTES) -> bytes:
    """The whole of a small file.

    Raises:
        TooLarge: it has more than `most` bytes.
    """
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLarge(f"more than {most:,} bytes")
    return content


def read_lines(path: Path, most: int = LINE_BYTES) -> Iterator[bytes]:
    """The lines of a file with their ends; the last one may lack it.

    Raises:
        TooLarge: a line has more than `most` bytes.
    """
    with open(path, "rb") as file:
        while line := file.readline(most + 1):
            if len(line) > most:
                raise TooLarge(f"a line of more than {most:,} bytes")
            yield line
