"""Files of prompts: lines of text, JSON lines, tables, or a folder of text files, as the benchmarks come in.

DrawBench              a table with the columns Prompts and Category
PartiPrompts           a table (.tsv) with Prompt, Category, Challenge and Note
T2I-CompBench          a text file per category, a prompt per line, or the folder of them
GenEval, GenEval 2     JSON lines with `prompt` and what is to be checked
DPG-Bench              a folder of text files, a prompt each; or its table, a row per question
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recapdata.dataset.bounded import TooLarge, read_small
from recapdata.dataset.paths import is_below
from recapdata.errors import InputError

PROMPT_FIELDS = ("prompt", "prompts", "caption", "text")
"""Names of the field that holds the prompt, whatever their case; the first that is there."""
JSON_LINES = (".jsonl", ".json")
TABLES = {".csv": ",", ".tsv": "\t"}
MOST = 2**28
"""Bytes of a file of prompts."""
ITEM = "item_id"
"""The column of DPG-Bench's table that several rows of one prompt share."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt of a file.

    Attributes:
        where: file and line, for messages.
        row: the fields of its JSON object or table row other than the prompt; empty for a line of text.
        name: what the file calls it: its `id`, or the name of a text file that holds it alone; None where there is none.
        category: of the benchmark, where the file or its name tells one.
    """

    prompt: str
    where: str
    row: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    category: str | None = None


def read_prompt_file(path: Path) -> Iterator[PromptRow]:
    """The prompts of a file, or of the text files of a folder by their names; in order, blank ones left out.

    Raises:
        InputError: no such file, not UTF-8, a row without a prompt, or a folder without text files or with links out of it.
    """
    try:
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() in TABLES:
            yield from _table(path)
        else:
            yield from _lines(path)
    except (OSError, UnicodeDecodeError, TooLarge, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as prompts ({error})") from error


def _text(path: Path, newline: str | None = None) -> io.StringIO:
    """The text of a file; of a FIFO or device, which has no end, there is none."""
    if not path.is_file():
        raise InputError(
            f"{path}: cannot be read as prompts (there is no such file, or it is a FIFO or a device)"
        )
    return io.StringIO(read_small(path, MOST).decode("utf-8-sig"), newline=newline)


def _lines(path: Path) -> Iterator[PromptRow]:
    as_json = path.suffix.lower() in JSON_LINES
    for number, line in enumerate(_text(path), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _json_row(line, where) if as_json else PromptRow(line.strip(), where)


def _json_row(line: str, where: str) -> PromptRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); one object a line is expected") from error
    return PromptRow(row, where) if isinstance(row, str) else _row(row, where)


def _row(row: Any, where: str) -> PromptRow:
    names = {str(name).lower(): name for name in row} if isinstance(row, dict) else {}
    holder = next((names[name] for name in PROMPT_FIELDS if name in names), None)
    if holder is None or not isinstance(row[holder], str):
        raise InputError(f"{where}: no text under any of {', '.join(PROMPT_FIELDS)}")
    others = {name: value for name, value in row.items() if name != holder}
    name, category = (others.get(names.get(field, "")) for field in ("id", "category"))
    return PromptRow(
        row[holder],
        where,
        others,
        name=None if name is None else str(name),
        category=category if isinstance(category, str) else None,
    )


def _table(path: Path) -> Iterator[PromptRow]:
    """Rows of a table; those of DPG-Bench that belong to one prompt as one, its questions under `questions`."""
    reader = csv.DictReader(_text(path, newline=""), delimiter=TABLES[path.suffix.lower()])
    item: PromptRow | None = None
    for line in reader:
        row = {name: value for name, value in line.items() if name is not None and value is not None}
        if not any(value.strip() for value in row.values()):
            continue
        read = _row(row, f"{path}, line {reader.line_num}")
        if ITEM not in read.row:
            yield read
            continue
        question = {name: value for name, value in read.row.items() if name != ITEM}
        if item is not None and item.name == read.row[ITEM]:
            item.row["questions"].append(question)
            continue
        if item is not None:
            yield item
        item = PromptRow(read.prompt, read.where, {"questions": [question]}, name=read.row[ITEM])
    if item is not None:
        yield item


def _folder(path: Path) -> Iterator[PromptRow]:
    """The text files of a folder: a file of one line is a prompt with the file's name, one of several a category."""
    files = sorted(path.glob("*.txt"))
    if not files:
        raise InputError(f"{path} holds no .txt files; name a file of prompts or a folder of them")
    for file in files:
        if not is_below(path, file):
            raise InputError(
                f"{file} is a symbolic link out of its folder, which anybody may have made; put the file itself there"
            )
        rows = list(_lines(file))
        if len(rows) == 1:
            yield PromptRow(rows[0].prompt, rows[0].where, name=file.stem)
        else:
            for number, row in enumerate(rows):
                yield PromptRow(row.prompt, row.where, name=f"{file.stem}-{number:05d}", category=file.stem)
