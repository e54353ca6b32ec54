"""One request: its sender, repository, revision and body, as the endpoints take them."""

import base64
import hmac
import json
import re
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

CURSOR_NUMBER = re.compile(r"[0-9]{1,12}")
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
        except (ValueError, RecursionError) as error:
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
        """The repository as the address names it, whether it exists or not."""
        kind = self.request.path_params.get("kind", "models")
        return parse_repo_id(kind, self.word("namespace"), self.word("name").removesuffix(".git"))

    def visible(self) -> tuple[RepoId, Settings]:
        """The repository that the address names, in whatever case, or by a name that it had before it was renamed.

        Raises:
            Refusal: RepoNotFound if it does not exist or is private and the caller has not signed in; 307 to the present name
                where something is to be read under an earlier one.
        """
        named = self.named_repo()
        repo_id = self.folder.repositories.present(named)
        settings = self.folder.repositories.settings(repo_id)
        if settings is None or (settings.private and not self.signed_in):
            raise repository_not_found(str(named), anonymous=not self.signed_in)
        if str(repo_id).lower() != str(named).lower() and self.request.method == "GET":
            raise self._moved(repo_id)
        return repo_id, settings

    def _moved(self, repo_id: RepoId) -> Refusal:
        """The redirect to the same address under the repository's present name, without a host, as clients follow it."""
        words = (self.request.path_params["namespace"], self.request.path_params["name"])
        suffix = ".git" if words[1].endswith(".git") else ""
        path = self.request.scope["path"].replace(f"/{words[0]}/{words[1]}", f"/{repo_id}{suffix}", 1)
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        return Refusal(307, f"Moved to {repo_id}.", headers={"Location": f"{path}{query}"})

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
        commit_id, start = self.cursor_text("0")
        if not CURSOR_NUMBER.fullmatch(start):
            raise bad_request("That is no cursor of this Hub.")
        return commit_id, int(start)

    def cursor_text(self, first: str = "") -> tuple[str, str]:
        """The commit of a cursor, and its text of where the page begins (`first` on the first page)."""
        commit_id, _, start = (self.option("cursor") or f":{first}").partition(":")
        return commit_id, start

    def page(
        self, rows: Sequence[Any], *, limit: int, start: int = 0, following: str = "", commit_id: str = ""
    ) -> JSONResponse:
        """One page of a list, with the address of the next in a Link header.

        Args:
            rows: `limit` rows from `start` on, and one more if there are more.
            following: what the cursor of the next page says, where that is no number of rows.
            commit_id: what the list is of; the next page carries it, so that a list stays of one moment.
        """
        headers = {}
        if len(rows) > limit:
            options = [(k, v) for k, v in self.request.query_params.multi_items() if k != "cursor"]
            query = urlencode([*options, ("cursor", f"{commit_id}:{following or start + limit}")])
            headers["Link"] = f'<{self.endpoint}{self.request.scope["path"]}?{query}>; rel="next"'
        return JSONResponse(list(rows[:limit]), headers=headers)


def signed_in(request: Request, token: str) -> bool:
    """Whether a request carries the Hub's token (git and browsers send it as a password); without any it is anonymous.

    Raises:
        Refusal: 401 for another token, even where none is needed, as on the public Hub.
    """
    given = request.headers.get("authorization")
    if given is None:
        return False
    scheme, _, value = given.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[2]
        except ValueError:
            value = ""
    if hmac.compare_digest(value.encode("utf-8", "surrogatepass"), token.encode()) and scheme.lower() in (
        "bearer",
        "basic",
    ):
        return True
    hint = "That is not the token of this Hub: export the HF_TOKEN that `recapdata hub` prints."
    raise Refusal(401, UNAUTHORIZED, hint=hint)


def writer(call: Call) -> None:
    """Raises: Refusal 401 unless the caller has signed in."""
    if not call.signed_in:
        raise Refusal(401, "Writing needs this Hub's token: export the HF_TOKEN that `recapdata hub` prints.")
