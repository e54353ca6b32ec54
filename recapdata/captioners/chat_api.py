"""Chat completions of an OpenAI-compatible server, with retries that bear with busy, slow and failing servers.

What may pass (429, 5xx, a cut connection, a timeout, an answer of another form) is tried again with growing pauses, or after the
server's Retry-After. A refused request is the error of its image; a wrong key, an unknown model and a server that has gone end the run.

This is httpx and not `huggingface_hub.InferenceClient`: that one tries nothing again, shares a session with all other Hub calls, whose
connections can be neither bounded nor closed when a run ends, lists no models, and sends the Hub's token where no key is given.
"""

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from recapdata.captioners import CaptioningFailed
from recapdata.errors import CaptionerNotFound, RecapdataError

if TYPE_CHECKING:
    import httpx

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
FATAL = frozenset({401, 403, 404, 405})


class ServerUnreachable(RecapdataError):
    """The server is gone; finished captions are safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Retries: requests per caption, pauses between them and time for one answer in seconds."""

    attempts: int = 7
    first_pause: float = 0.5
    longest_pause: float = 60.0
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to one request."""

    text: str
    finish_reason: str | None
    tokens: int | None


class ChatApi:
    """The chat endpoint at `base` (ending in /v1, say). Safe to use from many threads."""

    def __init__(self, base: str, key: str | None, connections: int, patience: Patience) -> None:
        import httpx

        self.base = base.rstrip("/")
        self._patience = patience
        self._stopped = threading.Event()
        self._why: BaseException | None = None
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(patience.timeout, connect=min(30.0, patience.timeout)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def models(self) -> list[dict[str, Any]]:
        """The models that the server lists.

        Raises:
            ServerUnreachable: it does not answer.
            CaptionerNotFound: it answers, but not like an OpenAI-compatible server.
        """
        import httpx

        try:
            response = self._client.get(f"{self.base}/models")
            response.raise_for_status()
            return [dict(model) for model in response.json()["data"]]
        except httpx.TransportError as error:
            raise self._gone(error) from error
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            said = (
                str(error.response.status_code) if isinstance(error, httpx.HTTPStatusError) else _short(error)
            )
            raise CaptionerNotFound(
                f"{self.base}/models does not answer like an OpenAI-compatible server ({said}); "
                "is the address right (most end in /v1), and OPENAI_API_KEY set if it wants one?"
            ) from error

    def complete(self, request: Mapping[str, Any]) -> Answer:
        """The answer to one chat completion, which is tried again as `Patience` says.

        Raises:
            CaptioningFailed: there is none for this request; the text opens with the type of the failure.
            CaptionerNotFound: the server knows no such model, or not this key.
            ServerUnreachable: it has gone.
        """
        try:
            return self._complete(request)
        except (RuntimeError, CaptioningFailed):  # RuntimeError: httpx, of a client that was closed
            if self._why is not None:
                raise self._why from None
            raise

    def _complete(self, request: Mapping[str, Any]) -> Answer:
        import httpx

        failure = "NoAnswer: never asked"
        for attempt in range(self._patience.attempts):
            pause: float | None = None
            try:
                response = self._client.post(f"{self.base}/chat/completions", json=request)
                if response.status_code == 200:
                    return _answer(response.json())
                failure, pause = self._judge(response), _retry_after(response)
            except httpx.TimeoutException:
                failure = f"Timeout: no answer within {self._patience.timeout:g} s"
            except httpx.TransportError as error:
                failure = f"ConnectionLost: {_short(error)}"
            except (ValueError, KeyError, TypeError, IndexError) as error:
                failure = f"BadAnswer: {_short(error)}"
            last = attempt + 1 == self._patience.attempts
            if last or self._stopped.wait(self._pause(attempt, pause)):
                break
        if failure.startswith(("ConnectionLost", "Timeout")):
            self.models()  # raises where the whole server is gone, not only this request
        raise CaptioningFailed(failure)

    def stop(self, why: BaseException) -> None:
        """End the requests of all threads with the error that ended the run."""
        self._why = self._why or why
        self._stopped.set()
        self._client.close()

    def _judge(self, response: "httpx.Response") -> str:
        """The failure that a response means, where it may pass."""
        said = f"{response.status_code}: {' '.join(response.text.split())[:200]}"
        if response.status_code in FATAL:
            raise CaptionerNotFound(f"{self.base} answers {said}; check the model's name and OPENAI_API_KEY")
        if response.status_code not in PASSING:
            raise CaptioningFailed(f"ServerRefused: {said}")
        return f"ServerBusy: {said}"

    def _pause(self, attempt: int, asked: float | None) -> float:
        if asked is not None:
            return min(asked, self._patience.longest_pause)
        # Spread out, so that requests which failed together do not come back together.
        return min(self._patience.first_pause * 2**attempt, self._patience.longest_pause) * random.uniform(
            0.5, 1
        )

    def _gone(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"the server at {self.base} cannot be reached ({_short(error)}); start it again, and the same command goes "
            "on from the last finished batch"
        )


def _answer(body: Any) -> Answer:
    choice = body["choices"][0]
    content = choice["message"]["content"]
    if isinstance(content, list):  # parts, as some servers give them
        content = "".join(part.get("text", "") for part in content)
    if not isinstance(content, str):
        raise TypeError(f"no text in the answer: {str(body)[:200]}")
    tokens = (body.get("usage") or {}).get("completion_tokens")
    return Answer(content, choice.get("finish_reason"), tokens if isinstance(tokens, int) else None)


def _retry_after(response: "httpx.Response") -> float | None:
    """Seconds that the server asks to wait: a number or a date."""
    value = response.headers.get("Retry-After")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _short(error: BaseException) -> str:
    return (
        f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if str(error)
        else type(error).__name__
    )
