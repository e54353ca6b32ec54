"""What an ingest did, as numbers and as the text a person reads at its end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recapdata.dataset.folder import NOTES, DatasetFolder
from recapdata.dataset.shards import ShardFile
from recapdata.display import one_line, shown_as_text
from recapdata.records import Counts

_REMARKS = {
    "records": "",
    "duplicates": "the same picture again; what came with it is kept in duplicates/",
    "failures": "no record; each with its reason in failures/",
    "removed": "taken out on request before; left out",
}


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one type: how many, and the first of them."""

    error: str
    count: int
    source: str
    message: str


@dataclass(frozen=True, slots=True)
class NoteGroup:
    """Notes of one type: how many, and the first of them."""

    note: str
    count: int
    source: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class IngestSummary:
    """The outcome of an ingest.

    Attributes:
        counts: of this source.
        dataset: of the whole folder, all its sources together.
        items_done: items this command itself went through; less than `counts.items` when it went on from an earlier one.
        bytes: image bytes this command itself wrote.
        failures: failed items of this source by type, the most frequent first.
        noted: what was left out of records of this source, or should be known of them, by type, the most frequent first.
        notes: what else should be known of the source.
    """

    directory: str
    source: str
    counts: Counts
    dataset: Counts
    shards: int
    columns: tuple[str, ...]
    items_done: int
    bytes: int
    seconds: float
    failures: tuple[FailureGroup, ...] = ()
    noted: tuple[NoteGroup, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether anything of the source came in; single bad items are told of, and no failure of the run."""
        return self.counts.failures < self.counts.items

    def text(self) -> str:
        """The summary for a terminal."""
        counts = self.counts
        if not self.items_done:
            lines = [f"{self.source} is already in {self.directory}: nothing to do."]
        elif not self.complete:
            lines = [f"Nothing of {self.source} came into {self.directory}."]
        else:
            lines = [f"Ingested {self.source} into {self.directory}."]
        lines += ["", f"  {'items':<12}{counts.items:>12,}"]
        for name, remark in _REMARKS.items():
            count = getattr(counts, name)
            lines.append(f"  {name:<12}{count:>12,}  {remark if count else ''}".rstrip())
        failures = [(each.error, each) for each in self.failures]
        lines += _grouped("Failures by type, each with its first:", failures)
        noted = [(each.note, each) for each in self.noted]
        lines += _grouped("Notes on records by type, each with its first; all are in notes/:", noted)
        lines += ["", *(f"Note: {one_line(note)}" for note in self.notes)] if self.notes else []
        came = f" with {', '.join(self.columns)}" if self.columns else ""
        lines += [
            "",
            f"{self.directory} holds {self.dataset.records:,} records in {_plural(self.shards, 'shard')}{came}.",
        ]
        if self.items_done:
            lines.append(self._speed())
        if not self.complete:
            lines.append(
                f"Mend the source, delete {self.directory} if it holds nothing else, and ingest again."
            )
        return "\n".join(lines)

    def _speed(self) -> str:
        earlier = self.counts.items - self.items_done
        went_on = f" ({earlier:,} were there from before)" if earlier else ""
        rate = self.items_done / max(self.seconds, 1e-9)
        return (
            f"{_plural(self.items_done, 'item')}{went_on}, {self.bytes / 2**20:,.1f} MB of images "
            f"in {self.seconds:,.1f} s: {rate:,.0f} items/s."
        )


def _grouped(title: str, groups: Sequence[tuple[str, FailureGroup | NoteGroup]]) -> list[str]:
    lines = [
        f"  {group.count:>8,}  {name}: {one_line(f'{group.source}: {group.message}')}"
        for name, group in groups
    ]
    return ["", title, *lines] if lines else []


def group_failures(folder: DatasetFolder, shards: Sequence[int]) -> tuple[FailureGroup, ...]:
    """The ingest failures of these shards by type, the most frequent first; ledgers are streamed."""
    groups = _group(folder, "failures", shards, "error")
    return tuple(FailureGroup(*group) for group in groups)


def group_notes(folder: DatasetFolder, shards: Sequence[int]) -> tuple[NoteGroup, ...]:
    """The notes on records of these shards by type, the most frequent first."""
    return tuple(NoteGroup(*group) for group in _group(folder, NOTES, shards, "note"))


def _group(
    folder: DatasetFolder, ledger: str, shards: Sequence[int], kind: str
) -> list[tuple[str, int, str, str]]:
    """Rows of a ledger by the column `kind`: type, number, source and message of the first."""
    counts: dict[str, int] = {}
    first: dict[str, tuple[str, str]] = {}
    for path in (folder.ledger(ledger, shard) for shard in shards):
        if not path.is_file():
            continue
        with ShardFile(path) as file:
            columns = [
                name for name in ("stage", kind, "source", "message") if name in file.schema_arrow.names
            ]
            for batch in file.iter_batches(10_000, columns=columns):
                for row in batch.to_pylist():
                    if row.get("stage", "ingest") == "ingest":
                        counts[row[kind]] = counts.get(row[kind], 0) + 1
                        first.setdefault(row[kind], (row["source"], row["message"]))
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return [(name, counts[name], *first[name]) for name in names]


def _plural(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")
