"""Writing a repository: the operations of a commit become a tree, the tree a commit, and one reference moves.

Order is what makes a commit whole: large objects are in the store already, blobs and trees are written and flushed, and only
then is the branch moved, which git does by one rename. Killed anywhere before it, the old head stands; after it, the new one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import pygit2
from pygit2.enums import FileMode

from recapdata.hub import history
from recapdata.hub.objects import ObjectStore, Pointer, parse_pointer
from recapdata.hub.refusals import Refusal, bad_request, entry_not_found, unprocessable
from recapdata.hub.repositories import flush_objects, flush_reference, signature

PATH_MAX_BYTES = 1024
NAME_MAX_BYTES = 255  # what file systems take
_WINDOWS = re.compile(r"\.{0,2}\\|[A-Za-z]:[/\\]")
"""Beginnings by which a path would leave its folder on Windows; as on the public Hub, a backslash elsewhere is part of a name."""
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a commit; `blob` is what an "add" puts at the path."""

    kind: Literal["add", "delete", "delete folder"]
    path: str
    blob: pygit2.Oid | None = None


@dataclass(slots=True)
class Changes:
    """What a commit does, gathered while its body streams in.

    Attributes:
        parent: the commit (seven digits or more of its id) that the client takes for the head, or None.
        steps: in the client's order.
    """

    summary: str = ""
    description: str = ""
    parent: str | None = None
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class _Node:
    """A path under change: a blob to put there, or its deletion, and the changes below it."""

    blob: pygit2.Oid | None = None
    deleted: bool = False
    below: "dict[str, _Node]" = field(default_factory=dict)


def checked_path(path: object) -> str:
    """A path in a repository.

    Raises:
        Refusal: 422 if it is none: absolute, with `.`, `..`, `.git` or an empty part, or with control characters.
    """
    if not isinstance(path, str) or not path or len(path.encode("utf-8", "replace")) > PATH_MAX_BYTES:
        raise unprocessable(f"A path has 1 to {PATH_MAX_BYTES} bytes; got {str(path)[:80]!r}.")
    parts = path.split("/")
    if (
        any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        or any(len(part.encode("utf-8", "replace")) > NAME_MAX_BYTES for part in parts)
        or _NO_TEXT.search(path)
        or _WINDOWS.match(path)
    ):
        raise unprocessable(f"{path!r} cannot be a path in a repository.")
    return path


def checked_message(message: object) -> str:
    """The message of a commit or tag, as git can hold it.

    Raises:
        Refusal: 400 if it is no text.
    """
    if not isinstance(message, str) or "\0" in message or _SURROGATE.search(message):
        raise bad_request(f"A message has to be text; got {str(message)[:80]!r}.")
    return message


def add_content(repo: pygit2.Repository, store: ObjectStore, content: bytes) -> pygit2.Oid:
    """Write a small file as a blob.

    Raises:
        Refusal: 400 if the content is itself a pointer to an object that the Hub does not hold.
    """
    if pointer := parse_pointer(content):
        checked_pointer(store, pointer.sha256, pointer.size)
    return repo.create_blob(content)


def checked_pointer(store: ObjectStore, sha256: object, size: object) -> Pointer:
    """A pointer to an object that the store holds; without a size (a copy on the Hub), of the object's own.

    Raises:
        Refusal: 400 if the store does not hold it, or in another size.
    """
    held = store.size(sha256) if isinstance(sha256, str) else None
    if held is None or size not in (None, held):
        raise bad_request(
            f"The Hub does not hold the large object {sha256} of {size} bytes: upload it first."
        )
    return Pointer(str(sha256), held)


