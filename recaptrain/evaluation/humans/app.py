"""The web application in which raters answer, one question at a time, and the page of results.

    GET  /                who are you, and what is asked           POST /begin, /leave    a rater comes, goes
    GET  /rate            the page that asks                       GET  /next, POST /vote, /skip, /undo    see calls.py
    GET  /image/{token}   a picture
    GET  /results/{key}   win rates and agreement; the key is printed where the server was started, since results bias raters

Pages name no model and no file. Requests under other names or from other sites are refused on every route.
"""

import hmac
import sqlite3

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from recapdata.console import is_full_disk, say
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.errors import DatasetBusy, InputError
from recapdata.hub.own_pages import Application, Names, OwnPagesOnly
from recapdata.templates import cards_folder, render
from recaptrain.evaluation.humans.bodies import read_form
from recaptrain.evaluation.humans.calls import Calls
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.images import ShownImages
from recaptrain.evaluation.humans.page import results_page
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.ratings import NAME_MAX, enter, is_name, rater_of
from recaptrain.evaluation.humans.tally import results_of

COOKIE_SECONDS = 90 * 24 * 3600
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
FILES = {"/rate.js": "text/javascript", "/style.css": "text/css"}


def application(database: Database, *, host: str, seed: int) -> Application:
    """The ASGI application over one study, for its own pages alone, under the names of this machine.

    Args:
        host: address that it is served on.
        seed: of the results' bootstrap.
    """
    return OwnPagesOnly(
        RatingApplication(database, seed=seed).starlette(),
        Names(host),
        is_page=lambda path: path in ("/", "/rate") or path.startswith("/results/"),
    )


def results_key(database: Database) -> str:
    """The key of the page of results."""
    return _derived(database.secret, "results")


def _derived(secret: str, purpose: str) -> str:
    return hmac.new(secret.encode(), purpose.encode(), "sha256").hexdigest()[:16]


class RatingApplication:
    """The pages over one study and its database."""

    def __init__(self, database: Database, *, seed: int) -> None:
        self._database, self._seed = database, seed
        self._images = ShownImages(database.study.pictures, database.secret)
        self._key = results_key(database)
        self._cookie = f"rater-{_derived(database.secret, 'cookie')}"  # ports of one host share their cookies
        self._protocol = PROTOCOLS[database.study.protocol]

    def starlette(self) -> Starlette:
        """The application without its guard."""
        return Starlette(
            routes=[
                Route("/", self._welcome),
                Route("/rate", self._rate),
                Route("/results/{key}", self._results),
                Route("/begin", self._begin, methods=["POST"]),
                Route("/leave", self._leave, methods=["POST"]),
                *Calls(self._database, self._images, self._rater, HEADERS).routes(),
                Route("/image/{token}", self._image),
                *(Route(path, self._file) for path in FILES),
            ],
            exception_handlers={
                HTTPException: _refused,
                sqlite3.OperationalError: _not_kept,
                InputError: _not_kept,
                DatasetBusy: _not_kept,
            },
        )

    def _welcome(self, request: Request, *, wrong: str = "") -> Response:
        rater = self._rater(request)
        page = render(
            "humans/welcome.html.j2",
            protocol=self._protocol,
            name=rater[1] if rater else "",
            most=NAME_MAX,
            wrong=wrong,
        )
        return HTMLResponse(page, status_code=400 if wrong else 200, headers=HEADERS)

    def _rate(self, request: Request) -> Response:
        rater = self._rater(request)
        if rater is None:
            return RedirectResponse("/", 303, headers=HEADERS)
        page = render("humans/rate.html.j2", protocol=self._protocol, name=rater[1])
        return HTMLResponse(page, headers=HEADERS)

    def _results(self, request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["key"].encode(), self._key.encode()):
            raise HTTPException(404, "There is no such page.")
        return HTMLResponse(results_page(results_of(self._database, seed=self._seed)), headers=HEADERS)

    def _file(self, request: Request) -> Response:
        path = request.url.path
        content = (cards_folder() / "humans" / path[1:]).read_bytes()
        return Response(content, media_type=FILES[path], headers={**HEADERS, "cache-control": "no-cache"})

    def _image(self, request: Request) -> Response:
        try:
            content = self._images.by_token(request.path_params["token"])
        except ImageUnreadable as error:
            raise HTTPException(404, "This picture cannot be shown.") from error
        if content is None:
            raise HTTPException(404, "There is no such picture.")
        headers = {**HEADERS, "cache-control": "private, max-age=86400, immutable"}
        return Response(content, media_type="image/png", headers=headers)

    def _rater(self, request: Request) -> tuple[int, str] | None:
        token = request.cookies.get(self._cookie)
        return rater_of(self._database, token) if token else None

    async def _begin(self, request: Request) -> Response:
        name = " ".join((await read_form(request)).get("name", "").split())
        if not is_name(name):
            wrong = f"Please give a name of at most {NAME_MAX} characters."
            return await run_in_threadpool(self._welcome, request, wrong=wrong)
        token = await run_in_threadpool(enter, self._database, name)
        response = RedirectResponse("/rate", 303, headers=HEADERS)
        response.set_cookie(self._cookie, token, max_age=COOKIE_SECONDS, httponly=True, samesite="lax")
        return response

    def _leave(self, request: Request) -> Response:
        response = RedirectResponse("/", 303, headers=HEADERS)
        response.delete_cookie(self._cookie)
        return response


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {**(error.headers or {}), **HEADERS}
    return JSONResponse({"error": error.detail}, error.status_code, headers=headers)


def _not_kept(request: Request, error: Exception) -> Response:
    why = "the disk is full" if is_full_disk(error) else str(error)
    say(f"a rating could not be kept: {why}")
    return JSONResponse({"error": f"Your answer could not be kept: {why}."}, 507, headers=HEADERS)
