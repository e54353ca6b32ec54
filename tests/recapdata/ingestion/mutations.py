"""Sources with something wrong in them: annotation files, tables and JSON of strangers, one mutation each, the same for a number.

A mutation changes a small sound source of five pictures: a value is replaced by a hostile one, a member is lost, an entry is
repeated, or the bytes of the file are damaged. `truth` says what of it can be counted by hand.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.builders import png
from tests.recapdata.ingestion.test_webdataset import tar_bytes

PICTURES = 5
SIZE = (64, 48)
NAN, INF = float("nan"), float("inf")
RAW = "raw text of a mutation: "
"""What stands for text that no value can be written as; see `_dumps`."""
DIGITS, NESTED, DEEP = RAW + "digits", RAW + "nested", RAW + "deep"
_RAW = {DIGITS: "7" * 4301, NESTED: "[" * 990 + "]" * 990, DEEP: '[{"a":' * 60_000 + "1" + "}]" * 60_000}
HOSTILE = (
    None, True, False, -1, 0, 1, 2, 0.5, 2**31, -(2**31), 2**53 + 1, 2**63, 10**400, NAN, INF, -INF, 1e308, "", " ", "x", "1",
    "2026-13-45", "\ud800", "caf\udce9", "a\0b", "\ufeff", "../../etc/passwd", "/etc/passwd", "0.png", "a" * 100_000, [], {}, [[]],
    [{}], {"a": {}}, {"": None}, [None], [NAN] * 4, [None] * 4, [1, 2, 3, 4], [[1, 2, 3, 4]], [-5, -5, 3, 3], [2e8] * 8,
    [[2e8, -2e8] * 4], {"size": [48, 64], "counts": "o" * 50}, {"size": [48, 64], "counts": [1] * 99}, ["cat", "dog"],
    {"size": [2**31, 2**31], "counts": [2**62]}, DIGITS, NESTED, DEEP,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a mutated source: how many items it has, where that can be said."""

    source: str
    items: int | None = None
    annotations: list[Any] | None = None


def make(root: Path, number: int) -> Truth:
    """Write the source of a mutation's number under an empty folder."""
    random = Random(number)
    kinds = (_coco, _coco, _lines, _lines, _cells, _parquet, _parquet, _tars)
    return kinds[number % len(kinds)](root, random)


# --- mutations -----------------------------------------------------------------------------------------------------------


def mutate(value: Any, random: Random) -> Any:
    """The value with a hostile one somewhere in it, or a member less, or an entry twice."""
    places = list(_places(value))
    holder, name = random.choice(places)
    kind = random.random()
    if kind < 0.7:
        holder[name] = random.choice(HOSTILE)
    elif kind < 0.8 and isinstance(holder, list):
        holder.insert(name, holder[name])
    elif kind < 0.9:
        holder[name] = [holder[name]]
    else:
        del holder[name]
    return value


def _places(value: Any) -> Any:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, each in children:
        yield value, name
        yield from _places(each)


def damage(content: bytes, random: Random) -> bytes:
    """Bytes with some of them changed, lost, repeated or cut off."""
    place, length = random.randrange(len(content)), random.choice([1, 2, 16, 200])
    kind = random.randrange(5)
    if kind == 0:
        return content[:place] + random.randbytes(length) + content[place + length :]
    if kind == 1:
        return content[:place] + content[place + length :]
    if kind == 2:
        return content[: place + length] + content[place:]
    if kind == 3:
        return content[:place]
    return (
        content[:place]
        + random.choice([b"\xff", b"\0", b'"', b"}", b"]", b"\n", b"[" * 2000])
        + content[place:]
    )


def _dumps(value: Any) -> str:
    text = json.dumps(value)
    for mark, raw in _RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text


def _times(random: Random) -> int:
    return random.choice([1, 1, 2, 4])


# --- sources -------------------------------------------------------------------------------------------------------------


def _objects(number: int) -> list[dict[str, Any]]:
    return [
        {"bbox": [5.0, 5.0, 25.0, 20.0], "category": "cat", "color": "red"},
        {"bbox": [1.0, 2.0, 3.0, 4.0 + number], "category": "dog", "mask": {"size": [48, 64], "counts": "e7d0l000000000000000000000000000000000000000000000000kb1"}},
    ]  # fmt: skip


