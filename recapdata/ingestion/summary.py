"""What an ingest did, as numbers and as the text a person reads at its end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recapdata.dataset.folder import DatasetFolder
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
        lines += self._failure_lines()
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

    def _failure_lines(self) -> list[str]:
        if not self.failures:
            return []
        lines = ["", "Failures by type, each with its first:"]
        for group in self.failures:
            lines.append(
                f"  {group.count:>8,}  {group.error}: {one_line(f'{group.source}: {group.message}')}"
            )
        return lines

    def _speed(self) -> str:
        earlier = self.counts.items - self.items_done
        went_on = f" ({earlier:,} were there from before)" if earlier else ""
        rate = self.items_done / max(self.seconds, 1e-9)
        return (
            f"{_plural(self.items_done, 'item')}{went_on}, {self.bytes / 2**20:,.1f} MB of images "
            f"in {self.seconds:,.1f} s: {rate:,.0f} items/s."
        )


def group_failures(folder: DatasetFolder, shards: Sequence[int]) -> tuple[FailureGroup, ...]:
    """The ingest failures of these shards by type, the most frequent first; ledgers are streamed."""
    counts: dict[str, int] = {}
    first: dict[str, tuple[str, str]] = {}
    for shard in shards:
        path = folder.ledger("failures", shard)
        if not path.is_file():
            continue
        with ShardFile(path) as file:
            for batch in file.iter_batches(10_000, columns=["stage", "source", "error", "message"]):
                for row in batch.to_pylist():
                    if row["stage"] == "ingest":
                        counts[row["error"]] = counts.get(row["error"], 0) + 1
                        first.setdefault(row["error"], (row["source"], row["message"]))
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return tuple(FailureGroup(name, counts[name], *first[name]) for name in names)


def _plural(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")
