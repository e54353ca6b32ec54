"""Chat models of transformers in this process: image-text-to-text models and language models, at a pinned revision.

    --model Qwen/Qwen2.5-VL-7B-Instruct@COMMIT      a repository on the Hub, or a folder

Generation is the captioner's (`recapdata.captioners.vlm`): greedy, or every token drawn by the request's own seed, so that an answer does
not depend on the batch beyond rounding. Chat templates that have no system turn are told it in the user's first. No code from a model's repository is run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from recapdata.captioners import CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.answers import empty
from recapdata.captioners.prompts import CHAT, Family
from recapdata.captioners.text_generation import model_provenance, sampling_settings, versions
from recapdata.captioners.vlm import IMAGE_TEXT_TO_TEXT, LIBRARIES, Writer, open_pretrained
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.chat_templates import VERBATIM, render, rendered
from recapdata.models.opening import TRIED, one_line
from recapdata.models.sources import ModelSource, resolve_model
from recapdata.models.transformers import REFUSALS, device_and_dtype, load_pretrained, loading
from recapdata.records import Caption
from recaptrain.chat import Opening, Reply, Request, Turn

PROBE = "What is said here is looked for in the text that the model reads."
CAUSAL = "AutoModelForCausalLM"


def open_transformers(opening: Opening) -> "TransformersChat":
    """The chat model `opening.model`, a model id on the Hub or a local folder; its weights are loaded by the first request.

    Raises:
        OptionError: no model is named.
        CaptionerNotFound: there is none of that name.
        ModelNotSupported: it has no chat template, or sees no pictures where it must.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    if not opening.model:
        raise OptionError("--model transformers needs a model: --model user/name, or a folder")
    source = resolve_model(opening.model, kind="captioner", revision=opening.revision)
    kind = load_pretrained(AutoConfig, source).model_type
    if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        pretrained = open_pretrained(source)
        if pretrained.family is not CHAT:
            raise ModelNotSupported(
                f"{source.name} ({kind}) holds no conversation; give an instruction-tuned model with a chat template"
            )
        return TransformersChat(
            source, ChatPreparer(pretrained.processor, sees=True), opening, IMAGE_TEXT_TO_TEXT
        )
    if opening.pictures or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        what = "sees no pictures" if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "writes no text"
        raise ModelNotSupported(
            f"{source.name} is a {kind} model, which {what}; give an instruction-tuned "
            f"{'vision-' if opening.pictures else ''}language model"
        )
    return TransformersChat(source, ChatPreparer(_tokenizer(source), sees=False), opening, CAUSAL)


class TransformersChat:
    """A `ChatModel` over one model of transformers, batch by batch; a batch that does not fit into memory is halved."""

    def __init__(self, source: ModelSource, preparer: "ChatPreparer", opening: Opening, loader: str) -> None:
        options = CaptionerOptions(
            temperature=opening.temperature, seed=opening.seed, max_tokens=opening.max_tokens
        )
        provenance = model_provenance(
            options,
            captioner="chat",
            model=source.name,
            revision=source.revision,
            prompt="",
            sampling=sampling_settings(options, opening.max_tokens),
            dtype=device_and_dtype()[1],
            libraries=versions(LIBRARIES),
        )
        self._prepare = preparer
        self._writer = Writer(source, preparer, provenance, options, loader)
        self._batch_size = 4 if self._writer.device == "cpu" else 16
        self._loaded = False
        self._noun = opening.words.noun
        self.identity: Mapping[str, Any] = {
            "model": source.name,
            "revision": source.revision,
            "dtype": provenance.dtype,
            **opening.sampling,
        }

    def replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """See `ChatModel.replies`; in their order."""
        waiting = iter(requests)
        while batch := list(islice(waiting, self._batch_size)):
            if not self._loaded:
                self._writer.load()
                self._loaded = True
            yield from zip(batch, self._answered(batch), strict=True)

    def _answered(self, batch: Sequence[Request]) -> list[Reply]:
        """The replies to a batch; what the model refuses, or has no memory for, is tried in halves, then fails alone."""
        try:
            prepared = self._prepare([each.conversation for each in batch])
            captions = self._writer.caption(prepared, [each.key for each in batch])
        except (CaptioningFailed, OutOfMemory) as error:
            if len(batch) == 1:
                kind = "OutOfMemory: " if isinstance(error, OutOfMemory) else ""
                return [Reply(text=None, error=f"{kind}{error}")]
            middle = len(batch) // 2
            if isinstance(error, OutOfMemory):
                self._batch_size = min(self._batch_size, middle)
            return self._answered(batch[:middle]) + self._answered(batch[middle:])
        return [self._reply(each) for each in captions]

    def _reply(self, caption: Caption) -> Reply:
        if caption.caption is not None:
            return Reply(text=caption.caption, finish_reason=caption.finish_reason, tokens=caption.tokens)
        error = (
            str(caption.error)
            .replace(empty("caption"), empty(self._noun))
            .replace("no caption", f"no {self._noun}")
        )
        return Reply(text=None, error=error)


