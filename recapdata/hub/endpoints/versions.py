"""Branches, tags and history."""

from itertools import islice
from typing import Any

import pygit2
from pygit2.enums import ObjectType
from starlette.responses import JSONResponse, Response

from recapdata.hub import history
from recapdata.hub.call import Call
from recapdata.hub.commits import checked_message
from recapdata.hub.refusals import Refusal, as_text, bad_request, conflict, revision_not_found
from recapdata.hub.repositories import DEFAULT_BRANCH, flush_objects, flush_reference, signature, timestamp

COMMITS_PAGE = 100
NAME_MAX = 200


def refs(call: Call) -> Response:
    """All branches and tags with the commits they stand for."""
    repo = call.repo()
    answer: dict[str, Any] = {
        kind: [
            {"name": name, "ref": f"{prefix}{name}", "targetCommit": commit_id}
            for name, commit_id in history.references(repo, prefix).items()
        ]
        for kind, prefix in (("branches", history.BRANCHES), ("tags", history.TAGS))
    }
    answer["converts"] = []
    if call.flag("include_prs"):
        answer["pullRequests"] = []
    return JSONResponse(answer)


def list_commits(call: Call) -> Response:
    """The history of a revision, last commit first."""
    repo = call.repo()
    pinned, start = call.cursor()
    head = history.resolve(repo, pinned or call.word("revision"))
    formatted = "formatted" in call.request.query_params.getlist("expand[]")
    found = islice(history.commits(repo, head), start, start + COMMITS_PAGE + 1)
    rows = [_commit_row(commit, formatted=formatted) for commit in found]
    return call.page(rows, limit=COMMITS_PAGE, start=start, commit_id=str(head.id))


def create_branch(call: Call) -> Response:
    """A branch from a revision (`main` unless the body names a `startingPoint`)."""
    repo_id, _ = call.visible()
    name = _new_name(call.word("branch"))
    with call.folder.repositories.writing(repo_id):
        repo = call.folder.repositories.open(repo_id)
        _refuse_taken(repo, name)
        start = history.resolve(repo, str(call.json().get("startingPoint") or DEFAULT_BRANCH))
        reference = history.BRANCHES + name
        repo.references.create(reference, start.id)
        flush_reference(repo, reference)
    return JSONResponse({})


def delete_branch(call: Call) -> Response:
    name = history.branch_name(call.word("branch"))
    if name == DEFAULT_BRANCH:
        raise Refusal(403, f"Cannot delete {history.BRANCHES}{name}: the default branch stays.")
    _delete(call, history.BRANCHES, name)
    return JSONResponse({})


def create_tag(call: Call) -> Response:
    """A tag on a revision; annotated if it comes with a message."""
    repo_id, _ = call.visible()
    body = call.json()
    with call.folder.repositories.writing(repo_id):
        repo = call.folder.repositories.open(repo_id)
        commit = call.commit(repo)
        name = _new_name(str(body.get("tag") or ""))
        _refuse_taken(repo, name)
        reference = history.TAGS + name
        if message := body.get("message"):
            me = signature(call.folder.user)
            tag = repo.create_tag(name, commit.id, ObjectType.COMMIT, me, checked_message(message))
            flush_objects(repo, [tag])
        else:
            repo.references.create(reference, commit.id)
        flush_reference(repo, reference)
    return JSONResponse({})


def delete_tag(call: Call) -> Response:
    _delete(call, history.TAGS, call.word("tag").removeprefix(history.TAGS))
    return JSONResponse({})


def _new_name(name: str) -> str:
    """A name that a branch or tag may have.

    Raises:
        Refusal: 400 for what git does not take, for full reference names, and for what reads as a commit id.
    """
    valid = (
        "\0" not in name
        and name == as_text(name)
        and pygit2.reference_is_valid_name(history.BRANCHES + name)
        and len(name.encode()) <= NAME_MAX
    )
    if (
        not valid
        or name.startswith(("refs/", "-"))
        or (len(name) == 40 and history.COMMIT_ID.fullmatch(name))
    ):
        raise bad_request(f"{name!r} cannot be the name of a branch or tag.")
    return name


def _refuse_taken(repo: pygit2.Repository, name: str) -> None:
    """One name stands for one thing: a branch named as a tag would hide the published version.

    Raises:
        Refusal: 409 if a branch or tag has the name, or one that would have to be a folder where the other is a file.
    """
    for prefix, kind in ((history.BRANCHES, "branch"), (history.TAGS, "tag")):
        for taken in history.references(repo, prefix):
            if taken == name:
                raise conflict(f"Reference {prefix}{name} already exists: there is a {kind} of this name.")
            if taken.startswith(f"{name}/") or name.startswith(f"{taken}/"):
                raise conflict(f"{name!r} cannot stand beside the {kind} {taken!r}: choose another name.")


def _delete(call: Call, prefix: str, name: str) -> None:
    repo_id, _ = call.visible()
    with call.folder.repositories.writing(repo_id):
        repo = call.folder.repositories.open(repo_id)
        try:
            repo.references.delete(prefix + name)
        except (KeyError, ValueError) as error:
            refusal = revision_not_found(name)
            refusal.message = f"Invalid rev id: {refusal.message}"
            raise refusal from error


def _commit_row(commit: pygit2.Commit, *, formatted: bool) -> dict[str, Any]:
    title, _, message = commit.message.partition("\n")
    row: dict[str, Any] = {
        "id": str(commit.id),
        "title": title,
        "message": message.lstrip("\n"),
        "authors": [{"user": commit.author.name, "avatar": ""}],
        "date": timestamp(commit.commit_time),
    }
    if formatted:
        row["formatted"] = {"title": title, "message": row["message"]}
    return row
