"""Captions by any image-text-to-text model of transformers, at a pinned revision.

Prefix-prompted (PaliGemma), chat-templated (Qwen-VL, SmolVLM and Idefics, LLaVA) and plain models (BLIP, GIT) differ in how they are
asked (`prompts`) and in nothing else. No code from a model's repository is run.
"""

import gc
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.Image import Image

from recapdata.captioners import STYLES, CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.choice import most_agreed
from recapdata.captioners.prompts import Family, max_tokens, prompt_text
from recapdata.captioners.template import Template, parse_template, special_tokens
from recapdata.captioners.text_generation import KeyedDraw, Start, caption_seed, sampling_settings
from recapdata.errors import OptionError
from recapdata.models.sources import EMBEDDED, ModelSource, resolve_model
from recapdata.models.transformers import (
    REFUSALS,
    detail_of,
    device_and_dtype,
    end_tokens,
    is_memory,
    load_weights,
    one_line,
    open_pretrained,
    quiet,
)
from recapdata.records import Caption, Provenance

if TYPE_CHECKING:
    from torch import Tensor

LIBRARIES = ("torch", "transformers", "tokenizers", "pillow")


def open_vlm(options: CaptionerOptions) -> "Vlm":
    """The captioner of `options.model`, a model id on the Hub or a local folder."""
    if not options.model:
        raise OptionError(
            "the captioner vlm needs a model: --captioner vlm:user/name, or only the model's id or folder"
        )
    return _open(resolve_model(options.model, kind="captioner", revision=options.revision), "vlm", options)


def open_embedded(options: CaptionerOptions) -> "Vlm":
    """The captioner of the drawn world that travels with the package."""
    if options.model:
        raise OptionError(f"the captioner embedded brings its own model; leave out {options.model!r}")
    return _open(resolve_model(EMBEDDED, kind="captioner", revision=options.revision), "embedded", options)