@dataclass(frozen=True, slots=True)
class ChatPreparer:
    """Conversations → the arrays that a model takes, padded on the left.

    Attributes:
        processor: of an image-text-to-text model, or a tokenizer.
        sees: whether it is a processor, which takes pictures.
    """

    processor: Any
    sees: bool
    family: Family = CHAT

    @property
    def tokenizer(self) -> Any:
        """What makes text of tokens."""
        return self.processor.tokenizer if self.sees else self.processor

    def __call__(self, conversations: Sequence[Sequence[Turn]]) -> dict[str, np.ndarray]:
        """The arrays by name.

        Raises:
            CaptioningFailed: the template or the processor refuses a conversation.
        """
        options: dict[str, Any] = {"return_tensors": "pt", "padding": True}
        chats = [[self._message(turn) for turn in self._told(each)] for each in conversations]
        try:
            if self.sees:
                options = {"processor_kwargs": options}
            texts = render(self.processor, chats)
            told = [rendered(text, _pictures(each)) for text, each in zip(texts, conversations, strict=True)]
            inputs = self.processor.apply_chat_template(
                told, chat_template=VERBATIM, tokenize=True, return_dict=True, **options
            )
        except REFUSALS as error:
            raise CaptioningFailed(one_line(error)) from error
        return {name: np.asarray(value) for name, value in inputs.items() if name != "labels"}

    def _told(self, conversation: Sequence[Turn]) -> Sequence[Turn]:
        """The conversation as the template can render it: what the system says goes before the user's first words where there is no such turn."""
        if not conversation or conversation[0].role != "system" or self._has_system():
            return conversation
        system, first, *others = conversation
        return [replace(first, text=f"{system.text}\n\n{first.text}"), *others]

    def _has_system(self) -> bool:
        """Whether the template renders a system turn; some refuse it, others leave it out."""
        probe = [self._message(Turn("system", PROBE)), self._message(Turn("user", "Hello."))]
        try:
            (text,) = render(self.processor, [probe])
        except ValueError:
            return False
        return PROBE in text

    def _message(self, turn: Turn) -> dict[str, Any]:
        if not self.sees:
            return {"role": turn.role, "content": turn.text}
        pictures = [{"type": "image", "image": image} for image in turn.images]
        return {"role": turn.role, "content": [*pictures, {"type": "text", "text": turn.text}]}


def _pictures(conversation: Sequence[Turn]) -> list[Any]:
    return [image for turn in conversation for image in turn.images]


def _tokenizer(source: ModelSource) -> Any:
    """The tokenizer of a language model, ready to pad on the left.

    Raises:
        ModelNotSupported: it has no chat template, or one without end.
    """
    from transformers import AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, source)
    with loading(source):
        tokenizer(TRIED)
    if tokenizer.chat_template is None:
        raise ModelNotSupported(
            f"{source.name} brings no chat template, so it holds no conversation; give an instruction-tuned version of it"
        )
    with suppress(ValueError):  # one that refuses this says so of each conversation
        render(tokenizer, [[{"role": "user", "content": TRIED}]])
    tokenizer.padding_side = "left"  # generation goes on from the right end
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
