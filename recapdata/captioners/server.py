"""Captions by a model behind an OpenAI-compatible server: vLLM, TGI, `transformers serve`, or a paid one.

    --captioner server:http://127.0.0.1:8000/v1                                    the server's only model
    --captioner server:http://127.0.0.1:8000/v1#Qwen/Qwen2.5-VL-7B-Instruct        one of several

The key is taken from OPENAI_API_KEY. Pictures travel as data URLs. The model's revision is what the user says (`--revision`), since
a server does not tell; the seed of each caption is sent along, and the server may heed it or not.
"""

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from recapdata.captioners import CaptionerOptions, CaptioningFailed
from recapdata.captioners.chat_api import ChatApi, Patience
from recapdata.captioners.prompts import CHAT, max_tokens, prompt_text
from recapdata.captioners.template import Template, parse_template
from recapdata.captioners.text_generation import CHOICE, model_provenance, write_captions
from recapdata.errors import OptionError
from recapdata.records import Caption

IN_FLIGHT = 32
LONGEST_SIDE = 2048
"""Pixels; larger pictures are made smaller before they are sent, since every model makes them smaller anyway."""
LOSSLESS_PIXELS = 256 * 256


def open_server(options: CaptionerOptions) -> "Server":
    """The captioner at the address `options.model`, `URL` or `URL#MODEL`."""
    address, _, model = (options.model or "").partition("#")
    if not address.startswith(("http://", "https://")):
        raise OptionError(
            "the captioner server needs an address: --captioner server:http://127.0.0.1:8000/v1#MODEL (the model may "
            "be left out where the server has only one)"
        )
    return Server(address, model or None, options, Patience())


Message = list[dict[str, Any]]
"""The content of a user's message in the form of the API."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Pictures → what the user says to the server: the picture as a data URL, and the prompt, one for all or one by template."""

    prompt: str
    template: Template | None = None

    def __call__(self, images: Sequence[Image]) -> list[Message]:
        return [_message(image, self.prompt) for image in images]

    def prompted(self, images: Sequence[Image], values: Sequence[Sequence[Any]]) -> list[Message]:
        """See `PromptedPreparer`."""
        assert self.template is not None
        return [
            _message(image, self.template.render(each)) for image, each in zip(images, values, strict=True)
        ]


class Server:
    """A `Captioner` that sends a request per picture, a batch of them at once."""

    at_once = 2  # the next batch's requests fill the gap while the last answers of this one are awaited

    def __init__(
        self, address: str, model: str | None, options: CaptionerOptions, patience: Patience
    ) -> None:
        self._api = ChatApi(address, os.environ.get("OPENAI_API_KEY"), IN_FLIGHT * self.at_once, patience)
        self._options = options
        self._model, software = self._api.choose(model)
        self.batch_size = IN_FLIGHT
        self.device = self._api.base
        prompt = prompt_text(options.style, CHAT, {}, self._model)
        template = parse_template(options.style, guard=True)
        self.prepare = Messages(prompt, template)
        self.provenance = model_provenance(
            options,
            captioner="server",
            model=self._model,
            revision=options.revision,
            prompt=prompt,
            template=template,
            sampling=self._sampling(),
            dtype="as served",
            libraries={"server": software} if software else {},
        )

    def load(self) -> None:
        """Nothing to load; the server did that."""

    def caption(self, prepared: Sequence[Message], keys: Sequence[str]) -> list[Caption]:
        """One caption per key; requests that fail for good become captions with an error.

        Raises:
            CaptionerNotFound: the server knows no such model, or not this key.
            ServerUnreachable: it has gone.
        """
        with ThreadPoolExecutor(len(keys)) as pool:
            try:
                return list(pool.map(self._one, prepared, keys))
            except BaseException as error:
                self._api.stop(error)  # else the other requests would be waited for, pauses and all
                raise

    def _one(self, message: Message, key: str) -> Caption:
        return write_captions(
            self._options, [key], lambda seeds: [self._ask(message, seeds[0] if seeds else None)]
        )[0]

    def _ask(self, message: Message, seed: int | None) -> Caption:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": message}],
            "max_tokens": self.provenance.sampling["max_new_tokens"],
            "temperature": self._options.temperature,
        }
        if seed is not None:
            # Servers hold seeds in 32 bits.
            request |= {"top_p": self._options.top_p, "seed": seed % 2**31}
        try:
            answer = self._api.complete(request)
        except CaptioningFailed as error:
            return Caption(caption=None, seed=seed, error=str(error))
        return Caption(
            caption=answer.text, seed=seed, finish_reason=answer.finish_reason, tokens=answer.tokens
        )

    def _sampling(self) -> dict[str, Any]:
        options = self._options
        sampling: dict[str, Any] = {
            "temperature": options.temperature,
            "max_new_tokens": options.max_tokens or max_tokens(options.style),
        }
        if options.temperature:
            sampling["top_p"] = options.top_p
        if options.candidates > 1:
            sampling |= {"candidates": options.candidates, "choice": CHOICE}
        return sampling


def _message(image: Image, prompt: str) -> Message:
    return [
        {"type": "image_url", "image_url": {"url": data_url(image)}},
        {"type": "text", "text": prompt},
    ]


def data_url(image: Image) -> str:
    """A picture as it travels: PNG for a small one, JPEG at high quality for others."""
    if max(image.size) > LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    if image.width * image.height <= LOSSLESS_PIXELS:
        image.save(buffer, "PNG", compress_level=1)
        kind = "png"
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
