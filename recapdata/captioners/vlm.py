"""Captions by any image-text-to-text model of transformers, at a pinned revision.

Prefix-prompted (PaliGemma), chat-templated (Qwen-VL, SmolVLM and Idefics, LLaVA) and plain models (BLIP, GIT) differ in how they are
asked (`prompts`) and in nothing else. No code from a model's repository is run.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL.Image import Image

from recapdata.captioners import CaptionerOptions, CaptioningFailed
from recapdata.captioners.prompts import CHAT, FAMILIES, Family, max_tokens, pinned_styles, prompt_text
from recapdata.captioners.reasoning import without_reasoning
from recapdata.captioners.template import Template, parse_template, special_tokens
from recapdata.captioners.text_generation import (
    Guard,
    Start,
    draws,
    model_provenance,
    sampling_settings,
    versions,
    write_captions,
    written_caption,
)
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.chat_templates import VERBATIM, render, rendered
from recapdata.models.opening import TRIED, one_line
from recapdata.models.sources import EMBEDDED, ModelSource, resolve_model
from recapdata.models.transformers import (
    REFUSALS,
    device_and_dtype,
    leave_a_core,
    load_pretrained,
    loading,
    quiet,
)
from recapdata.records import Caption, Provenance

if TYPE_CHECKING:
    from torch import Tensor

LIBRARIES = ("torch", "transformers", "tokenizers", "pillow")
REDUCING_GAP = 2
IMAGE_TEXT_TO_TEXT = "AutoModelForImageTextToText"
OPENING_TOKENS = 8
"""Last tokens of a prompt, in which a template may open the reasoning of the model."""


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


class TextPreparer(Protocol):
    """A preparer for a model that writes text: how it is prompted, and what makes text of its tokens."""

    @property
    def family(self) -> Family: ...

    @property
    def tokenizer(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class VlmPreparer:
    """Pictures → the processor's arrays by name, each picture under the same prompt, or under one of its own by a template."""

    processor: Any
    family: Family
    model_type: str
    prompt: str
    template: Template | None = None
    detail: int | None = None

    @property
    def tokenizer(self) -> Any:
        """Of the processor."""
        return self.processor.tokenizer

    def __call__(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        return self.asking(images, [self.prompt] * len(images))

    def prompted(self, images: Sequence[Image], values: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
        """See `PromptedPreparer`."""
        assert self.template is not None
        return self.asking(images, [self.template.render(each) for each in values])

    def asking(self, images: Sequence[Image], prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """The arrays for pictures that are each asked something else.

        Raises:
            CaptioningFailed: the processor refuses a picture or a prompt.
        """
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
            texts = render(self.processor, [[{"role": "user", "content": content}] for content in contents])
            chats = [rendered(text, [image]) for text, image in zip(texts, images, strict=True)]
            return self.processor.apply_chat_template(
                chats, chat_template=VERBATIM, tokenize=True, return_dict=True, processor_kwargs=options
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


class Writer:
    """The half of a `Captioner` with the model: prepared inputs → texts.

    Args:
        loader: class of transformers that loads the model.
    """

    def __init__(
        self,
        source: ModelSource,
        preparer: TextPreparer,
        provenance: Provenance,
        options: CaptionerOptions,
        loader: str = IMAGE_TEXT_TO_TEXT,
    ) -> None:
        self.provenance = provenance
        self._preparer = preparer
        self._loader = loader
        self.device, self._dtype = device_and_dtype()
        self._source = source
        self._options = options
        self._model: Any = None
        self._ends: frozenset[int] = frozenset()
        self._guard = Guard()

    def load(self) -> None:
        """Load the weights; see `load_weights` for its errors."""
        self._model = load_weights(self._source, self._dtype, self.device, self._loader)
        self._ends = end_tokens(self._model)

    def caption(self, prepared: Mapping[str, np.ndarray], keys: Sequence[str]) -> list[Caption]:
        """One caption per key; see `Captioner.caption`."""
        return write_captions(self._options, keys, lambda seeds: self._captions(prepared, seeds))

    def _captions(self, prepared: Mapping[str, np.ndarray], seeds: Sequence[int] | None) -> list[Caption]:
        start, sequences = self._guard.run(lambda: self._generate(prepared, seeds))
        return self._decode(sequences, start, seeds)

    def _generate(
        self, prepared: Mapping[str, np.ndarray], seeds: Sequence[int] | None
    ) -> tuple[int, "np.ndarray"]:
        import torch

        inputs = {name: self._to_device(torch.from_numpy(array)) for name, array in prepared.items()}
        start = Start()
        with quiet():
            sequences = self._model.generate(
                **inputs,
                logits_processor=[start, *draws(self._options, seeds)],
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
        first = 0 if self._preparer.family.kind == "plain" else start
        ended = np.isin(sequences[:, start:], list(self._ends))
        stops = np.where(ended.any(axis=1), start + ended.argmax(axis=1), sequences.shape[1])
        texts = self._preparer.tokenizer.batch_decode(
            [row[first:stop] for row, stop in zip(sequences, stops, strict=True)], skip_special_tokens=True
        )
        begun = self._begun(sequences[0][:start]) if len(sequences) else ""
        return [
            written_caption(
                begun + text,
                seed=seeds[row] if seeds is not None else None,
                ended=bool(ended[row].any()),
                tokens=int(stops[row]) - start,
            )
            for row, text in enumerate(texts)
        ]

    def _begun(self, prompt: np.ndarray) -> str:
        """What a chat template lets the model's text begin with, where that is reasoning."""
        if self._preparer.family.kind != "chat":
            return ""
        opening = str(self._preparer.tokenizer.decode(prompt[-OPENING_TOKENS:]))
        return opening if without_reasoning(opening).cut else ""


class Vlm(Writer):
    """A `Captioner` over one transformers model; see the protocol for what its members promise."""

    at_once = 1

    def __init__(
        self, source: ModelSource, preparer: VlmPreparer, provenance: Provenance, options: CaptionerOptions
    ) -> None:
        super().__init__(source, preparer, provenance, options)
        self.prepare = preparer
        # On a CPU a batch of a large model takes minutes, and an interruption costs one.
        self.batch_size = 16 if self.device == "cpu" and source.name != EMBEDDED else 32


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What is known of a model without its weights.

    Attributes:
        family: how it is prompted.
        own_styles: prompts by style that its folder brings along.
    """

    source: ModelSource
    model_type: str
    processor: Any
    family: Family
    own_styles: Mapping[str, str]


def open_pretrained(source: ModelSource) -> Pretrained:
    """Read configuration and processor of an image-text-to-text model; no code of its repository is run.

    Raises:
        ModelNotSupported: it is of another kind, not complete, or its chat template has no end.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    kind = load_pretrained(AutoConfig, source).model_type
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelNotSupported(
            f"{source.name} is a {kind} model, which writes no text about images; give an "
            "image-text-to-text model (PaliGemma, Qwen-VL, SmolVLM, LLaVA, BLIP, GIT, …)"
        )
    processor = load_pretrained(AutoProcessor, source)
    if getattr(processor, "tokenizer", None) is None:
        raise ModelNotSupported(f"{source.name} lacks a tokenizer, so its captions cannot be read")
    with loading(source):
        processor.tokenizer(TRIED)
    processor.tokenizer.padding_side = "left"  # generation goes on from the right end
    family = FAMILIES.get(kind, CHAT)
    if family is CHAT and getattr(processor, "chat_template", None) is None:
        raise ModelNotSupported(
            f"{source.name} ({kind}) brings no chat template, so it cannot be told what to do; give an "
            "instruction-tuned version of it"
        )
    if family is CHAT:
        with suppress(ValueError):  # one that refuses this says so of each picture
            render(
                processor,
                [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": TRIED}]}]],
            )
    return Pretrained(source, kind, processor, family, pinned_styles(source))


def detail_of(image_processor: Any) -> int | None:
    """Pixels of each side that a processor of pictures can make use of; None where it depends on the picture.

    Twice what the sides are resized to: from there on, resizing gives nearly what it gives from the whole picture, which is also
    what Pillow's thumbnails rely on.
    """
    size = getattr(image_processor, "size", None) or {}
    sides = [size[name] for name in ("height", "width", "shortest_edge") if size.get(name)]
    fixed = getattr(image_processor, "do_resize", False) and not getattr(
        image_processor, "do_pan_and_scan", False
    )
    if not fixed or not sides or size.get("longest_edge"):
        return None
    return REDUCING_GAP * int(max(sides))


def load_weights(source: ModelSource, dtype: str, device: str, loader: str = IMAGE_TEXT_TO_TEXT) -> Any:
    """The model with its weights, ready to generate.

    Args:
        loader: class of transformers that loads it.

    Raises:
        ModelNotSupported: the weights are missing or do not fit the model.
    """
    import torch
    import transformers

    model = load_pretrained(getattr(transformers, loader), source, dtype=getattr(torch, dtype))
    if device == "cpu":
        leave_a_core()
    return model.to(device).eval()


def end_tokens(model: Any) -> frozenset[int]:
    """Tokens that end a caption, as the model's own `generate` knows them."""
    text = model.config.get_text_config()
    found: set[int] = set()
    for owner, name in (
        (model.generation_config, "eos_token_id"),
        (text, "eos_token_id"),
        (text, "sep_token_id" if model.config.model_type == "blip" else "eos_token_id"),
    ):
        value = getattr(owner, name, None)
        found |= set(value if isinstance(value, list) else [] if value is None else [value])
    return frozenset(found)


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
    provenance = model_provenance(
        options,
        captioner=name,
        model=source.name,
        revision=source.revision,
        prompt=prompt,
        template=template,
        sampling=sampling_settings(options, options.max_tokens or max_tokens(options.style)),
        dtype=device_and_dtype()[1],
        libraries=versions(LIBRARIES),
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
