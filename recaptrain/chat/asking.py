"""Requests → answers in a journal: those that it answers already are not made again."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from recaptrain.chat import ChatModel, Request, Turn
from recaptrain.chat.journal import AnswerJournal


def ask(
    model: ChatModel,
    requests: Iterable[Request],
    journal: AnswerJournal,
    *,
    advance: Callable[..., None] = lambda n=1, failed=0: None,
) -> int:
    """Have all requests answered that the journal does not answer.

    Args:
        requests: taken one by one as they are needed; of those with one key the first is made.
        advance: called with numbers of requests done, and failed.

    Returns:
        How many were made.
    """
    taken: set[str] = set()

    def missing() -> Iterator[Request]:
        for request in requests:
            if request.key in journal.replies or request.key in taken:
                advance(1)
            else:
                taken.add(request.key)
                yield request

    made, waiting = 0, missing()
    for request, reply in model.replies(waiting):
        journal.add(request.key, reply, request.about)
        made += 1
        advance(1, failed=int(request.key in journal.failures))
    for _ in waiting:  # which a model from outside did not take
        pass
    if lost := max(len(taken) - made, 0):  # nor answer
        advance(lost, failed=lost)
    return made


def request_key(conversation: Iterable[Turn], pictures: Iterable[str] = (), **more: Any) -> str:
    """A hash of what an answer depends on beside the model.

    Args:
        pictures: hashes of the pictures, in their order.
        more: whatever else it depends on, as JSON.
    """
    parts: Mapping[str, Any] = {
        "turns": [[turn.role, turn.text, len(turn.images)] for turn in conversation],
        "pictures": list(pictures),
        **more,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def digest(identity: Mapping[str, Any]) -> str:
    """A short hash of an identity, for names of files."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
