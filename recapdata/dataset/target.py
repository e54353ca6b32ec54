"""A target is a dataset to read: a local folder, or a published version `user/name[@revision]`, behind one interface.

A published version is resolved to its commit once, when it is opened, and everything is read at that commit. What is read
of it is downloaded file by file through the stock client and its cache: captions come from the small files of the
`captions` config, pictures from the data shards, and other columns alone by range requests.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.audit_files import SUMMARY, read_summary
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import MANIFEST, DatasetFolder, read_manifest, shard_name, shard_number
from recapdata.dataset.journal import captions_so_far
from recapdata.dataset.paths import inside
from recapdata.dataset.shards import ShardFile, read_footer, read_shard
from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import (
    CaptionSetNotFound,
    ColumnNotFound,
    DatasetDamaged,
    HubError,
    NotADataset,
    OptionError,
    SourceNotFound,
)
from recapdata.records import RECORD_SCHEMA, Manifest

DEFAULT_BRANCH = "main"

_REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A dataset that can be read; make one with `open_dataset`.

    Attributes:
        name: what the user typed, without surrounding blanks: the folder, or `user/name[@revision]`.
        folder: the local folder; None for a published version.
        repo_id: `user/name` on the Hub; None for a folder.
        revision: tag, branch or commit as typed; None for a folder, `main` where none was typed.
        commit: the commit that the revision resolved to; None for a folder.
        manifest: the manifest as it was at opening.
        under_way: whether caption sets that are not finished are read as far as they are (see `so_far`).
    """

    name: str
    manifest: Manifest
    folder: Path | None = None
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    under_way: bool = False
    _numbers: tuple[int, ...] = ()

    @property
    def resolved(self) -> str:
        """A name that means the same data tomorrow: the folder's path, or `user/name@commit`."""
        return str(self.folder) if self.folder is not None else f"{self.repo_id}@{self.commit}"

    def shards(self) -> list[int]:
        """Numbers of the image shards, ascending."""
        return list(self._numbers)

    def set_names(self) -> list[str]:
        """Names of the caption sets, in the order in which they were made."""
        return list(self.manifest.sets)

    def so_far(self) -> "Target":
        """The same target, of which caption sets under way can be read too: what has no caption yet is null, as failures are."""
        return replace(self, under_way=True)

    def finished(self, set_name: str, shard: int) -> bool:
        """Whether a set has a caption or an error for every record of a shard; always so in a published version."""
        return self.folder is None or DatasetFolder(self.folder).caption_shard(set_name, shard).is_file()

    def captioned_shards(self, set_name: str) -> list[int]:
        """The shards of which a set has captions, be it some: those that are finished or have a journal."""
        if self.folder is None:
            return self.shards()
        folder = DatasetFolder(self.folder)
        return [
            shard
            for shard in self._numbers
            if self.finished(set_name, shard) or folder.journal(set_name, shard).is_file()
        ]

    def columns(self) -> list[str]:
        """Every name that `read` takes: the fixed columns, those that came along, and the caption sets."""
        return [*RECORD_SCHEMA.names, *self.manifest.columns, *self.manifest.sets]

    def rows(self, shard: int) -> int:
        """How many records a shard holds, from a footer."""
        if self.folder is not None:
            return DatasetFolder(self.folder).rows(shard)
        for set_name in self.manifest.sets:
            return read_footer(self._need(f"captions/{set_name}/{shard_name(shard)}")).num_rows
        with self._open_data(shard, whole=False) as file:
            return file.metadata.num_rows

    def read(self, shard: int, columns: Sequence[str], *, batch_rows: int = 1024) -> Iterator[pa.RecordBatch]:
        """Stream the named columns of one shard, in the order asked for and in row order.

        A caption set is one string column, null where the captioner failed; `image` is a struct of bytes and path.

        Raises:
            ColumnNotFound: no such column or caption set.
            CaptionSetNotFound: a caption set is not finished for this shard (local folders; not after `so_far`).
            DatasetDamaged: captions and images are not of the same rows.
        """
        for name in columns:
            if name not in self.columns():
                raise ColumnNotFound(
                    f"{self.name} has no column {name!r}; it has {', '.join(self.columns())}"
                )
        sets = [name for name in columns if name in self.manifest.sets]
        if self.folder is None and not set(columns) <= {"key", *sets}:
            yield from self._read_data(shard, columns, batch_rows)
            return
        if self.folder is not None:
            parts = [self._stream_images(shard, [name for name in columns if name not in sets], batch_rows)]
        elif not self.manifest.sets:
            parts = [self._read_data(shard, ["key"], batch_rows)]
        else:
            parts = []
            sets = sets or list(self.manifest.sets)[:1]  # keys alone: any set has them, and is small
        parts += [self._stream_captions(name, shard, batch_rows) for name in sets]
        for batches in aligned(parts, where=f"{self.name}, {shard_name(shard)}"):
            arrays = {name: batch.column(name) for batch in batches for name in batch.schema.names}
            yield pa.RecordBatch.from_arrays([arrays[name] for name in columns], names=list(columns))

    def take(self, shard: int, places: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Single records of a shard by their place in it, in that order, with the named columns that came with the images.

        Only the row groups that hold them are read; of a published version by range requests, not the whole shard.

        Raises:
            HubError: the Hub cannot be reached.
        """
        if self.folder is not None:
            with ShardFile(DatasetFolder(self.folder).image_shard(shard)) as file:
                return take_rows(file, places, columns)
        with (
            hub_errors(f"{self.name}: {shard_name(shard)}"),
            self._open_data(shard, whole=False) as file,
        ):
            return take_rows(file, places, columns)

    def read_captions(self, set_name: str, shard: int, columns: list[str] | None = None) -> pa.Table:
        """The whole caption rows (`CAPTION_SCHEMA`: seed, finish reason, error, …) of one set for one shard.

        Raises:
            CaptionSetNotFound: no such set, or not finished for this shard.
        """
        if set_name not in self.manifest.sets:
            raise CaptionSetNotFound(
                f"{self.name} has no caption set {set_name!r}; it has {', '.join(self.manifest.sets) or 'none'}"
            )
        if self.folder is not None:
            return DatasetFolder(self.folder).read_captions(set_name, shard, columns)
        return read_shard(self._need(f"captions/{set_name}/{shard_name(shard)}"), columns)

    def audit_shard(self, set_name: str, shard: int) -> Path | None:
        """Local path of the audit of one set for one shard; None where it was not audited."""
        return self.file(f"audits/{set_name}/{shard_name(shard)}")

    def read_audit(self, set_name: str, shard: int) -> pa.Table | None:
        """The audit of one set for one shard; None where it was not audited."""
        path = self.audit_shard(set_name, shard)
        return None if path is None else read_shard(path)

    def captions_hash(self, set_name: str, shard: int) -> str:
        """The hash of the keys and captions of a shard by which an audit knows them again (`Identity.captions`)."""
        return rows_hash(self.read(shard, ["key", set_name], batch_rows=8192))

    def summary(self) -> dict[str, Any] | None:
        """The audit summary; None where nothing was audited.

        Raises:
            DatasetDamaged: it is there but is no JSON.
        """
        path = self.file(SUMMARY)
        return None if path is None else read_summary(path, self.name)

    def file(self, path: str) -> Path | None:
        """Local path of one file of the dataset by its published path, downloaded if need be; None if there is none."""
        if self.folder is not None:
            local = self.folder / path
            return local if inside(path) and local.is_file() else None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import RemoteEntryNotFoundError

        try:
            with hub_errors(f"{self.name}: {path}"):
                return Path(
                    hf_hub_download(
                        str(self.repo_id),
                        path,
                        repo_type="dataset",
                        revision=self.commit,
                        endpoint=endpoint(),
                    )
                )
        except HubError as error:
            if isinstance(error.__cause__, RemoteEntryNotFoundError):
                return None
            raise

    # -- how it is read -----------------------------------------------------------------------------------------------

    def _need(self, path: str) -> Path:
        found = self.file(path)
        if found is None:
            raise DatasetDamaged(f"{self.name} lacks {path}, which its {MANIFEST} promises; publish it again")
        return found

    def _stream_images(self, shard: int, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        folder = DatasetFolder(Path(str(self.folder)))
        fixed = set(columns) <= set(RECORD_SCHEMA.names)
        schema = RECORD_SCHEMA if fixed else _folder_schema(folder.path, self._numbers)
        return folder.read_images(
            shard, list(dict.fromkeys(["key", *columns])), schema=schema, batch_rows=batch_rows
        )

    def _stream_captions(self, set_name: str, shard: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
        if self.folder is None:
            path = self._need(f"captions/{set_name}/{shard_name(shard)}")
        else:
            folder = DatasetFolder(self.folder)
            path = folder.caption_shard(set_name, shard)
            if self.under_way and (not path.is_file() or folder.journal(set_name, shard).is_file()):
                yield from _captions_so_far(folder, set_name, shard, batch_rows)
                return
            if not path.is_file():
                folder.read_captions(set_name, shard)  # raises with the words for an unfinished set
        with ShardFile(path) as file:
            for batch in file.iter_batches(batch_rows, columns=["key", "caption"], use_threads=False):
                yield pa.RecordBatch.from_arrays(
                    [batch.column("key"), batch.column("caption")], names=["key", set_name]
                )

    def _open_data(self, shard: int, *, whole: bool) -> ShardFile:
        """The data shard: downloaded whole where its pictures are wanted, else read column by column over the wire."""
        path = f"data/{shard_name(shard)}"
        if not whole:
            from huggingface_hub import HfFileSystem, try_to_load_from_cache

            cached = try_to_load_from_cache(
                str(self.repo_id), path, repo_type="dataset", revision=self.commit
            )
            if not isinstance(cached, str):
                with hub_errors(f"{self.name}: {path}"):
                    remote = HfFileSystem(endpoint=endpoint())
                    source = remote.open(f"datasets/{self.repo_id}@{self.commit}/{path}", "rb")
                    return ShardFile(source, name=f"{self.name}: {path}", pre_buffer=True)
        return ShardFile(self._need(path))

    def _read_data(self, shard: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        what = f"{self.name}: {', '.join(columns)} of {shard_name(shard)}"
        with hub_errors(what), self._open_data(shard, whole="image" in columns) as file:
            for batch in file.iter_batches(batch_rows, columns=list(columns), use_threads=False):
                yield batch.select(list(columns)).replace_schema_metadata(None)


def take_rows(file: ShardFile, places: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a Parquet file by their place in it, in that order; row groups without any of them are not read.

    A column that the file lacks is left out.
    """
    present = [name for name in columns if name in file.schema_arrow.names]
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        here = sorted({place for place in places if start <= place < end})
        if here:
            table = file.read_row_group(group, columns=present, use_threads=False)
            rows = table.take([place - start for place in here]).to_pylist()
            found |= dict(zip(here, rows, strict=True))
        start = end
    return [found[place] for place in places]


def aligned(streams: Sequence[Iterator[pa.RecordBatch]], *, where: str) -> Iterator[list[pa.RecordBatch]]:
    """Cut parallel streams of the same rows so that the batches of each step cover the same rows.

    Every stream must carry the column `key`; keys are compared, so that captions never meet another row's image.

    Raises:
        DatasetDamaged: the streams differ in length or keys; `where` opens the message.
    """
    heads: list[pa.RecordBatch | None] = [None] * len(streams)
    while True:
        heads = [
            _next_rows(stream) if head is None or not head.num_rows else head
            for head, stream in zip(heads, streams, strict=True)
        ]
        present = [head for head in heads if head is not None]
        if not present:
            return
        rows = min(head.num_rows for head in present)
        step = [head.slice(0, rows) for head in present]
        keys = step[0].column("key")
        if len(present) < len(streams) or not all(each.column("key").equals(keys) for each in step[1:]):
            raise DatasetDamaged(
                f"{where}: captions and images are not of the same rows; write the set again"
            )
        yield step
        heads = [head.slice(rows) for head in present]


def _captions_so_far(
    folder: DatasetFolder, set_name: str, shard: int, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    captions, keys = captions_so_far(folder, set_name, shard), folder.read_keys(shard)
    for start in range(0, len(keys), batch_rows):
        part = keys[start : start + batch_rows]
        texts = [captions[key].caption if key in captions else None for key in part]
        yield pa.record_batch([pa.array(part), pa.array(texts, pa.string())], names=["key", set_name])


@lru_cache(maxsize=4)
def _folder_schema(path: Path, shards: tuple[int, ...]) -> pa.Schema:
    """The schema over all shards of a folder: a footer each, so it is read once for a target's shards."""
    return DatasetFolder(path).schema()


def _next_rows(stream: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    """The next batch that has rows."""
    return next((batch for batch in stream if batch.num_rows), None)


def open_dataset(target: str | Path, revision: str | None = None) -> Target:
    """Open a folder, or `user/name[@revision]` on the Hub (revision: tag, branch or commit; `main` where omitted).

    A folder wins over a repository of the same name.

    Args:
        revision: the same as `@revision` in the name.

    Raises:
        OptionError: a revision of a local folder, or two revisions.
        NotADataset: the folder or the repository holds no recapdata dataset.
        SourceNotFound: neither a folder nor the name of a repository.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    text = str(target).strip()
    if revision is not None:
        if Path(text).is_dir():
            raise OptionError(
                f"revision {revision} of {text}: that is a folder, which has no revisions; leave it out, or name a repository"
            )
        if "@" in text:
            raise OptionError(f"{text} at revision {revision}: give the revision once")
        text = f"{text}@{revision}"
    if Path(text).is_dir():
        folder = DatasetFolder.open(text)
        return Target(
            name=text, folder=folder.path, manifest=folder.manifest, _numbers=tuple(folder.shards())
        )
    match = _REPOSITORY.fullmatch(text)
    if match is None or isinstance(target, Path):
        raise SourceNotFound(
            f"{text}: no such folder, and not a dataset on a Hub (user/name or user/name@v1.0.0)"
        )
    return _open_published(text, match["id"], match["revision"] or DEFAULT_BRANCH)


def _open_published(name: str, repo_id: str, revision: str) -> Target:
    api = hub_api()
    with hub_errors(f"{name} (no folder of that name here)"):
        commit = api.resolve_revision(repo_id, repo_type="dataset", revision=revision).resolved
    bare = Target(
        name=name, repo_id=repo_id, revision=revision, commit=commit, manifest=Manifest(name=repo_id)
    )
    path = bare.file(MANIFEST)
    if path is None:
        raise NotADataset(
            f"{name} on {endpoint()} is not a recapdata dataset (no {MANIFEST} at {commit[:12]}); "
            f"bring it in with: recapdata ingest hf:{name} DIR"
        )
    with hub_errors(name):
        tree = api.list_repo_tree(repo_id, "data", repo_type="dataset", revision=commit)
        names = [entry.path.removeprefix("data/") for entry in tree]
    numbers = sorted(number for each in names if (number := shard_number(each)) is not None)
    return replace(bare, manifest=read_manifest(path, name), _numbers=tuple(numbers))