@dataclass(frozen=True, slots=True)
class VlmPreparer:
    """Pictures → the processor's arrays by name, each picture under the same prompt, or under one of its own by a template."""

    processor: Any
    family: Family
    model_type: str
    prompt: str
    template: Template | None = None
    detail: int | None = None

    def __call__(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        return self._prepared(images, [self.prompt] * len(images))

    def prompted(self, images: Sequence[Image], values: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
        """See `PromptedPreparer`."""
        assert self.template is not None
        return self._prepared(images, [self.template.render(each) for each in values])

    def _prepared(self, images: Sequence[Image], prompts: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            inputs = self._process(list(images), prompts)
        except REFUSALS as error:
            raise CaptioningFailed(one_line(error)) from error
        return {name: np.asarray(value) for name, value in inputs.items() if name != "labels"}

    def _process(self, images: list[Image], prompts: Sequence[str]) -> Mapping[str, Any]:
        options: dict[str, Any] = {"return_tensors": "pt", "padding": True}
        if self.family.kind == "chat":
            contents = [
                [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
                for image, prompt in zip(images, prompts, strict=True)
            ]
            chats = [[{"role": "user", "content": content}] for content in contents]
            return self.processor.apply_chat_template(
                chats, add_generation_prompt=True, tokenize=True, return_dict=True, processor_kwargs=options
            )
        if self.family.kind == "prefix":
            texts = [f"{self.processor.image_token}{prompt}" for prompt in prompts]
            return self.processor(images=images, text=texts, **options)
        if not self.prompt:
            return self.processor(images=images, return_tensors="pt")
        text, options["return_token_type_ids"] = self.prompt, False
        if self.model_type == "git":  # its closing token would end the caption before it begins
            text = f"{self.processor.tokenizer.cls_token}{text}"
            options["add_special_tokens"] = False
        return self.processor(images=images, text=[text] * len(images), **options)


class Vlm:
    """A `Captioner` over one transformers model; see the protocol for what its members promise."""

    at_once = 1

    def __init__(
        self, source: ModelSource, preparer: VlmPreparer, provenance: Provenance, options: CaptionerOptions
    ) -> None:
        self.provenance = provenance
        self.prepare = preparer
        self.device, self._dtype = device_and_dtype()
        # On a CPU a batch of a large model takes minutes, and an interruption costs one.
        self.batch_size = 16 if self.device == "cpu" and source.name != EMBEDDED else 32
        self._source = source
        self._options = options
        self._model: Any = None
        self._ends: frozenset[int] = frozenset()
        self._short_of_memory = False

    def load(self) -> None:
        """Load the weights; see `load_weights` for its errors."""
        self._model = load_weights(self._source, self._dtype, self.device)
        self._ends = end_tokens(self._model)

    def caption(self, prepared: Mapping[str, np.ndarray], keys: Sequence[str]) -> list[Caption]:
        """One caption per key; see `Captioner.caption`."""
        if not self._options.temperature:
            return self._captions(prepared, None)
        rounds = [
            self._captions(prepared, [caption_seed(self._options.seed, key, number) for key in keys])
            for number in range(self._options.candidates)
        ]
        return [most_agreed(candidates) for candidates in zip(*rounds, strict=True)]

    def _captions(self, prepared: Mapping[str, np.ndarray], seeds: Sequence[int] | None) -> list[Caption]:
        import torch

        if self._short_of_memory:  # what the failed attempt held hangs in its traceback until now
            gc.collect()
            torch.cuda.empty_cache()
            self._short_of_memory = False
        try:
            with torch.inference_mode(), quiet():
                start, sequences = self._generate(prepared, seeds)
        except (torch.OutOfMemoryError, MemoryError, *REFUSALS) as error:
            if not is_memory(error):
                raise CaptioningFailed(one_line(error)) from error
            self._short_of_memory = True
            raise OutOfMemory(one_line(error)) from error
        return self._decode(sequences, start, seeds)

    def _generate(
        self, prepared: Mapping[str, np.ndarray], seeds: Sequence[int] | None
    ) -> tuple[int, "np.ndarray"]:
        import torch
        from transformers import TemperatureLogitsWarper, TopPLogitsWarper

        inputs = {name: self._to_device(torch.from_numpy(array)) for name, array in prepared.items()}
        start = Start()
        steps: list[Any] = [start]
        if seeds is not None:
            steps.append(TemperatureLogitsWarper(self._options.temperature))
            if self._options.top_p < 1:
                steps.append(TopPLogitsWarper(self._options.top_p))
            steps.append(KeyedDraw(seeds))
        sequences = self._model.generate(
            **inputs,
            logits_processor=steps,
            do_sample=False,
            num_beams=1,
            max_new_tokens=self.provenance.sampling["max_new_tokens"],
        )
        return start.position or 0, sequences.cpu().numpy()

    def _to_device(self, tensor: "Tensor") -> "Tensor":
        if tensor.is_floating_point():
            return tensor.to(self.device, self._model.dtype)
        return tensor.to(self.device)

    def _decode(self, sequences: np.ndarray, start: int, seeds: Sequence[int] | None) -> list[Caption]:
        first = 0 if self.prepare.family.kind == "plain" else start
        ended = np.isin(sequences[:, start:], list(self._ends))
        stops = np.where(ended.any(axis=1), start + ended.argmax(axis=1), sequences.shape[1])
        texts = self.prepare.processor.tokenizer.batch_decode(
            [row[first:stop] for row, stop in zip(sequences, stops, strict=True)], skip_special_tokens=True
        )
        captions = []
        for place, text in enumerate(texts):
            text = text.strip()
            caption = Caption(
                caption=text or None,
                seed=seeds[place] if seeds is not None else None,
                finish_reason="stop" if ended[place].any() else "length",
                tokens=int(stops[place]) - start,
            )
            if not text:
                caption = replace(
                    caption, finish_reason=None, error="EmptyCaption: the model ended without a word"
                )
            captions.append(caption)
        return captions


def _open(source: ModelSource, name: str, options: CaptionerOptions) -> Vlm:
    pretrained = open_pretrained(source)
    prompt = prompt_text(options.style, pretrained.family, pretrained.own_styles, source.name)
    template = parse_template(
        options.style,
        guard=pretrained.family.kind == "chat",
        tokens=special_tokens(pretrained.processor.tokenizer),
    )
    if template is not None and pretrained.family.kind == "plain":
        raise OptionError(
            f"--style {options.style}: {source.name} takes no instruction, and what stands in braces would become its caption; "
            "give only the first words of the caption, or another model"
        )
    provenance = Provenance(
        writer="model",
        captioner=name,
        model=source.name,
        revision=source.revision,
        style="template" if template else options.style if options.style in STYLES else "free",
        prompt=template.text if template else prompt,
        prompt_hash=hashlib.sha256((template.text if template else prompt).encode()).hexdigest(),
        sampling=sampling_settings(options, options.max_tokens or max_tokens(options.style)),
        seed=options.seed if options.temperature else None,
        dtype=device_and_dtype()[1],
        libraries={library: version(library) for library in LIBRARIES},
    )
    preparer = VlmPreparer(
        pretrained.processor,
        pretrained.family,
        pretrained.model_type,
        prompt,
        template,
        detail_of(pretrained.processor.image_processor),
    )
    return Vlm(source, preparer, provenance, options)
