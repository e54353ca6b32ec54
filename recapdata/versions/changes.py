"""Versions of a dataset: what changed between two of them, and which version number that calls for.

Rows are only ever appended or removed, so two versions are compared in one pass over both, in constant memory; a row that
was moved shows as removed and added at once, which is how a changed order is noticed.
"""

import heapq
import itertools
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow.compute as pc
import semver

from recapdata.dataset.shards import aligned
from recapdata.dataset.target import Target
from recapdata.errors import VersionError
from recapdata.versions.contents import Contents

Level = Literal["none", "patch", "minor", "major"]
LEVELS: tuple[Level, ...] = ("none", "patch", "minor", "major")
EXAMPLES = 3

# --- what changed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Example:
    """One changed caption; those with the smallest keys are kept, a fair sample since a key is a hash."""

    key: str
    before: str | None = field(compare=False)
    after: str | None = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """How the captions of one set changed on the rows that both versions hold."""

    changed: int = 0
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed between two versions.

    Attributes:
        moved: rows that both hold, in another order: those from the first that does not follow on, not the fewest.
        columns_retyped: names with the old and the new type.
        values: whether columns other than image, key and captions hold other values.
        captions: by set, for the sets that both hold.
        other: what else is new (provenance, license, audit, ledgers), a phrase each.
    """

    rows_before: int = 0
    rows_after: int = 0
    added: int = 0
    removed: int = 0
    moved: int = 0
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[str, ...] = ()
    values: bool = False
    sets_added: tuple[str, ...] = ()
    sets_removed: tuple[str, ...] = ()
    captions: Mapping[str, SetChange] = field(default_factory=dict)
    other: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The level of version that these changes call for at least."""
        if self._major():
            return "major"
        if self._minor():
            return "minor"
        return "patch" if self.other else "none"

    def phrases(self) -> list[str]:
        """Everything that changed, the weightiest first."""
        return [*self._major(), *self._minor(), *self.other]

    def reasons(self) -> list[str]:
        """The changes that set the level."""
        return self._major() or self._minor() or list(self.other)

    def _major(self) -> list[str]:
        return [
            *([f"{counted(self.removed, 'row')} removed"] if self.removed else []),
            *(["rows in another order"] if self.moved else []),
            *(f"caption set {name} removed" for name in self.sets_removed),
            *(f"column {name} removed" for name in self.columns_removed),
            *(f"column {name}" for name in self.columns_retyped),
        ]

    def _minor(self) -> list[str]:
        return [
            *([f"{counted(self.added, 'row')} added"] if self.added else []),
            *(f"caption set {name} added" for name in self.sets_added),
            *(f"column {name} added" for name in self.columns_added),
            *(
                f"{counted(each.changed, 'caption')} of {name} changed"
                for name, each in self.captions.items()
                if each.changed
            ),
            *(["values of columns other than captions changed"] if self.values else []),
        ]


