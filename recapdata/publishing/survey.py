"""What a publication is planned from: the folder and the repository as they are, and what the user asked for; changes neither."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recapdata.dataset.audit_files import read_identity
from recapdata.dataset.digest import RowsHash
from recapdata.dataset.extents import unfinished_source
from recapdata.dataset.folder import MANIFEST, DatasetFolder, shard_name, ways_out
from recapdata.dataset.revision import DEFAULT_BRANCH
from recapdata.dataset.target import Target, open_dataset
from recapdata.dataset.writing import is_unfinished
from recapdata.display import shell_word
from recapdata.endpoint import endpoint, hub_errors
from recapdata.errors import HubError, PublishRefused, VersionError
from recapdata.publishing.card_edits import README
from recapdata.publishing.options import PublishOptions
from recapdata.publishing.published import (
    VERBATIM,
    Part,
    audit_schema,
    data_schema,
    estimate,
    left_out,
    verbatim_files,
)
from recapdata.publishing.row_licenses import LicenseCount
from recapdata.records import Manifest
from recapdata.versions.changes import parse_version
from recapdata.versions.contents import Contents, contents_of, read_contents

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """The folder as it would be published.

    Attributes:
        examples: some rows to show: key → set → caption.
        stamp: changes with any file of the folder (see `folder_stamp`).
        notes: what the user should know of it.
        licenses: those of single rows.
    """

    path: Path
    manifest: Manifest
    contents: Contents
    parts: tuple[Part, ...]
    summary: Mapping[str, Any] | None = None
    examples: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    stamp: str = ""
    notes: tuple[str, ...] = ()
    licenses: LicenseCount = field(default_factory=LicenseCount)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file in the repository; its hash is SHA-256 in large-file storage, else git's own."""

    size: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A version (or an untagged head) as the repository holds it; `card` is its README.md."""

    commit: str
    manifest: Manifest
    contents: Contents
    files: Mapping[str, RemoteFile]
    summary: Mapping[str, Any] | None = None
    card: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """The repository as it is.

    Attributes:
        private: None where it does not exist yet.
        head: commit of the main branch; None in an empty repository.
        files: at the head, by path.
        tags: commit of each version tag, by version without the v.
        parent: the highest tagged version.
        unfinished: the head, where a version was committed to it but not tagged.
        card: the README.md at the head; None where there is none.
    """

    endpoint: str
    private: bool | None = None
    head: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: Published | None = None
    unfinished: Published | None = None
    card: str | None = None

    @property
    def killed(self) -> Published | None:
        """The head, where it is of a publication that was killed before its tag; None where it is the parent, perhaps edited."""
        versions = [each.manifest.version for each in (self.parent, self.unfinished) if each]
        return None if self.parent and len(set(versions)) == 1 else self.unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(PublishOptions):
    """What the user asked for, and of which repository."""

    repo_id: str


# --- the folder ----------------------------------------------------------------------------------------------------------


def folder_stamp(folder: DatasetFolder) -> str:
    """A hash over names, sizes and times of the folder's files: another one where anything was written meanwhile."""
    digest = hashlib.sha256()
    for top in ("images", *VERBATIM):
        for path in sorted((folder.path / top).rglob("*")):
            status = path.stat()
            if not path.is_dir() and not path.name.startswith("."):
                digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def look_at_folder(folder: DatasetFolder) -> Local:
    """The folder as it would be published, every caption set complete.

    Raises:
        CaptionSetNotFound: a set is not finished.
        PublishRefused: an ingest, a removal or a journal is under way, there are no rows, or a file does not fit the others.
    """
    _check_finished(folder)
    stamp = folder_stamp(folder)
    target, manifest = open_dataset(folder.path), folder.manifest
    for name in manifest.sets:
        if journals := sorted((folder.path / "captions" / name).glob(".*.journal")):
            raise PublishRefused(
                f"caption set {name!r} is under way ({journals[0].name}); {ways_out(folder.path, name)}"
            )
    captions = _Captions(target)
    contents = read_contents(target, captions.add)
    if not contents.rows:
        raise PublishRefused(f"{folder.path} holds no records; there is nothing to publish")
    data_schema(folder)
    audit_schema(folder)
    captions.check_audits()
    parts = [estimate(folder, shard) for shard in folder.shards()]
    for path, file in verbatim_files(folder):
        parts.append(Part(path=path, size=file.stat().st_size, hashes=_hashes(file)))
    return Local(
        path=folder.path,
        manifest=manifest,
        contents=contents,
        parts=tuple(parts),
        summary=target.summary(),
        examples=captions.examples,
        stamp=stamp,
        notes=(*_audit_gaps(target, parts), *_left_out(folder)),
        licenses=captions.licenses,
    )


def _check_finished(folder: DatasetFolder) -> None:
    """Refuse a folder that holds a part of a source, or still holds what was to be taken out.

    Raises:
        PublishRefused: it is such a folder.
    """
    if is_unfinished(folder):
        raise PublishRefused(
            f"a removal from {folder.path} was interrupted; finish it by running its command again (recapdata remove)"
        )
    if source := unfinished_source(folder):
        raise PublishRefused(
            f"the ingest of {source} into {folder.path} was interrupted; finish it by running its command again"
        )


