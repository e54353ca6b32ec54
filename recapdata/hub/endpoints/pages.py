"""Plain pages for people: a repository's card, files, versions and history at the addresses that commands print.

Everything comes from strangers, so that nothing is markup unless this module made it, no page runs a script or fetches
anything, and the headers hold a browser to that.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote

import pygit2
from markdown_it import MarkdownIt
from markupsafe import Markup
from pygit2.enums import DeltaStatus
from starlette.responses import HTMLResponse, Response

from recapdata.hub import cards, history
from recapdata.hub.call import Call
from recapdata.hub.refusals import Refusal, entry_not_found
from recapdata.hub.repositories import DEFAULT_BRANCH, KINDS, RESERVED, RepoId, Settings, timestamp
from recapdata.templates import render

FILES_PAGE = 1000
COMMITS_SHOWN = 100
VERSIONS_SHOWN = 200
TEXT_MAX_BYTES = 512 * 2**10
CARD_MAX_CHARACTERS = 128 * 2**10
"""Of a card that is rendered; a longer one is shown as text, since anybody may ask for it as often as they like."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_COMMENT_BEGINS = re.compile(r"^<!--", re.MULTILINE)
_WORDS = {DeltaStatus.ADDED: "added", DeltaStatus.DELETED: "deleted", DeltaStatus.RENAMED: "renamed"}


def home(call: Call) -> Response:
    """All repositories that the caller may see."""
    rows = [
        {
            "name": str(repo_id),
            "address": f"/{repo_id.url_path}",
            "kind": KINDS[kind],
            "visibility": "private" if settings.private else "public",
        }
        for kind in KINDS
        for repo_id, settings in call.folder.repositories.all(kind)
        if call.signed_in or not settings.private
    ]
    return _page("Repositories of this Hub", repositories=rows)


def repository(call: Call) -> Response:
    """Card, files and versions of a repository, at `main` or at a revision."""
    if call.word("namespace") in RESERVED:
        raise Refusal(
            404,
            f"This Hub does not serve GET {call.request.url.path}: it keeps repositories and their files.",
        )
    repo_id, settings = call.visible()
    repo = call.folder.repositories.open(repo_id)
    revision, commit = _revision(call, repo)
    path = call.word("path").strip("/") if "path" in call.request.path_params else ""
    entry = history.entry_at(repo, commit, path)
    if isinstance(entry, history.File):
        return _file_page(call, repo_id, revision, repo, entry)
    if entry is None:
        raise entry_not_found(path, str(commit.id))
    prefix = f"{path}/" if path else ""
    tree = repo[entry.tree_id].peel(pygit2.Tree)
    after = call.option("after") or ""
    listed = list(islice(history.walk(repo, tree, prefix, recursive=False, after=after), FILES_PAGE + 1))
    here = f"/{repo_id.url_path}/tree/{_quoted(revision)}"
    more = listed[FILES_PAGE - 1].path.removeprefix(prefix) if len(listed) > FILES_PAGE else ""
    readme = history.entry_at(repo, commit, f"{prefix}README.md")
    return _page(
        f"{repo_id}{f' / {path}' if path else ''}",
        path=_breadcrumbs(repo_id, revision, path),
        about=_about(repo_id, settings, revision, commit),
        versions=list(_versions(repo, repo_id)) if not path else None,
        files=[_file_row(repo_id, revision, each, prefix) for each in listed[:FILES_PAGE]],
        more=f"{here}/{quote(path)}?after={quote(more)}" if more else None,
        card=_rendered(repo, readme) if isinstance(readme, history.File) else None,
        commits=list(islice(_commits(repo, repo_id, commit), 10)) if not path else None,
    )


def commit_page(call: Call) -> Response:
    """What a commit changed."""
    repo_id, settings = call.visible()
    repo = call.folder.repositories.open(repo_id)
    revision, commit = _revision(call, repo)
    parent = commit.parents[0].tree if commit.parents else None
    diff = parent.diff_to_tree(commit.tree) if parent is not None else commit.tree.diff_to_tree(swap=True)
    rows = []
    for delta in islice(diff.deltas, FILES_PAGE):
        gone = delta.status == DeltaStatus.DELETED
        path = delta.old_file.path if gone else delta.new_file.path
        address = f"/{repo_id.url_path}/blob/{commit.id}/{quote(path)}"
        rows.append(
            {"kind": _WORDS.get(delta.status, "changed"), "path": path, "address": None if gone else address}
        )
    return _page(
        commit.message.partition("\n")[0],
        path=[*_breadcrumbs(repo_id, str(commit.id), "")],
        about=_about(repo_id, settings, revision, commit),
        changes=rows,
        text=commit.message.partition("\n")[2].strip() or None,
    )


def commits_page(call: Call) -> Response:
    """The last commits of a revision."""
    repo_id, settings = call.visible()
    repo = call.folder.repositories.open(repo_id)
    revision, commit = _revision(call, repo)
    return _page(
        f"{repo_id}: history",
        path=_breadcrumbs(repo_id, revision, ""),
        about=_about(repo_id, settings, revision, commit),
        commits=list(islice(_commits(repo, repo_id, commit), COMMITS_SHOWN)),
    )


