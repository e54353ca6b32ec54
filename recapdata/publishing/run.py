"""Publishes a dataset folder as a version: looks at folder and repository, plans, commits and tags.

Killed anywhere, the same command finishes: it finds what was sent (sending.py), a commit that lacks its tag, and a tag that
the folder does not know of yet. A version exists once its tag does.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.dataset.folder import DatasetFolder, hold
from recapdata.dataset.target import open_dataset
from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import HubError, PublishRefused
from recapdata.publishing.licenses import check_license
from recapdata.publishing.plan import PublishPlan, make_plan
from recapdata.publishing.publication import Request
from recapdata.publishing.sending import Sent, send_version
from recapdata.publishing.survey import folder_stamp, look_at_folder, look_at_repository
from recapdata.versions.changes import Changes, compare, counted, parse_version

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True, kw_only=True)
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
