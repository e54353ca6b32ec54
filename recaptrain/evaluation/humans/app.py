"""The web application in which raters answer, one question at a time, and the page of results.

    GET  /                who are you, and what is asked           POST /begin, /leave    a rater comes, goes
    GET  /rate            the page that asks                       GET  /turn             what a rater is asked now and next
    POST /vote /skip /undo                                         GET  /image/{token}    a picture
    GET  /results/{key}   win rates and agreement; the key is printed where the server was started, since results bias raters

Pages name no model and no file. Requests under other names or from other sites are refused on every route.
"""

import hmac
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from recapdata.console import is_full_disk, say
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.hub.own_pages import Application, Names, OwnPagesOnly
from recapdata.templates import cards_folder, render
from recaptrain.evaluation.humans.images import Key, ShownImages
from recaptrain.evaluation.humans.page import results_page
from recaptrain.evaluation.humans.ratings import Assignment, Ratings, Turn, VoteRefused
from recaptrain.evaluation.humans.results import results_of
from recaptrain.evaluation.humans.study import Question, Study

BODY_MAX_BYTES = 4096
NAME_MAX = 60
COOKIE_SECONDS = 90 * 24 * 3600
SECONDS_MAX = 24 * 3600.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a protocol asks: the question, what to look at, and the answers from left to right, by their names in a vote."""

    question: str
    advice: str
    caption: bool
    answers: Mapping[str, str]


SIDES = {"left": "Left", "tie": "About the same", "right": "Right"}
WORDINGS = {
    "prompt-following": Wording(
        question="Which picture shows better what the caption says?",
        advice="Look at what is there, how many, in which colors, and where. Which one is prettier does not matter.",
        caption=True,
        answers=SIDES,
    ),
    "style": Wording(
        question="Which picture do you like better?",
        advice="As if you had asked for a picture and could keep one of the two.",
        caption=False,
        answers=SIDES,
    ),
    "coherence": Wording(
        question="In which picture do things make more sense?",
        advice="Could everything in it exist as it is shown? Look at bodies, hands and faces, at how things hold together, at words.",
        caption=False,
        answers=SIDES,
    ),
    "success": Wording(
        question="Does the picture show what the caption says?",
        advice="Yes, if everything that the caption names is there, as it says. Which style it has does not matter.",
        caption=True,
        answers={"no": "No", "yes": "Yes"},
    ),
}


def guarded(app: Application, host: str) -> Application:
    """The application for its own pages alone, under the names of this machine."""
    return OwnPagesOnly(
        app, Names(host), is_page=lambda path: path in ("/", "/rate") or path.startswith("/results/")
    )


def results_key(secret: str) -> str:
    """The key of the page of results."""
    return hmac.new(secret.encode(), b"results", "sha256").hexdigest()[:16]


class RatingApplication:
    """The routes over one study and its database."""

    def __init__(self, study: Study, ratings: Ratings, *, seed: int) -> None:
        secret = ratings.secret()
        self._study, self._ratings, self._seed = study, ratings, seed
        self._images = ShownImages(study.pictures, secret)
        self._key = results_key(secret)
        self._cookie = f"rater-{results_key(secret + 'cookie')}"  # ports of one host share their cookies
        self._wording = WORDINGS[study.identity["protocol"]]

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page(self._welcome)),
                Route("/rate", self._page(self._rate)),
                Route("/results/{key}", self._page(self._results)),
                Route("/begin", self._begin, methods=["POST"]),
                Route("/leave", self._leave, methods=["POST"]),
                Route("/turn", self._call(lambda rater, given: None, body=False)),
                Route("/vote", self._call(self._vote), methods=["POST"]),
                Route("/skip", self._call(self._skip), methods=["POST"]),
                Route("/undo", self._call(self._undo), methods=["POST"]),
                Route("/image/{token}", self._image),
                *(Route(path, self._file) for path in FILES),
            ],
            exception_handlers={HTTPException: _plain, sqlite3.OperationalError: _not_kept},
        )

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _page(self, make: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            response = make(request)
            response.headers.update(HEADERS)
            return response

        return answer

    def _welcome(self, request: Request, *, wrong: str = "") -> Response:
        rater = self._rater(request)
        page = render(
            "humans/welcome.html.j2",
            wording=self._wording,
            name=rater[1] if rater else "",
            most=NAME_MAX,
            wrong=wrong,
            pictures=1 if "yes" in self._wording.answers else 2,
        )
        return HTMLResponse(page, status_code=400 if wrong else 200)

    def _rate(self, request: Request) -> Response:
        rater = self._rater(request)
        if rater is None:
            return RedirectResponse("/", 303)
        return HTMLResponse(render("humans/rate.html.j2", wording=self._wording, name=rater[1]))

    def _results(self, request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["key"].encode(), self._key.encode()):
            raise HTTPException(404, "There is no such page.")
        found = results_of(self._study, self._ratings, seed=self._seed)
        return HTMLResponse(results_page(found, self._wording.question))

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
        kept = {**HEADERS, "cache-control": "private, max-age=86400, immutable"}
        return Response(content, media_type="image/png", headers=kept)

    # -- raters --------------------------------------------------------------------------------------------------------

    def _rater(self, request: Request) -> tuple[int, str] | None:
        token = request.cookies.get(self._cookie)
        return self._ratings.rater(token) if token else None

    async def _begin(self, request: Request) -> Response:
        fields = parse_qs((await _body(request)).decode("utf8", "replace"), keep_blank_values=True)
        name = " ".join(fields.get("name", [""])[0].split())
        if not name or len(name) > NAME_MAX or not name.isprintable():
            wrong = f"Please give a name of at most {NAME_MAX} characters."
            return await run_in_threadpool(
                self._page(lambda asked: self._welcome(asked, wrong=wrong)), request
            )
        token = await run_in_threadpool(self._ratings.enter, name)
        response = RedirectResponse("/rate", 303, headers=HEADERS)
        response.set_cookie(self._cookie, token, max_age=COOKIE_SECONDS, httponly=True, samesite="lax")
        return response

    def _leave(self, request: Request) -> Response:
        response = RedirectResponse("/", 303, headers=HEADERS)
        response.delete_cookie(self._cookie)
        return response

    # -- calls of the page ---------------------------------------------------------------------------------------------

    def _call(self, change: Callable[[int, Mapping[str, Any]], None], *, body: bool = True) -> Any:
        """An endpoint that makes a change for a rater and answers with what is next, once the change is on the disk."""

        async def answer(request: Request) -> Response:
            given = _object(await _body(request)) if body else {}
            return await run_in_threadpool(self._changed, request, change, given)

        return answer

    def _changed(
        self,
        request: Request,
        change: Callable[[int, Mapping[str, Any]], None],
        given: Mapping[str, Any],
    ) -> Response:
        rater = self._rater(request)
        if rater is None:
            raise HTTPException(401, "Please give your name again.")
        refused = ""
        try:
            change(rater[0], given)
        except VoteRefused as error:
            refused = str(error)
        turn = self._readable_turn(rater[0])
        following = [each.question for each in turn.assignments[1:]]
        return JSONResponse(
            {**self._as_json(turn), "refused": refused},
            headers=HEADERS,
            background=BackgroundTask(self._encode, following),
        )

    def _vote(self, rater: int, given: Mapping[str, Any]) -> None:
        question, rating = _numbers(given)
        seconds = given.get("seconds")
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds <= SECONDS_MAX
        ):
            seconds = None
        if given.get("answer") not in self._wording.answers:
            raise HTTPException(400, "That is no answer to this question.")
        answer = given["answer"]
        if answer in ("left", "right"):
            if question not in self._ratings.questions:
                raise HTTPException(400, "That names no question.")
            left_is_b = self._ratings.questions[question].left_is_b(rating)
            answer = "b" if (answer == "left") == left_is_b else "a"
        self._ratings.vote(rater, question, rating, answer, seconds)

    def _skip(self, rater: int, given: Mapping[str, Any]) -> None:
        self._ratings.skip(rater, _numbers(given)[0])

    def _undo(self, rater: int, given: Mapping[str, Any]) -> None:
        self._ratings.undo(rater)

    def _readable_turn(self, rater: int) -> Turn:
        """What a rater does next; questions whose pictures cannot be shown are asked no more."""
        while True:
            turn = self._ratings.turn(rater)
            if not turn.assignments or self._encode([turn.assignments[0].question]):
                return turn

    def _encode(self, questions: list[Question]) -> bool:
        """Make pictures ready; False where one cannot be shown, which is noted."""
        for question in questions:
            for key in _keys(question):
                try:
                    self._images.content(key)
                except ImageUnreadable as error:
                    self._ratings.mark_unreadable(question.id, str(error))
                    say(f"a picture of {self._study.models[key[0]]} cannot be shown and is left out: {error}")
                    return False
        return True

    def _as_json(self, turn: Turn) -> dict[str, Any]:
        shown = [self._shown(each) for each in turn.assignments]
        return {
            "current": shown[0] if shown else None,
            "next": shown[1] if len(shown) > 1 else None,
            "waiting": turn.waiting,
            "own": turn.own,
            "done": turn.done,
            "wanted": turn.wanted,
            "undoable": turn.undoable,
        }

    def _shown(self, assignment: Assignment) -> dict[str, Any]:
        """A question as the page is told of it: pictures from left to right, and the caption where raters see it."""
        keys = _keys(assignment.question)
        tokens = [self._images.token(key) for key in (keys[::-1] if assignment.left_is_b else keys)]
        return {
            "question": assignment.question.id,
            "rating": assignment.rating,
            "images": [f"/image/{token}" for token in tokens],
            "caption": self._study.prompts[assignment.question.prompt] if self._wording.caption else None,
        }


def _keys(question: Question) -> list[Key]:
    models = [question.a] if question.b is None else [question.a, question.b]
    return [(model, question.prompt, question.image) for model in models]


async def _body(request: Request) -> bytes:
    content = b""
    with suppress(ClientDisconnect):
        async for part in request.stream():
            content += part
            if len(content) > BODY_MAX_BYTES:
                raise HTTPException(413, "That is more than a rating.")
    return content


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        given = json.loads(content or b"{}")
    except ValueError as error:
        raise HTTPException(400, "That is no JSON.") from error
    if not isinstance(given, dict):
        raise HTTPException(400, "That is no JSON object.")
    return given


def _numbers(given: Mapping[str, Any]) -> tuple[int, int]:
    """Question and rating of a call."""
    found = [given.get(name) for name in ("question", "rating")]
    if any(isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < 2**31 for each in found):
        raise HTTPException(400, "That names no question.")
    return found[0], found[1]  # type: ignore[return-value]


def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"error": error.detail}, error.status_code, headers={**(error.headers or {}), **HEADERS}
    )


def _not_kept(request: Request, error: Exception) -> Response:
    why = "the disk is full" if is_full_disk(error) else str(error)
    say(f"a rating could not be kept: {why}")
    return JSONResponse({"error": f"Your answer could not be kept: {why}."}, 507, headers=HEADERS)
