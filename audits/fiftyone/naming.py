"""Which FiftyOne dataset belongs to which target: two revisions never share one, and the same one is found again."""

import hashlib
from collections.abc import Iterable

from recapdata.dataset.target import Target

RESERVED = frozenset(
    [
        "id",
        "filepath",
        "tags",
        "metadata",
        "created_at",
        "last_modified_at",
        "key",
        "source",
        "license",
        "annotations",
        "detections",
        "disagreement",
        "support",
        "frames",
    ]
)


PARTS = ("", "_audit", "_claims", "_wrong")
"""A caption set's fields are its own name with each of these behind it."""


def dataset_name(target: Target) -> str:
    """`folder-<hash of its path>`, or `user--name@revision-<commit>`: a branch that moved names another dataset."""
    if target.folder is not None:
        path = target.folder.resolve()
        return f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    commit = str(target.commit)
    if target.revision == commit:
        return f"{_flat(str(target.repo_id))}@{commit[:12]}"
    return f"{revision_prefix(target)}{commit[:8]}"


def revision_prefix(target: Target) -> str:
    """What the names of the datasets of a tag or branch begin with, whatever commit it was."""
    return _flat(f"{target.repo_id}@{target.revision}-")


def _flat(name: str) -> str:
    """A name without slashes, which the App's addresses cannot hold."""
    return name.replace("/", "--")


def identity(target: Target) -> dict[str, str]:
    """What the dataset's `info` says of where it comes from; a dataset of another one is never written to."""
    if target.folder is not None:
        return {"folder": str(target.folder.resolve())}
    return {"repo_id": str(target.repo_id), "commit": str(target.commit)}


def field_names(sets: Iterable[str]) -> dict[str, str]:
    """Field by caption set: `recap-short` → `recap_short`, since a field name is a Python name; no two sets share one."""
    found: dict[str, str] = {}
    for name in sets:
        field = name.replace("-", "_")
        if field in RESERVED or field[0].isdigit():
            field = f"caption_{field}"
        taken = {f"{each}{part}" for each in found.values() for part in PARTS}
        while taken & {f"{field}{part}" for part in PARTS}:
            field += "_"
        found[name] = field
    return found
