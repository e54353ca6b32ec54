"""A published revision as a target: resolved to its commit once, when it is opened, and read at that commit.

What is read of it is downloaded file by file through the stock client and its cache: captions come from the small files of the
`captions` config, pictures from the data shards, and other columns alone by range requests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.folder import MANIFEST, read_manifest, shard_name, shard_number
from recapdata.dataset.protocol import Target
from recapdata.dataset.shards import ShardFile, read_footer, read_set, side_by_side
from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import DatasetDamaged, HubError, NotADataset
from recapdata.records import Manifest
from recapdata.suggestions import did_you_mean

DEFAULT_BRANCH = "main"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PublishedTarget(Target):
    """A published revision to read (see `Target`)."""

    name: str
    manifest: Manifest
    shard_numbers: tuple[int, ...]
    repo_id: str
    revision: str
    commit: str
    folder: None = None

    @property
    def resolved(self) -> str:
        return f"{self.repo_id}@{self.commit}"

    def so_far(self) -> "PublishedTarget":
        return self

    def finished(self, set_name: str, shard: int) -> bool:
        return True

    def captioned_shards(self, set_name: str) -> list[int]:
        return self.shards()

    def rows(self, shard: int) -> int:
        for set_name in self.manifest.sets:
            return read_footer(self.caption_shard(set_name, shard)).num_rows
        with self.open_data(shard, whole=False) as file:
            return file.metadata.num_rows

    def read(self, shard: int, columns: Sequence[str], *, batch_rows: int = 1024) -> Iterator[pa.RecordBatch]:
        self.check_columns(columns)
        sets = list(self.manifest.sets)
        if not sets or not set(columns) <= {"key", *sets}:
            return self._read_data(shard, columns, batch_rows)
        wanted = [name for name in columns if name in sets] or sets[
            :1
        ]  # keys alone: any set has them, and is small
        parts = [read_set(self.caption_shard(name, shard), name, batch_rows) for name in wanted]
        return side_by_side(parts, columns, where=f"{self.name}, {shard_name(shard)}")

    def take(self, shard: int, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        what = f"{self.name}: {shard_name(shard)}"
        with hub_errors(what), self.open_data(shard, whole=False) as file:
            return file.take(rows, columns)

    def caption_shard(self, set_name: str, shard: int) -> Path:
        self.check_set(set_name)
        return self._need(f"captions/{set_name}/{shard_name(shard)}")

    def file(self, path: str) -> Path | None:
        return _download(self.repo_id, self.commit, path, self.name)

    def _need(self, path: str) -> Path:
        local = self.file(path)
        if local is None:
            raise DatasetDamaged(f"{self.name} lacks {path}, which its {MANIFEST} promises; publish it again")
        return local

    def open_data(self, shard: int, *, whole: bool) -> ShardFile:
        """The data shard: downloaded whole where its pictures are wanted, else read column by column over the wire."""
        path = f"data/{shard_name(shard)}"
        if not whole:
            from huggingface_hub import HfFileSystem, try_to_load_from_cache

            cached = try_to_load_from_cache(self.repo_id, path, repo_type="dataset", revision=self.commit)
            if not isinstance(cached, str):
                with hub_errors(f"{self.name}: {path}"):
                    remote = HfFileSystem(endpoint=endpoint())
                    source = remote.open(f"datasets/{self.repo_id}@{self.commit}/{path}", "rb")
                    return ShardFile(source, name=f"{self.name}: {path}", checksums=False, pre_buffer=True)
        return ShardFile(self._need(path))

    def _read_data(self, shard: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        what = f"{self.name}: {', '.join(columns)} of {shard_name(shard)}"
        with hub_errors(what), self.open_data(shard, whole="image" in columns) as file:
            for batch in file.iter_batches(batch_rows, columns=list(columns), use_threads=False):
                yield batch.select(list(columns)).replace_schema_metadata(None)


def open_revision(name: str, repo_id: str, revision: str) -> PublishedTarget:
    """A revision of a repository on the Hub.

    Args:
        name: what the user typed.
        revision: tag, branch or commit.

    Raises:
        NotADataset: the repository holds no recapdata dataset.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    api = hub_api()
    try:
        with hub_errors(f"{name} (no folder of that name here)"):
            commit = api.resolve_revision(repo_id, repo_type="dataset", revision=revision).resolved
    except HubError as error:
        raise _with_versions(error, name, repo_id, revision) from error
    path = _download(repo_id, commit, MANIFEST, name)
    if path is None:
        raise NotADataset(
            f"{name} on {endpoint()} is not a recapdata dataset (no {MANIFEST} at {commit[:12]}); "
            f"bring it in with: recapdata ingest hf:{name} DIR"
        )
    with hub_errors(name):
        tree = api.list_repo_tree(repo_id, "data", repo_type="dataset", revision=commit)
        numbers = [shard_number(entry.path.removeprefix("data/")) for entry in tree]
    return PublishedTarget(
        name=name,
        repo_id=repo_id,
        revision=revision,
        commit=commit,
        manifest=read_manifest(path, name),
        shard_numbers=tuple(sorted(number for number in numbers if number is not None)),
    )


def _with_versions(error: HubError, name: str, repo_id: str, revision: str) -> HubError:
    """The error that a revision is not there, with those that are."""
    from huggingface_hub.errors import RevisionNotFoundError

    if not isinstance(error.__cause__, RevisionNotFoundError):
        return error
    with hub_errors(name):
        tags = [tag.name for tag in hub_api().list_repo_refs(repo_id, repo_type="dataset").tags]
    return HubError(
        f"{name}: on {endpoint()} there is no such revision {revision!r}{did_you_mean(revision, tags)}; its versions are "
        f"{', '.join(tags) or 'none yet'}"
    )


def _download(repo_id: str, commit: str, path: str, name: str) -> Path | None:
    """Local path of a file at a commit, from the client's cache or the Hub; None if there is none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        with hub_errors(f"{name}: {path}"):
            return Path(
                hf_hub_download(repo_id, path, repo_type="dataset", revision=commit, endpoint=endpoint())
            )
    except HubError as error:
        if isinstance(error.__cause__, RemoteEntryNotFoundError):
            return None
        raise
