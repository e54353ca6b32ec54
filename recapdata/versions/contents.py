"""What a version holds, as hashes per shard, so that the next version can be compared with it without a download.

It is published as `contents.json` beside the manifest. A shard whose entry is the same in two versions has the same keys,
columns and captions in both, whatever its files look like.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.bounded import TooLarge, read_small
from recapdata.dataset.digest import DIGITS, ArrowDigest
from recapdata.dataset.target import Target
from recapdata.errors import DatasetDamaged
from recapdata.records import RECORD_SCHEMA

CONTENTS = "contents.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardContents:
    """Hashes of one shard.

    Attributes:
        keys: of the keys, in row order.
        columns: of every other column that came with the images (not of the images: the key is their hash).
        sets: of the captions of each set.
    """

    rows: int
    keys: str
    columns: str
    sets: Mapping[str, str]

    def same_images(self, other: "ShardContents") -> bool:
        """Whether both hold the same pictures and columns in the same order, whatever their captions."""
        return (self.rows, self.keys, self.columns) == (other.rows, other.keys, other.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One line of the changelog.

    Attributes:
        commit: the commit of the version; None in the version's own contents, which cannot know it yet.
        date: day of publication, ISO 8601 in UTC.
        changes: what changed since the version before, a phrase each.
    """

    version: str
    date: str
    changes: tuple[str, ...]
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a version (or a folder that may become one) holds.

    Attributes:
        columns: Arrow type of every column but the caption sets, by name, in schema order.
        keys: hash of all keys, however they are cut into shards.
        sets: hash of all captions of each set, likewise.
        history: the releases up to and including this version, oldest first.
    """

    columns: Mapping[str, str]
    shards: tuple[ShardContents, ...]
    keys: str
    sets: Mapping[str, str]
    history: tuple[Release, ...] = field(default=(), compare=False)

    @property
    def rows(self) -> int:
        """Records over all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Hash over keys and captions: two versions with the same one train the same model."""
        identity = json.dumps([self.keys, sorted(self.sets.items())])
        return hashlib.sha256(identity.encode()).hexdigest()[:DIGITS]

    def to_json(self) -> str:
        """The text of `contents.json`: one line per shard."""
        head = json.dumps(
            {
                "format": FORMAT,
                "fingerprint": self.fingerprint,
                "columns": self.columns,
                "keys": self.keys,
                "sets": self.sets,
                "history": [asdict(release) for release in self.history],
            },
            ensure_ascii=False,
            indent=1,
        )
        shards = ",\n  ".join(json.dumps(asdict(shard)) for shard in self.shards)
        return f'{head[:-2]},\n "shards": [\n  {shards}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> "Contents":
        """The contents of what `to_json` gave.

        Raises:
            DatasetDamaged: it is something else, or of a later format.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values["format"] != FORMAT:
                raise DatasetDamaged(
                    f"{CONTENTS} is of format {values['format']}, this version reads {FORMAT}; "
                    "it was published by a later recapdata: upgrade"
                )
            for shard in values["shards"]:
                _check(f"{shard['rows']:d}", shard["keys"], shard["columns"])
                _check(*shard["sets"].items())
            _check(values["keys"], *values["columns"].items(), *values["sets"].items())
            for release in values["history"]:
                _check(release["version"], release["date"], release.get("commit") or "", *release["changes"])
            return cls(
                columns=values["columns"],
                shards=tuple(ShardContents(**shard) for shard in values["shards"]),
                keys=values["keys"],
                sets=values["sets"],
                history=tuple(
                    Release(**{**release, "changes": tuple(release["changes"])})
                    for release in values["history"]
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DatasetDamaged(f"{CONTENTS} cannot be read: {error}; publish the version again") from error


def _check(*values: Any) -> None:
    """Refuse what are no texts, or pairs of texts."""
    for value in values:
        for text in value if isinstance(value, tuple) else (value,):
            if not isinstance(text, str):
                raise TypeError(f"{str(text)[:80]!r} is no text")


def read_contents(target: Target, show: Callable[[int, pa.RecordBatch], None] | None = None) -> Contents:
    """Hash a dataset, reading every column but the images once, in constant memory.

    Args:
        show: is given the shard and the rows of every batch, so that whoever else needs them reads nothing a second time.

    Raises:
        CaptionSetNotFound: a caption set is not finished.
        DatasetDamaged: captions and images are not of the same rows.
    """
    names = target.set_names()
    plain = [name for name in target.columns() if name not in names and name != "image"]
    all_keys, all_sets = ArrowDigest(), {name: ArrowDigest() for name in names}
    types: dict[str, str] = {column.name: str(column.type) for column in RECORD_SCHEMA}
    shards = []
    for shard in target.shards():
        keys, columns = ArrowDigest(), ArrowDigest()
        sets = {name: ArrowDigest() for name in names}
        rows = 0
        for batch in target.read(shard, [*plain, *names]):
            rows += batch.num_rows
            if show is not None:
                show(shard, batch)
            for column in batch.schema:
                array = batch.column(column.name)
                if column.name in sets:
                    sets[column.name].update("caption", array)
                    all_sets[column.name].update("caption", array)
                elif column.name == "key":
                    keys.update("key", array)
                    all_keys.update("key", array)
                else:
                    columns.update(column.name, array)
                    types[column.name] = str(column.type)
        shards.append(
            ShardContents(
                rows=rows,
                keys=keys.hexdigest(),
                columns=columns.hexdigest(),
                sets={name: digest.hexdigest() for name, digest in sets.items()},
            )
        )
    return Contents(
        columns=types,
        shards=tuple(shards),
        keys=all_keys.hexdigest(),
        sets={name: digest.hexdigest() for name, digest in all_sets.items()},
    )


def contents_of(target: Target) -> Contents:
    """What a target holds: as it was published with, else hashed now."""
    return (published_contents(target) if target.published else None) or read_contents(target)


def published_contents(target: Target) -> Contents | None:
    """The contents of a published version; None where it was published without (not by recapdata)."""
    path = target.file(CONTENTS)
    return None if path is None else _read(path)


def _read(path: Path) -> Contents:
    try:
        return Contents.from_json(read_small(path).decode("utf8"))
    except (TooLarge, UnicodeDecodeError) as error:
        raise DatasetDamaged(f"{CONTENTS} cannot be read: {error}; publish the version again") from error
