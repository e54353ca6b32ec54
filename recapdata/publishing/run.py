"""Publishes a dataset folder as a version: looks at folder and repository, plans, commits and tags.

Killed anywhere, the same command finishes: it finds what was sent, a commit that lacks its tag, and a tag that
the folder does not know of yet. A version exists once its tag does.
"""

import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recapdata.console import progress
from recapdata.dataset.folder import DatasetFolder, hold
from recapdata.dataset.revision import DEFAULT_BRANCH
from recapdata.dataset.shards import check_pages
from recapdata.dataset.target import open_dataset
from recapdata.display import shown_as_text
from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import HubError, PublishRefused
from recapdata.publishing.card import closing_files
from recapdata.publishing.licenses import check_license
from recapdata.publishing.plan import FILES_PER_COMMIT, PublishPlan, make_plan, size
from recapdata.publishing.published import Part, build_data_shard, data_schema
from recapdata.publishing.survey import Request, folder_stamp, look_at_folder, look_at_repository
from recapdata.versions.changes import Changes, compare, counted, parse_version

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi


FILES_AT_ONCE = 50
TEMPORARY = ".publishing"


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class PublishSummary:
    """What was published.

    Attributes:
        commit: the commit that the tag stands for.
        files_sent, bytes_sent: handed to the Hub by this run; of them it stores what it does not hold already.
    """

    repo_id: str
    version: str
    tag: str
    commit: str
    url: str
    rows: int
    sets: tuple[str, ...]
    files_sent: int
    bytes_sent: int
    seconds: float

    def text(self) -> str:
        """The closing lines for the terminal."""
        return (
            f"published {self.repo_id} {self.tag} (commit {self.commit[:12]}): {counted(self.rows, 'row')}, "
            f"{counted(len(self.sets), 'caption set')}, {counted(self.files_sent, 'file')} sent in {self.seconds:.1f} s\n"
            f"{self.url}\n"
            f'load_dataset("{self.repo_id}", revision="{self.tag}")'
        )


# --- looking ---------------------------------------------------------------------------------------------------------


def plan_publication(
    directory: str | Path,
    repo_id: str,
    *,
    version: str,
    license: str | None = None,
    public: bool = False,
    allow_regression: bool = False,
) -> PublishPlan:
    """Look at the folder and the repository and plan the publication; nothing is sent or changed.

    Args:
        version: `X.Y.Z`; the tag will be `vX.Y.Z`.
        license: the Hub's identifier, or `other:NAME[,URL]`; the manifest's where omitted.
        public: make a new repository public; an existing one keeps its visibility.
        allow_regression: publish although the audit got worse.

    Raises:
        NotADataset: the folder holds no dataset.
        CaptionSetNotFound: a caption set is not finished.
        HubError: no token, the Hub cannot be reached, or it refuses.
        VersionError, NothingToPublish, PublishRefused: see `make_plan`.
    """
    parse_version(version)  # what is wrong with the words is said before anything is read
    folder = DatasetFolder.open(directory)
    check_license(license or folder.manifest.license)
    api = hub_api()
    _check_token(api, repo_id)
    remote, parent = look_at_repository(api, repo_id)
    local = look_at_folder(folder)
    changes = Changes()
    if remote.parent is not None and parent is not None:
        changes = compare(parent, open_dataset(folder.path), remote.parent.contents, local.contents)
    request = Request(
        repo_id=repo_id, version=version, license=license, public=public, allow_regression=allow_regression
    )
    return make_plan(local, remote, changes, request)


def _check_token(api: "HfApi", repo_id: str) -> None:
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise HubError(f"{repo_id!r} is not a name that a Hub accepts: {error}") from error
    if "/" not in repo_id:
        raise HubError(f"{repo_id!r} lacks its owner; write user/{repo_id}")
    if not get_token():
        raise HubError(f"no token for {endpoint()}; set HF_TOKEN, or log in once with: hf auth login")
    with hub_errors(f"{repo_id}"):
        api.whoami()


