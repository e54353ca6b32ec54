"""Reading a repository: revisions, files and folders, commits and references, all from one immutable commit at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, RepositoryOpenFlag, SortMode

from recapdata.hub.objects import POINTER_MAX_BYTES, Pointer, parse_pointer
from recapdata.hub.refusals import Refusal, revision_not_found

COMMIT_ID = re.compile(r"[0-9a-f]{7,40}")
BRANCHES, TAGS = "refs/heads/", "refs/tags/"
_KNOWN_FILES_MAX = 200_000
_KNOWN_REPOSITORIES_MAX = 100


@dataclass(frozen=True, slots=True)
class File:
    """A file at a path: its blob, its size in bytes (of the content, not of a pointer), its pointer if it is large."""

    path: str
    blob_id: str
    size: int
    pointer: Pointer | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder at a path."""

    path: str
    tree_id: str


Entry = File | Folder

# Blob id → size and pointer. Content-addressed, so it never grows stale; bounded, so that it never grows large.
_known: dict[str, tuple[int, Pointer | None]] = {}
# A repository's folder and the commits of its references → the large files behind them.
_large_objects: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}


def open_bare(path: Path) -> pygit2.Repository:
    """The repository in this very folder: git's habit of looking in the folders above could find a stranger's.

    Raises:
        pygit2.GitError: there is none.
    """
    return pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE)


def resolve(repo: pygit2.Repository, revision: str) -> pygit2.Commit:
    """The commit of a branch, a tag, a full reference name, or a commit id of at least seven digits, in this order.

    Raises:
        Refusal: RevisionNotFound.
    """
    for name in (BRANCHES + revision, TAGS + revision, revision if revision.startswith("refs/") else None):
        if name and (commit := _commit_of_reference(repo, name)):
            return commit
    try:
        found = repo.get(revision) if COMMIT_ID.fullmatch(revision) else None
    except ValueError as error:  # several objects begin with these digits
        raise revision_not_found(revision) from error
    if isinstance(found, pygit2.Commit):
        return found
    raise revision_not_found(revision)


def _commit_of_reference(repo: pygit2.Repository, name: str) -> pygit2.Commit | None:
    try:
        return repo.lookup_reference(name).peel(pygit2.Commit)
    except (KeyError, ValueError):  # none of that name; no name at all
        return None


def branch_head(repo: pygit2.Repository, branch: str) -> pygit2.Commit:
    """The commit a branch points to.

    Raises:
        Refusal: RevisionNotFound; 400 where the word is a tag or a commit, to which nothing can be added.
    """
    if commit := _commit_of_reference(repo, BRANCHES + branch_name(branch)):
        return commit
    resolve(repo, branch)
    raise Refusal(400, f"{branch!r} is no branch: commits go to a branch; create one from it first.")


def branch_name(revision: str) -> str:
    """The short name of a branch that may be given with its full one."""
    return revision.removeprefix(BRANCHES)


def file_at(repo: pygit2.Repository, path: str, entry: pygit2.Object) -> File:
    """What is known of the blob at a path; a pointer is read through."""
    blob_id = str(entry.id)
    known = _known.get(blob_id)
    if known is None:
        _, size = repo.odb.read_header(entry.id)
        pointer = parse_pointer(repo[entry.id].read_raw()) if size <= POINTER_MAX_BYTES else None
        known = (pointer.size if pointer else size, pointer)
        if len(_known) >= _KNOWN_FILES_MAX:
            _known.clear()
        _known[blob_id] = known
    return File(path, blob_id, *known)


def entry_at(repo: pygit2.Repository, commit: pygit2.Commit, path: str) -> Entry | None:
    """The file or folder at a path, or None."""
    try:
        found = commit.tree / path if path else commit.tree
    except (KeyError, ValueError, TypeError):
        return None
    if found.type == ObjectType.TREE:
        return Folder(path, str(found.id))
    return file_at(repo, path, found) if found.type == ObjectType.BLOB else None


def walk(
    repo: pygit2.Repository, tree: pygit2.Tree, prefix: str = "", *, recursive: bool, after: str = ""
) -> Iterator[Entry]:
    """The entries of a folder in git's order, each folder before what is in it.

    Args:
        after: a path below `tree`: begin behind it, without reading what comes before.
    """
    entries = iter(tree)
    if after:
        name, _, below = after.partition("/")
        for entry in entries:
            if entry.name == name:
                if recursive and isinstance(entry, pygit2.Tree):
                    yield from walk(repo, entry, f"{prefix}{name}/", recursive=True, after=below)
                break
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if isinstance(entry, pygit2.Tree):
            yield Folder(path, str(entry.id))
            if recursive:
                yield from walk(repo, entry, f"{path}/", recursive=True)
        else:
            yield file_at(repo, path, entry)


def files(repo: pygit2.Repository, commit: pygit2.Commit) -> Iterator[File]:
    """Every file of a commit."""
    return (entry for entry in walk(repo, commit.tree, recursive=True) if isinstance(entry, File))


def commits(repo: pygit2.Repository, head: pygit2.Commit) -> Iterator[pygit2.Commit]:
    """The history of a commit, last first."""
    return iter(repo.walk(head.id, SortMode.TOPOLOGICAL | SortMode.TIME))


def last_commits(repo: pygit2.Repository, head: pygit2.Commit, paths: list[str]) -> dict[str, pygit2.Commit]:
    """For each path, the last commit that changed it; histories here are lines, never merges."""
    ids = {path: _id_at(head, path) for path in paths}
    found: dict[str, pygit2.Commit] = {}
    for commit in commits(repo, head):
        parent = commit.parents[0] if commit.parents else None
        for path in [path for path in ids if path not in found]:
            if parent is None or _id_at(parent, path) != ids[path]:
                found[path] = commit
        if len(found) == len(ids):
            break
    return found


def _id_at(commit: pygit2.Commit, path: str) -> pygit2.Oid | None:
    try:
        return (commit.tree / path).id
    except KeyError:
        return None


def references(repo: pygit2.Repository, prefix: str) -> dict[str, str]:
    """Name → commit id of all branches or all tags (an annotated tag gives the commit it stands for)."""
    found = {}
    for name in sorted(repo.references):
        if name.startswith(prefix) and (commit := _commit_of_reference(repo, name)):
            found[name.removeprefix(prefix)] = str(commit.id)
    return found


def large_objects(repo: pygit2.Repository) -> frozenset[str]:
    """The SHA-256 of every large file that a branch or tag leads to, at whatever commit."""
    tips = tuple(sorted(references(repo, "refs/").values()))
    if (known := _large_objects.get((repo.path, tips))) is not None:
        return known
    seen: set[pygit2.Oid] = set()
    found: set[str] = set()
    for tip in dict.fromkeys(tips):
        for commit in commits(repo, repo[tip].peel(pygit2.Commit)):
            if commit.id in seen:
                break
            seen.add(commit.id)
            _gather(repo, commit.tree, seen, found)
    if len(_large_objects) >= _KNOWN_REPOSITORIES_MAX:
        _large_objects.clear()
    _large_objects[repo.path, tips] = frozenset(found)
    return _large_objects[repo.path, tips]


def _gather(repo: pygit2.Repository, tree: pygit2.Tree, seen: set[pygit2.Oid], found: set[str]) -> None:
    if tree.id in seen:
        return
    seen.add(tree.id)
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            _gather(repo, entry, seen, found)
        elif pointer := file_at(repo, "", entry).pointer:
            found.add(pointer.sha256)
