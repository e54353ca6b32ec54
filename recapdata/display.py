"""Results as a person sees them: their text in a terminal, tables in a notebook."""

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Protocol, TypeVar

_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing: control characters but line breaks and tabs, and marks that turn the direction of text."""


_SCREEN = re.compile(rf"(\r|\x1b\[[0-9;]*[mAK])|{_COMMANDS.pattern}")


def printable(text: str) -> str:
    r"""A text for a terminal, with control characters as escapes (`\x1b`): captions and names of strangers move no cursor."""
    return _COMMANDS.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def for_screen(text: str) -> str:
    """The same of what libraries write to a terminal, but for what bars and colors are made of: `\\r`, lines up, clearing, colors."""
    return _SCREEN.sub(lambda match: match[1] or match.group().encode("unicode_escape").decode(), text)


class Screen:
    """A text stream that lets through `for_screen` only: what a library says may quote a stranger's file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(for_screen(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def printable_json(text: str) -> str:
    """The same of a JSON document, which stays that document."""
    return _COMMANDS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def one_line(text: str) -> str:
    """A text that came with data, for a line of its own in a terminal: its line breaks are escapes too."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def shell_line(words: Iterable[str]) -> str:
    r"""A command as one line that a shell takes, to show and to copy: words with control characters in bash's `$'\x1b'`."""
    return " ".join(map(shell_word, words))


def shell_word(word: str) -> str:
    """One word of it."""
    if not (set(word) & {"\n", "\t"} or _COMMANDS.search(word)):
        return shlex.quote(word)
    quoted = word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return "$'" + _COMMANDS.sub(_shell_escape, quoted) + "'"


def _shell_escape(match: re.Match[str]) -> str:
    number = ord(match.group())
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}"


class HasText(Protocol):
    """A result that says itself what there is to say."""

    def text(self) -> str:
        """The lines for a terminal."""


Result = TypeVar("Result", bound=type[HasText])


def shown_as_text(result: Result) -> Result:
    """A class decorator, under `@dataclass`: `repr` is the text that a console command would print."""

    def shown(self: Any) -> str:
        return self.text()

    result.__repr__ = shown  # type: ignore[assignment,method-assign]
    return result


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """A table for `_repr_html_`; the first row of cells is a heading, everything is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def finite(value: Any) -> Any:
    """A value of dicts, lists and plain values as JSON takes it: None in the place of numbers that are infinite or none."""
    if isinstance(value, Mapping):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