def _pictures(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(PICTURES):
        (root / f"{number}.png").write_bytes(png(number, SIZE))


def _coco(root: Path, random: Random) -> Truth:
    _pictures(root / "images")
    images = [
        {"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1], "license": 1}
        for number in range(PICTURES)
    ]
    square = [[5, 5, 30, 5, 30, 25, 5, 25]]
    things = [
        {"id": number, "image_id": number % PICTURES, "category_id": number % 2 + 1, "bbox": [5, 5, 25, 20],
         "segmentation": square if number % 3 else {"size": [48, 64], "counts": [0, 3072]}, "iscrowd": int(number % 3 == 0)}
        for number in range(8)
    ]  # fmt: skip
    instances = {
        "licenses": [{"id": 1, "name": "By", "url": "http://example.org"}],
        "images": images,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": things,
    }
    captions = [
        {"id": number, "image_id": number, "caption": f"caption {number}"} for number in range(PICTURES)
    ]
    (root / "annotations").mkdir()
    texts = {
        "instances.json": instances,
        "captions.json": {"images": json.loads(json.dumps(images)), "annotations": captions},
    }
    name = random.choice(["instances.json", "instances.json", "captions.json"])
    bytewise = random.random() < 0.25
    if not bytewise:
        for _ in range(_times(random)):
            # Whole sections are lost too, but mostly it is one entry that is wrong.
            part = texts[name] if random.random() < 0.1 else texts[name][random.choice(list(texts[name]))]
            if part and isinstance(part, dict | list):
                mutate(part, random)
    for each, value in texts.items():
        content = _dumps(value).encode(
            "utf8",
            "surrogatepass"
            if random.random() < 0.5
            else "surrogateescape"
            if "\\ud800" not in str(value)
            else "replace",
        )
        (root / "annotations" / each).write_bytes(
            damage(content, random) if bytewise and each == name else content
        )
    intact = not bytewise and all(isinstance(each.get("images"), list) for each in texts.values())
    annotations = texts["instances.json"].get("annotations")
    return Truth(f"coco:{root}", None, annotations if intact and isinstance(annotations, list) else None)


def _rows() -> list[dict[str, Any]]:
    return [
        {"file_name": f"{number}.png", "caption": f"caption {number}", "license": "mit", "meta": {"a": number, "b": [1, 2]},
         "score": number / 7, "tags": ["a", "b"], "objects": _objects(number)}
        for number in range(PICTURES)
    ]  # fmt: skip


def _lines(root: Path, random: Random) -> Truth:
    _pictures(root)
    rows = _rows()
    bytewise = random.random() < 0.25
    if not bytewise:
        for _ in range(_times(random)):
            mutate(random.choice(rows), random)
    content = "\n".join(_dumps(row) for row in rows).encode()
    (root / "metadata.jsonl").write_bytes(damage(content, random) if bytewise else content)
    return Truth(str(root), None if bytewise else _items(rows))


def _items(rows: list[dict[str, Any]]) -> int:
    """How many items rows give: one per picture that is named, per row that names none, and per picture that no row names."""
    readable = [row for row in rows if not any(mark in json.dumps(row) for mark in _RAW)]
    texts = [row["file_name"] for row in readable if isinstance(row.get("file_name"), str)]
    named = {text for text in texts if text.strip()}
    without = len(rows) - sum(bool(text.strip()) for text in texts)
    return len(named) + without + sum(f"{number}.png" not in named for number in range(PICTURES))


def _cells(root: Path, random: Random) -> Truth:
    _pictures(root)
    rows = [
        {name: json.dumps(each) if name == "objects" else each for name, each in row.items()}
        for row in _rows()
    ]
    for _ in range(_times(random)):
        row = random.choice(rows)
        row[random.choice(list(row))] = random.choice(HOSTILE)
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(rows[0])
    if random.random() < 0.1:
        names[random.randrange(len(names))] = random.choice([*names, "", "caf\udce9", "key", "a" * 10_000])
    writer.writerow(names)
    for row in rows:
        cells = [_RAW.get(each, each) if isinstance(each, str) else each for each in row.values()]
        writer.writerow(cells[: random.choice([len(cells)] * 9 + [2])] + ["more"] * (random.random() < 0.05))
    content = text.getvalue().encode(
        "utf8",
        "surrogateescape"
        if "\ud800" not in text.getvalue()
        else "surrogatepass"
        if "\udce9" not in text.getvalue()
        else "replace",
    )
    (root / "metadata.csv").write_bytes(damage(content, random) if random.random() < 0.25 else content)
    return Truth(str(root))


def _parquet(root: Path, random: Random) -> Truth:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "in.parquet"
    columns: dict[str, Any] = {
        "jpg": pa.array([png(number, SIZE) for number in range(PICTURES)]),
        "caption": pa.array([f"caption {number}" for number in range(PICTURES)]),
        "objects": pa.array([_objects(number) for number in range(PICTURES)]),
        "license": pa.array(["mit"] * PICTURES),
    }
    for _ in range(_times(random)):
        name, column = random.choice(_COLUMNS)(random)
        columns[name] = column
    table = pa.table(columns)
    pq.write_table(table, path, row_group_size=random.choice([2, 5]), write_statistics=False)
    if random.random() < 0.4:
        content = path.read_bytes()
        for _ in range(_times(random)):
            # The footer is a small part of a file, and where the most can go wrong.
            start = random.choice([0, len(content) // 2, max(0, len(content) - 2500)])
            content = content[:start] + damage(content[start:] or b"x", random)
        path.write_bytes(content)
        return Truth(f"urls:{path}")
    return Truth(f"urls:{path}", PICTURES)


def _five(random: Random, values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([random.choice(values) for _ in range(PICTURES)], kind)


_COLUMNS: list[Callable[[Random], tuple[str, pa.Array]]] = [
    lambda r: ("when", _five(r, [None, 2**62, -(2**62), 0], pa.timestamp(r.choice(["ms", "us", "ns"]), tz=r.choice([None, "UTC", "Mars/Olympus", "+99:99"])))),
    lambda r: ("day", _five(r, [None, 2**30, -(2**30), 0], pa.int32()).cast(pa.date32())),
    lambda r: ("long", _five(r, [None, 2**62, -(2**62)], pa.duration("s"))),
    lambda r: ("big", _five(r, [None, 2**64 - 1, 0], pa.uint64())),
    lambda r: ("half", _five(r, [None, NAN, INF, -INF, 1.5], pa.float32())),
    lambda r: ("caption", pa.array([r.choice([b"caf\xe9", b"fine", None, b"\xff\0", b"  "]) for _ in range(PICTURES)], pa.binary()).view(pa.string())),
    lambda r: ("license", pa.array([r.choice([b"caf\xe9", b"mit", None]) for _ in range(PICTURES)], pa.binary()).view(pa.string())),
    lambda r: ("nested", pa.array([[{"a": {"b": [r.choice([b"\xff", b"x", None])]}}] for _ in range(PICTURES)])),
    lambda r: ("empty", pa.array([{}] * PICTURES, pa.struct([pa.field("a", pa.struct([pa.field("b", pa.int8())]))]))),
    lambda r: ("nothing", pa.nulls(PICTURES)),
    lambda r: ("map", pa.array([[("a", r.choice([1, None]))] for _ in range(PICTURES)], pa.map_(pa.string(), pa.int8()))),
    lambda r: ("word", pa.array([r.choice(["a", "b"]) for _ in range(PICTURES)]).dictionary_encode()),
    lambda r: ("jpg", pa.array([r.choice([None, b"", b"no picture", png(n, SIZE), png(n, SIZE)[:60]]) for n in range(PICTURES)], pa.binary())),
    lambda r: ("objects", _objects_column(r)),
    lambda r: ("objects", pa.array([r.choice(["[", "[]", None, "x"]) for _ in range(PICTURES)], pa.string())),
    lambda r: (r.choice(["key", "image", "width", " caption ", "Caption", "caf\u00e9", "a" * 5000, ""]), pa.array(range(PICTURES))),
]  # fmt: skip


def _objects_column(random: Random) -> pa.Array:
    boxes = [
        [1.0, 2.0, 3.0, 4.0],
        [NAN] * 4,
        [None] * 4,
        [1.0],
        [],
        None,
        [1e300] * 4,
        [-5.0, -5.0, 3.0, 3.0],
        [INF, 0.0, 1.0, 1.0],
    ]
    if random.random() < 0.5:
        things = [
            [{"bbox": random.choice(boxes), "category": random.choice([1, 2**62, -1, None])}]
            for _ in range(PICTURES)
        ]
        return pa.array(
            things, pa.list_(pa.struct([("bbox", pa.list_(pa.float64())), ("category", pa.int64())]))
        )
    kinds = pa.struct([("bbox", pa.list_(pa.list_(pa.float64()))), ("category", pa.list_(pa.string()))])
    lists = [
        {
            "bbox": [random.choice(boxes) for _ in range(random.randrange(4))],
            "category": random.choice([["cat"], ["cat", "dog"], [], None]),
        }
        for _ in range(PICTURES)
    ]
    return pa.array(lists, kinds)


def _tars(root: Path, random: Random) -> Truth:
    root.mkdir(parents=True, exist_ok=True)
    rows = [{name: each for name, each in row.items() if name != "file_name"} for row in _rows()]
    bytewise = random.random() < 0.25
    members: list[tuple[str, bytes]] = []
    changed = random.randrange(PICTURES)
    for number, row in enumerate(rows):
        if number == changed and not bytewise:
            mutate(row, random)
        content = _dumps(row).encode()
        if number == changed and bytewise:
            content = damage(content, random)
        text = random.choice(
            [b"caption", b"caption", b"caption", b"caf\xe9", b"", b"\xef\xbb\xbfcaption", b"a\0b"]
        )
        members += [
            (f"{number}.png", png(number, SIZE)),
            (f"{number}.txt", text),
            (f"{number}.json", content),
        ]
    (root / "in.tar").write_bytes(tar_bytes(members))
    return Truth(f"wds:{root}/in.tar", PICTURES)
