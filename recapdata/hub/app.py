"""The Hub as a web application: one table of addresses, who may use each, and how errors are answered."""

import re
import secrets
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

import pygit2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recapdata.console import is_full_disk
from recapdata.hub.call import Call, signed_in, writer
from recapdata.hub.endpoints import account, cloning, content, pages, repos, uploads, versions
from recapdata.hub.folder import HubFolder
from recapdata.hub.objects import REGULAR_MAX_BYTES
from recapdata.hub.refusals import Refusal, answer
from recapdata.hub.repositories import KINDS

_REQUEST_ID = re.compile(rb"[A-Za-z0-9=;:_-]{1,128}")
FREE_MIN_BYTES = 2 * REGULAR_MAX_BYTES  # with less, a failure of git is laid to the disk
BODY_MAX_BYTES = 32 * 2**20  # of what is read as a whole; commits and large objects are streams


class Address(NamedTuple):
    """A row of the table.

    Attributes:
        who: "anyone" (the endpoint itself sees to private repositories), or "writer" (needs the token).
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    who: Literal["anyone", "writer"]
    endpoint: Callable[[Call], Response]


class Stream(NamedTuple):
    """An address whose endpoint reads the body itself, and sees to permission itself."""

    method: Literal["POST", "PUT"]
    path: str
    endpoint: Callable[[Call], Awaitable[Response]]


_REPO = "/api/{kind:kind}/{namespace}/{name}"

STREAMS = (
    Stream("POST", _REPO + "/commit/{revision}", uploads.commit),
    Stream("PUT", "/lfs/objects/{sha256}", uploads.put_object),
    Stream("PUT", "/lfs/parts/{upload}/{number}", uploads.put_part),
)

_PAGE_PREFIXES = ("/{kind:kind}/{namespace}/{name}", "/{namespace}/{name}")
PAGES = (
    ("", pages.repository),
    ("/tree/{revision}", pages.repository),
    ("/tree/{revision}/{path:path}", pages.repository),
    ("/blob/{revision}/{path:path}", pages.repository),
    ("/commit/{revision}", pages.commit_page),
    ("/commits/{revision}", pages.commits_page),
)

ADDRESSES = (
    Address("GET", "/", "anyone", account.welcome),
    Address("GET", "/lfs/objects/{sha256}", "anyone", uploads.get_object),
    Address("GET", "/api/whoami-v2", "writer", account.whoami),
    Address("GET", "/api/agent-harnesses", "anyone", account.agent_harnesses),
    Address("POST", "/api/validate-yaml", "anyone", account.validate_yaml),
    Address("POST", "/api/repos/create", "writer", repos.create),
    Address("DELETE", "/api/repos/delete", "writer", repos.delete),
    Address("POST", "/api/repos/move", "writer", repos.move),
    Address("GET", "/api/{kind:kind}", "anyone", repos.list_repos),
    Address("GET", "/api/{kind:kind}/{name}", "anyone", repos.unnamespaced),
    Address("GET", _REPO, "anyone", repos.describe),
    Address("GET", _REPO + "/revision/{revision}", "anyone", repos.describe),
    Address("PUT", _REPO + "/settings", "writer", repos.update_settings),
    Address("GET", _REPO + "/auth-check", "anyone", repos.auth_check),
    Address("GET", _REPO + "/auth-check/write", "writer", repos.auth_check),
    Address("GET", _REPO + "/refs", "anyone", versions.refs),
    Address("GET", _REPO + "/commits/{revision}", "anyone", versions.list_commits),
    Address("POST", _REPO + "/branch/{branch}", "writer", versions.create_branch),
    Address("DELETE", _REPO + "/branch/{branch}", "writer", versions.delete_branch),
    Address("POST", _REPO + "/tag/{revision}", "writer", versions.create_tag),
    Address("DELETE", _REPO + "/tag/{tag}", "writer", versions.delete_tag),
    Address("GET", _REPO + "/tree/{revision}", "anyone", content.tree),
    Address("GET", _REPO + "/tree/{revision}/{path:path}", "anyone", content.tree),
    Address("POST", _REPO + "/paths-info/{revision}", "anyone", content.paths_info),
    Address("POST", _REPO + "/preupload/{revision}", "writer", uploads.preupload),
    Address("GET", _REPO + "/xet-write-token/{revision}", "anyone", uploads.no_xet),
    Address("GET", _REPO + "/xet-read-token/{revision}", "anyone", uploads.no_xet),
    Address("GET", _REPO + "/discussions", "anyone", account.list_discussions),
    Address("POST", _REPO + "/discussions", "writer", account.no_discussions),
    Address("POST", _REPO + "/super-squash/{branch}", "writer", account.no_squash),
    Address("GET", _REPO + "/lfs-files", "anyone", content.lfs_files),
    Address("POST", _REPO + "/lfs-files/batch", "writer", account.no_squash),
    Address("GET", "/api/settings/repositories", "writer", account.storage),
    Address("GET", "/api/organizations/{namespace}/settings/repositories", "writer", account.storage),
    Address("POST", "/lfs/complete/{upload}/{sha256}", "anyone", uploads.complete_parts),
    # Names without a namespace, as the public Hub has a few: none is here, and clients are to know what is missing.
    *(
        Address(method, "/api/{kind:kind}/{name}" + path, "anyone", repos.unnamespaced)  # type: ignore[arg-type]
        for method, path in (
            *(
                ("GET", each)
                for each in ("/revision/{revision}", "/tree/{revision}", "/tree/{revision}/{path:path}")
            ),
            *(("GET", each) for each in ("/commits/{revision}", "/auth-check/write")),
            *(
                ("POST", each)
                for each in ("/preupload/{revision}", "/paths-info/{revision}", "/commit/{revision}")
            ),
            *(
                ("POST", each)
                for each in ("/branch/{revision}", "/tag/{revision}", "/super-squash/{revision}")
            ),
            *(("DELETE", each) for each in ("/branch/{revision}", "/tag/{revision}")),
            ("PUT", "/settings"),
        )
    ),
    Address("GET", "/{kind:kind}/{name}/resolve/{revision}/{path:path}", "anyone", repos.unnamespaced),
    Address("GET", "/{name}/resolve/{revision}/{path:path}", "anyone", repos.unnamespaced),
    *(
        Address(method, prefix + path, who, endpoint)  # type: ignore[arg-type]
        for prefix in ("/{kind:kind}/{namespace}/{name}", "/{namespace}/{name}")
        for method, path, who, endpoint in (
            ("POST", "/info/lfs/objects/batch", "anyone", uploads.lfs_batch),
            ("GET", "/info/refs", "anyone", cloning.info_refs),
            ("POST", "/git-upload-pack", "anyone", cloning.send_pack),
            ("POST", "/git-receive-pack", "anyone", cloning.no_push),
            ("GET", "/resolve/{revision}/{path:path}", "anyone", content.resolve),
            ("GET", "/raw/{revision}/{path:path}", "anyone", content.raw),
        )
    ),
    *(
        Address("GET", prefix + path, "anyone", endpoint)
        for prefix in _PAGE_PREFIXES
        for path, endpoint in PAGES
    ),
)


def application(folder: HubFolder, on_ready: Callable[[], None]) -> ASGIApp:
    """The web application over an opened folder; `on_ready` is called once it takes requests."""
    routes = [Route(row.path, _streamed(row, folder), methods=[row.method]) for row in STREAMS]
    routes += [Route(row.path, _whole(row, folder), methods=[row.method]) for row in ADDRESSES]

    async def on_full_disk(request: Request, error: Exception) -> Response:
        """A disk without room is no mistake of the Hub's, and nothing of the request was kept; libgit2 often loses the reason."""
        if is_full_disk(error) or folder.objects.free_bytes() < FREE_MIN_BYTES:
            return answer(Refusal(507, "The Hub's disk has no room for this: free some, and send it again."))
        raise error

    handlers = {
        Refusal: _on_refusal,
        HTTPException: _on_http_exception,
        ClientDisconnect: _on_disconnect,
        OSError: on_full_disk,
        pygit2.GitError: on_full_disk,
        Exception: _on_bug,
    }

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        on_ready()
        yield

    return _QuotedPaths(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan))