def counted(count: int, thing: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {thing}{'s' if count != 1 else ''}"


# --- comparing ---------------------------------------------------------------------------------------------------------


class _Tally:
    """Counts while two versions are walked through."""

    def __init__(self, sets: Sequence[str]) -> None:
        self.sets = list(sets)
        self.changed = dict.fromkeys(self.sets, 0)
        self._examples: dict[str, list[tuple[int, Example]]] = {name: [] for name in self.sets}
        self.gone = array("Q")
        self.new = array("Q")

    def caption(self, name: str, example: Example) -> None:
        self.changed[name] += 1
        kept = self._examples[name]
        heapq.heappush(kept, (-int(example.key[:15], 16), example))
        if len(kept) > EXAMPLES:
            heapq.heappop(kept)

    def captions(self) -> dict[str, SetChange]:
        return {
            name: SetChange(
                changed=self.changed[name],
                examples=tuple(sorted(example for _, example in self._examples[name])),
            )
            for name in self.sets
        }

    def rows(self) -> tuple[int, int, int]:
        """Rows added, removed and moved; the first half of a key stands for it (64 bits)."""
        gone, new = np.frombuffer(self.gone, np.uint64), np.frombuffer(self.new, np.uint64)
        moved = len(np.intersect1d(gone, new))
        return len(new) - moved, len(gone) - moved, moved


def compare(before: Target, after: Target, old: Contents, new: Contents) -> Changes:
    """What changed from `before` to `after`; only what their contents say differs is read.

    Args:
        old, new: their contents; see `contents_of`.
    """
    sets = [name for name in old.sets if name in new.sets]
    tally = _walk_shards(before, after, old, new, _Tally(sets))
    if tally.rows()[2]:  # rows met in another shard: perhaps only cut into shards differently
        tally = _Tally(sets)
        rows = _stream(before, range(len(old.shards)), sets)
        _merge(rows, _stream(after, range(len(new.shards)), sets), tally)
    added, removed, moved = tally.rows()
    common = [name for name in old.columns if name in new.columns]
    return Changes(
        rows_before=old.rows,
        rows_after=new.rows,
        added=added,
        removed=removed,
        moved=moved,
        columns_added=tuple(name for name in new.columns if name not in old.columns),
        columns_removed=tuple(name for name in old.columns if name not in new.columns),
        columns_retyped=tuple(
            f"{name} retyped from {old.columns[name]} to {new.columns[name]}"
            for name in common
            if old.columns[name] not in (new.columns[name], "null")  # nobody can rely on a column of nulls
        ),
        values=list(old.columns) == list(new.columns)
        and any(
            one.keys == other.keys and one.columns != other.columns
            for one, other in zip(old.shards, new.shards, strict=False)
        ),
        sets_added=tuple(name for name in new.sets if name not in old.sets),
        sets_removed=tuple(name for name in old.sets if name not in new.sets),
        captions=tally.captions(),
    )


def _walk_shards(before: Target, after: Target, old: Contents, new: Contents, tally: _Tally) -> _Tally:
    """Compare shard by shard, reading only those whose hashes differ."""
    for shard, (one, other) in enumerate(itertools.zip_longest(old.shards, new.shards)):
        if one is not None and other is not None and one.keys == other.keys:
            differing = [name for name in tally.sets if one.sets[name] != other.sets[name]]
            if differing:
                _compare_captions(before, after, shard, differing, tally)
        else:
            here = range(shard, shard + 1)
            rows = iter(()) if one is None else _stream(before, here, tally.sets)
            _merge(rows, iter(()) if other is None else _stream(after, here, tally.sets), tally)
    return tally


def _compare_captions(before: Target, after: Target, shard: int, sets: list[str], tally: _Tally) -> None:
    """Count the changed captions of a shard whose keys are the same in both versions."""
    columns = ["key", *sets]
    streams = [before.read(shard, columns), after.read(shard, columns)]
    for one, other in aligned(streams, where=f"{before.name} and {after.name}, shard {shard}"):
        for name in sets:
            was, now = one.column(name), other.column(name)
            differs = pc.or_kleene(pc.xor(pc.is_null(was), pc.is_null(now)), pc.not_equal(was, now))
            for row in pc.indices_nonzero(differs.fill_null(False)).to_pylist():
                key = one.column("key")[row].as_py()
                tally.caption(name, Example(key, was[row].as_py(), now[row].as_py()))


def _stream(target: Target, shards: range, sets: list[str]) -> Iterator[tuple[str | None, ...]]:
    """The key and the captions of every row, row by row."""
    for shard in shards:
        for batch in target.read(shard, ["key", *sets]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _merge(
    before: Iterator[tuple[str | None, ...]], after: Iterator[tuple[str | None, ...]], tally: _Tally
) -> None:
    """Walk through both: a row of `before` that is not met is gone, what is left of `after` is new."""
    waiting = next(after, None)
    for row in before:
        if waiting is None or row[0] != waiting[0]:
            tally.gone.append(_short(row[0]))
            continue
        for name, was, now in zip(tally.sets, row[1:], waiting[1:], strict=True):
            if was != now:
                tally.caption(name, Example(str(row[0]), was, now))
        waiting = next(after, None)
    rest = after if waiting is None else itertools.chain([waiting], after)
    tally.new.extend(_short(row[0]) for row in rest)


def _short(key: str | None) -> int:
    return int(str(key)[:16], 16)


# --- version numbers -----------------------------------------------------------------------------------------------------


def parse_version(text: str) -> semver.Version:
    """`X.Y.Z`, with or without a leading v.

    Raises:
        VersionError: it is something else.
    """
    try:
        version = semver.Version.parse(text.strip().removeprefix("v"))
    except ValueError as error:
        raise VersionError(f"version {text!r} is not of the form X.Y.Z, such as 1.1.0") from error
    if version.prerelease or version.build:
        raise VersionError(
            f"version {text!r} is more than X.Y.Z; published versions carry three numbers only"
        )
    return version


def smallest_version(parent: str, level: Level) -> str:
    """The smallest version after `parent` that changes of this level may carry."""
    return str(semver.Version.parse(parent).next_version(level if level != "none" else "patch"))


def check_version(requested: str, parent: str | None, changes: Changes) -> str:
    """The version in its plain form, if the rule allows it after `parent`.

    MAJOR: rows removed or in another order, a column removed, renamed or retyped. MINOR: rows, a caption set or a column
    added, captions changed. PATCH: card, manifest or audit only.

    Raises:
        VersionError: malformed, not after the parent, or too small for what changed; names the smallest right one.
    """
    version = parse_version(requested)
    if parent is None:
        return str(version)
    right = smallest_version(parent, changes.level)
    if version <= semver.Version.parse(parent):
        raise VersionError(
            f"version {version} is not after the published {parent}; the smallest right one is {right}"
        )
    if version < semver.Version.parse(right):
        raise VersionError(
            f"version {version} is too small after {parent}: {', '.join(changes.reasons()[:3])} "
            f"({changes.level.upper()}); the smallest right one is {right}"
        )
    return str(version)
