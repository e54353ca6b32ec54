"""How far a caption set is: per image shard what it has and lacks, and the sum records = captions + failures + what is still to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.journal import replay
from recapdata.dataset.shards import read_footer
from recapdata.errors import DatasetDamaged
from recapdata.recaptioning.recorder import failures_in_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """One image shard and its captions.

    Attributes:
        rows: records of the image shard.
        captioned: records that have a caption.
        failures: records that have an error instead.
        finished: whether the caption shard is written.
        journal: whether there is a journal, of a run or a retry under way or just ended.
    """

    shard: int
    rows: int
    captioned: int
    failures: int
    finished: bool
    journal: bool

    @property
    def lacking(self) -> int:
        """Records that have neither."""
        return self.rows - self.captioned - self.failures

    @property
    def settled(self) -> bool:
        """Whether a run has nothing to do here (failures are settled until a retry asks for them)."""
        return self.finished and not self.journal


def survey(folder: DatasetFolder, set_name: str) -> list[ShardState]:
    """The state of every image shard; of finished shards only footers and errors are read.

    Raises:
        DatasetDamaged: a finished caption shard has other rows than its image shard.
    """
    return [_state(folder, set_name, shard) for shard in folder.shards()]


def failures_by_type(folder: DatasetFolder, set_name: str, states: Sequence[ShardState]) -> dict[str, int]:
    """How many failures of each type the set has, the most frequent first."""
    kinds: Counter[str] = Counter()
    for state in states:
        if not state.failures:
            continue
        errors: list[str | None] = []
        journal = replay(folder.journal(set_name, state.shard))
        if state.finished:
            table = folder.read_captions(set_name, state.shard, ["key", "error"])
            overruled = journal.wanted | journal.captions.keys()
            errors = [row["error"] for row in table.to_pylist() if row["key"] not in overruled]
        errors += [caption.error for caption in journal.captions.values()]
        kinds.update(error.partition(":")[0] for error in errors if error is not None)
    return dict(kinds.most_common())


def _state(folder: DatasetFolder, set_name: str, shard: int) -> ShardState:
    path = folder.caption_shard(set_name, shard)
    rows, finished = folder.rows(shard), path.is_file()
    has_journal = folder.journal(set_name, shard).is_file()
    if finished and (there := read_footer(path).num_rows) != rows:
        raise DatasetDamaged(
            f"{path} has {there:,} rows, its image shard {rows:,}; delete it and run the same command again"
        )
    if not has_journal:
        failures = failures_in_file(folder, set_name, shard) if finished else 0
        captioned = rows - failures if finished else 0
        return ShardState(
            shard=shard, rows=rows, captioned=captioned, failures=failures, finished=finished, journal=False
        )
    return _state_with_journal(folder, set_name, shard, rows, finished=finished)


def _state_with_journal(
    folder: DatasetFolder, set_name: str, shard: int, rows: int, *, finished: bool
) -> ShardState:
    journal = replay(folder.journal(set_name, shard))
    errors: dict[str, str | None] = {}
    if finished:
        table = folder.read_captions(set_name, shard, ["key", "error"])
        errors = dict(zip(table["key"].to_pylist(), table["error"].to_pylist(), strict=True))
    for key in journal.wanted:
        errors.pop(key, None)
    errors |= {key: caption.error for key, caption in journal.captions.items()}
    present = errors.keys() & set(folder.read_keys(shard))
    failures = sum(errors[key] is not None for key in present)
    return ShardState(
        shard=shard,
        rows=rows,
        captioned=len(present) - failures,
        failures=failures,
        finished=finished,
        journal=True,
    )
