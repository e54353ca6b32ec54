"""Files of prompts: a text file with one per line, or JSON lines with the prompt under one of three names."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recapdata.errors import InputError

PROMPT_FIELDS = ("prompt", "caption", "text")
"""Names of the field that holds the prompt, the first that is there."""
JSON_LINES = (".jsonl", ".json")


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt of a file.

    Attributes:
        where: file and line, for messages.
        row: the fields of its JSON object; empty for a line of text.
    """

    prompt: str
    where: str
    row: Mapping[str, Any] = field(default_factory=dict)


def read_prompt_file(path: Path) -> Iterator[PromptRow]:
    """The prompts of a file in order, blank lines left out; of a `.jsonl` or `.json` file one JSON object or text a line.

    Raises:
        InputError: no such file, not UTF-8, or a line without a prompt.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield (
                        _json_row(line, where)
                        if path.suffix in JSON_LINES
                        else PromptRow(line.strip(), where)
                    )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as prompts ({error})") from error


def _json_row(line: str, where: str) -> PromptRow:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error}); one object a line is expected") from error
    if isinstance(row, str):
        return PromptRow(row, where)
    prompt = (
        next((row[name] for name in PROMPT_FIELDS if name in row), None) if isinstance(row, dict) else None
    )
    if not isinstance(prompt, str):
        raise InputError(f"{where}: no text under any of {', '.join(PROMPT_FIELDS)}")
    return PromptRow(prompt, where, row)
