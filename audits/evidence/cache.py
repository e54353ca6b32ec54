"""Evidence in the cache (`audits.cache`): what a source saw of a picture as a row, checked where it is read."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from audits.cache import ShardCache
from audits.evidence import Evidence, EvidenceSource, Observation, Record, Scope
from recapdata.dataset.audit_files import source_of
from recapdata.records import CLAIM_KINDS

OBSERVATION_TYPE = pa.struct(
    [
        ("bbox", pa.list_(pa.float64())),
        ("category", pa.string()),
        ("colors", pa.list_(pa.string())),
        ("near_colors", pa.list_(pa.string())),
        ("sure", pa.bool_()),
        ("size", pa.string()),
        ("text", pa.string()),
        ("area", pa.float64()),
        ("score", pa.float64()),
    ]
)
"""An `Observation`; its mask is not kept, which nothing reads once the source has looked."""
EVIDENCE_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("basis", pa.string()),
        ("seen", pa.bool_()),
        ("scope", pa.dictionary(pa.int32(), pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("uncounted", pa.list_(pa.string())),
        ("unplaced", pa.list_(pa.string())),
        ("unidentified", pa.int32()),
        ("counting", pa.float64()),
        ("invalid", pa.int32()),
        ("objects", pa.list_(OBSERVATION_TYPE)),
        ("doubtful", pa.list_(OBSERVATION_TYPE)),
    ]
)
"""An `Evidence`; `basis` is a hash of what it rests on beside the picture, `seen` false where the source knows nothing of it."""


@runtime_checkable
class Cacheable(Protocol):
    """What a source of evidence has where what it saw of a picture may be kept and used again."""

    def rests_on(self, record: Record) -> Any:
        """What of a record, beside the picture and the source's identity up to its version, the evidence depends on.

        Returns:
            Anything that JSON can write.
        """
        ...


class EvidenceCache:
    """What the sources saw of the pictures of one shard."""

    def __init__(self, roots: Sequence[Path], sources: Sequence[EvidenceSource], shard: int) -> None:
        self._caches = {
            id(source): ShardCache(roots, source_of(source.identity(shard)), shard, EVIDENCE_SCHEMA)
            for source in sources
            if roots and isinstance(source, Cacheable) and "image" in source.columns
        }

    def get(self, source: EvidenceSource, record: Record) -> tuple[Evidence | None] | None:
        """What a source saw of a record, in a tuple of one; None where that is not known, or was seen of something else."""
        cache = self._caches.get(id(source))
        if cache is None:
            return None
        row = cache.row(record.key)
        if row is None or row["basis"] != _basis(source, record):
            return None
        try:
            return (_evidence(source.name, row),)
        except (TypeError, ValueError, KeyError, RecursionError):
            return None  # a row that nobody here wrote

    def put(self, source: EvidenceSource, record: Record, evidence: Evidence | None) -> None:
        """Keep what a source saw of a record."""
        cache = self._caches.get(id(source))
        if cache is not None and (evidence is None or evidence.source == source.name):
            cache.put({"key": record.key, "basis": _basis(source, record), **_row(evidence)})

    def close(self, keys: Collection[str] | None = None) -> None:
        """Save what is new.

        Args:
            keys: all of the shard; None where they are not known.
        """
        for cache in self._caches.values():
            cache.close(keys)


def makers(sources: Sequence[EvidenceSource], shards: Sequence[int]) -> list[str]:
    """The makers of the sources whose evidence is kept."""
    return [
        source_of(source.identity(shard))
        for shard in shards[:1]
        for source in sources
        if isinstance(source, Cacheable)
    ]


def _basis(source: EvidenceSource, record: Record) -> str:
    assert isinstance(source, Cacheable)
    rests_on = source.rests_on(record)
    return "" if rests_on is None else sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()[:32]


# --- rows ----------------------------------------------------------------------------------------------------------------


def _row(evidence: Evidence | None) -> dict[str, Any]:
    if evidence is None:
        return {"seen": False}
    scope = {name: _plain(getattr(evidence.scope, name)) for name in _SCOPE}
    return {
        "seen": True,
        "scope": json.dumps(scope),
        "width": evidence.width,
        "height": evidence.height,
        "uncounted": sorted(evidence.uncounted),
        "unplaced": sorted(evidence.unplaced),
        "unidentified": evidence.unidentified,
        "counting": evidence.counting,
        "invalid": evidence.invalid,
        "objects": [_observation_row(each) for each in evidence.objects],
        "doubtful": [_observation_row(each) for each in evidence.doubtful],
    }


def _observation_row(seen: Observation) -> dict[str, Any]:
    row = {field.name: getattr(seen, field.name) for field in OBSERVATION_TYPE}
    return row | {"colors": list(seen.colors), "near_colors": sorted(seen.near_colors)}


def _evidence(source: str, row: Mapping[str, Any]) -> Evidence | None:
    """The evidence of a row.

    Raises:
        TypeError, ValueError, KeyError: it is not one that `_row` makes.
    """
    if row["seen"] is False:
        return None
    counting = row["counting"]
    if not (
        row["seen"]
        and row["width"] > 0
        and row["height"] > 0
        and 0 <= counting <= 1
        and min(row["invalid"], row["unidentified"]) >= 0
    ):
        raise ValueError("out of range")
    return Evidence(
        source=source,
        scope=_scope(row["scope"]),
        objects=tuple(map(_observation, row["objects"])),
        width=row["width"],
        height=row["height"],
        uncounted=frozenset(map(_text, row["uncounted"])),
        unplaced=frozenset(map(_text, row["unplaced"])),
        unidentified=row["unidentified"],
        counting=counting,
        doubtful=tuple(map(_observation, row["doubtful"])),
        invalid=row["invalid"],
    )


def _observation(row: Mapping[str, Any]) -> Observation:
    numbers = [*(row["bbox"] or ()), *(row[name] for name in ("area", "score") if row[name] is not None)]
    if not all(map(math.isfinite, numbers)) or (row["bbox"] is not None and len(row["bbox"]) != 4):
        raise ValueError("no box")
    return Observation(
        bbox=None if row["bbox"] is None else tuple(row["bbox"]),
        colors=tuple(map(_text, row["colors"])),
        near_colors=frozenset(map(_text, row["near_colors"])),
        sure=row["sure"] is True,
        **{name: row[name] for name in ("category", "size", "text", "area", "score")},
    )


@lru_cache(maxsize=256)
def _scope(text: str) -> Scope:
    values = json.loads(text)
    sets = {name: frozenset(map(_text, values[name])) for name in _SCOPE if name != "complete"}
    if not isinstance(values["complete"], bool) or not sets["kinds"] <= set(CLAIM_KINDS):
        raise ValueError("no scope")
    return Scope(complete=values["complete"], **sets)


_SCOPE = tuple(field.name for field in fields(Scope))


def _plain(value: frozenset[str] | bool) -> list[str] | bool:
    return value if isinstance(value, bool) else sorted(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
