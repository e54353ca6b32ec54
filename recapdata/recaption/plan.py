"""What a recaption run is to do: which records of which shards, cut into batches; nothing is changed here."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from recapdata.batches import Batch, Rows, cut, pilot_keys, pilot_quotas
from recapdata.errors import InputError, OptionError
from recapdata.journal import overlay, replay, stored_captions
from recapdata.keys import KeyIndex
from recapdata.recaption.recorder import ShardStart, failed_keys
from recapdata.recaption.state import ShardState
from recapdata.records import Provenance
from recapdata.remove import read_keys_file
from recapdata.store import DatasetFolder

Selection = Callable[[int, list[str]], Collection[str] | None]
"""Shard number and its keys → the keys that are asked for; None for all."""
Plan = tuple[ShardStart, list[Batch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a user may ask of the run, apart from the captioner.

    Attributes:
        batch_size: images at once; what suits captioner and machine where None.
        limit: a pilot of so many images, a sample over all shards.
        keys_file: caption only the keys in this text file, one a line.
        retry_failed: caption again what failed, and nothing else.
        overwrite: replace the set where it was made with other settings.
        workers: preparing processes; by itself where None.
    """

    batch_size: int | None = None
    limit: int | None = None
    keys_file: Path | None = None
    retry_failed: bool = False
    overwrite: bool = False
    engine: str = "local"
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("limit", 1), ("workers", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
        asked = [name for name in ("limit", "keys_file", "retry_failed") if getattr(self, name)]
        if len(asked) > 1:
            names = " and ".join("--" + name.removesuffix("_file").replace("_", "-") for name in asked)
            raise OptionError(f"{names} each choose what is captioned; give one of them")


@dataclass(frozen=True, slots=True)
class Task:
    """One run: where, which set, under which settings, and what of it."""

    folder: DatasetFolder
    set_name: str
    provenance: Provenance
    run: RunOptions

    @property
    def kind(self) -> str:
        """`all`, `pilot`, `keys` or `retry`."""
        if self.run.limit is not None:
            return "pilot"
        if self.run.keys_file is not None:
            return "keys"
        return "retry" if self.run.retry_failed else "all"


def selection_of(task: Task, states: list[ShardState]) -> Selection:
    """Which keys of a shard are asked for."""
    if task.run.limit is not None:
        quotas = pilot_quotas([state.rows for state in states], task.run.limit)
        return lambda shard, keys: pilot_keys(keys, quotas[shard])
    if task.run.keys_file is not None:
        wanted = _read_keys(task.folder, task.run.keys_file)
        return lambda shard, keys: wanted.intersection(keys)
    if task.run.retry_failed:
        return lambda shard, keys: failed_keys(task.folder, task.set_name, shard)
    return lambda shard, keys: None


def _read_keys(folder: DatasetFolder, path: Path) -> set[str]:
    keys = read_keys_file(path)
    with KeyIndex(folder) as index:
        known = index.records([bytes.fromhex(key) for key in keys])
    unknown = sorted(key for key in keys if bytes.fromhex(key) not in known)
    if unknown:
        raise InputError(
            f"--keys {path}: {len(unknown):,} of {len(keys):,} keys are not in {folder.path}, the first is {unknown[0]}"
        )
    return keys


def plan_shard(task: Task, state: ShardState, selection: Selection) -> Plan | None:
    """What is to be done in one shard; None for nothing at all."""
    if state.settled and not (task.run.retry_failed and state.failures):
        return None
    path = task.folder.image_shard(state.shard)
    table = pq.read_table(path, columns=["key", "width", "height"])
    keys = table["key"].to_pylist()
    journal = replay(task.folder.journal(task.set_name, state.shard))
    has = overlay(stored_captions(task.folder, task.set_name, state.shard), journal).keys()
    selected = selection(state.shard, keys)
    retry = sorted(set(selected or ()) - journal.wanted) if task.run.retry_failed else []
    missing = {key for key in keys if key not in has} | set(retry)
    areas = [w * h for w, h in zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)]
    rows = Rows(shard=state.shard, keys=keys, areas=areas, groups=_row_groups(path))
    assert task.provenance.batch_size is not None
    planned = (batch.only(missing) for batch in cut(rows, task.provenance.batch_size, selected))
    batches = [batch for batch in planned if batch.keys]
    if missing and not batches:
        return None
    return ShardStart(shard=state.shard, lacking=len(missing), retry=retry), batches


def _row_groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def total_of(task: Task, states: list[ShardState]) -> int:
    """How many images the run will caption at most, as far as that is known without reading all keys."""
    lacking = sum(state.lacking for state in states)
    if task.kind == "retry":
        return sum(state.failures + (state.lacking if state.finished else 0) for state in states)
    return min(lacking, task.run.limit or lacking)
