"""The journal of a caption shard under way: one line per finished batch, durable before the next batch is taken for done.

A line is either a batch `{"keys": […], "captions": [{"caption": …}, …]}` or a retry `{"retry": [keys]}`, which forgets what was
said of these keys before. What a crash leaves of the last line is ignored and cut off. Lines speak of keys, not of rows, so that a
journal stays true when records are removed.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from recapdata.atomic import write_atomic
from recapdata.dataset.bounded import TooLarge, read_lines
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import DatasetDamaged
from recapdata.records import Caption

_FIELDS = tuple(f.name for f in fields(Caption))


@dataclass(frozen=True, slots=True)
class Replay:
    """What a journal says: captions by key, and the keys that a retry wants again and has not got yet."""

    captions: dict[str, Caption] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)


def replay(path: Path) -> Replay:
    """Read a journal; a missing one is empty.

    Raises:
        DatasetDamaged: a line before the last is not of the journal's form.
    """
    captions: dict[str, Caption] = {}
    wanted: set[str] = set()
    for entry in _entries(path):
        if "retry" in entry:
            wanted.update(entry["retry"])
            for key in entry["retry"]:
                captions.pop(key, None)
        else:
            for key, values in zip(entry["keys"], entry["captions"], strict=True):
                captions[key] = Caption(**values)  # `_check_entry` has looked at them
            wanted.difference_update(entry["keys"])
    return Replay(captions, wanted)


def captions_so_far(folder: DatasetFolder, set_name: str, shard: int) -> dict[str, Caption]:
    """The captions that a shard has at this moment, by key: those of its file, if there is one, overlaid with its journal."""
    return overlay(stored_captions(folder, set_name, shard), replay(folder.journal(set_name, shard)))


def stored_captions(folder: DatasetFolder, set_name: str, shard: int) -> dict[str, Caption]:
    """Caption rows of a finished shard by key; empty where it is not finished."""
    if not folder.caption_shard(set_name, shard).is_file():
        return {}
    rows = folder.read_captions(set_name, shard).drop_columns(["set"]).to_pylist()
    return {row.pop("key"): Caption(**row) for row in rows}


def overlay(stored: dict[str, Caption], journal: Replay) -> dict[str, Caption]:
    """The captions a shard has: what its file says, without what a retry wants again, and what its journal says."""
    kept = {key: caption for key, caption in stored.items() if key not in journal.wanted}
    return {**kept, **journal.captions}


class Journal:
    """A journal open for writing; every line is on disk when the method that wrote it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what a full disk refuses must not be waiting in a buffer when the file is closed.
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        whole = _whole_bytes(path)
        if whole < self._file.tell():
            self._file.truncate(whole)

    def batch(self, keys: Sequence[str], captions: Sequence[Caption]) -> None:
        """Note a finished batch."""
        rows = [{name: getattr(caption, name) for name in _FIELDS} for caption in captions]
        self._write({"keys": list(keys), "captions": rows})

    def retry(self, keys: Sequence[str]) -> None:
        """Note that these keys are to be captioned again, whatever was said of them."""
        self._write({"retry": list(keys)})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, entry: dict[str, Any]) -> None:
        line = memoryview(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())


def forget(path: Path, keys: Iterable[str]) -> None:
    """Take keys out of a journal for good (a takedown), by rewriting it whole."""
    gone = set(keys)
    lines = []
    for entry in _entries(path):
        if "retry" in entry:
            entry = {"retry": [key for key in entry["retry"] if key not in gone]}
        else:
            kept = [
                pair for pair in zip(entry["keys"], entry["captions"], strict=True) if pair[0] not in gone
            ]
            entry = {"keys": [key for key, _ in kept], "captions": [caption for _, caption in kept]}
        lines.append(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    if path.is_file():
        write_atomic(path, b"".join(lines))


def _whole_bytes(path: Path) -> int:
    """Length of the journal without a torn last line."""
    try:
        return sum(len(line) for line in read_lines(path) if line.endswith(b"\n"))
    except TooLarge as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, what: str) -> DatasetDamaged:
    return DatasetDamaged(f"{path}: {what}; delete the file, and its captions are made again")


def _check_entry(entry: dict[str, Any]) -> None:
    """Refuse an entry that is neither a batch nor a retry.

    Raises:
        ValueError, KeyError, TypeError: it does.
    """
    keys = entry["retry"] if "retry" in entry else entry["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("its keys are no list of texts")
    if "retry" not in entry:
        if len(keys) != len(entry["captions"]):
            raise ValueError("keys and captions differ in number")
        for values in entry["captions"]:
            Caption.from_dict(values)


def _entries(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        return
    number = 0
    try:
        for line in read_lines(path):
            number += 1
            if not line.endswith(b"\n"):
                return  # torn by a crash; its batch is captioned again
            entry = json.loads(line)
            _check_entry(entry)
            yield entry
    except TooLarge as error:
        raise _damaged(path, str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, pa.ArrowException) as error:
        raise _damaged(path, f"line {number} is not a journal's ({str(error)[:300]})") from error