# --- doing -----------------------------------------------------------------------------------------------------------


def publish(plan: PublishPlan) -> PublishSummary:
    """Carry out a plan: send, commit, tag, and note the version in the local manifest.

    Raises:
        DatasetBusy: another process is writing to the folder.
        PublishRefused: the disk is too small for the temporary files, or someone else published meanwhile.
        HubError: the Hub cannot be reached or refuses.
    """
    began = time.monotonic()
    folder, api, sent = DatasetFolder.open(plan.path), hub_api(), Sent()
    with hold(folder.path), _quiet():  # nothing but the manifest is written, so that the plan stays true
        if folder_stamp(folder) != plan.local.stamp:
            raise PublishRefused(
                f"{folder.path} was written to since the plan was made; run the command again"
            )
        commit = send_version(api, folder, plan, sent) if plan.step == "publish" else str(plan.head)
        if plan.step == "record" and plan.parent is not None:
            commit = plan.parent.commit
        else:
            _tag(api, plan, commit)
        published = plan.manifest
        folder.save_manifest(
            replace(
                folder.manifest,
                version=published.version,
                parent=published.parent,
                license=published.license,
                fingerprint=published.fingerprint,
            )
        )
    return PublishSummary(
        repo_id=plan.repo_id,
        version=plan.version,
        tag=plan.tag,
        commit=commit,
        url=f"{plan.endpoint}/datasets/{plan.repo_id}/tree/{plan.tag}",
        rows=plan.local.contents.rows,
        sets=tuple(plan.manifest.sets),
        files_sent=sent.files,
        bytes_sent=sent.bytes,
        seconds=round(time.monotonic() - began, 2),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's bar per file: there is one for all."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    if not before:
        disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _tag(api: "HfApi", plan: PublishPlan, commit: str) -> None:
    with hub_errors(f"{plan.repo_id} {plan.tag}"):
        api.create_tag(
            plan.repo_id,
            tag=plan.tag,
            tag_message=f"{plan.repo_id} {plan.version}",
            revision=commit,
            repo_type="dataset",
        )


# --- sending: data shards are built and sent one at a time; what was sent before a kill is found by its hash, not sent twice ------


@dataclass(slots=True)
class Sent:
    """How much one run has sent."""

    files: int = 0
    bytes: int = 0


def send_version(api: "HfApi", folder: DatasetFolder, plan: PublishPlan, sent: Sent) -> str:
    """Send and commit all files, at most `FILES_PER_COMMIT` at a time, manifest and card last; the last commit.

    Args:
        sent: counts what is sent.

    Raises:
        PublishRefused: the disk is too small for a data shard, or someone else published meanwhile.
        HubError: the Hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationDelete

    with hub_errors(plan.repo_id):
        api.create_repo(plan.repo_id, repo_type="dataset", private=plan.private, exist_ok=True)
        head = plan.head or api.dataset_info(plan.repo_id).sha
    sizes = {path: file.size for path, file in plan.keep.items()}
    schema = data_schema(folder)
    operations: list[Any] = [CommitOperationDelete(path_in_repo=path) for path in plan.delete]
    waiting = list(plan.send)
    with (
        _temporary(plan) as temporary,
        progress(f"publish {plan.tag}", len(waiting), unit="files") as advance,
    ):
        while waiting:
            if len(operations) >= FILES_PER_COMMIT:
                head = _commit(api, plan, operations, head, f"Part of {plan.tag}")
                operations = []
            group = _next_group(waiting, FILES_PER_COMMIT - len(operations))
            del waiting[: len(group)]
            paths = [_local_file(folder, part, schema, temporary) for part in group]
            for part, path in zip(group, paths, strict=True):
                sizes[part.path] = path.stat().st_size
                sent.files, sent.bytes = sent.files + 1, sent.bytes + sizes[part.path]
            operations += _upload(api, plan, group, paths)
            advance(len(group))
    closing = closing_files(folder, plan, sizes)
    if len(operations) + len(closing) > FILES_PER_COMMIT:
        head = _commit(api, plan, operations, head, f"Part of {plan.tag}")
        operations = []
    operations += [_addition(name, content) for name, content in closing.items()]
    sent.files, sent.bytes = sent.files + len(closing), sent.bytes + sum(map(len, closing.values()))
    return _commit(api, plan, operations, head, f"{plan.tag}: {', '.join(plan.release_changes()[:3])}"[:100])


def _next_group(waiting: Sequence[Part], room: int) -> list[Part]:
    """What is sent at once: one data shard, or some files that lie ready."""
    if waiting[0].shard is not None:
        return [waiting[0]]
    ready = itertools.takewhile(lambda part: part.shard is None, waiting)
    return list(itertools.islice(ready, min(room, FILES_AT_ONCE)))


def _local_file(folder: DatasetFolder, part: Part, schema: pa.Schema, temporary: Path) -> Path:
    """The file of a part: as it lies in the folder, or built now.

    Raises:
        DatasetDamaged: it, or what it is built from, is truncated or corrupt.
    """
    if part.shard is None:
        if part.path.endswith(".parquet"):
            planned = ("key", "caption") if part.path.startswith("captions/") else ()
            check_pages(folder.path / part.path, besides=planned)
        return folder.path / part.path
    path = temporary / Path(part.path).name
    build_data_shard(folder, part.shard, schema, path)
    return path


@contextmanager
def _temporary(plan: PublishPlan) -> Iterator[Path]:
    """An empty folder for one data shard at a time, without what an earlier try left; gone afterwards.

    Raises:
        PublishRefused: the disk has no room for it.
    """
    path = plan.path / TEMPORARY
    shutil.rmtree(path, ignore_errors=True)
    free = shutil.disk_usage(plan.path).free
    if free < plan.temporary_bytes:
        raise PublishRefused(
            f"{plan.path} has {size(free)} left, but a data shard needs {size(plan.temporary_bytes)} for a while; "
            "make room and run the command again"
        )
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _addition(path_in_repo: str, content: str | bytes) -> "CommitOperationAdd":
    from huggingface_hub import CommitOperationAdd

    return CommitOperationAdd(path_in_repo=path_in_repo, path_or_fileobj=content)


def _upload(
    api: "HfApi", plan: PublishPlan, parts: Sequence[Part], paths: Sequence[Path]
) -> list["CommitOperationAdd"]:
    """Send files ahead of their commit, so that built ones may go; what the Hub has already is not sent again."""
    additions = [_addition(part.path, str(path)) for part, path in zip(parts, paths, strict=True)]
    with hub_errors(f"{plan.repo_id}: {parts[0].path}"):
        api.preupload_lfs_files(plan.repo_id, additions=additions, repo_type="dataset")
    for place, (part, path) in enumerate(zip(parts, paths, strict=True)):
        if part.shard is not None:
            if additions[place].path_or_fileobj:  # not sent: a repository that keeps Parquet in git itself
                additions[place] = _addition(part.path, path.read_bytes())
            path.unlink()
    return additions


def _commit(api: "HfApi", plan: PublishPlan, operations: list[Any], head: str | None, message: str) -> str:
    """One commit on top of `head`; its id.

    Raises:
        PublishRefused: the repository has another head by now.
    """
    if not operations:
        return str(head)
    try:
        with hub_errors(plan.repo_id):
            info = api.create_commit(
                plan.repo_id,
                operations,
                commit_message=message,
                repo_type="dataset",
                revision=DEFAULT_BRANCH,
                parent_commit=head,
            )
    except HubError as error:
        if getattr(getattr(error.__cause__, "response", None), "status_code", None) in (409, 412):
            raise PublishRefused(
                f"{plan.repo_id} was changed by someone else while this was being sent; look with recapdata diff, "
                "then run the command again (what was sent is not sent twice)"
            ) from error
        raise
    return info.oid
