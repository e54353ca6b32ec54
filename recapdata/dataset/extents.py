"""What an image shard covers, as its footer says: which items of which source. An ingest goes on from it, and the sums rest on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import read_footer, restore
from recapdata.errors import DatasetDamaged

_PREFIX = "recapdata."


@dataclass(frozen=True, slots=True)
class Extent:
    """What an image shard covers: items `start` to `end` (exclusive) of a source.

    Attributes:
        run: number of the ingest within the folder, an index into the manifest's sources.
        last: whether the source ended with this shard.
    """

    run: int
    source: str
    stamp: str
    start: int
    end: int
    last: bool

    def to_metadata(self) -> dict[str, str]:
        """The footer's form."""
        values = {"run": self.run, "source": self.source, "stamp": self.stamp, "start": self.start}
        values |= {"end": self.end, "last": int(self.last)}
        return {_PREFIX + name: str(value) for name, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> "Extent | None":
        """The extent of a footer; None for a shard that no ingest wrote."""
        values = {
            name.decode().removeprefix(_PREFIX): value.decode()
            for name, value in (metadata or {}).items()
            if name.startswith(_PREFIX.encode())
        }
        if "run" not in values:
            return None
        return cls(
            run=int(values["run"]),
            source=values["source"],
            stamp=values["stamp"],
            start=int(values["start"]),
            end=int(values["end"]),
            last=values["last"] == "1",
        )


def read_extents(folder: DatasetFolder) -> list[Extent]:
    """The extents of all image shards, in order; one that no ingest wrote has run -1 and as many items as rows.

    Raises:
        DatasetDamaged: a shard is truncated or corrupt, or missing.
    """
    extents: list[Extent] = []
    for shard in folder.shards():
        path = folder.image_shard(shard)
        footer = read_footer(path)
        try:
            extent = Extent.from_metadata(footer.metadata)
        except (ValueError, KeyError) as error:
            raise DatasetDamaged(
                f"{path} does not say which items it covers ({error}); {restore(str(path))}"
            ) from error
        extents.append(extent or Extent(run=-1, source="", stamp="", start=0, end=footer.num_rows, last=True))
    return extents


def is_finished(run: int, extents: Sequence[Extent]) -> bool:
    """Whether an ingest reached the end of its source; shards that no ingest wrote stand for the first source."""
    if run == 0 and extents and all(extent.run < 0 for extent in extents):
        return True
    return any(extent.run == run and extent.last for extent in extents)


def unfinished_source(folder: DatasetFolder) -> str | None:
    """The source whose ingest was interrupted, by its canonical text; None where all are in."""
    sources = folder.manifest.sources
    run = len(sources) - 1
    return None if run < 0 or is_finished(run, read_extents(folder)) else sources[run]
