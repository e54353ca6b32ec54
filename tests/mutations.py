"""Seeded mutations of the files of a dataset: bytes, values in YAML and JSON, columns and footers of Parquet, names and links.

A mutation is a function of a folder, a file in it and dice. What it puts in leads to a `Canary`, or is of a kind that breaks parsers.
"""

import copy
import json
import os
import random
import shutil
import sqlite3
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Dice = random.Random
TEXTS = (".yaml", ".json", ".jsonl", ".journal", ".md", ".sets", ".change", ".pending")
SPARSE_BYTES = 3 * 2**30


def hostile_values(canary: Path) -> list[Any]:
    """Values that no honest file holds."""
    return [
        None,
        True,
        -1,
        0,
        2**31,
        2**70,
        -(2**70),
        float("nan"),
        float("inf"),
        1e308,
        "",
        " ",
        f"../{canary.name}",
        f"../../{canary.name}",
        f"../../../{canary.name}/alt",
        str(canary),
        str(canary / "key"),
        f"file://{canary}/key",
        "..",
        ".",
        "/",
        "~",
        "a/../../b",
        "a\\..\\b",
        "\0",
        "\x1b]0;x\x07\x1b[2J",
        "\u202e\u2066",
        "\ud800",
        "%s%n{0}{self.__class__}",
        "{{ 7*7 }}{% for x in range(10**9) %}{% endfor %}",
        "<script>alert(1)</script>|`$(touch x)`",
        "x" * 100_000,
        "🐦" * 3_000,
        "(" * 9_000,
        "0" * 5_000,
        "2026-99-99",
        "v1.0.0",
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        {"": None},
        nested(900),
        ["x"] * 10_000,
    ]


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# --- bytes -----------------------------------------------------------------------------------------------------------------


def flip(path: Path, dice: Dice, canary: Path) -> None:
    """Change some bytes; of a Parquet file the footer as often as the pages."""
    content = bytearray(path.read_bytes())
    if not content:
        return
    start = max(0, len(content) - 2000) if dice.random() < 0.5 else 0
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        content[dice.randrange(start, len(content))] = dice.randrange(256)
    path.write_bytes(bytes(content))


def cut(path: Path, dice: Dice, canary: Path) -> None:
    """Leave out the end, or a part."""
    content = path.read_bytes()
    start = dice.randrange(len(content) + 1)
    path.write_bytes(
        content[:start] + (content[start + dice.randrange(1, 50) :] if dice.random() < 0.5 else b"")
    )


def insert(path: Path, dice: Dice, canary: Path) -> None:
    """Put bytes in, or a part twice."""
    content = path.read_bytes()
    start = dice.randrange(len(content) + 1)
    parts = [
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\n",
        b"\r\n",
        b"[" * 50_000,
        b"{" * 3_000,
        b'"',
        b"&a [*a]",
        b"1" * 5_000,
    ]
    parts += [content[start : start + dice.randrange(1, 400)], str(canary).encode(), dice.randbytes(40)]
    path.write_bytes(content[:start] + dice.choice(parts) + content[start:])


def empty(path: Path, dice: Dice, canary: Path, root: Path) -> None:
    """Nothing in it, or zeros: a file that is 3 GB long and takes no room on the disk."""
    size = dice.choice((0, 0, 1, SPARSE_BYTES))
    os.truncate(path, size if dice.random() < 0.5 else max(size, path.stat().st_size))


# --- values ----------------------------------------------------------------------------------------------------------------


def _paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [above] if above else []
    children = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        found += _paths(child, (*above, name))
    return found


def changed(value: Any, dice: Dice, canary: Path) -> Any:
    """A copy in which one value, at any depth, is another, gone, there twice, or has another name."""
    value = copy.deepcopy(value)
    paths = _paths(value)
    hostile = dice.choice(hostile_values(canary))
    if not paths or dice.random() < 0.03:
        return hostile
    *above, last = dice.choice(paths)
    parent = value
    for name in above:
        parent = parent[name]
    kind = dice.choice(("replace", "replace", "replace", "drop", "rename", "swap"))
    if kind == "drop":
        del parent[last]
    elif kind == "rename" and isinstance(parent, dict):
        name = dice.choice(
            [each for each in hostile_values(canary) if isinstance(each, str | int | float | None)]
        )
        parent[name] = parent.pop(last)
    elif kind == "swap" and isinstance(parent, list):
        parent.insert(dice.randrange(len(parent) + 1), parent[last])
    else:
        parent[last] = hostile
    return value