class _QuotedPaths:
    """Routes on addresses as they were sent, so that the quoted slash of a branch `a%2Fb` is no separator; numbers requests."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = _request_id(scope)

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", number)]}
            await send(message)

        scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        await self.app(scope, receive, numbered)


def _request_id(scope: Scope) -> bytes:
    """The number that the client gave its request, which the stock one shows in its errors; else a new one."""
    for name, value in scope["headers"]:
        if name in (b"x-request-id", b"x-amzn-trace-id") and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(16).encode()


class _Kind(Convertor[str]):
    """The kinds of repositories in an address."""

    regex = "|".join(KINDS)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("kind", _Kind())


def _whole(row: Address, folder: HubFolder) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that gets the whole body and runs in a worker thread."""

    async def handle(request: Request) -> Response:
        call = Call(folder, request, signed_in(request, folder.token), await _body(request))
        if row.who == "writer":
            writer(call)
        return await run_in_threadpool(row.endpoint, call)

    return handle


def _streamed(row: Stream, folder: HubFolder) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await row.endpoint(Call(folder, request, signed_in(request, folder.token)))

    return handle


def is_page(path: str) -> bool:
    """Whether a path may be that of a page for people, to which a link on another site may lead."""
    words = path.split("/")
    return words[1] not in ("api", "lfs") and not {"resolve", "raw", "info", "git-upload-pack"} & set(
        words[3:5]
    )


async def _body(request: Request) -> bytes:
    unpack = (
        zlib.decompressobj(zlib.MAX_WBITS | 16) if request.headers.get("content-encoding") == "gzip" else None
    )
    body = bytearray()
    async for chunk in request.stream():
        try:
            body += unpack.decompress(chunk, BODY_MAX_BYTES + 1) if unpack else chunk
        except zlib.error as error:
            raise Refusal(400, f"The body is no gzip: {error}.") from error
        if len(body) > BODY_MAX_BYTES:
            raise Refusal(413, f"At most {BODY_MAX_BYTES:,} bytes at once.")
    return bytes(body)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    path = request.scope["path"]
    if error.status == 401 and not path.startswith("/api/"):  # git and browsers then ask for the token
        error.headers.setdefault(
            "WWW-Authenticate", 'Basic realm="recapdata hub: any name, the token as password"'
        )
    if "text/html" in request.headers.get("accept", "") and is_page(path):
        return pages.refusal_page(error)
    return answer(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    if error.status_code in (404, 405):
        return answer(Refusal(404, f"This Hub does not serve {what}: it keeps repositories and their files."))
    return answer(Refusal(error.status_code, f"{what}: {error.detail}"))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """The client has gone: nobody reads this, and nothing of what it sent was kept."""
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> Response:
    """A mistake of the Hub's own: uvicorn shows the traceback on the Hub's console, the client gets one sentence."""
    return answer(
        Refusal(500, f"The Hub failed at this request ({type(error).__name__}); its console says why.")
    )
