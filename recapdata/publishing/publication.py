"""What a publication is planned from: the folder and the repository as they are, and what the user asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recapdata.publishing.published import Part
from recapdata.records import Manifest
from recapdata.versions.contents import Contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """The folder as it would be published.

    Attributes:
        stamp: changes with any file of the folder (see `folder_stamp`).
        notes: what the user should know of it.
    """

    path: Path
    manifest: Manifest
    contents: Contents
    parts: tuple[Part, ...]
    summary: Mapping[str, Any] | None = None
    stamp: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file in the repository; its hash is SHA-256 in large-file storage, else git's own."""

    size: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A version (or an untagged head) as the repository holds it."""

    commit: str
    manifest: Manifest
    contents: Contents
    files: Mapping[str, RemoteFile]
    summary: Mapping[str, Any] | None = None


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
    """

    endpoint: str
    private: bool | None = None
    head: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: Published | None = None
    unfinished: Published | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for."""

    repo_id: str
    version: str
    license: str | None = None
    public: bool = False
    allow_regression: bool = False
