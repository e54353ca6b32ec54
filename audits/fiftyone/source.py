"""What a FiftyOne dataset shows: where it lies, its sets, why it cannot be changed, and which others show the same pictures."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.audited import notices
from audits.fiftyone import require
from audits.fiftyone.dataset import INFO, TAG
from recapdata.dataset.folder import MANIFEST
from recapdata.errors import NotADataset
from recapdata.versions.comparable import Made
from recapdata.versions.figures import read_figures

PROBE = 100
"""Pictures by which two datasets are known to show the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is known of where a FiftyOne dataset comes from.

    Attributes:
        target: the folder, or `user/name@commit`.
        folder: None for a published version.
        fields: field by caption set.
        notices: what to know of the audits that are shown, a sentence each (`audits.audited.notices`).
    """

    target: str
    folder: Path | None
    fields: dict[str, str]
    repo_id: str | None = None
    revision: str | None = None
    version: str | None = None
    notices: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What a person calls it: the folder's name, or `user/name@revision`."""
        return self.folder.name if self.folder is not None else f"{self.repo_id}@{self.revision}"

    @property
    def read_only(self) -> str:
        """Why captions and verdicts cannot be changed; empty where they can."""
        if self.folder is None:
            version = f"version {self.version} of " if self.version else ""
            return (
                f"This is {version}{self.repo_id}, published and the same for everybody; "
                "open the folder that it was published from to change anything: audits view DIR"
            )
        if not (self.folder / MANIFEST).is_file():
            return f"The dataset folder {self.folder} is not there any more; bring it back, or build the view of another"
        if not os.access(self.folder, os.W_OK):
            return f"The dataset folder {self.folder} cannot be written to by this user"
        return ""


def shown(dataset: Any) -> Shown | None:
    """Where a FiftyOne dataset comes from; None where `audits view` did not make it."""
    about = dataset.info.get(INFO) if dataset is not None else None
    if not about or "fields" not in about:
        return None
    return Shown(
        target=about["target"],
        folder=Path(about["folder"]) if "folder" in about else None,
        fields=dict(about["fields"]),
        repo_id=about.get("repo_id"),
        revision=about.get("revision"),
        version=about.get("version"),
        notices=_notices(about),
    )


def _notices(about: Mapping[str, Any]) -> tuple[str, ...]:
    sides = [
        Made(set_name=name, target=about["target"], parts=parts, published="folder" not in about)
        for name, parts in (about.get("made_by") or {}).items()
    ]
    return tuple(notices(sides, read_figures(about.get("audit"))))


def same_pictures(dataset: Any) -> dict[str, Shown]:
    """By name, the other FiftyOne datasets of pictures that this one has: other revisions, or the folder they come from.

    Those of the same repository come first.
    """
    fo = require()
    mine = shown(dataset)
    keys = dataset.limit(PROBE).values("key") if mine is not None else []
    found = []
    for name in fo.list_datasets(tags=TAG):
        other = fo.load_dataset(name) if name != dataset.name else None
        about = shown(other)
        if mine is None or other is None or about is None:
            continue
        if other.match(fo.ViewField("key").is_in(keys)).limit(1).count():
            found.append((about.repo_id != mine.repo_id, name, about))
    return {name: about for _, name, about in sorted(found, key=lambda each: each[:2])}


def writable(dataset: Any) -> Path:
    """The folder to write to.

    Raises:
        NotADataset: it cannot be written to; the message says why.
    """
    about = shown(dataset)
    if about is None:
        raise NotADataset(
            "this FiftyOne dataset was not made by audits view, so there is nothing to write to"
        )
    if about.read_only or about.folder is None:
        raise NotADataset(about.read_only)
    return about.folder
