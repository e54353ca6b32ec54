"""The repositories of a Hub: bare git repositories in a folder, created, renamed and deleted by one rename each.

A repository under construction or on its way out lies in the incoming folder, so a reader sees it whole or not at all.
"""

import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from recapdata.atomic import flush, replacing
from recapdata.hub.history import BRANCHES, open_bare
from recapdata.hub.objects import INITIAL_GITATTRIBUTES
from recapdata.hub.refusals import bad_request, conflict, repository_not_found

KINDS = {"models": "model", "datasets": "dataset"}  # as in URLs → as in bodies
RESERVED = frozenset({"api", "datasets", "models", "spaces", "kernels", "buckets", "lfs"})
NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
DEFAULT_BRANCH = "main"
SETTINGS = "hub.json"
MOVES = "moves.json"
DELETIONS = "deletions"
"""A file beside the kinds: a repository was deleted, so the next start looks for large objects to remove."""
_FLUSH_THREADS = 8


@dataclass(frozen=True, slots=True)
class RepoId:
    """One repository: its kind as in URLs (`models`, `datasets`), its namespace and its name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def url_path(self) -> str:
        """The path of its page, which the clients parse kind and name from."""
        return f"{self}" if self.kind == "models" else f"{self.kind}/{self}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is known of a repository beside its history."""

    private: bool
    created_at: str


def parse_repo_id(kind: str, namespace: str, name: str) -> RepoId:
    """A repository's identity from the words of a request.

    Raises:
        Refusal: 400 if a word could be no name on the public Hub either (so nothing here can leave the folder).
    """
    if kind not in KINDS:
        raise bad_request(f"This Hub keeps models and datasets, no {kind}.")
    for word in (namespace, name):
        if not NAME.fullmatch(word) or "--" in word or ".." in word or word.endswith(".git"):
            raise bad_request(
                f"{namespace}/{name} is no repository name: letters, digits, '-', '_' and '.', at most 96, "
                "no '--' or '..', neither '-' nor '.' at an end, no '.git' at the end."
            )
    if namespace in RESERVED:
        raise bad_request(f"The namespace {namespace!r} is kept for the Hub's own addresses; choose another.")
    return RepoId(kind, namespace, name)


