"""`git clone` and `git fetch` over HTTP: git's smart protocol, version 0, read-only, from the bare repositories by libgit2 alone.

    GET  …/info/refs?service=git-upload-pack    references, and what this server can do
    POST …/git-upload-pack                      what the client wants and has → a pack of what it lacks

Histories here are lines without merges, so that a shallow clone (`--depth N`) is the first N commits behind each wanted one.
See gitprotocol-pack and gitprotocol-http in git's documentation.
"""

import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2

from recapdata.hub import history
from recapdata.hub.refusals import bad_request

SERVICE = "git-upload-pack"
CAPABILITIES = "shallow no-progress allow-tip-sha1-in-want agent=recapdata-hub"
LINES_MAX = 100_000
FLUSH = b"0000"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for.

    Attributes:
        wants, haves: commit ids (or those of annotated tags), each once.
        shallow: commits whose parents the client does not have.
        depth: commits from each wanted one on; None for all.
    """

    wants: tuple[str, ...]
    haves: tuple[str, ...]
    shallow: tuple[str, ...]
    depth: int | None
    done: bool


def packet(text: str | bytes) -> bytes:
    """A packet line: its length in four hexadecimal digits, and its text."""
    content = text.encode() if isinstance(text, str) else text
    return b"%04x%s" % (len(content) + 4, content)


def advertise(repo: pygit2.Repository) -> bytes:
    """All references, HEAD first, with the capabilities behind the first."""
    head = repo.lookup_reference("HEAD").target
    rows: list[tuple[str, str]] = []
    for name in sorted(repo.references):
        target = repo.lookup_reference(name).target
        rows.append((str(target), name))
        if name == head:
            rows.insert(0, (str(target), "HEAD"))
        if isinstance(tag := repo.get(target), pygit2.Tag):
            rows.append((str(tag.target), f"{name}^{{}}"))
    capabilities = f"{CAPABILITIES} symref=HEAD:{head}"
    first, *rest = rows or [("0" * 40, "capabilities^{}")]
    lines = [f"{first[0]} {first[1]}\0{capabilities}\n", *(f"{oid} {name}\n" for oid, name in rest)]
    return packet(f"# service={SERVICE}\n") + FLUSH + b"".join(map(packet, lines)) + FLUSH


def read_wish(body: bytes) -> Wish:
    """The request of a client.

    Raises:
        Refusal: 400 if it is none.
    """
    found: dict[str, list[str]] = {"want": [], "have": [], "shallow": [], "deepen": []}
    done = False
    for line in _lines(body):
        word, _, rest = line.partition(" ")
        if word == "done":
            done = True
        elif word in found and rest.strip():
            found[word].append(rest.split()[0])
        elif line:
            raise bad_request(
                f"This Hub does not serve {line[:60]!r} to git: clone, fetch, or clone with --depth."
            )
    ids = [*found["want"], *found["have"], *found["shallow"]]
    depth = found["deepen"][-1] if found["deepen"] else None
    if not all(len(each) == 40 and history.COMMIT_ID.fullmatch(each) for each in ids) or (
        depth is not None and not re.fullmatch("[1-9][0-9]{0,8}", depth)
    ):
        raise bad_request("This is no request of git's.")
    return Wish(
        tuple(dict.fromkeys(found["want"])),
        tuple(dict.fromkeys(found["have"])),
        tuple(dict.fromkeys(found["shallow"])),
        int(depth) if depth else None,
        done,
    )


def _lines(body: bytes) -> Iterator[str]:
    """The texts of packet lines; flushes are left out."""
    place = 0
    for _ in range(LINES_MAX):
        if place >= len(body):
            return
        try:
            length = int(body[place : place + 4], 16)
        except ValueError as error:
            raise bad_request("This is no request of git's.") from error
        if length >= 4:
            yield body[place + 4 : place + length].decode("utf-8", "replace").rstrip("\n")
        place += max(length, 4)
    raise bad_request(f"More than {LINES_MAX:,} lines.")


def answer(repo: pygit2.Repository, wish: Wish, folder: Path) -> tuple[bytes, Path | None]:
    """What comes before the pack, and the file of the pack in a temporary folder below `folder`; none before the client is done.

    Raises:
        Refusal: 400 if the client wants what no branch or tag leads to.
    """
    tips = {str(repo.lookup_reference(name).target) for name in repo.references}
    tips |= set(history.references(repo, "refs/").values())
    if not set(wish.wants) <= tips:
        raise bad_request("git wants a commit that no branch or tag points to (any more): fetch again.")
    commits, boundary = _reached(repo, wish)
    head = b""
    if wish.depth is not None:
        head = b"".join(packet(f"shallow {oid}\n") for oid in boundary)
        head += b"".join(packet(f"unshallow {oid}\n") for oid in wish.shallow if oid in commits) + FLUSH
        if not wish.done:
            return head, None
    known = [oid for oid in wish.haves if oid in repo]
    if not wish.done:
        return head + (packet(f"ACK {known[0]}\n") if known else packet("NAK\n")), None
    head += packet(f"ACK {known[-1]}\n") if known else packet("NAK\n")
    return head, _pack(repo, wish, commits, known, folder)


def _reached(repo: pygit2.Repository, wish: Wish) -> tuple[dict[str, None], list[str]]:
    """The commits behind the wanted ones, as many as the client asked for, and those among them whose parents stay behind."""
    commits: dict[str, None] = {}
    boundary: list[str] = []
    for oid in wish.wants:
        line = history.commits(repo, repo[oid].peel(pygit2.Commit))
        for commit in itertools.islice(line, wish.depth):
            commits[str(commit.id)] = None
            last = commit
        if wish.depth is not None and last.parents:
            boundary.append(str(last.id))
    return commits, boundary


def _pack(
    repo: pygit2.Repository, wish: Wish, commits: Iterable[str], known: Iterable[str], folder: Path
) -> Path:
    """Write the pack of what the client lacks."""
    has = _behind(repo, known, set(wish.shallow))
    seen = {repo[oid].peel(pygit2.Tree).id for oid in has}
    where = Path(tempfile.mkdtemp(dir=folder, suffix=".pack"))
    builder = pygit2.PackBuilder(repo)
    for oid in wish.wants:
        if isinstance(tag := repo[oid], pygit2.Tag):
            builder.add(tag.id)
    for oid in commits:
        if oid in has:
            continue
        commit = repo[oid].peel(pygit2.Commit)
        builder.add(commit.id)
        _add_tree(builder, commit.tree, seen)
    builder.write(str(where))
    return next(iter(where.glob("*.pack")), where / "empty.pack")


def _behind(repo: pygit2.Repository, tips: Iterable[str], shallow: set[str]) -> set[str]:
    """The commits that a client has: those behind its own, down to where its history ends."""
    found: set[str] = set()
    waiting = [oid for oid in tips if isinstance(repo.get(oid), pygit2.Commit)]
    while waiting:
        oid = waiting.pop()
        if oid in found:
            continue
        found.add(oid)
        if oid not in shallow:
            waiting += [str(parent) for parent in repo[oid].peel(pygit2.Commit).parent_ids]
    return found


def _add_tree(builder: pygit2.PackBuilder, tree: pygit2.Tree, seen: set[pygit2.Oid]) -> None:
    """Add a folder with all that is in it, each object once."""
    if tree.id in seen:
        return
    seen.add(tree.id)
    builder.add(tree.id)
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            _add_tree(builder, entry, seen)
        elif entry.id not in seen:
            seen.add(entry.id)
            builder.add(entry.id)
