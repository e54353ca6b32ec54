"""Chat completions of an OpenAI-compatible server, with retries that bear with busy, slow and failing servers.

What may pass (429, 5xx, a cut connection, a timeout, also as an error in a body of status 200) is tried again with growing pauses, or
after the server's Retry-After; an answer that is no JSON once more. What cannot pass is the error of its image; a wrong key, an unknown
model, spent credits and a server that has gone end the run. An answer is bounded in size and time, and asked for uncompressed.

This is httpx and not `huggingface_hub.InferenceClient`: that one tries nothing again, shares a session with all other Hub calls, whose
connections can be neither bounded nor closed when a run ends, lists no models, and sends the Hub's token where no key is given.
"""

import json
import random
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from recapdata.addresses import without_secrets
from recapdata.captioners import CaptioningFailed
from recapdata.captioners.answers import CAPTIONS, Answer, MayPass, Words, read_answer, shown
from recapdata.errors import CaptionerNotFound, RecapdataError

if TYPE_CHECKING:
    import httpx

LONGEST_ANSWER = 8 * 2**20
"""Bytes; a caption has some hundred, and the list of a large provider's models a million."""


class ServerUnreachable(RecapdataError):
    """The server is gone; finished captions are safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Retries: requests per caption, pauses between them and time for one answer in seconds."""

    attempts: int = 7
    first_pause: float = 0.5
    longest_pause: float = 60.0
    timeout: float = 300.0


class ChatApi:
    """The chat endpoint at `base` (ending in /v1, say). Safe to use from many threads.

    Attributes:
        base: the address as messages name it, without a password or key in it.
    """

    def __init__(
        self, base: str, key: str | None, connections: int, patience: Patience, words: Words = CAPTIONS
    ) -> None:
        import httpx

        self._address = base.rstrip("/")
        self.base = without_secrets(self._address)
        self._patience = patience
        self._words = words
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._why: BaseException | None = None
        self._client = httpx.Client(
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
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
            response, content = self._ask("GET", "models")
            if response.status_code != 200:
                raise ValueError(f"{response.status_code} {shown(content)}".strip())
            return [dict(model) for model in json.loads(content)["data"]]
        except httpx.TransportError as error:
            raise self._gone(error) from error
        except (httpx.InvalidURL, ValueError, KeyError, TypeError, RecursionError, MayPass) as error:
            raise CaptionerNotFound(
                f"{self.base}/models does not answer like an OpenAI-compatible server ({without_secrets(shown(error))}); "
                "is the address right (most end in /v1), and OPENAI_API_KEY set if it wants one?"
            ) from error

    def choose(self, model: str | None) -> tuple[str, str | None]:
        """The model asked for, or the server's only one, and what the server says of its software.

        Raises:
            CaptionerNotFound: the server has several, and which is meant is not said; or it does not answer like such a server.
            ServerUnreachable: it does not answer.
        """
        listed = {name: each for each in self.models() if (name := _name(each.get("id")))}
        if model is None:
            if len(listed) != 1:
                names = shorten(", ".join(listed), 300, placeholder=" …") or "none by name"
                raise CaptionerNotFound(
                    f"{self.base} serves {names}; say which: {self._words.option} server:{self.base}#MODEL"
                )
            (model,) = listed
        return model, _name(listed.get(model, {}).get("owned_by"))

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

        failure, attempts = "NoAnswer: never asked", self._patience.attempts
        for attempt in range(attempts):
            pause: float | None = None
            try:
                response, content = self._ask("POST", "chat/completions", json=request)
                pause = _retry_after(response)
                return read_answer(response.status_code, content, self.base, self._words)
            except MayPass as passing:
                failure = str(passing)
                if passing.once:
                    attempts = min(attempts, 2)
            except httpx.TimeoutException:
                failure = f"Timeout: no answer within {self._patience.timeout:g} s"
            except httpx.TransportError as error:
                failure = f"ConnectionLost: {shown(error)}"
            if attempt + 1 >= attempts or self._stopped.wait(self._pause(attempt, pause)):
                break
        if failure.startswith(("ConnectionLost", "Timeout")) and not self._stopped.is_set():
            self.models()  # raises where the whole server is gone, not only this request
        raise CaptioningFailed(failure)

    def _ask(self, method: str, path: str, **content: Any) -> "tuple[httpx.Response, bytes]":
        """The head and the body of a response.

        Raises:
            MayPass: it is too long, or compressed though it was asked for uncompressed.
            httpx.TransportError: there is none, or it did not end within the time for one answer.
        """
        import httpx

        deadline = time.monotonic() + self._patience.timeout
        traced = {"trace": self._note_socket}
        with self._client.stream(method, f"{self._address}/{path}", extensions=traced, **content) as response:
            if (encoding := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
                raise MayPass(f"BadAnswer: it is compressed ({shown(encoding)}), unasked", once=True)
            body = bytearray()
            for part in response.iter_raw():
                body += part
                if len(body) > LONGEST_ANSWER:
                    raise MayPass(f"BadAnswer: longer than {LONGEST_ANSWER >> 20} MB", once=True)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end")
        return response, bytes(body)

    def stop(self, why: BaseException) -> None:
        """End the requests of all threads with the error that ended the run."""
        self._why = self._why or why
        self._stopped.set()
        with self._lock:
            connected = list(self._sockets)
        for each in connected:
            _shut(each)
        self._client.close()

    def _note_socket(self, event: str, about: Mapping[str, Any]) -> None:
        """Remember the socket of a connection that was made."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            found = about["return_value"].get_extra_info("socket")
            if found is not None:
                with self._lock:
                    self._sockets.add(found)
                if self._stopped.is_set():
                    _shut(found)

    def _pause(self, attempt: int, asked: float | None) -> float:
        if asked is not None:
            return min(asked, self._patience.longest_pause)
        # Spread out, so that requests which failed together do not come back together.
        return min(self._patience.first_pause * 2**attempt, self._patience.longest_pause) * random.uniform(
            0.5, 1
        )

    def _gone(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"the server at {self.base} cannot be reached ({shown(error)}); start it again, and the same command goes "
            "on from the last finished batch"
        )


def _shut(connection: socket.socket) -> None:
    """End a connection in both directions, which wakes a thread that waits for it; closing it would not."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


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
    except (ValueError, OverflowError):
        return None


def _name(value: Any) -> str | None:
    """A name that a server gives, where it is one that can be noted."""
    return value if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 300 else None