def commit(repo: pygit2.Repository, branch: str, changes: Changes, author: str) -> pygit2.Commit:
    """Apply the changes to a branch; the caller holds the repository's writer lock.

    Changes that leave every file as it was make no commit: the head is returned, so a repeated request is harmless.

    Raises:
        Refusal: 412 if the branch has moved on from `changes.parent`, EntryNotFound for a deletion of nothing, 400 for a
            file where a folder is.
    """
    head = history.branch_head(repo, branch)
    if changes.parent and not str(head.id).startswith(changes.parent):
        raise Refusal(
            412,
            "The branch was updated since you opened this page. Please refresh and try again. "
            f"({branch} is at {head.id}, and no longer at {changes.parent}.)",
        )
    written = [step.blob for step in changes.steps if step.blob]
    nodes = _nested(_net_changes(repo, head, changes.steps))
    tree = _write_tree(repo, head.tree, nodes, "", written) or repo.TreeBuilder().write()
    if tree == head.tree.id:
        return head
    me = signature(author)
    message = f"{changes.summary}\n\n{changes.description}" if changes.description else changes.summary
    commit_id = repo.create_commit(None, me, me, message, tree, [head.id])
    flush_objects(repo, [*written, tree, commit_id])
    repo.references.create(history.BRANCHES + history.branch_name(branch), commit_id, force=True)
    flush_reference(repo, history.BRANCHES + history.branch_name(branch))
    return repo[commit_id].peel(pygit2.Commit)


def _net_changes(
    repo: pygit2.Repository, head: pygit2.Commit, steps: Iterable[Step]
) -> dict[str, pygit2.Oid | None]:
    """Path → new blob, or None for a deletion, after all steps in order."""
    net: dict[str, pygit2.Oid | None] = {}
    for step in steps:
        if step.kind == "add":
            net[step.path] = step.blob
            continue
        gone = _present(repo, head, net, step)
        if not gone:
            refusal = entry_not_found(step.path, str(head.id))
            # The stock client looks for these words to add its hint on folders.
            refusal.message = f"A file with this name doesn't exist: {step.path}"
            raise refusal
        net.update(dict.fromkeys(gone))
    return net


def _present(
    repo: pygit2.Repository, head: pygit2.Commit, net: dict[str, pygit2.Oid | None], step: Step
) -> list[str]:
    """The files that a deletion takes, as things stand after the steps before it; a folder may be named without its slash."""
    entry = history.entry_at(repo, head, step.path)
    if step.kind == "delete":
        stands = net[step.path] is not None if step.path in net else isinstance(entry, history.File)
        if stands:
            return [step.path]
    inside = f"{step.path}/"
    paths = {path for path in net if path.startswith(inside)}
    if isinstance(entry, history.Folder):
        tree = repo[entry.tree_id].peel(pygit2.Tree)
        paths |= {
            e.path for e in history.walk(repo, tree, inside, recursive=True) if isinstance(e, history.File)
        }
    return [path for path in paths if net.get(path, path) is not None]


def _nested(net: dict[str, pygit2.Oid | None]) -> dict[str, _Node]:
    top: dict[str, _Node] = {}
    for path, blob in net.items():
        *folders, name = path.split("/")
        nodes = top
        for folder in folders:
            nodes = nodes.setdefault(folder, _Node()).below
        node = nodes.setdefault(name, _Node())
        node.blob, node.deleted = blob, blob is None
    return top


def _write_tree(
    repo: pygit2.Repository,
    base: pygit2.Tree | None,
    nodes: dict[str, _Node],
    folder: str,
    written: list[pygit2.Oid],
) -> pygit2.Oid | None:
    """Write a folder with its changes; None if nothing is left in it. Trees written are added to `written`."""
    builder = repo.TreeBuilder(base) if base is not None else repo.TreeBuilder()
    for name, node in nodes.items():
        path = f"{folder}{name}"
        was = base[name] if base is not None and name in base else None
        tree = was if isinstance(was, pygit2.Tree) else None
        if was is not None and tree is None and node.below and not node.deleted:
            raise bad_request(f"{path!r} is a file; nothing can be put below it unless it is deleted.")
        inside = tree.id if tree is not None else None
        if node.below:
            inside = _write_tree(repo, tree, node.below, f"{path}/", written)
        if node.blob is not None and inside is not None:
            raise bad_request(
                f"{path!r} is a folder; a file can take its place only if the folder is deleted."
            )
        if node.blob is not None:
            builder.insert(name, node.blob, FileMode.BLOB)
        elif inside is not None:
            builder.insert(name, inside, FileMode.TREE)
        elif was is not None:
            builder.remove(name)
    if not len(builder):
        return None
    oid = builder.write()
    written.append(oid)
    return oid
