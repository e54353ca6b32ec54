"""The elements of a large JSON file one by one, as an annotation file of COCO needs it: an object of long arrays.

Only one element is held at a time, and bytes that are no UTF-8 become lone surrogates instead of an error.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 2**20
"""Characters read at once."""
_NUMBER = (*"0123456789+-.eE", "")
"""What may follow the part of a number; nothing, at the window's end."""


def elements(path: Path) -> Iterator[tuple[str, Any]]:
    """Members of the file's top object by name: an array's elements one by one, any other value whole.

    Raises:
        json.JSONDecodeError: the file is no JSON, or ends too early.
    """
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        text = _Text(file)
        text.expect("{")
        while text.next() != "}":
            name = text.value()
            text.expect(":")
            if text.next() == "[":
                text.expect("[")
                while text.next() != "]":
                    yield name, text.value()
                    if text.next() != "]":
                        text.expect(",")
                text.expect("]")
            else:
                yield name, text.value()
            if text.next() != "}":
                text.expect(",")


class _Text:
    """A window over a text file, and a position in it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._window = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def next(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._window):
                if not self._window[self._at].isspace():
                    return self._window[self._at]
                self._at += 1
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Pass by this character."""
        if self.next() != character:
            raise json.JSONDecodeError(f"Expecting {character!r}", self._window, self._at)
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.next()
        while True:
            try:
                value, end = self._decode(self._window, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            if self._window[end : end + 1] in _NUMBER and self._more():
                continue  # a number at the window's end may go on beyond it
            self._at = end
            return value

    def _more(self) -> bool:
        rest = self._window[self._at :]
        chunk = self._file.read(max(CHUNK, len(rest)))
        self._window, self._at = rest + chunk, 0
        return bool(chunk)
