"""What git asks for: references, packs, and where large files are; nothing can be pushed."""

import shutil

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from recapdata.hub import upload_pack
from recapdata.hub.call import Call
from recapdata.hub.refusals import Refusal

_NO_CACHE = {"Cache-Control": "no-cache"}
READ_BYTES = 2**20


def info_refs(call: Call) -> Response:
    """The references of a repository."""
    if call.option("service") != upload_pack.SERVICE:
        return no_push(call)
    repo = call.repo()
    kind = f"application/x-{upload_pack.SERVICE}-advertisement"
    return Response(upload_pack.advertise(repo), media_type=kind, headers=_NO_CACHE)


def send_pack(call: Call) -> Response:
    """The objects that a client lacks."""
    repo = call.repo()
    wish = upload_pack.read_wish(call.body)
    head, pack = upload_pack.answer(repo, wish, call.folder.objects.incoming)
    kind = f"application/x-{upload_pack.SERVICE}-result"
    if pack is None:
        return Response(head, media_type=kind, headers=_NO_CACHE)

    def content():  # type: ignore[no-untyped-def]
        yield head
        with pack.open("rb") as file:
            while block := file.read(READ_BYTES):
                yield block

    forget = BackgroundTask(shutil.rmtree, pack.parent, ignore_errors=True)
    return StreamingResponse(content(), media_type=kind, headers=_NO_CACHE, background=forget)


def no_push(call: Call) -> Response:
    """Raises: Refusal."""
    raise Refusal(
        403, "git may clone and fetch from this Hub, not push: upload with the stock clients (hf upload)."
    )
