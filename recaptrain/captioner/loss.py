"""What a captioner learns: prompt and caption as tokens, and the cross entropy of the caption.

The prompt half of an input is made by the very code that prepares pictures for captioning, so that training and captioning
cannot drift apart. Only the caption and the token that ends it are labels. Captions are of one style at a time, the styles in
rotation, so that each counts alike however many captions it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from recapdata.captioners.vlm import VlmPreparer, end_tokens
from recapdata.models.chat_templates import render
from recaptrain.captioner.base import CaptionerBase
from recaptrain.captioner.data import HumanCaptions, Pictures, Rows
from recaptrain.training.accelerator import seed_device
from recaptrain.training.loop import shuffled
from recaptrain.training.preparing import Training

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of a token that is not learned: torch's own sign for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionEncoder:
    """Prompts and captions as a base's tokens, for each style.

    Attributes:
        ends: tokens on which its `generate` stops; `end` is the one that closes a caption where the template does not say.
        start: tokens that a plain model's `generate` begins with where it is given no text.
    """

    processor: Any
    preparers: Mapping[str, VlmPreparer]
    kind: str
    model_type: str
    ends: frozenset[int]
    end: int
    start: tuple[int, ...]
    pad: int

    def answers(self, style: str, captions: Sequence[str]) -> list[list[int]]:
        """The tokens of some captions, each with its end."""
        if self.kind != "chat":
            ids = self._tokens(list(captions))
            return [[*each, self.end] for each in ids]
        return [self._turn(style, caption) for caption in captions]

    def prompts(self, style: str, images: Sequence[Image]) -> dict[str, NDArray[Any]]:
        """What `generate` begins with for these pictures.

        Raises:
            CaptioningFailed: the processor cannot take a picture.
        """
        inputs = dict(self.preparers[style](images))
        if self.kind != "plain":
            return inputs
        if "input_ids" not in inputs:
            ids = np.tile(np.array(self.start), (len(images), 1))
            return {**inputs, "input_ids": ids, "attention_mask": np.ones_like(ids)}
        if self.model_type == "blip":  # as its own `generate` makes it: another first token, no closing one
            ids = inputs["input_ids"][:, :-1].copy()
            ids[:, 0] = self.start[0]
            inputs |= {"input_ids": ids, "attention_mask": inputs["attention_mask"][:, :-1]}
        return inputs

    def batch(
        self, style: str, images: Sequence[Image], answers: Sequence[Sequence[int]]
    ) -> dict[str, NDArray[Any]]:
        """Inputs of the model for pictures and their captions, with `labels`; prompts end at one place, answers begin there."""
        inputs = self.prompts(style, images)
        shape = inputs["input_ids"].shape
        longest = max(map(len, answers))
        behind = np.full((len(answers), longest), IGNORED)
        for row, answer in enumerate(answers):
            behind[row, : len(answer)] = answer
        there = behind != IGNORED
        more = {"input_ids": np.where(there, behind, self.pad), "attention_mask": there.astype(np.int64)}
        for name, values in inputs.items():
            if values.shape == shape and name.endswith(("ids", "mask")) and not name.startswith("pixel"):
                # PaliGemma's types tell what is seen at once (0) from what is written word by word (1); the others' types
                # and modalities are 0 for all text.
                kind = int(name == "token_type_ids" and self.kind == "prefix")
                extra = more.get(name, np.full_like(behind, kind))
                inputs[name] = np.concatenate([values, extra.astype(values.dtype)], axis=1)
        inputs["labels"] = np.concatenate([np.full(shape, IGNORED), behind], axis=1)
        return inputs

    def _turn(self, style: str, caption: str) -> list[int]:
        """A caption as the template writes the assistant's turn, up to the token that ends it."""
        user = {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": self.preparers[style].prompt}],
        }
        assistant = {"role": "assistant", "content": [{"type": "text", "text": caption}]}
        (prompt,) = render(self.processor, [[user]])
        (whole,) = render(self.processor, [[user, assistant]], add_generation_prompt=False)
        turn = whole[len(prompt) :] if whole.startswith(prompt) else ""
        before, found, after = turn.partition(caption)
        if not found:
            before = after = ""
        joined, alone = self._tokens([prompt + before + caption, prompt])
        ids = joined[len(alone) :] if joined[: len(alone)] == alone else self._tokens([before + caption])[0]
        closing = self._tokens([after])[0] if after else []
        for place, token in enumerate(closing):
            if token in self.ends:
                return [*ids, *closing[: place + 1]]
        return [*ids, self.end]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        return self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]


