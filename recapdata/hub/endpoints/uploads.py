"""Uploads: which files are large, the large objects themselves, and the commit that names them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pygit2
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from recapdata.hub import card_checks, commits, history
from recapdata.hub.call import Call, writer
from recapdata.hub.endpoints.account import no_discussions
from recapdata.hub.endpoints.content import LargeFile
from recapdata.hub.ignoring import IgnoreRules
from recapdata.hub.objects import (
    PART_BYTES,
    REGULAR_MAX_BYTES,
    SHA256,
    SIZE_MAX_BYTES,
    ObjectStore,
    Pointer,
    is_large,
    is_size,
)
from recapdata.hub.refusals import Refusal, bad_request

# Of a commit's body: a file in base64, and its path.
LINE_MAX_BYTES = REGULAR_MAX_BYTES * 4 // 3 + 2**16
MULTIPART_FROM = 2**30
CARD = "README.md"
LINK_SECONDS = 24 * 3600
# Of no meaning elsewhere: server.py gives it a reason phrase, which is all that hf_xet shows of an answer.
XET_STATUS = 430
XET_PHRASE = "This Hub takes no Xet uploads - run: export HF_HUB_DISABLE_XET=1"


def preupload(call: Call) -> Response:
    """For each file to come: a large object or part of the commit, ignored or not, and what is there now."""
    if call.flag("create_pr"):
        return no_discussions(call)
    repo = call.repo()
    commit = history.branch_head(repo, call.word("revision"))
    ignored = IgnoreRules(_gitignore(repo, commit, call.json().get("gitIgnore")))
    answers = []
    for row in call.rows("files"):
        path, size = commits.checked_path(row.get("path")), row.get("size")
        if not is_size(size):
            raise bad_request(f"{path!r} comes without a size of at most {SIZE_MAX_BYTES:,} bytes.")
        large = is_large(repo, commit, path, size)
        answer = {
            "path": path,
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": ignored.match(path),
        }
        entry = history.entry_at(repo, commit, path)
        if isinstance(entry, history.File):
            answer["oid"] = entry.pointer.sha256 if entry.pointer else entry.blob_id
        answers.append(answer)
    return JSONResponse({"files": answers})


def _gitignore(repo: pygit2.Repository, commit: pygit2.Commit, given: object) -> str:
    """The rules sent along, else those of the branch."""
    if isinstance(given, str):
        return given
    entry = history.entry_at(repo, commit, ".gitignore")
    if not isinstance(entry, history.File):
        return ""
    return repo[entry.blob_id].read_raw().decode("utf-8", "replace")


def lfs_batch(call: Call) -> Response:
    """Where each large object is to be sent, or is to be had (git-lfs batch API); no action for one that the Hub holds already."""
    call.visible()
    body = call.json()
    if body.get("operation") == "download":
        repo = call.repo()
        known = history.large_objects(repo)
        rows = [_download(call, row, known) for row in call.rows("objects")]
        return JSONResponse({"transfer": "basic", "objects": rows}, media_type="application/vnd.git-lfs+json")
    writer(call)
    if body.get("operation") != "upload":
        raise bad_request("A git-lfs batch is of the operation upload or download.")
    transfers = body.get("transfers") or ["basic"]
    if not isinstance(transfers, list):
        raise bad_request("The transfers of a git-lfs batch are a list of names.")
    rows = [_instructions(call, row, transfers) for row in call.rows("objects")]
    multipart = any(
        "chunk_size" in row.get("actions", {}).get("upload", {}).get("header", {}) for row in rows
    )
    answer = {"transfer": "multipart" if multipart else "basic", "objects": rows}
    return JSONResponse(answer, media_type="application/vnd.git-lfs+json")


def _instructions(call: Call, row: dict[str, Any], transfers: list[str]) -> dict[str, Any]:
    sha256, size = row.get("oid"), row.get("size")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256) or not is_size(size):
        what = f"an object has a SHA-256 in lower case and a size of at most {SIZE_MAX_BYTES:,} bytes"
        return {"oid": str(sha256), "size": 0, "error": {"code": 422, "message": what}}
    answer: dict[str, Any] = {"oid": sha256, "size": size}
    held = call.folder.objects.size(sha256)
    if held == size:
        return answer
    if held is not None:
        return answer | {"error": {"code": 422, "message": f"the Hub holds this object with {held:,} bytes"}}
    if size > (free := call.folder.objects.free_bytes()):
        return answer | {"error": {"code": 507, "message": f"the Hub's disk has {free:,} bytes left"}}
    if "multipart" not in transfers or (size < MULTIPART_FROM and "basic" in transfers):
        return answer | {"actions": {"upload": {"href": _link(call, "objects", sha256, size), "header": {}}}}
    name = call.folder.objects.begin_parts()
    header = {"chunk_size": str(PART_BYTES)}
    for number in range(1, -(-size // PART_BYTES) + 1):
        header[str(number)] = _link(call, f"parts/{name}", str(number), size)
    return answer | {
        "actions": {"upload": {"href": _link(call, f"complete/{name}", sha256, size), "header": header}}
    }


def _download(call: Call, row: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Where a large object is to be had: one that this repository names, not what another may hold."""
    sha256 = str(row.get("oid"))
    size = call.folder.objects.size(sha256) if sha256 in known else None
    if size is None:
        missing = {"code": 404, "message": "no large object of this repository"}
        return {"oid": sha256, "size": 0, "error": missing}
    action = {"href": _link(call, "objects", sha256, size), "header": {}}
    return {"oid": sha256, "size": size, "authenticated": True, "actions": {"download": action}}


