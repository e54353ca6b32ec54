"""Chat models behind an OpenAI-compatible server: vLLM, TGI, `transformers serve`, llama.cpp, or a paid one.

    --model http://127.0.0.1:8000/v1                                the server's only model
    --model http://127.0.0.1:8000/v1#Qwen/Qwen2.5-VL-7B-Instruct    one of several

Requests, retries and the reading of answers are the captioner's (`recapdata.captioners.chat_api`): what may pass is waited for, what
cannot pass is the failure of its request, and a wrong key, spent credits or a server that has gone end the run.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from recapdata.captioners import CaptioningFailed
from recapdata.captioners.chat_api import ChatApi, Patience
from recapdata.captioners.server import IN_FLIGHT, data_url
from recapdata.captioners.text_generation import caption_seed
from recapdata.errors import OptionError
from recaptrain.chat import Opening, Reply, Request, Turn


def open_server(opening: Opening) -> "ServerChat":
    """The chat model at the address `opening.model`, `URL` or `URL#MODEL`."""
    address, _, model = (opening.model or "").partition("#")
    if not address.startswith(("http://", "https://")):
        raise OptionError("--model server: give the server's address: --model http://127.0.0.1:8000/v1#MODEL")
    return ServerChat(address, model or None, opening, Patience())


class ServerChat:
    """A `ChatModel` that sends a request per conversation, some at once; the next is sent when any is answered."""

    def __init__(self, address: str, model: str | None, opening: Opening, patience: Patience) -> None:
        self._api = ChatApi(address, os.environ.get("OPENAI_API_KEY"), IN_FLIGHT, patience, opening.words)
        self._opening = opening
        self._model, software = self._api.choose(model)
        self.identity: Mapping[str, Any] = {
            "model": self._model,
            "revision": opening.revision,
            "served_by": software or "a server",
            **opening.sampling,
        }

    def replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """See `ChatModel.replies`; in the order in which the server answers."""
        waiting = iter(requests)
        under_way: dict[Future[Reply], Request] = {}
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="chat") as pool:
            try:
                while True:
                    while len(under_way) < IN_FLIGHT and (request := next(waiting, None)) is not None:
                        under_way[pool.submit(self._ask, request)] = request
                    if not under_way:
                        return
                    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    # One that ended the run may be done beside others whose answers are paid for.
                    for future in sorted(done, key=lambda each: each.exception() is not None):
                        yield under_way.pop(future), future.result()
            except BaseException as error:
                self._api.stop(error)  # else the other requests would be waited for, pauses and all
                raise

    def _ask(self, request: Request) -> Reply:
        opening = self._opening
        asked: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(turn) for turn in request.conversation],
            "max_tokens": opening.max_tokens,
            "temperature": opening.temperature,
        }
        if opening.temperature:
            # Servers hold seeds in 32 bits.
            asked["seed"] = caption_seed(opening.seed, request.key) % 2**31
        try:
            answer = self._api.complete(asked)
        except CaptioningFailed as error:
            return Reply(text=None, error=str(error))
        return Reply(text=answer.text, finish_reason=answer.finish_reason, tokens=answer.tokens)


def _message(turn: Turn) -> dict[str, Any]:
    """A turn as the API has it; without pictures its content is plain text, which every server takes."""
    if not turn.images:
        return {"role": turn.role, "content": turn.text}
    pictures = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in turn.images]
    return {"role": turn.role, "content": [*pictures, {"type": "text", "text": turn.text}]}