class Repositories:
    """The folder of repositories.

    Args:
        folder: holds `<kind>/<namespace>/<name>.git`.
        incoming: on the same file system; emptied at start.
        author: the user's name, for the first commit of each.
    """

    def __init__(self, folder: Path, incoming: Path, author: str) -> None:
        self.folder = folder
        self.incoming = incoming
        self.author = author
        self._layout = threading.Lock()  # held while repositories appear, vanish or change their name
        self._writers: dict[RepoId, threading.Lock] = {}

    def path(self, repo_id: RepoId) -> Path:
        return self.folder / repo_id.kind / repo_id.namespace / f"{repo_id.name}.git"

    def exists(self, repo_id: RepoId) -> bool:
        return self.path(repo_id).is_dir()

    def open(self, repo_id: RepoId) -> pygit2.Repository:
        """The git repository, opened anew: each request reads the references as they are on disk.

        Raises:
            Refusal: RepoNotFound.
        """
        try:
            return open_bare(self.path(repo_id))
        except pygit2.GitError as error:
            raise repository_not_found(str(repo_id), anonymous=False) from error

    def settings(self, repo_id: RepoId) -> Settings | None:
        """Visibility and date of creation; None if there is no such repository."""
        try:
            return Settings(**json.loads((self.path(repo_id) / SETTINGS).read_text()))
        except FileNotFoundError:
            return None

    def create(self, repo_id: RepoId, *, private: bool) -> None:
        """A new repository with its first commit, the .gitattributes of the public Hub.

        Raises:
            Refusal: 409 if it exists.
        """
        temporary = self.incoming / f"{secrets.token_hex(16)}.git"
        try:
            self._first_commit(temporary, private=private)
            with self._layout:
                if (taken := self._spelled(repo_id)) is not None:
                    raise conflict(f"You already created this {KINDS[repo_id.kind]} repo: {taken}.")
                target = self.path(repo_id)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(temporary, target)
                flush(target.parent)
                self._note_moves(None, repo_id)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _first_commit(self, temporary: Path, *, private: bool) -> None:
        """Make a repository in an empty folder."""
        repo = pygit2.init_repository(str(temporary), bare=True, initial_head=DEFAULT_BRANCH)
        builder = repo.TreeBuilder()
        blob = repo.create_blob(INITIAL_GITATTRIBUTES)
        builder.insert(".gitattributes", blob, FileMode.BLOB)
        tree = builder.write()
        author = signature(self.author)
        reference = BRANCHES + DEFAULT_BRANCH
        commit_id = repo.create_commit(reference, author, author, "initial commit", tree, [])
        flush_objects(repo, [blob, tree, commit_id])
        flush_reference(repo, reference)
        replace_text(temporary / SETTINGS, json.dumps(asdict(Settings(private, timestamp(author.time)))))

    def delete(self, repo_id: RepoId) -> None:
        """Take a repository out. Its large objects stay until a later start: others may name the same content."""
        (self.folder / DELETIONS).touch()
        gone = self.incoming / f"{secrets.token_hex(16)}.git"
        with self.writing(repo_id), self._layout:
            self._move_out(repo_id, gone)
            self._note_moves(repo_id, None)
        shutil.rmtree(gone)

    def move(self, source: RepoId, target: RepoId) -> None:
        """Rename a repository.

        Raises:
            Refusal: 409 if the new name is taken.
        """
        with self.writing(source), self._layout:
            taken = self._spelled(target)
            if taken is not None and taken != source:
                raise conflict(
                    f"A {KINDS[target.kind]} repository called {taken} already exists; choose another name."
                )
            self.path(target).parent.mkdir(parents=True, exist_ok=True)
            self._move_out(source, self.path(target))
            self._note_moves(source, target)

    def present(self, repo_id: RepoId) -> RepoId:
        """The name that a repository has now: in its own spelling, and after it was renamed; else the name itself."""
        if (spelled := self._spelled(repo_id)) is not None:
            return spelled
        target = self._moves().get(_moved_name(repo_id))
        return RepoId(repo_id.kind, *target.split("/")) if target else repo_id

    def _spelled(self, repo_id: RepoId) -> RepoId | None:
        """The repository of this name in whatever case; None if there is none."""
        if self.exists(repo_id):
            return repo_id
        for namespace in _like(self.folder / repo_id.kind, repo_id.namespace):
            for name in _like(self.folder / repo_id.kind / namespace, f"{repo_id.name}.git"):
                return RepoId(repo_id.kind, namespace, name.removesuffix(".git"))
        return None

    def _moves(self) -> dict[str, str]:
        """Names that repositories had: `kind/namespace/name` in lower case → the present `namespace/name`."""
        try:
            moves = json.loads((self.folder / MOVES).read_text())
        except FileNotFoundError:
            return {}
        return {str(old): str(new) for old, new in moves.items()}

    def _note_moves(self, source: RepoId | None, target: RepoId | None) -> None:
        """Remember that a repository got another name (None: it is new, or gone)."""
        before = self._moves()
        moves = dict(before)
        if source is not None:
            kind = f"{source.kind}/"
            led_here = [old for old, new in moves.items() if old.startswith(kind) and new == str(source)]
            for old in [*led_here, _moved_name(source)]:
                if target is None:
                    moves.pop(old, None)
                else:
                    moves[old] = str(target)
        if target is not None:
            moves.pop(_moved_name(target), None)
        if moves != before:
            replace_text(self.folder / MOVES, json.dumps(moves, indent=1))

    def _move_out(self, repo_id: RepoId, target: Path) -> None:
        try:
            os.rename(self.path(repo_id), target)
        except FileNotFoundError as error:
            raise repository_not_found(str(repo_id), anonymous=False) from error
        flush(self.path(repo_id).parent)
        flush(target.parent)

    def set_visibility(self, repo_id: RepoId, *, private: bool) -> None:
        with self.writing(repo_id):
            settings = self.settings(repo_id)
            if settings is None:
                raise repository_not_found(str(repo_id), anonymous=False)
            text = json.dumps(asdict(replace(settings, private=private)))
            replace_text(self.path(repo_id) / SETTINGS, text)

    def all(self, kind: str) -> Iterator[tuple[RepoId, Settings]]:
        """Every repository of a kind, by name."""
        for path in sorted((self.folder / kind).glob("*/*.git")):
            repo_id = RepoId(kind, path.parent.name, path.name.removesuffix(".git"))
            if settings := self.settings(repo_id):
                yield repo_id, settings

    @contextmanager
    def writing(self, repo_id: RepoId) -> Iterator[None]:
        """One writer at a time per repository: commits, branches and tags never interleave."""
        with self._writers.setdefault(repo_id, threading.Lock()):
            yield


def _moved_name(repo_id: RepoId) -> str:
    return f"{repo_id.kind}/{repo_id}".lower()


def _like(folder: Path, name: str) -> list[str]:
    """Names in a folder that are this one in another case."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(each for each in names if each.lower() == name.lower())


def signature(author: str) -> pygit2.Signature:
    """The Hub's user as author of a commit or tag, at this moment in UTC."""
    return pygit2.Signature(author, f"{author}@localhost", int(datetime.now(UTC).timestamp()), 0)


def timestamp(seconds: int) -> str:
    """A git time as the protocol writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def flush_objects(repo: pygit2.Repository, oids: Iterable[pygit2.Oid]) -> None:
    """Flush git objects: several at once, which a journaling file system takes as one."""
    names = {str(oid) for oid in oids}
    paths = [Path(repo.path) / "objects" / name[:2] / name[2:] for name in names]
    loose = [path for path in paths if path.exists()]  # one in a pack was flushed by whoever packed it
    with ThreadPoolExecutor(_FLUSH_THREADS) as pool:
        list(pool.map(flush, loose))
        list(pool.map(flush, {path.parent for path in loose}))


def flush_reference(repo: pygit2.Repository, name: str) -> None:
    """Flush a reference that was just created or moved."""
    path = Path(repo.path) / name
    flush(path)
    flush(path.parent)


def replace_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small file, whole or not at all."""
    with replacing(path, shared=True) as temporary:
        temporary.touch(mode, exist_ok=False)
        temporary.write_text(text)
