"""`recapdata remove`: takes records out of every part of a dataset folder and of all later ingests, or whole caption sets.

What is kept of a removed picture is its key, in `removed/`, so that the sums hold and the next version can say how many. How a removal
survives being killed is in `writing`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.keys import read_keys_file
from recapdata.dataset.shards import read_shard
from recapdata.dataset.writing import (
    complete_removal,
    note_keys,
    note_sets,
    pending_sets,
    removed_sets,
    writing,
)
from recapdata.display import shown_as_text
from recapdata.errors import OptionError
from recapdata.records import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class RemoveSummary:
    """The outcome of a removal.

    Attributes:
        asked: different keys in the file.
        taken_out: those of them that the folder held, now or when an earlier run took them out.
        never_seen: those that it never held; a later ingest leaves them out all the same.
        examples: the first few of the latter.
        sets: caption sets that were taken out, now or when an earlier run took them out.
        sets_before: those of them that an earlier run took out.
        published: the version that was published last, which still holds what was taken out; None before the first.
        dataset: counts of the folder afterwards.
    """

    directory: str
    asked: int
    taken_out: int
    never_seen: int
    examples: tuple[str, ...]
    sets: tuple[str, ...]
    sets_before: tuple[str, ...] = ()
    published: str | None
    shards_rewritten: int
    dataset: Counts
    seconds: float

    def text(self) -> str:
        """The summary for a terminal."""
        lines = []
        if self.sets:
            for name in self.sets:
                before = " by an earlier removal: nothing to do" if name in self.sets_before else ""
                lines.append(f"Caption set {name} is taken out of {self.directory}, with its audit{before}.")
            if self.published is not None:
                lines.append(
                    "Versions that were published with it keep it; the next one without it has to be a MAJOR one."
                )
        return "\n".join([*lines, *([""] if lines and self.asked else []), *self._records()])

    def _records(self) -> list[str]:
        """What became of the keys."""
        if not self.asked:
            return []
        lines = [
            f"Of {self.asked:,} keys, {self.taken_out:,} are taken out of {self.directory}, with their captions and audits.",
        ]
        if self.never_seen:
            more = ", …" if self.never_seen > len(self.examples) else ""
            lines.append(
                f"{self.never_seen:,} of them it never held ({', '.join(self.examples)}{more}); later ingests leave them out "
                "all the same."
            )
        lines += [
            "",
            f"  {'records':<12}{self.dataset.records:>12,}",
            f"  {'removed':<12}{self.dataset.removed:>12,}  items, counting each time such a picture was met; only keys are kept, in removed/",
        ]
        if self.shards_rewritten:
            lines += [
                "",
                "Versions that were published before still hold them: publish a new one, and delete the old from the Hub",
                "where the removal must reach it. Audit figures are made again by the next audits run.",
            ]
        return lines


def remove(
    directory: str | Path, keys_file: str | Path | None = None, *, captions: Sequence[str] = ()
) -> RemoveSummary:
    """Take the records of these keys out of every part of a dataset folder and out of all later ingests, or whole caption sets.

    Args:
        keys_file: a text file with one key a line.
        captions: names of caption sets.

    Raises:
        NotADataset: there is no dataset at `directory`.
        InputError: the file cannot be read, or a line is no key.
        CaptionSetNotFound: no such caption set.
        OptionError: nothing is named, or a set that stays is made of one that is to go.
        DatasetBusy: another process writes to the folder.
    """
    began = time.monotonic()
    folder = DatasetFolder.open(directory)
    if keys_file is None and not captions:
        raise OptionError(
            "name what is to be taken out: records by --keys FILE, or a caption set by --captions SET"
        )
    asked = read_keys_file(Path(keys_file)) if keys_file is not None else set()
    sets = tuple(dict.fromkeys(captions))
    begun = pending_sets(folder)  # by the same command, maybe, which was killed
    with writing(folder):
        before = [name for name in removed_sets(folder) if name in sets and name not in begun]
        note_sets(folder, [name for name in sets if name not in (*begun, *before)])
        note_keys(folder, asked)
        rewritten = complete_removal(folder)
        held = _taken_out(folder, asked)
        manifest = folder.manifest
    unknown = sorted(asked - held)
    return RemoveSummary(
        directory=str(directory),
        asked=len(asked),
        taken_out=len(held),
        never_seen=len(unknown),
        examples=tuple(unknown[:3]),
        sets=sets,
        sets_before=tuple(before),
        published=manifest.version,
        shards_rewritten=rewritten,
        dataset=manifest.counts,
        seconds=round(time.monotonic() - began, 3),
    )


def _taken_out(folder: DatasetFolder, asked: set[str]) -> set[str]:
    """Those of the keys that the folder once held."""
    held: set[str] = set()
    for path in folder.ledgers("removed"):
        table = read_shard(path, ["key", "reason"])
        for key, reason in zip(
            table.column("key").to_pylist(), table.column("reason").to_pylist(), strict=True
        ):
            if reason == "request" and key in asked:
                held.add(key)
    return held
