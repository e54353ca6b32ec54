"""Sends the files of a version and commits them: the only code that uploads.

Data shards are built and sent one at a time. What was sent before a kill is found again by its hash and not sent twice.
"""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recapdata.console import progress
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import DEFAULT_BRANCH
from recapdata.endpoint import hub_errors
from recapdata.errors import HubError, PublishRefused
from recapdata.publishing.closing import closing_files
from recapdata.publishing.plan import FILES_PER_COMMIT, PublishPlan, size
from recapdata.publishing.published import Part, build_data_shard, data_schema

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

FILES_AT_ONCE = 50
TEMPORARY = ".publishing"


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
    """The file of a part: as it lies in the folder, or built now."""
    if part.shard is None:
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