def caption_encoder(base: CaptionerBase, model: Any) -> CaptionEncoder:
    """The encoder of a base; `model` only says which tokens begin and end a text."""
    pretrained, ends = base.pretrained, end_tokens(model)
    tokenizer = pretrained.processor.tokenizer
    text = model.config.get_text_config()
    end = tokenizer.eos_token_id if tokenizer.eos_token_id in ends else min(ends)
    if pretrained.model_type == "blip":
        end = text.sep_token_id
    begin = getattr(text, "bos_token_id", None)
    start = [] if begin is None else [int(begin)]
    if pretrained.model_type == "blip-2":
        start = [model.config.image_token_index] * model.config.num_query_tokens + start
    pad = tokenizer.pad_token_id
    return CaptionEncoder(
        processor=pretrained.processor,
        preparers={
            style: VlmPreparer(pretrained.processor, pretrained.family, pretrained.model_type, prompt)
            for style, prompt in base.prompts.items()
        },
        kind=pretrained.family.kind,
        model_type=pretrained.model_type,
        ends=ends,
        end=int(end),
        start=tuple(start),
        pad=int(end if pad is None else pad),
    )


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One micro-batch of this process.

    Attributes:
        tokens: how many tokens are learned in it on all processes together.
    """

    inputs: "dict[str, torch.Tensor]"
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionBatches:
    """Records, pictures and tokens of their captions, of which batches are made.

    Attributes:
        answers: by style, the tokens of each row's caption.
        lock: a tokenizer serves one thread at a time.
    """

    captions: HumanCaptions
    pictures: Pictures
    encoder: CaptionEncoder
    answers: Mapping[str, Mapping[int, list[int]]]
    lock: Any

    def batch(self, style: str, rows: Rows) -> "dict[str, torch.Tensor]":
        """Inputs and labels of some rows' captions."""
        images = self.pictures.decode(rows)
        with self.lock:
            arrays = self.encoder.batch(style, images, [self.answers[style][int(row)] for row in rows])
        return _tensors(arrays)

    def prompts(self, style: str, rows: Rows) -> "dict[str, torch.Tensor]":
        """What `generate` takes for some rows' pictures."""
        images = self.pictures.decode(rows)
        with self.lock:
            return _tensors(self.encoder.preparers[style](images))

    def tokens(self, style: str, rows: Rows) -> int:
        """How many tokens some rows' captions have, their ends included."""
        return sum(len(self.answers[style][int(row)]) for row in rows)


def _tensors(arrays: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    import torch

    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def tokenize_captions(captions: HumanCaptions, pictures: Pictures, encoder: CaptionEncoder) -> CaptionBatches:
    """Tokenize every caption once."""
    answers: dict[str, dict[int, list[int]]] = {}
    for style in captions.styles:
        answers[style] = {}
        for held_out in (False, True):
            rows = captions.rows(style, held_out=held_out)
            if len(rows):
                tokens = encoder.answers(style, captions.texts(style, rows))
                answers[style].update(zip(map(int, rows), tokens, strict=True))
    return CaptionBatches(captions=captions, pictures=pictures, encoder=encoder, answers=answers, lock=Lock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioning:
    """A `Task`: write the captions that people wrote.

    Attributes:
        pools: by style, the rows to learn from.
    """

    training: Training
    batches: CaptionBatches
    pools: Mapping[str, Rows]

    def inputs(self, step: int) -> list[MicroBatch]:
        """The step's micro-batches, of each the part of this process."""
        settings, accelerator = self.training.optimization, self.training.accelerator
        styles, batches = list(self.pools), []
        for number in range(step * settings.accumulate, (step + 1) * settings.accumulate):
            style = styles[number % len(styles)]
            size = settings.batch_size * accelerator.num_processes
            _, rows = shuffled(self.pools[style], settings.seed, number // len(styles), size)
            own = rows[accelerator.process_index * settings.batch_size :][: settings.batch_size]
            batches.append(MicroBatch(self.batches.batch(style, own), self.batches.tokens(style, rows)))
        return batches

    def loss(
        self, inputs: MicroBatch, draw: int
    ) -> "tuple[torch.Tensor, Mapping[str, torch.Tensor | float]]":
        """Mean cross entropy of the batch's tokens; Accelerate takes the mean over the processes, so they are counted together."""
        accelerator = self.training.accelerator
        seed_device(accelerator.device, draw)  # for dropout layers, where a model has any
        model = self.training.model
        with accelerator.autocast():
            total = answer_loss(model, accelerator.unwrap_model(model), inputs.inputs)
        return total / inputs.tokens * accelerator.num_processes, {}


def answer_loss(model: Any, plain: Any, inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Sum of the cross entropy over all labels.

    Logits are only computed where there is something to learn: PaliGemma's has 257,000 words.

    Args:
        model: what is called; `plain` is the same without the wrappers of Accelerate.
    """
    import torch
    from torch.nn.functional import cross_entropy

    given = on_device(plain, inputs)
    labels = given.pop("labels")
    truth = labels.roll(-1, dims=1)
    truth[:, -1] = IGNORED
    learned = truth != IGNORED
    if _sees_text_alone(plain):
        logits = model(**given, logits_to_keep=learned).logits
    else:  # pictures stand before the text in what comes out, or all of it comes out
        logits = model(**given).logits[:, -labels.shape[1] :][learned]
    return cross_entropy(logits.to(torch.float32), truth[learned], reduction="sum")


def _sees_text_alone(plain: Any) -> bool:
    """Whether the model can be told by a mask over its input ids where its answer is wanted."""
    kind = plain.config.model_type
    return kind not in ("git", "blip-2")


def on_device(plain: Any, inputs: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Inputs where the model is, pictures in its dtype."""
    return {
        name: each.to(plain.device, plain.dtype) if each.is_floating_point() else each.to(plain.device)
        for name, each in inputs.items()
    }
