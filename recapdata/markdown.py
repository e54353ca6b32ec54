"""Texts of unknown origin in Markdown: what could be markup in a card or a table of results becomes an entity, and nothing else does."""

import re

_MARKUP = re.compile(
    r"""
      [<|`*\[~$]                 # HTML, a table's cell, code, emphasis, a link or picture, struck out, a formula
    | (?<![^\W_])_|_(?![^\W_])  # emphasis; within a word it is none
    | &(?=[#\w])                 # an entity
    | \\(?![^\W_]|\s)            # an escape
    | :(?=//|[\w+-]+:)           # a bare address; :emoji:
    | (?<=www)\.                 # a bare address
    | @(?=\S)                    # a mention; a mail address
    | \#(?=\d)                   # an issue
    | ^[-+=>\#]                  # a list, a line, a quotation, a heading
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[\w.=,;:/@+-]+(?: [\w.=,;:/@+-]+)*")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


def escape(value: object) -> str:
    """A text of one line that Markdown (in a table too) shows as it is: what could be markup becomes an entity."""
    text = " ".join(str(value).split())
    text = "".join(char for char in text if char.isprintable())
    escaped = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", text)
    return _NUMBERED.sub(lambda match: f"{match[1]}&#{ord(match[2])};", escaped)


def as_code(value: object) -> str:
    """A name or a value that came with data as code, whatever it holds."""
    name = str(value)
    return f"`{name}`" if _PLAIN_NAME.fullmatch(name) else f"<code>{escape(name)}</code>"
