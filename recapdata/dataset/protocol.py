"""The protocol of a dataset to read: a local folder (`local`) and a published revision (`revision`) are read in one way."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from recapdata.dataset.audit_files import SUMMARY, read_summary
from recapdata.dataset.decoding import DECODED_PIXELS
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import shard_name
from recapdata.dataset.shards import read_shard
from recapdata.errors import CaptionSetNotFound, ColumnNotFound
from recapdata.records import CAPTION_SCHEMA, RECORD_SCHEMA, Manifest
from recapdata.suggestions import did_you_mean


class Target(Protocol):
    """A dataset that can be read; open one with `recapdata.open_dataset`.

    Attributes:
        name: what the user typed, without surrounding blanks: the folder, or `user/name[@revision]`.
        manifest: the manifest as it was at opening.
        shard_numbers: numbers of the image shards at opening, ascending.
        folder: the local folder; None for a published revision.
        repo_id: `user/name` on the Hub; None for a folder.
        revision: tag, branch or commit as typed, `main` where none was typed; None for a folder.
        commit: the commit that the revision resolved to; None for a folder.
    """

    name: str
    manifest: Manifest
    shard_numbers: tuple[int, ...]
    folder: Path | None
    repo_id: str | None
    revision: str | None
    commit: str | None

    # -- where the two kinds differ -----------------------------------------------------------------------------------

    @property
    def resolved(self) -> str:
        """The pinned name of this data: the folder's path, or `user/name@commit`."""
        ...

    def so_far(self) -> "Target":
        """The same target, of which caption sets under way can be read too: what has no caption yet is null, as failures are."""
        ...

    def finished(self, set_name: str, shard: int) -> bool:
        """Whether a set has a caption or an error for every record of a shard; always so in a published revision."""
        ...

    def captioned_shards(self, set_name: str) -> list[int]:
        """The shards of which a set has captions, be it some: those that are finished or have a journal."""
        ...

    def rows(self, shard: int) -> int:
        """How many records a shard holds, from a footer."""
        ...

    def read(self, shard: int, columns: Sequence[str], *, batch_rows: int = 1024) -> Iterator[pa.RecordBatch]:
        """Stream the named columns of one shard, in the order asked for and in row order.

        A caption set is one string column, null where the captioner failed; `image` is a struct of bytes and path.

        Raises:
            ColumnNotFound: no such column or caption set.
            CaptionSetNotFound: a caption set is not finished for this shard (folders; not after `so_far`).
            DatasetDamaged: captions and images are not of the same rows.
        """
        ...

    def take(self, shard: int, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Single records of a shard by their row numbers, in that order, with the named columns that came with the images.

        Only the row groups that hold them are read; of a published revision by range requests, not the whole shard.

        Raises:
            HubError: the Hub cannot be reached.
        """
        ...

    def caption_shard(self, set_name: str, shard: int) -> Path:
        """Local path of the finished captions of a set for a shard, downloaded if need be.

        Raises:
            CaptionSetNotFound: no such set, or it is not finished for this shard.
        """
        ...

    def file(self, path: str) -> Path | None:
        """Local path of one file of the dataset by its published path, downloaded if need be; None if there is none."""
        ...

    def __repr__(self) -> str:
        commit = f" (commit {self.commit[:12]})" if self.commit else ""
        shards = f"{len(self.shard_numbers)} shard{'s' if len(self.shard_numbers) != 1 else ''}"
        names = f"caption sets {', '.join(self.set_names()) or 'none'}; columns {', '.join(self.manifest.columns) or 'none'}"
        return f"{self.name}{commit}: {self.manifest.counts.records:,} records in {shards}; {names}"

    # -- what follows from that ---------------------------------------------------------------------------------------

    @property
    def published(self) -> bool:
        """Whether this is a published revision, which nobody can write to."""
        return self.folder is None

    @property
    def max_pixels(self) -> int:
        """Width × height up to which its pictures are decoded: the limit that they came in under, where one was given."""
        return max(self.manifest.max_pixels or 0, DECODED_PIXELS)

    def shards(self) -> list[int]:
        """Numbers of the image shards, ascending."""
        return list(self.shard_numbers)

    def set_names(self) -> list[str]:
        """Names of the caption sets, in the order in which they were made."""
        return list(self.manifest.sets)

    def columns(self) -> list[str]:
        """Every name that `read` takes: the fixed columns, those that came along, and the caption sets."""
        return [*RECORD_SCHEMA.names, *self.manifest.columns, *self.manifest.sets]

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse names of no column.

        Raises:
            ColumnNotFound: no such column or caption set.
        """
        known = self.columns()
        if unknown := [name for name in names if name not in known]:
            raise ColumnNotFound(f"{self.name} has no column {unknown[0]!r}; it has {', '.join(known)}")

    def check_set(self, set_name: str) -> None:
        """Refuse the name of no caption set.

        Raises:
            CaptionSetNotFound: no such set.
        """
        if set_name not in self.manifest.sets:
            raise CaptionSetNotFound(
                f"{self.name} has no caption set {set_name!r}{did_you_mean(set_name, self.manifest.sets)}; it has "
                f"{', '.join(self.manifest.sets) or 'none'}"
            )

    def read_captions(self, set_name: str, shard: int, columns: list[str] | None = None) -> pa.Table:
        """The whole caption rows (`CAPTION_SCHEMA`: seed, finish reason, error, …) of one set for one shard.

        Raises:
            CaptionSetNotFound: no such set, or not finished for this shard.
        """
        path = self.caption_shard(set_name, shard)
        return read_shard(path, columns, schema=None if columns else CAPTION_SCHEMA)

    def captions_hash(self, set_name: str, shard: int) -> str:
        """The hash of the keys and captions of a shard by which an audit knows them again (`Identity.captions`)."""
        return rows_hash(self.read(shard, ["key", set_name], batch_rows=8192))

    def audit_shard(self, set_name: str, shard: int) -> Path | None:
        """Local path of the audit of one set for one shard; None where it was not audited."""
        return self.file(f"audits/{set_name}/{shard_name(shard)}")

    def read_audit(self, set_name: str, shard: int) -> pa.Table | None:
        """The audit of one set for one shard; None where it was not audited."""
        path = self.audit_shard(set_name, shard)
        return None if path is None else read_shard(path)

    def summary(self) -> dict[str, Any] | None:
        """The audit summary; None where nothing was audited.

        Raises:
            DatasetDamaged: it is there but is no JSON.
        """
        path = self.file(SUMMARY)
        return None if path is None else read_summary(path, self.name)
