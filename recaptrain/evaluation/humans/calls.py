"""What the page of raters calls: votes, skipping and undo in, the question to show and the next one out, as JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from recapdata.console import say
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.display import printable_json
from recaptrain.evaluation.humans.assignments import (
    Assignment,
    Assignments,
    VoteRefused,
    assign,
    skip,
    undo,
    vote,
)
from recaptrain.evaluation.humans.bodies import read_object, seconds, whole_number
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.images import Key, ShownImages
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.ratings import mark_unreadable
from recaptrain.evaluation.humans.study import Question

RaterOf = Callable[[Request], tuple[int, str] | None]
Change = Callable[[int, Mapping[str, Any]], None]


class Calls:
    """The routes of a study that answer with JSON.

    Args:
        rater_of: number and name of who sends a request.
        headers: of every answer.
    """

    def __init__(
        self, database: Database, images: ShownImages, rater_of: RaterOf, headers: Mapping[str, str]
    ) -> None:
        self._database, self._images = database, images
        self._rater_of, self._headers = rater_of, headers
        self._protocol = PROTOCOLS[database.study.protocol]

    def routes(self) -> list[Route]:
        """`/next` asks; `/vote`, `/skip` and `/undo` make a change. All answer with what is next, once the change is on the disk."""
        return [
            Route("/next", self._next),
            Route("/vote", self._changing(self._vote), methods=["POST"]),
            Route("/skip", self._changing(self._skip), methods=["POST"]),
            Route("/undo", self._changing(self._undo), methods=["POST"]),
        ]

    def _next(self, request: Request) -> Response:
        return self._answer(request, lambda rater, body: None, {})

    def _changing(self, change: Change) -> Any:
        async def answer(request: Request) -> Response:
            return await run_in_threadpool(self._answer, request, change, await read_object(request))

        return answer

    def _answer(self, request: Request, change: Change, body: Mapping[str, Any]) -> Response:
        rater = self._rater_of(request)
        if rater is None:
            raise HTTPException(401, "Please give your name again.")
        refused = ""
        try:
            change(rater[0], body)
        except VoteRefused as error:
            refused = str(error)
        assignments = self._readable(rater[0])
        shown = [self._shown(each) for each in assignments.held]
        values = {
            "current": shown[0] if shown else None,
            "next": shown[1] if len(shown) > 1 else None,
            "waiting": assignments.waiting,
            "own": assignments.own,
            "done": assignments.done,
            "wanted": assignments.wanted,
            "undoable": assignments.undoable,
            "refused": refused,
        }
        return Response(
            printable_json(json.dumps(values, ensure_ascii=False)),  # half a surrogate pair is no UTF-8
            media_type="application/json",
            headers=self._headers,
            background=BackgroundTask(self._encode, [each.question for each in assignments.held[1:]]),
        )

    def _vote(self, rater: int, body: Mapping[str, Any]) -> None:
        question, rating = whole_number(body, "question"), whole_number(body, "rating")
        choice = body.get("answer")
        if question not in self._database.questions:
            raise HTTPException(400, "That names no question.")
        if not isinstance(choice, str) or choice not in self._protocol.choices:
            raise HTTPException(400, "That is no answer to this question.")
        if choice in ("left", "right"):
            left_is_b = self._database.questions[question].left_is_b(rating)
            choice = "b" if (choice == "left") == left_is_b else "a"
        vote(self._database, rater, question, rating, choice, seconds(body))

    def _skip(self, rater: int, body: Mapping[str, Any]) -> None:
        skip(self._database, rater, whole_number(body, "question"))

    def _undo(self, rater: int, body: Mapping[str, Any]) -> None:
        undo(self._database, rater)

    def _readable(self, rater: int) -> Assignments:
        """What a rater does next; questions of which a picture cannot be shown are asked no more."""
        while True:
            assignments = assign(self._database, rater)
            if not assignments.held or self._encode([assignments.held[0].question]):
                return assignments

    def _encode(self, questions: list[Question]) -> bool:
        """Make pictures ready; False where one cannot be shown, which is noted."""
        for question in questions:
            for key in _keys(question):
                try:
                    self._images.content(key)
                except ImageUnreadable as error:
                    mark_unreadable(self._database, question.id, str(error))
                    model = self._database.study.models[key[0]]
                    say(f"a picture of {model} cannot be shown and is left out: {error}")
                    return False
        return True

    def _shown(self, assignment: Assignment) -> dict[str, Any]:
        """A question as the page hears of it: pictures from left to right, and the caption where raters read it."""
        keys = _keys(assignment.question)
        tokens = [self._images.token(key) for key in (keys[::-1] if assignment.left_is_b else keys)]
        return {
            "question": assignment.question.id,
            "rating": assignment.rating,
            "images": [f"/image/{token}" for token in tokens],
            "caption": self._database.study.prompts[assignment.question.prompt]
            if self._protocol.caption
            else None,
        }


def _keys(question: Question) -> list[Key]:
    models = [question.a] if question.b is None else [question.a, question.b]
    return [(model, question.prompt, question.image) for model in models]
