"""Repositories as wholes: create, delete, rename, show or hide, describe, list."""

from typing import Any

import pygit2
from starlette.responses import JSONResponse, Response

from recapdata.hub import cards, history
from recapdata.hub.call import CURSOR_NUMBER, TRUE, Call
from recapdata.hub.refusals import Refusal, bad_request, repository_not_found
from recapdata.hub.repositories import (
    DEFAULT_BRANCH,
    KINDS,
    RepoId,
    Settings,
    parse_repo_id,
    timestamp,
)

LIST_PAGE = 1000
_LISTED = (
    *("_id", "id", "modelId", "author", "sha", "lastModified", "createdAt", "private", "gated", "disabled"),
    *("downloads", "likes", "tags", "pipeline_tag", "library_name"),
)
# Blob id of a README → its head. Content-addressed, so it never grows stale.
_cards: dict[str, dict[str, Any]] = {}
_CARDS_MAX = 10_000


def create(call: Call) -> Response:
    body = call.json()
    repo_id = _named(call, body, body.get("organization"), str(body.get("name") or ""))
    answer = {"url": f"{call.endpoint}/{repo_id.url_path}", "name": str(repo_id), "id": str(repo_id)}
    try:
        call.folder.repositories.create(repo_id, private=_is_private(body) or False)
    except Refusal as refusal:
        if refusal.status != 409:
            raise
        # With exist_ok the client reads the address from this very answer.
        return JSONResponse({"error": refusal.message, **answer}, status_code=409)
    return JSONResponse(answer)


def delete(call: Call) -> Response:
    body = call.json()
    repo_id = _named(call, body, body.get("organization"), str(body.get("name") or ""))
    call.folder.repositories.delete(call.folder.repositories.present(repo_id))
    return JSONResponse({})


def move(call: Call) -> Response:
    body = call.json()
    source, target = (
        _named(call, body, *_split(str(body.get(name) or ""))) for name in ("fromRepo", "toRepo")
    )
    call.folder.repositories.move(call.folder.repositories.present(source), target)
    return JSONResponse({})


def update_settings(call: Call) -> Response:
    repo_id, _ = call.visible()
    body = call.json()
    if body.get("gated"):
        raise bad_request("This Hub has no gated repositories: make it private instead.")
    private = _is_private(body)
    if private is not None:
        call.folder.repositories.set_visibility(repo_id, private=private)
    return JSONResponse({"private": private})


def auth_check(call: Call) -> Response:
    """Whether the caller may read; the table asks for the token where it would write."""
    call.visible()
    return JSONResponse({})


def unnamespaced(call: Call) -> Response:
    """Raises: Refusal RepoNotFound: every repository here lies in a namespace."""
    raise repository_not_found(call.word("name"), anonymous=not call.signed_in)


def describe(call: Call) -> Response:
    """A repository at a revision (`main` where the address names none)."""
    repo_id, settings = call.visible()
    repo = call.folder.repositories.open(repo_id)
    revision = call.word("revision") if "revision" in call.request.path_params else DEFAULT_BRANCH
    commit = history.resolve(repo, revision)
    about = _about(repo_id, settings, repo, commit)
    detailed = call.flag("blobs")
    about["siblings"] = [_sibling(file, detailed=detailed) for file in history.files(repo, commit)]
    wanted = call.request.query_params.getlist("expand")
    if wanted:
        about = {name: about[name] for name in ("_id", "id", *wanted) if name in about}
    return JSONResponse(about)


def list_repos(call: Call) -> Response:
    """The repositories of a kind that the caller may see, filtered as the clients ask."""
    query = call.request.query_params
    kind = call.request.path_params["kind"]
    rows = [
        about
        for repo_id, settings in call.folder.repositories.all(kind)
        if call.signed_in or not settings.private
        if (about := _listed(call, repo_id, settings))
    ]
    order = query.get("sort")
    if order in ("lastModified", "createdAt"):
        rows.sort(key=lambda about: about[order], reverse=True)
    given = query.get("limit", "")
    limit = min(max(int(given), 1), LIST_PAGE) if CURSOR_NUMBER.fullmatch(given) else LIST_PAGE
    _, start = call.cursor()
    return call.page(rows[start : start + limit + 1], limit=limit, start=start)