def change_value(path: Path, dice: Dice, canary: Path) -> None:
    """Another value in a YAML or JSON file, or in one line of several."""
    text = path.read_text(encoding="utf8", errors="replace")
    if path.suffix == ".yaml":
        content = yaml.dump(changed(yaml.safe_load(text), dice, canary), allow_unicode=True, sort_keys=False)
    elif path.suffix in (".jsonl", ".journal"):
        lines = text.splitlines()
        row = dice.randrange(len(lines)) if lines else 0
        lines[row : row + 1] = (
            [json.dumps(changed(json.loads(lines[row]), dice, canary))] if lines else ["[]"]
        )
        content = "\n".join(lines) + "\n"
    else:
        content = json.dumps(changed(json.loads(text or "[]"), dice, canary))
    path.write_bytes(content.encode("utf8", errors="surrogatepass"))


# --- Parquet ---------------------------------------------------------------------------------------------------------------


def change_table(path: Path, dice: Dice, canary: Path) -> None:
    """Other columns, types, rows or values in a Parquet file that is whole."""
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata or {})
    column = dice.randrange(table.num_columns)
    name = table.column_names[column]
    kind = dice.choice(
        ("value", "value", "value", "drop", "rename", "retype", "rows", "twice", "note", "note", "bomb")
    )
    if kind == "value" and table.num_rows:
        rows = table.column(column).to_pylist()
        row = dice.randrange(len(rows))
        rows[row] = changed({"": rows[row]}, dice, canary).get("", None) if dice.random() < 0.7 else None
        table = _with_column(table, column, name, rows)
    elif kind == "drop" and table.num_columns > 1:
        table = table.remove_column(column)
    elif kind == "rename":
        names = table.column_names
        names[column] = dice.choice(
            [f"../{canary.name}", "key", "image", "caption", "x" * 10_000, "a\0b", "\x1b[2J", ""]
        )
        table = table.rename_columns(names)
    elif kind == "retype":
        kinds = [
            pa.int64(),
            pa.binary(),
            pa.list_(pa.string()),
            pa.null(),
            pa.bool_(),
            pa.large_string(),
            pa.float64(),
        ]
        kinds += [
            pa.dictionary(pa.int8(), pa.string()),
            pa.timestamp("ns"),
            pa.struct([("bytes", pa.int32())]),
        ]
        table = table.set_column(column, name, pa.nulls(table.num_rows, dice.choice(kinds)))
    elif kind == "rows":
        rows = list(range(table.num_rows))
        dice.shuffle(rows)
        table = table.take(rows[: dice.randrange(len(rows) + 1)] + rows[: dice.randrange(2)])
    elif kind == "twice":
        table = pa.concat_tables([table, table])
    elif kind == "note":
        note = json.dumps(dice.choice([each for each in hostile_values(canary) if each == each]))
        keys = [
            b"recapdata.audit",
            b"recapdata.run",
            b"recapdata.start",
            b"recapdata.end",
            b"recapdata.source",
            b"huggingface",
        ]
        metadata[dice.choice(keys)] = note.encode(errors="surrogatepass")
    elif kind == "bomb":
        table = (
            table.slice(0, 1).take([0] * dice.choice((200_000, 3_000_000)))
            if table.num_rows and "image" not in table.column_names
            else table.slice(0, 0)
        )
    pq.write_table(table.replace_schema_metadata(metadata), path)


def _with_column(table: pa.Table, column: int, name: str, rows: list[Any]) -> pa.Table:
    for kind in (table.schema.field(column).type, None, pa.string()):
        try:
            values = pa.array([str(row) for row in rows] if kind == pa.string() else rows, kind)
            return table.set_column(column, name, values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError, TypeError, ValueError):
            continue
    return table


def change_index(path: Path, dice: Dice, canary: Path) -> None:
    """An index that does more than hold keys."""
    statements = [
        "CREATE TRIGGER t AFTER INSERT ON recent BEGIN DELETE FROM removed; END",
        "DROP TABLE keys; CREATE TABLE keys (other TEXT)",
        f"ATTACH '{canary}/key' AS x",
        "DELETE FROM parts",
        "PRAGMA user_version=7",
        "UPDATE votes SET answer = char(27) || '[2J', at = 9e999",
        "UPDATE raters SET name = '../../x' || char(27), token = x'ff'",
        "DELETE FROM questions WHERE id = 1; UPDATE questions SET image = 2147483648",
        "UPDATE meta SET value = '[[[['",
        "DROP TABLE removed; CREATE VIEW removed AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key FROM n) SELECT key FROM n",
    ]
    db = sqlite3.connect(path)
    try:
        db.executescript(dice.choice(statements[:2] + statements[3:]))
    except sqlite3.DatabaseError:
        pass
    finally:
        db.close()


