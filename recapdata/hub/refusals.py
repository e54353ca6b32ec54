"""Refusals of the Hub: a status, the error code that the stock clients know, and one sentence.

`huggingface_hub` turns `X-Error-Code` into its typed exceptions (RepositoryNotFoundError, RevisionNotFoundError,
RemoteEntryNotFoundError) and appends the message to their text.
"""

from starlette.responses import JSONResponse

UNAUTHORIZED = "Invalid credentials in Authorization header"  # the stock client compares with exactly this


class Refusal(Exception):
    """Raised anywhere below a request; the application answers it as JSON with the protocol's headers.

    `hint` is a second sentence where the protocol fixes the wording of the first.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.hint = hint
        self.headers = headers or {}


def answer(refusal: Refusal) -> JSONResponse:
    """The response of a refusal."""
    headers, message = dict(refusal.headers), as_text(refusal.message)
    if refusal.status < 400:
        return JSONResponse({"message": message}, status_code=refusal.status, headers=headers)
    # No header holds other texts, or begins or ends with a blank: the body alone carries those.
    if message.isascii() and message.isprintable() and message == message.strip():
        headers["X-Error-Message"] = message
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    return JSONResponse({"error": refusal.hint or message}, status_code=refusal.status, headers=headers)


def as_text(text: str) -> str:
    """A text that may hold half a surrogate pair, which JSON can write and no answer can hold, with question marks for them."""
    return text.encode("utf8", "replace").decode()


def repository_not_found(name: str, *, anonymous: bool) -> Refusal:
    """No such repository, or none that this caller may see: the answer never tells which of the two."""
    if anonymous:  # what the public Hub answers, so that a private name cannot be probed
        message = f"No public repository {name} on this Hub; if it is private, export this Hub's HF_TOKEN."
        return Refusal(401, message, code="RepoNotFound")
    return Refusal(
        404, "Repository not found", code="RepoNotFound"
    )  # in these words, that the client shows them once


def revision_not_found(revision: str) -> Refusal:
    return Refusal(404, f"No branch, tag or commit {revision!r} in this repository.", code="RevisionNotFound")


def entry_not_found(path: str, commit_id: str) -> Refusal:
    """The commit goes along: clients remember under it that the file does not exist."""
    message = f"No file {path!r} at this revision."
    return Refusal(404, message, code="EntryNotFound", headers={"X-Repo-Commit": commit_id})


def bad_request(message: str) -> Refusal:
    return Refusal(400, message)


def unprocessable(message: str) -> Refusal:
    return Refusal(422, message)


def too_large(message: str) -> Refusal:
    return Refusal(413, message)


def conflict(message: str) -> Refusal:
    return Refusal(409, message)