class _Captions:
    """What is to be known of the captions besides their contents, noted while these are read.

    Attributes:
        licenses: those of single rows.
        examples: the first, the middle and the last row of the first shard that has rows: key → set → caption.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._hashes: dict[tuple[str, int], RowsHash] = defaultdict(RowsHash)
        self._first: int | None = None
        self._seen = 0
        self.licenses = LicenseCount()
        self.examples: dict[str, dict[str, str | None]] = {}

    def add(self, shard: int, batch: pa.RecordBatch) -> None:
        """Note the next rows of a shard."""
        names = self._target.set_names()
        self.licenses.add(batch.column("key").to_pylist(), batch.column("license").to_pylist())
        for name in names:
            self._hashes[name, shard].update(batch.select(["key", name]))
        if names and batch.num_rows and self._first in (None, shard):
            self._first, start = shard, self._seen
            self._seen += batch.num_rows
            rows = self._target.rows(shard)
            for row in sorted({0, rows // 2, rows - 1}):
                if start <= row < self._seen:
                    (values,) = batch.select(["key", *names]).slice(row - start, 1).to_pylist()
                    self.examples[str(values.pop("key"))] = values

    def check_audits(self) -> None:
        """Hold the audits against the captions, as far as they note of what captions they speak.

        Raises:
            PublishRefused: the audit of a set is of other captions.
        """
        for (name, shard), captions in self._hashes.items():
            path = self._target.audit_shard(name, shard)
            identity = read_identity(path, any_format=True) if path else None
            if identity and identity.captions != captions.hexdigest():
                raise PublishRefused(
                    f"the audit of {name} is of captions that have changed since ({shard_name(shard)}); run: "
                    f"audits run {shell_word(str(self._target.folder))} --captions {name}"
                )


def _audit_gaps(target: Target, parts: Iterable[Part]) -> list[str]:
    """Sets of which not all shards were audited, where anything was."""
    paths = {part.path for part in parts}
    notes: list[str] = []
    if not any(path.startswith("audits/") for path in paths):
        return notes
    for name in target.set_names():
        audited = sum(path.startswith(f"audits/{name}/train-") for path in paths)
        if not audited:
            notes.append(
                f"{name} is not audited; run: audits run {shell_word(str(target.folder))} --captions {name}"
            )
        elif audited < len(target.shards()):
            notes.append(
                f"the audit of {name} covers {audited} of {len(target.shards())} shards; run the audit again"
            )
    return notes


def _left_out(folder: DatasetFolder) -> list[str]:
    """Say what lies among the files of the dataset and is not one of them."""
    names = left_out(folder)
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return [f"not files of a dataset, so they stay here: {', '.join(names[:3])}{more}"] if names else []


def _hashes(path: Path) -> tuple[str, str]:
    """SHA-256 of a file, and the name that git would give it."""
    plain, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            plain.update(block)
            git.update(block)
    return plain.hexdigest(), git.hexdigest()


# --- the repository ------------------------------------------------------------------------------------------------------


def look_at_repository(api: "HfApi", repo_id: str) -> tuple[Remote, Target | None]:
    """The repository as it is, and its highest version to read from; both empty where there is none.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        with hub_errors(repo_id):
            info = api.dataset_info(repo_id)
    except HubError as error:
        if isinstance(error.__cause__, RepositoryNotFoundError):
            return Remote(endpoint=endpoint()), None
        raise
    with hub_errors(repo_id):
        refs = api.list_repo_refs(repo_id, repo_type="dataset")
    tags = {}
    for ref in refs.tags:
        try:
            tags[str(parse_version(ref.name))] = ref.target_commit
        except VersionError:
            continue  # somebody's own tag
    head = next((branch.target_commit for branch in refs.branches if branch.name == DEFAULT_BRANCH), info.sha)
    files = _tree(api, repo_id, head) if head else {}
    parent = unfinished = target = None
    if tags:
        highest = max(tags, key=parse_version)
        target = open_dataset(f"{repo_id}@v{highest}")
        parent = _published(
            api, target, files if tags[highest] == head else _tree(api, repo_id, tags[highest]), repo_id
        )
    if head and MANIFEST in files and head not in tags.values():
        unfinished = _published(api, open_dataset(f"{repo_id}@{head}"), files, repo_id)
    remote = Remote(
        endpoint=endpoint(),
        private=bool(info.private),
        head=head,
        files=files,
        tags=tags,
        parent=parent,
        unfinished=unfinished,
        card=_card(api, repo_id, head, files) if head else None,
    )
    return remote, target


def _published(api: "HfApi", target: Target, files: Mapping[str, RemoteFile], repo_id: str) -> Published:
    return Published(
        commit=str(target.commit),
        manifest=target.manifest,
        contents=contents_of(target),
        files=files,
        summary=target.summary(),
        card=_card(api, repo_id, str(target.commit), files),
    )


def _card(api: "HfApi", repo_id: str, commit: str, files: Mapping[str, RemoteFile]) -> str | None:
    """The README.md at a commit; None where there is none.

    Raises:
        PublishRefused: it is no text.
    """
    if README not in files:
        return None
    with hub_errors(repo_id):
        path = api.hf_hub_download(repo_id, README, repo_type="dataset", revision=commit)
    try:
        return Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PublishRefused(
            f"README.md in {repo_id} is not UTF-8, so what was written there by hand could not be kept; mend or delete it on "
            "the Hub first"
        ) from error


def _tree(api: "HfApi", repo_id: str, commit: str) -> dict[str, RemoteFile]:
    """Every file at a commit."""
    from huggingface_hub.hf_api import RepoFile

    with hub_errors(repo_id):
        return {
            entry.path: RemoteFile(size=entry.size, hash=entry.lfs.sha256 if entry.lfs else entry.blob_id)
            for entry in api.list_repo_tree(repo_id, repo_type="dataset", revision=commit, recursive=True)
            if isinstance(entry, RepoFile)
        }
