"""One request: its sender, repository, revision and body, as the endpoints take them."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import pygit2
from starlette.requests import Request
from starlette.responses import JSONResponse

from recapdata.hub import history
from recapdata.hub.folder import HubFolder
from recapdata.hub.refusals import UNAUTHORIZED, Refusal, bad_request, repository_not_found
from recapdata.hub.repositories import RepoId, Settings, parse_repo_id

TRUE = frozenset({"true", "1", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request together with the folder it works on.

    Attributes:
        signed_in: whether it came with the Hub's token.
        body: the whole body; empty where an endpoint reads it as a stream.
    """

    folder: HubFolder
    request: Request
    signed_in: bool
    body: bytes = b""

    def word(self, name: str) -> str:
        """A part of the address, unquoted: revisions and paths come with their slashes quoted.

        Raises:
            Refusal: 400 if it is no UTF-8.
        """
        try:
            return unquote(self.request.path_params[name], errors="strict")
        except UnicodeDecodeError as error:
            raise bad_request(f"The address is no UTF-8: {self.request.url.path}") from error

    def option(self, name: str) -> str | None:
        return self.request.query_params.get(name)

    def flag(self, name: str) -> bool:
        return (self.option(name) or "").lower() in TRUE

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Refusal: 400 if it is none.
        """
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise bad_request(f"The body is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise bad_request("The body has to be a JSON object.")
        return value

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A list of objects in the body.

        Raises:
            Refusal: 400 if it is none.
        """
        rows = self.json().get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise bad_request(f"The body has to hold a list of objects under {name!r}.")
        return rows

    def form(self) -> dict[str, list[str]]:
        """The body as an HTML form."""
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @property
    def endpoint(self) -> str:
        """The Hub's address as this client reaches it."""
        return str(self.request.base_url).rstrip("/")

    def named_repo(self) -> RepoId:
        """The repository that the address names, whether it exists or not."""
        kind = self.request.path_params.get("kind", "models")
        return parse_repo_id(kind, self.word("namespace"), self.word("name").removesuffix(".git"))

    def visible(self) -> tuple[RepoId, Settings]:
        """The repository that the address names.

        Raises:
            Refusal: RepoNotFound if it does not exist or is private and the caller has not signed in.
        """
        repo_id = self.named_repo()
        settings = self.folder.repositories.settings(repo_id)
        if settings is None or (settings.private and not self.signed_in):
            raise repository_not_found(str(repo_id), anonymous=not self.signed_in)
        return repo_id, settings

    def repo(self) -> pygit2.Repository:
        """The repository that the address names, opened; raises as `visible`."""
        repo_id, _ = self.visible()
        return self.folder.repositories.open(repo_id)

    def commit(self, repo: pygit2.Repository) -> pygit2.Commit:
        """The commit of the address' revision; raises RevisionNotFound."""
        return history.resolve(repo, self.word("revision"))

    def cursor(self) -> tuple[str, int]:
        """Where a page begins: the commit that the first page was of (empty on the first) and a number of rows.

        Raises:
            Refusal: 400 if it is no cursor of this Hub.
        """
        cursor = self.option("cursor") or ":0"
        commit_id, _, start = cursor.partition(":")
        if not start.isdecimal():
            raise bad_request(f"{cursor!r} is no cursor of this Hub.")
        return commit_id, int(start)

    def page(self, rows: Sequence[Any], *, limit: int, start: int, commit_id: str = "") -> JSONResponse:
        """One page of a list, with the address of the next in a Link header.

        Args:
            rows: `limit` rows from `start` on, and one more if there are more.
            commit_id: what the list is of; the next page carries it, so that a list stays of one moment.
        """
        headers = {}
        if len(rows) > limit:
            options = [(k, v) for k, v in self.request.query_params.multi_items() if k != "cursor"]
            query = urlencode([*options, ("cursor", f"{commit_id}:{start + limit}")])
            headers["Link"] = f'<{self.endpoint}{self.request.scope["path"]}?{query}>; rel="next"'
        return JSONResponse(list(rows[:limit]), headers=headers)


def signed_in(request: Request, token: str) -> bool:
    """Whether a request carries the Hub's token; without any token it is anonymous.

    Raises:
        Refusal: 401 for another token, even where none is needed, as on the public Hub.
    """
    given = request.headers.get("authorization")
    if given is None:
        return False
    if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    hint = "That is not the token of this Hub: export the HF_TOKEN that `recapdata hub` prints."
    raise Refusal(401, UNAUTHORIZED, hint=hint)


def writer(call: Call) -> None:
    """Raises: Refusal 401 unless the caller has signed in."""
    if not call.signed_in:
        raise Refusal(401, "Writing needs this Hub's token: export the HF_TOKEN that `recapdata hub` prints.")
