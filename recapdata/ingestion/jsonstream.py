"""The elements of a large JSON file one by one, as an annotation file of COCO needs it: an object of long arrays.

Only one element is held at a time, and bytes that are no UTF-8 become lone surrogates instead of an error. So that one element never
spoils the others, an integer of thousands of digits comes as its text, a value that nests deeper than `DEEPEST` as `TOO_DEEP`, and one
of more than `LONGEST` characters as `TOO_LONG`, which is never held whole.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 2**20
"""Characters read at once."""
DEEPEST = 64
"""Arrays and objects inside each other; COCO's nest no deeper than four."""
TOO_DEEP = "nests too deep"
LONGEST = 2**24
"""Characters of an element; COCO's longest, the runs of an uncompressed mask, have a thousandth of them."""
TOO_LONG = "is too long"
_TOO_DEEP = f"arrays and objects inside each other, more than {DEEPEST} deep"
_DIGITS = 4300
"""The longest integer that Python reads from text."""
_MARKS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
_NUMBER = (*"0123456789+-.eE", "")
"""What may follow the part of a number; nothing, at the window's end."""


class NoObject(ValueError):
    """What a file holds is no object."""


def elements(path: Path) -> Iterator[tuple[str, Any]]:
    """Members of the file's top object by name: an array's elements one by one, any other value whole.

    Raises:
        NoObject: it holds something else than an object.
        json.JSONDecodeError: the file is no JSON, or ends too early.
    """
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        text = _Text(file)
        if text.next() not in ("{", ""):
            raise NoObject("the file holds no object at its top")
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
        self._decode = json.JSONDecoder(parse_int=_integer).raw_decode

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
        """The next value, whole, or `TOO_DEEP`, or `TOO_LONG`.

        Raises:
            json.JSONDecodeError: it is none.
        """
        self.next()
        while True:
            try:
                value, end = self._decode(self._window, self._at)
            except RecursionError:
                self._skip()
                return TOO_DEEP
            except json.JSONDecodeError:
                if len(self._window) - self._at > LONGEST and self._window[self._at] in '[{"':
                    self._skip()
                    return TOO_LONG
                if not self._more():
                    raise
                continue
            if self._window[end : end + 1] in _NUMBER and end - self._at <= LONGEST and self._more():
                continue  # a number at the window's end may go on beyond it
            brackets = sum(self._window.count(each, self._at, end) for each in "[{")
            self._at = end
            return value if brackets <= DEEPEST or _depth(value) <= DEEPEST else TOO_DEEP

    def _skip(self) -> None:
        """Pass by a text, or an array or object of any depth, reading no more than brackets and quotes."""
        depth, quoted = 0, False
        while True:
            for match in _MARKS.finditer(self._window, self._at):
                mark = match[0]
                if mark == '"':
                    quoted = not quoted
                elif not quoted and len(mark) == 1:
                    depth += 1 if mark in "[{" else -1
                if not depth and not quoted:
                    self._at = match.end()
                    return
            # A backslash at the window's end may belong to a quote beyond it.
            self._at = len(self._window) - (len(self._window) - len(self._window.rstrip("\\"))) % 2
            if not self._more():
                raise json.JSONDecodeError("Unterminated array or object", self._window, self._at)

    def _more(self) -> bool:
        rest = self._window[self._at :]
        chunk = self._file.read(max(CHUNK, len(rest)))
        self._window, self._at = rest + chunk, 0
        return bool(chunk)


def parse_json(text: str, **options: Any) -> Any:
    """The value of a text that holds one.

    Args:
        options: of `json.loads`.

    Raises:
        ValueError: it is no JSON, holds an integer of thousands of digits, or nests deeper than `DEEPEST`: Arrow, Parquet and much
            else go down into values by recursion.
    """
    try:
        value = json.loads(text, **options)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError(_TOO_DEEP)
    return value


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _DIGITS else digits


def _depth(value: Any) -> int:
    """How many arrays and objects are inside each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, list | dict)]:
        depth += 1
        level = [each for part in level for each in (part.values() if isinstance(part, dict) else part)]
    return depth