def get_object(call: Call) -> Response:
    """A large object, by a link of a batch."""
    _linked_size(call)
    path = call.folder.objects.path(call.word("sha256"))
    return LargeFile(path, media_type="application/octet-stream")


def _link(call: Call, what: str, name: str, size: int) -> str:
    """An address that carries its own permission: clients send large objects without their token."""
    until = str(int(time.time()) + LINK_SECONDS)
    path = f"/lfs/{what}/{name}"
    query = urlencode({"size": size, "until": until, "signature": _sign(call, path, str(size), until)})
    return f"{call.endpoint}{path}?{query}"


def _sign(call: Call, path: str, size: str, until: str) -> str:
    message = f"{path} {size} {until}".encode()
    return hmac.new(call.folder.token.encode(), message, hashlib.sha256).hexdigest()


def _linked_size(call: Call) -> int:
    """The size that a link was made for.

    Raises:
        Refusal: 403 if the link is not this Hub's, or too old.
    """
    size, until, signature = (call.option(name) or "" for name in ("size", "until", "signature"))
    expected = _sign(call, call.request.scope["path"], size, until)
    if not hmac.compare_digest(signature.encode(), expected.encode()) or int(until) < time.time():
        raise Refusal(403, "This upload link is not valid (any more): start the upload again.")
    return int(size)


async def put_object(call: Call) -> Response:
    """A large object in one stream."""
    pointer = Pointer(call.word("sha256"), _linked_size(call))
    await call.folder.objects.receive(call.request.stream(), pointer)
    return Response(headers={"ETag": f'"{pointer.sha256}"'})


