"""The files of a revision: listed, looked up, downloaded whole or in ranges."""

import re
from itertools import islice
from typing import Any
from urllib.parse import quote

import pygit2
from starlette.responses import FileResponse, JSONResponse, Response

from recapdata.hub import history
from recapdata.hub.call import TRUE, Call
from recapdata.hub.refusals import Refusal, bad_request, entry_not_found
from recapdata.hub.repositories import DEFAULT_BRANCH, timestamp

TREE_PAGE, EXPANDED_PAGE = 1000, 50
PATHS_MAX = 1000  # per request, as on the public Hub
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class LargeFile(FileResponse):
    """A file sent from disk in pieces that keep both the disk and the socket busy."""

    chunk_size = 2**20


def tree(call: Call) -> Response:
    """The files and folders of a folder, or of everything below it."""
    repo = call.repo()
    pinned, after = call.cursor_text()
    commit = history.resolve(repo, pinned or call.word("revision"))
    path = call.word("path").strip("/") if "path" in call.request.path_params else ""
    entry = history.entry_at(repo, commit, path)
    if not isinstance(entry, history.Folder):
        raise entry_not_found(path, str(commit.id))
    expand = call.flag("expand")
    limit = EXPANDED_PAGE if expand else TREE_PAGE
    top = repo[entry.tree_id].peel(pygit2.Tree)
    prefix = f"{path}/" if path else ""
    entries = history.walk(repo, top, prefix, recursive=call.flag("recursive"), after=after)
    listed = list(islice(entries, limit + 1))
    following = listed[limit - 1].path.removeprefix(prefix) if len(listed) > limit else ""
    rows = _rows(repo, commit, listed, expand=expand)
    return call.page(rows, limit=limit, following=following, commit_id=str(commit.id))


def paths_info(call: Call) -> Response:
    """What is known of some paths; paths that do not exist are left out."""
    repo = call.repo()
    commit = call.commit(repo)
    if "json" in call.request.headers.get("content-type", ""):
        body = call.json()
        paths, expand = body.get("paths", []), bool(body.get("expand"))
    else:
        form = call.form()
        paths, expand = form.get("paths", []), form.get("expand", [""])[0].lower() in TRUE
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list):
        raise bad_request("The body has to hold a list of texts under 'paths'.")
    if len(paths) > PATHS_MAX:
        raise Refusal(413, f"At most {PATHS_MAX} paths at once; got {len(paths):,}.")
    found = (history.entry_at(repo, commit, str(path).strip("/")) for path in paths)
    return JSONResponse(_rows(repo, commit, [entry for entry in found if entry], expand=expand))


def resolve(call: Call) -> Response:
    """A file's content; large objects come from disk, the rest from git."""
    repo, commit, file = _requested(call)
    if file.pointer is None:
        return _from_git(call, repo, file, _headers(commit, file))
    path = call.folder.objects.path(file.pointer.sha256)
    if not path.exists():
        raise Refusal(
            410, f"The Hub has lost the large object {file.pointer.sha256}: its folder was changed by hand."
        )
    headers = _headers(commit, file)
    if _unchanged(call, headers):
        return Response(status_code=304, headers=headers)
    headers |= {"X-Linked-Size": str(file.size), "X-Linked-ETag": headers["ETag"]}
    return LargeFile(path, headers=headers, media_type="application/octet-stream")


def raw(call: Call) -> Response:
    """What git holds for a file: of a large one, its pointer."""
    repo, commit, file = _requested(call)
    return _from_git(call, repo, file, _headers(commit, file) | {"ETag": f'"{file.blob_id}"'})


def _requested(call: Call) -> tuple[pygit2.Repository, pygit2.Commit, history.File]:
    repo = call.repo()
    commit = call.commit(repo)
    path = call.word("path")
    file = history.entry_at(repo, commit, path)
    if not isinstance(file, history.File):
        raise entry_not_found(path, str(commit.id))
    return repo, commit, file


def lfs_files(call: Call) -> Response:
    """The large files at the branches and tags, each content once with the first name and reference that it has."""
    repo = call.repo()
    rows: dict[str, dict[str, Any]] = {}
    for reference in sorted(
        history.references(repo, "refs/"), key=lambda name: name != f"heads/{DEFAULT_BRANCH}"
    ):
        commit = history.resolve(repo, f"refs/{reference}")
        for file in history.files(repo, commit):
            if file.pointer and file.pointer.sha256 not in rows:
                rows[file.pointer.sha256] = {
                    "fileOid": file.blob_id,
                    "filename": file.path,
                    "oid": file.pointer.sha256,
                    "pushedAt": timestamp(commit.commit_time),
                    "ref": f"refs/{reference}",
                    "size": file.size,
                }
    _, start = call.cursor()
    return call.page(list(rows.values())[start : start + TREE_PAGE + 1], limit=TREE_PAGE, start=start)


def _headers(commit: pygit2.Commit, file: history.File) -> dict[str, str]:
    name = quote(file.path.rsplit("/", 1)[-1])
    return {
        "X-Repo-Commit": str(commit.id),
        "ETag": f'"{file.pointer.sha256 if file.pointer else file.blob_id}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",  # a dataset's HTML is never run as a page of the Hub
    }


def _unchanged(call: Call, headers: dict[str, str]) -> bool:
    return headers["ETag"] in call.request.headers.get("if-none-match", "")


def _from_git(call: Call, repo: pygit2.Repository, file: history.File, headers: dict[str, str]) -> Response:
    if _unchanged(call, headers):
        return Response(status_code=304, headers=headers)
    content = repo[file.blob_id].read_raw()
    asked = _asked_range(call.request.headers.get("range"), len(content))
    if asked is None:
        return Response(content, headers=headers, media_type="text/plain; charset=utf-8")
    headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{len(content)}"
    part = content[asked.start : asked.stop]
    return Response(part, status_code=206, headers=headers, media_type="application/octet-stream")


def _asked_range(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for; None for all of them.

    Raises:
        Refusal: 416 if the file has no such bytes.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match[1] == match[2] == "":  # no range, or several: the whole file answers both
        return None
    first, last = match[1], match[2]
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= stop:
        raise Refusal(416, f"The file has {size:,} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return range(start, stop)


def _rows(
    repo: pygit2.Repository, commit: pygit2.Commit, entries: list[history.Entry], *, expand: bool
) -> list[dict[str, Any]]:
    last = history.last_commits(repo, commit, [entry.path for entry in entries]) if expand else {}
    rows = []
    for entry in entries:
        row = _row(entry)
        if changed := last.get(entry.path):
            title = changed.message.split("\n", 1)[0]
            row["lastCommit"] = {
                "id": str(changed.id),
                "title": title,
                "date": timestamp(changed.commit_time),
            }
        rows.append(row)
    return rows


def _row(entry: history.Entry) -> dict[str, Any]:
    if isinstance(entry, history.Folder):
        return {"type": "directory", "oid": entry.tree_id, "size": 0, "path": entry.path}
    row: dict[str, Any] = {"type": "file", "oid": entry.blob_id, "size": entry.size, "path": entry.path}
    if pointer := entry.pointer:
        row["lfs"] = {"oid": pointer.sha256, "size": pointer.size, "pointerSize": len(pointer.text())}
    return row