# --- names -----------------------------------------------------------------------------------------------------------------


def rename(path: Path, dice: Dice, canary: Path, root: Path) -> None:
    """Another name for a file."""
    names = [
        "train-99999.parquet",
        "train-999999999999.parquet",
        "train-00001.parquet",
        "train-00003.parquet",
        ".train-00000.parquet.new",
    ]
    names += [
        "train-٠٠٠٠١.parquet",
        "train-00000.parquet.tmp",
        "a\nb",
        "\x1b[2J.parquet",
        os.fsdecode(b"\xff\xfe"),
        "x" * 200,
    ]
    path.rename(path.with_name(dice.choice(names)))


def link(path: Path, dice: Dice, canary: Path, root: Path) -> None:
    """A link, a FIFO or a folder in the place of a file or of its folder below the root."""
    kind = dice.choice(("file", "folder", "fifo", "directory", "loop", "more"))
    if kind == "folder" and path.parent.parent.name:
        moved = path if path.parent == root else path.parent
        if moved.is_dir():
            shutil.rmtree(moved)
        else:
            moved.unlink()
        moved.symlink_to(canary)
        return
    if kind == "more":
        path.with_name(f"{path.stem}-more{path.suffix}").symlink_to(canary / "key")
        return
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else canary / "key")


def delete(path: Path, dice: Dice, canary: Path, root: Path) -> None:
    """No such file."""
    path.unlink()


def notes(path: Path, dice: Dice, canary: Path, root: Path) -> None:
    """Notes of an interrupted removal that name what is elsewhere, in a dataset's folder."""
    removed = root / "removed"
    if not (root / "recapdata.yaml").exists() or (removed.exists() and not removed.is_dir()):
        return
    removed.mkdir(exist_ok=True)
    names = [each for each in hostile_values(canary) if isinstance(each, str) and "\ud800" not in each]
    name = dice.choice(names)
    kind = dice.choice((".sets", "sets.json", ".00000.change", ".99999.change", ".pending"))
    (removed / kind).write_text(
        json.dumps(dice.choice([[name], ["alt", name], name, {"alt": name}, [["alt"]]]))
    )
    if kind.endswith(".change"):
        (removed / ".pending").write_bytes(b"")


BY_BYTES = (flip, flip, cut, insert)
BY_NAME = (empty, rename, link, delete, notes)


def mutate(folder: Path, seed: int, canary: Path, *, names: bool = True) -> str:
    """Change one or two files of a folder; says which and how.

    Args:
        names: also names, links, what is no regular file and what is too long to send, which a Hub does not serve.
    """
    dice = random.Random(seed)
    said = []
    for _ in range(dice.choice((1, 1, 2))):
        files = sorted(
            each
            for each in folder.rglob("*")
            if each.is_file() and not each.is_symlink() and each.name != ".lock"
        )
        if not files:
            break
        # Small files decide more than pictures do: each kind is as likely as another.
        by_kind: dict[str, list[Path]] = {}
        for each in files:
            by_kind.setdefault(f"{each.relative_to(folder).parts[0]} {each.suffix or each.name}", []).append(
                each
            )
        path = dice.choice(by_kind[dice.choice(sorted(by_kind))])
        kinds: list[Callable[..., None]] = [*BY_BYTES]
        if path.suffix == ".parquet":
            kinds += [change_table] * 6
        elif path.suffix == ".sqlite":
            kinds += [change_index] * 4
        elif path.name.endswith(TEXTS) and path.suffix != ".md":
            kinds += [change_value] * 6
        if names:
            kinds += BY_NAME
        how = dice.choice(kinds)
        said.append(f"{how.__name__} {path.relative_to(folder)}")
        try:
            how(path, dice, canary, *([folder] if how in BY_NAME else []))
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            RecursionError,
            OverflowError,
            yaml.YAMLError,
            pa.ArrowException,
            OSError,
        ) as error:
            if isinstance(error, OSError) and not isinstance(
                error, FileExistsError | IsADirectoryError | NotADirectoryError
            ):
                raise
            said.append("(a file that is changed already)")
    return ", ".join(said)


def printable(text: str) -> bool:
    """Whether a text holds no control characters that a terminal would obey."""
    return all(each in "\n\r\t" or each in string.printable or (ord(each) >= 0xA0) for each in text)