async def put_part(call: Call) -> Response:
    """One part of a large object."""
    size = _linked_size(call)
    name, number = call.word("upload"), int(call.word("number"))  # the link is signed, so it is a number
    if not 1 <= number <= -(-size // PART_BYTES):
        raise bad_request(f"An upload of {size:,} bytes has no part {number}.")
    await call.folder.objects.receive_part(name, number, call.request.stream())
    return Response(headers={"ETag": f'"{number}"'})


def complete_parts(call: Call) -> Response:
    """The end of an upload in parts."""
    call.folder.objects.complete_parts(call.word("upload"), Pointer(call.word("sha256"), _linked_size(call)))
    return JSONResponse({})


async def commit(call: Call) -> Response:
    """A commit: one JSON object per line, the header first, then an operation each.

    Lines are taken one by one, so that a commit of many files is never in memory as a whole.
    """
    writer(call)
    if call.flag("create_pr"):
        return no_discussions(call)
    repo_id, _ = await run_in_threadpool(call.visible)
    repo = call.folder.repositories.open(repo_id)
    changes = commits.Changes()
    async for line in _lines(call.request.stream()):
        await run_in_threadpool(_take, repo, call.folder.objects, changes, line)
    return await run_in_threadpool(_finish, call, changes)


def _finish(call: Call, changes: commits.Changes) -> Response:
    repo_id, _ = call.visible()
    if not changes.summary:
        raise bad_request("A commit needs a message: its first line has to be the header with a summary.")
    with call.folder.repositories.writing(repo_id):
        repo = call.folder.repositories.open(repo_id)
        made = commits.commit(repo, call.word("revision"), changes, call.folder.user)
    url = f"{call.endpoint}/{repo_id.url_path}/commit/{made.id}"
    return JSONResponse({"success": True, "commitOid": str(made.id), "commitUrl": url, "hookOutput": ""})


async def _lines(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending = bytearray()
    async for chunk in stream:
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            yield bytes(pending + part)
            pending.clear()
        pending += rest
        if len(pending) > LINE_MAX_BYTES:
            raise Refusal(
                413,
                f"A file of more than {REGULAR_MAX_BYTES:,} bytes has to go as a large object.",
            )
    if pending:
        yield bytes(pending)


def _take(repo: pygit2.Repository, store: ObjectStore, changes: commits.Changes, line: bytes) -> None:
    """Add one line of a commit's body to its changes; contents go to git at once.

    Raises:
        Refusal: 400 for what is no operation.
    """
    if not line.strip():
        return
    try:
        row = json.loads(line)
        key, value = row["key"], row["value"]
        path = commits.checked_path(value["path"].rstrip("/")) if key != "header" else ""
        if key == "header":
            changes.summary = commits.checked_message(value["summary"])
            changes.description = commits.checked_message(value.get("description") or "")
            changes.parent = _parent(value.get("parentCommit"))
        elif key == "file":
            content = _content(value)
            if path == CARD:
                _check_card(content)
            blob = commits.add_content(repo, store, content)
            changes.steps.append(commits.Step("add", path, blob))
        elif key == "lfsFile":
            pointer = commits.checked_pointer(store, value.get("oid"), value.get("size"))
            changes.steps.append(commits.Step("add", path, repo.create_blob(pointer.text())))
        elif key == "deletedFile":
            changes.steps.append(commits.Step("delete", path))
        elif key == "deletedFolder":
            changes.steps.append(commits.Step("delete folder", path))
        else:
            raise bad_request(f"This Hub knows no commit operation {key!r}.")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise bad_request(f"A line of the commit is no operation: {line[:80]!r} ({error})") from error


def _check_card(content: bytes) -> None:
    """Raises: Refusal 400 where the head of a README.md has mistakes."""
    errors, _ = card_checks.problems(content.decode("utf-8", "replace"))
    if errors:
        raise bad_request(f"Invalid metadata in {CARD}: {'; '.join(errors)[:1000]}")


def _parent(value: object) -> str | None:
    if value is None or (isinstance(value, str) and history.COMMIT_ID.fullmatch(value.lower())):
        return value.lower() if value else None
    raise bad_request(f"A parent commit is named by 7 to 40 digits of its id; got {value!r}.")


def _content(value: dict[str, Any]) -> bytes:
    content = str(value["content"])
    if value.get("encoding") == "base64":
        try:
            return base64.b64decode(content, validate=True)
        except ValueError as error:
            raise bad_request(f"The content of {value['path']!r} is no base64: {error}") from error
    return content.encode()


def no_xet(call: Call) -> Response:
    """Raises: Refusal, in words that both hf_xet and older Python clients show."""
    raise Refusal(XET_STATUS, XET_PHRASE, code="XetNotServed")
