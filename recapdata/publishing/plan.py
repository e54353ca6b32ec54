"""The plan of a publication, made without any effect: what would be sent where, as which version, or why not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from recapdata.display import shown_as_text
from recapdata.errors import NothingToPublish, VersionError
from recapdata.publishing.card_edits import CardEdits, find_edits
from recapdata.publishing.gate import audit_notes, other_changes, remarks
from recapdata.publishing.licenses import check_license
from recapdata.publishing.published import Part, is_of_version
from recapdata.publishing.row_licenses import license_notes
from recapdata.publishing.survey import Local, Published, Remote, RemoteFile, Request
from recapdata.records import Manifest
from recapdata.versions.changes import Changes, check_version, counted, parse_version, smallest_version
from recapdata.versions.figures import FigureChange, compare_figures

FILES_PER_COMMIT = 1_000
CLOSING_FILES = 3  # manifest, contents and card: they come last, with the commit that completes the version

Step = Literal["publish", "tag", "record"]
"""What is left to do: everything; the tag, where the commit is there; only the local manifest, where the tag is too."""


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class PublishPlan:
    """Everything that `publish` will do.

    Attributes:
        step: what is left to do (see `Step`).
        manifest: as it will be published.
        send: files to build or send, in order; README.md, the manifest and the contents follow them.
        keep: files that the repository already holds as they are.
        delete: paths that the version does not have any more.
        temporary_bytes: disk needed at a time for a data shard before it is sent.
        figures: audit figures beside the parent's.
        card: what people wrote into the card, which stays.
    """

    step: Step
    endpoint: str
    repo_id: str
    private: bool
    exists: bool
    version: str
    path: Path
    local: Local
    parent: Published | None
    head: str | None
    manifest: Manifest
    changes: Changes
    send: tuple[Part, ...]
    keep: Mapping[str, RemoteFile]
    delete: tuple[str, ...]
    temporary_bytes: int
    figures: tuple[FigureChange, ...]
    notes: tuple[str, ...]
    card: CardEdits

    @property
    def tag(self) -> str:
        """The tag that makes it a version."""
        return f"v{self.version}"

    @property
    def send_bytes(self) -> int:
        """Bytes to send at most, before any deduplication by the Hub."""
        return sum(part.size for part in self.send)

    @property
    def commits(self) -> int:
        """How many commits it takes."""
        changed = len(self.send) + len(self.delete) + CLOSING_FILES
        return -(-changed // FILES_PER_COMMIT) if self.step == "publish" else 0

    def release_changes(self) -> tuple[str, ...]:
        """The line of the changelog, in phrases."""
        if self.parent is not None:
            return tuple(self.changes.phrases())
        sets = [f"caption set {name}" for name in self.manifest.sets]
        return ("first version", counted(self.local.contents.rows, "row"), *sets)

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain values, for `--json`."""
        return {
            "step": self.step,
            "endpoint": self.endpoint,
            "repo_id": self.repo_id,
            "private": self.private,
            "exists": self.exists,
            "version": self.version,
            "parent": self.parent.manifest.version if self.parent else None,
            "level": self.changes.level if self.parent else None,
            "license": self.manifest.license,
            "rows": self.local.contents.rows,
            "sets": list(self.manifest.sets),
            "files": len(self.send) + len(self.keep) + CLOSING_FILES,
            "files_to_send": len(self.send) + CLOSING_FILES if self.step == "publish" else 0,
            "bytes_to_send": self.send_bytes,
            "temporary_bytes": self.temporary_bytes,
            "commits": self.commits,
            "deletes": list(self.delete),
            "card_keeps": self.card.kept,
            "card_loses": list(self.card.lost),
            "changes": self.changes.phrases(),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The plan as the terminal shows it."""
        rows = [
            ("Hub", self.endpoint),
            ("Repository", f"{self.repo_id}{'' if self.exists else ' (new)'}"),
            ("Visibility", "private: only you and your organization" if self.private else "PUBLIC: everyone"),
            ("Version", self._version()),
            ("License", str(self.manifest.license)),
            ("Rows", f"{self.local.contents.rows:,} in {counted(len(self.local.contents.shards), 'shard')}"),
            ("Captions", ", ".join(self.manifest.sets) or "no caption set"),
            ("Send", self._send()),
            ("Disk", self._disk()),
        ]
        if self.step == "publish":
            rows.append(("Commits", f"{self.commits}, then the tag {self.tag}"))
        lines = [f"  {name:<12}{value}" for name, value in rows]
        if self.parent is not None and self.step == "publish":
            lines += ["", f"  Changed since {self.parent.manifest.version} ({self.changes.level.upper()})"]
            lines += [f"    {phrase}" for phrase in self.changes.phrases()]
        if moved := [change for change in self.figures if change.verdict]:
            lines += ["", "  Audit figures beyond their confidence intervals"]
            lines += [f"    {change.verdict:<8} {change.text()}" for change in moved]
        return "\n".join([*lines, *(f"\n  Note: {note}" for note in self.notes)])

    def _version(self) -> str:
        if self.step == "tag":
            return f"{self.version}: its commit is there from an earlier try, only the tag is missing"
        if self.step == "record":
            return f"{self.version}: published by an earlier try, only this folder does not know yet"
        return f"{self.version}, " + (
            f"after {self.parent.manifest.version}" if self.parent else "the first version"
        )

    def _disk(self) -> str:
        if not self.temporary_bytes:
            return "no temporary files"
        return f"up to {size(self.temporary_bytes)} for temporary files under {self.path}"

    def _send(self) -> str:
        if self.step != "publish":
            return "nothing"
        text = f"{counted(len(self.send) + CLOSING_FILES, 'file')}, up to {size(self.send_bytes)}"
        if self.keep:
            text += f"; {counted(len(self.keep), 'file')} of {size(sum(file.size for file in self.keep.values()))} already there"
        return text + (f"; {counted(len(self.delete), 'file')} to delete" if self.delete else "")


def make_plan(local: Local, remote: Remote, changes: Changes, request: Request) -> PublishPlan:
    """The plan for a folder, a repository, what changed between them, and what the user asked for.

    Args:
        changes: since the parent version; empty where there is none.

    Raises:
        VersionError: malformed, exists already, or too small for what changed.
        NothingToPublish: the folder equals the parent version.
        PublishRefused: no valid license, or the audit got worse and that was not allowed.
    """
    license = check_license(request.license or local.manifest.license)
    version = str(parse_version(request.version))
    parent = remote.parent
    if parent is not None:
        changes = replace(changes, other=tuple(other_changes(local, parent, license)))
    step = _step(local, remote, changes, version, license)
    figures = compare_figures(parent.summary if parent else None, local.summary)
    if step == "publish":
        check_version(version, parent.manifest.version if parent else None, changes)
        notes = [
            *local.notes,
            *audit_notes(local, parent, figures, request.repo_id, allow=request.allow_regression),
        ]
    else:
        notes = []
    send, keep = _split(local, remote)
    manifest = replace(
        local.manifest,
        name=request.repo_id,
        version=version,
        parent=parent.commit if parent else None,
        license=license,
        fingerprint=local.contents.fingerprint,
    )
    wanted = {part.path for part in local.parts}
    delete = tuple(path for path in remote.files if is_of_version(path) and path not in wanted)
    card = _card_edits(remote) if step == "publish" else CardEdits()
    return PublishPlan(
        step=step,
        endpoint=remote.endpoint,
        repo_id=request.repo_id,
        private=remote.private if remote.private is not None else not request.public,
        exists=remote.private is not None,
        version=version,
        path=local.path,
        local=local,
        parent=parent,
        head=remote.head,
        manifest=manifest,
        changes=changes,
        send=send if step == "publish" else (),
        keep=keep,
        delete=delete,
        temporary_bytes=max((part.size for part in send if part.shard is not None), default=0),
        figures=figures,
        notes=(
            *license_notes(license, local.licenses.rows, local.licenses.examples),
            *notes,
            *remarks(local, remote, changes, request, card, delete),
        ),
        card=card,
    )


def _card_edits(remote: Remote) -> CardEdits:
    """What people wrote into the card at the head, held against the card of the version that was sent last."""
    sent = remote.killed or remote.parent
    return find_edits(remote.card, sent.card if sent else None)


def _step(local: Local, remote: Remote, changes: Changes, version: str, license: str) -> Step:
    """What is left to do for this version."""
    parent = remote.parent
    if version in remote.tags:
        same = parent is not None and parent.manifest.version == version and changes.level == "none"
        if same and local.manifest.version != version:
            return "record"
        raise VersionError(
            f"version {version} exists already (commit {remote.tags[version][:12]}) and is never rewritten; "
            + (
                "nothing has changed since"
                if same or parent is None
                else f"the smallest right one is {smallest_version(str(parent.manifest.version), changes.level)}"
            )
        )
    if parent is not None and changes.level == "none":
        raise NothingToPublish(
            f"{local.path} equals the published {parent.manifest.version}: same rows, captions, columns, audit and license"
        )
    unfinished = remote.unfinished
    if unfinished is not None and unfinished.manifest.version == version:
        complete = unfinished.contents == local.contents and not other_changes(local, unfinished, license)
        return "tag" if complete else "publish"
    return "publish"


def _split(local: Local, remote: Remote) -> tuple[tuple[Part, ...], dict[str, RemoteFile]]:
    """What has to be sent, and what the head already holds."""
    send, keep = [], {}
    for part in local.parts:
        there = remote.files.get(part.path)
        if there is not None and _same(part, there, local, remote.parent):
            keep[part.path] = there
        else:
            send.append(part)
    return tuple(send), keep


def _same(part: Part, there: RemoteFile, local: Local, parent: Published | None) -> bool:
    """Whether the head's file is this part; of a data shard its ingredients are compared with the parent's."""
    if part.shard is None:
        return there.hash in part.hashes
    if parent is None or parent.files.get(part.path) != there or part.shard >= len(parent.contents.shards):
        return False
    mine, theirs = local.contents, parent.contents
    alike = list(mine.columns.items()) == list(theirs.columns.items()) and list(mine.sets) == list(
        theirs.sets
    )
    return alike and mine.shards[part.shard] == theirs.shards[part.shard]


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