def refusal_page(refusal: Refusal) -> Response:
    """A refusal as a page."""
    page = _page(refusal.hint or refusal.message)
    page.status_code = refusal.status
    page.headers.update(refusal.headers)
    return page


def _page(title: str, **parts: Any) -> Response:
    empty: dict[str, Any] = dict.fromkeys(
        ("path", "about", "versions", "commits", "changes", "files", "more", "repositories", "text", "card")
    )
    page = render("hub.html.j2", **(empty | {"path": []} | parts | {"title": title}))
    return HTMLResponse(page.encode("utf-8", "replace"), headers=HEADERS)


def _file_page(
    call: Call, repo_id: RepoId, revision: str, repo: pygit2.Repository, file: history.File
) -> Response:
    address = f"/{repo_id.url_path}/resolve/{_quoted(revision)}/{quote(file.path)}"
    text = None
    if file.pointer is None and file.size <= TEXT_MAX_BYTES:
        content = repo[file.blob_id].read_raw()
        text = content.decode("utf-8", "replace") if b"\0" not in content else None
    return _page(
        file.path,
        path=_breadcrumbs(repo_id, revision, file.path),
        files=[{"name": "download", "address": address, "size": f"{file.size:,} bytes"}],
        text=text,
    )


def _revision(call: Call, repo: pygit2.Repository) -> tuple[str, pygit2.Commit]:
    revision = call.word("revision") if "revision" in call.request.path_params else DEFAULT_BRANCH
    return revision, history.resolve(repo, revision)


def _quoted(revision: str) -> str:
    """A revision in an address, where a slash would separate."""
    return quote(revision, safe="")


def _about(repo_id: RepoId, settings: Settings, revision: str, commit: pygit2.Commit) -> list[str]:
    visibility = "private" if settings.private else "public"
    return [
        KINDS[repo_id.kind],
        visibility,
        f"revision {revision}",
        f"commit {str(commit.id)[:12]}",
        timestamp(commit.commit_time),
    ]


def _breadcrumbs(repo_id: RepoId, revision: str, path: str) -> list[tuple[str, str]]:
    tree = f"/{repo_id.url_path}/tree/{_quoted(revision)}"
    rows = [(str(repo_id), f"/{repo_id.url_path}"), (revision, tree)]
    parts = path.split("/") if path else []
    return rows + [(part, f"{tree}/{quote('/'.join(parts[: at + 1]))}") for at, part in enumerate(parts)]


def _versions(repo: pygit2.Repository, repo_id: RepoId) -> Iterator[tuple[str, str]]:
    for prefix in (history.BRANCHES, history.TAGS):
        for name in islice(history.references(repo, prefix), VERSIONS_SHOWN):
            yield name, f"/{repo_id.url_path}/tree/{_quoted(name)}"


def _commits(repo: pygit2.Repository, repo_id: RepoId, head: pygit2.Commit) -> Iterator[dict[str, Any]]:
    for commit in history.commits(repo, head):
        yield {
            "id": str(commit.id),
            "date": timestamp(commit.commit_time)[:10],
            "title": commit.message.partition("\n")[0],
            "address": f"/{repo_id.url_path}/commit/{commit.id}",
        }


def _file_row(repo_id: RepoId, revision: str, entry: history.Entry, prefix: str) -> dict[str, Any]:
    folder = isinstance(entry, history.Folder)
    return {
        "name": entry.path.removeprefix(prefix) + ("/" if folder else ""),
        "size": f"{entry.size:,} bytes" if isinstance(entry, history.File) else "",
        "address": f"/{repo_id.url_path}/{'tree' if folder else 'blob'}/{_quoted(revision)}/{quote(entry.path)}",
    }


def _rendered(repo: pygit2.Repository, readme: history.File) -> Markup | None:
    """A card as HTML: its Markdown, with every tag in it shown as text, and no pictures."""
    if readme.pointer is not None or readme.size > TEXT_MAX_BYTES:
        return None
    text = repo[readme.blob_id].read_raw().decode("utf-8", "replace")
    if match := cards.FRONT_MATTER.match(text):
        text = text[match.end() :]
    return _html(text)


@lru_cache(maxsize=100)
def _html(text: str) -> Markup:
    """The Markdown of a card as HTML; of one that would take long, the text."""
    if len(text) > CARD_MAX_CHARACTERS:
        return Markup("<pre>{}</pre>").format(text)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(markdown.render(_without_comments(text)))  # the renderer escapes all else


def _without_comments(text: str) -> str:
    """A card without the comments that fill lines of their own, in time that grows with its length alone."""
    kept, place = [], 0
    end, line_end, alone = -1, 0, False
    for match in _COMMENT_BEGINS.finditer(text):
        if match.start() < place:
            continue  # within the last one
        if end < match.end():  # else several begin before one end, which is looked for once
            end = text.find("-->", match.end())
            if end < 0:
                break
            line_end = text.find("\n", end)
            line_end = len(text) if line_end < 0 else line_end
            alone = not text[end + 3 : line_end].strip()
        if alone:
            kept.append(text[place : match.start()])
            place = line_end
    return "".join([*kept, text[place:]])
