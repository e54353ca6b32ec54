"""What a recaption run is to do: which records of which shards, cut into batches; nothing is changed here."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.journal import overlay, replay, stored_captions
from recapdata.dataset.keys import KeyIndex, read_keys_file
from recapdata.dataset.shards import read_footer, read_shard
from recapdata.dataset.target import open_dataset
from recapdata.errors import ColumnNotFound, InputError
from recapdata.recaptioning.batches import Batch, Rows, cut, pilot_keys, pilot_quotas
from recapdata.recaptioning.options import RunOptions
from recapdata.recaptioning.recorder import ShardStart, ShardState, failed_keys, own
from recapdata.recaptioning.where import Where
from recapdata.records import Provenance

TOLD = ("source", "license", "width", "height")
"""Fixed columns that a prompt may name, besides those that came along and caption sets."""
Plan = tuple[ShardStart, list[Batch]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for.

    Attributes:
        of: shard number and its keys → the keys that are asked for; None for all.
        images: how many there are at most, captioned already or not.
        among: how many there would be without --limit.
    """

    of: Callable[[int, list[str]], Collection[str] | None]
    images: int
    among: int


@dataclass(frozen=True, slots=True)
class Task:
    """One run: where, which set, under which settings, and what of it.

    Attributes:
        columns: what the prompt needs to know of each record, in its order.
        where: what --where chooses, opened.
    """

    folder: DatasetFolder
    set_name: str
    provenance: Provenance
    run: RunOptions
    columns: tuple[str, ...] = ()
    where: Where | None = None

    @property
    def kind(self) -> str:
        """`all`, `pilot`, `keys`, `where` or `retry`."""
        if self.run.limit is not None:
            return "pilot"
        if self.run.keys is not None:
            return "keys"
        if self.run.where is not None:
            return "where"
        return "retry" if self.run.retry_failed else "all"


def selection_of(task: Task, states: list[ShardState]) -> Selection:
    """Which keys of a shard are asked for: those of --keys that --where chooses, and a sample of them by --limit."""
    if task.run.retry_failed:
        failed = sum(state.failures + (state.lacking if state.finished else 0) for state in states)
        return Selection(lambda shard, keys: failed_keys(task.folder, task.set_name, shard), failed, failed)
    chosen = _chosen(task, states)
    if (limit := task.run.limit) is None:
        return chosen
    quotas = pilot_quotas(_sizes(task, states, chosen), limit)

    def sample(shard: int, keys: list[str]) -> set[str]:
        among = chosen.of(shard, keys)
        return pilot_keys([key for key in keys if among is None or key in among], quotas[shard])

    return Selection(sample, sum(quotas), chosen.among)


def _chosen(task: Task, states: list[ShardState]) -> Selection:
    """What --keys and --where choose together."""
    wanted = _read_keys(task.folder, task.run.keys) if task.run.keys is not None else None
    where = task.where
    rows = sum(state.rows for state in states)
    if where is None and wanted is None:
        return Selection(lambda shard, keys: None, rows, rows)

    def of(shard: int, keys: list[str]) -> set[str]:
        chosen = set(keys) if where is None else where.keys(shard)
        return chosen.intersection(keys) if wanted is None else chosen & wanted

    most = min(len(wanted) if wanted is not None else rows, where.images if where is not None else rows)
    return Selection(of, most, most)


def _sizes(task: Task, states: list[ShardState], chosen: Selection) -> list[int]:
    """How many keys of each shard are asked for."""
    if task.run.keys is None and task.run.where is None:
        return [state.rows for state in states]
    sizes = []
    for state in states:
        of = chosen.of(state.shard, task.folder.read_keys(state.shard))
        sizes.append(state.rows if of is None else len(of))
    return sizes


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
    table = read_shard(path, ["key", "width", "height"])
    keys = table["key"].to_pylist()
    journal = replay(task.folder.journal(task.set_name, state.shard))
    has = own(overlay(stored_captions(task.folder, task.set_name, state.shard), journal))
    selected = selection.of(state.shard, keys)
    retry = sorted(set(selected or ()) - journal.wanted) if task.run.retry_failed else []
    missing = {key for key in keys if key not in has} | set(retry)
    areas = [w * h for w, h in zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)]
    values = _values(task, state.shard) if task.columns and missing else []
    rows = Rows(shard=state.shard, keys=keys, areas=areas, groups=_row_groups(path), values=values)
    assert task.provenance.batch_size is not None
    planned = (batch.only(missing) for batch in cut(rows, task.provenance.batch_size, selected))
    batches = [batch for batch in planned if batch.keys]
    if missing and not batches:
        return None
    return ShardStart(shard=state.shard, lacking=len(missing), retry=retry), batches


def check_columns(folder: DatasetFolder, columns: Sequence[str], style: str) -> None:
    """Refuse a prompt that asks for what is no column of texts or numbers, or no caption set.

    Raises:
        ColumnNotFound: it names something else.
    """
    manifest = folder.manifest
    known = [*TOLD, *manifest.columns, *manifest.sets]
    if unknown := [name for name in columns if name not in known]:
        raise ColumnNotFound(
            f"--style {style}: {folder.path} has no column or caption set {unknown[0]!r} that a prompt could hold; it has "
            f"{', '.join(known)}"
        )


def _values(task: Task, shard: int) -> list[tuple[Any, ...]]:
    """What the prompt needs to know of each record of a shard; no other columns are read."""
    target = open_dataset(task.folder.path)
    return [
        tuple(row[name] for name in task.columns)
        for batch in target.read(shard, ["key", *task.columns], batch_rows=8192)
        for row in batch.to_pylist()
    ]


def _row_groups(path: Path) -> list[int]:
    metadata = read_footer(path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def total_of(task: Task, selection: Selection, states: list[ShardState]) -> int:
    """How many images the run will caption at most, as far as that is known without reading all keys."""
    if task.run.retry_failed:
        return selection.images
    return min(sum(state.lacking for state in states), selection.images)