def _listed(call: Call, repo_id: RepoId, settings: Settings) -> dict[str, Any] | None:
    """One row of a list, or None if the filters leave it out."""
    query = call.request.query_params
    words = [word.lower() for word in query.getlist("search")]
    if query.get("author", repo_id.namespace).lower() != repo_id.namespace.lower():
        return None
    if not all(word in str(repo_id).lower() for word in words):
        return None
    try:
        repo = call.folder.repositories.open(repo_id)
        commit = history.resolve(repo, DEFAULT_BRANCH)
    except Refusal:  # deleted since the folder was listed
        return None
    about = _about(repo_id, settings, repo, commit)
    if not set(query.getlist("filter")) <= set(about["tags"]):
        return None
    if query.get("pipeline_tag", about.get("pipeline_tag")) != about.get("pipeline_tag"):
        return None
    full = query.get("full", "").lower() in TRUE
    names = [*_LISTED, *query.getlist("expand")]
    if full or query.get("cardData", "").lower() in TRUE:
        names.append("cardData")
    if full or "siblings" in names:
        about["siblings"] = [_sibling(file, detailed=False) for file in history.files(repo, commit)]
        names.append("siblings")
    return {name: about[name] for name in names if name in about}


def _about(
    repo_id: RepoId, settings: Settings, repo: pygit2.Repository, commit: pygit2.Commit
) -> dict[str, Any]:
    """What is known of a repository at a commit, without its files."""
    card = _card(repo, commit)
    about: dict[str, Any] = {
        "_id": f"{repo_id.kind}/{repo_id}",
        "id": str(repo_id),
        "author": repo_id.namespace,
        "sha": str(commit.id),
        "lastModified": timestamp(commit.commit_time),
        "createdAt": settings.created_at,
        "private": settings.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": cards.tags(card),
        "cardData": card,
    }
    if repo_id.kind == "models":
        about["modelId"] = str(repo_id)
        about |= {name: card[name] for name in ("pipeline_tag", "library_name") if name in card}
    return about


def _card(repo: pygit2.Repository, commit: pygit2.Commit) -> dict[str, Any]:
    readme = history.entry_at(repo, commit, "README.md")
    if not isinstance(readme, history.File) or readme.pointer:
        return {}
    card = _cards.get(readme.blob_id)
    if card is None:
        text = repo[readme.blob_id].read_raw().decode("utf-8", "replace")
        card = cards.read_card(text)
        if len(_cards) >= _CARDS_MAX:
            _cards.clear()
        _cards[readme.blob_id] = card
    return card


def _sibling(file: history.File, *, detailed: bool) -> dict[str, Any]:
    if not detailed:
        return {"rfilename": file.path}
    row: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.blob_id}
    if file.pointer:
        pointer = file.pointer
        row["lfs"] = {"sha256": pointer.sha256, "size": pointer.size, "pointerSize": len(pointer.text())}
    return row


def _named(call: Call, body: dict[str, Any], namespace: object, name: str) -> RepoId:
    """The repository that a body names; without a namespace it is the user's."""
    return parse_repo_id(_kind_of(body), str(namespace or call.folder.user), name)


def _split(name: str) -> tuple[str | None, str]:
    namespace, slash, rest = name.partition("/")
    return (namespace, rest) if slash else (None, name)


def _kind_of(body: dict[str, Any]) -> str:
    kind = body.get("type") or "model"
    return next((plural for plural, one in KINDS.items() if one == kind), f"{kind}s")


def _is_private(body: dict[str, Any]) -> bool | None:
    """The visibility that a body asks for; None if it says nothing of it."""
    visibility = body.get("visibility")
    if visibility in ("public", "private"):
        return bool(visibility == "private")
    if visibility is not None:
        raise bad_request(f"A repository here is public or private, not {visibility!r}.")
    return bool(body["private"]) if "private" in body else None
