"""Captions by any image-text-to-text model of transformers, at a pinned revision.

Prefix-prompted (PaliGemma), chat-templated (Qwen-VL, SmolVLM and Idefics, LLaVA) and plain models (BLIP, GIT) differ in how they are
asked (`prompts`) and in nothing else. No code from a model's repository is run.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.Image import Image

from recapdata.captioners import CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.choice import CHOICE, most_agreed
from recapdata.captioners.prompts import CHAT, FAMILIES, Family, max_tokens, prompt_text
from recapdata.captioners.sampling import KeyedDraw, Start, caption_seed
from recapdata.endpoint import hub_errors
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models import EMBEDDED, ModelSource, resolve_model
from recapdata.records import Caption, Provenance

if TYPE_CHECKING:
    from torch import Tensor

LIBRARIES = ("torch", "transformers", "tokenizers", "pillow")
OWN_STYLES = "recapdata.json"

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError)
"""What processors and models raise on an input they cannot take; one image must not end a night's run."""


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
    """Pictures → the processor's arrays by name, each picture under the same prompt."""

    processor: Any
    family: Family
    model_type: str
    prompt: str

    def __call__(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        try:
            inputs = self._process(list(images))
        except _REFUSALS as error:
            raise CaptioningFailed(_one_line(error)) from error
        return {name: np.asarray(value) for name, value in inputs.items() if name != "labels"}

    def _process(self, images: list[Image]) -> Mapping[str, Any]:
        options: dict[str, Any] = {"return_tensors": "pt", "padding": True}
        if self.family.kind == "chat":
            content = [{"type": "text", "text": self.prompt}]
            chats = [
                [{"role": "user", "content": [{"type": "image", "image": image}, *content]}]
                for image in images
            ]
            return self.processor.apply_chat_template(
                chats, add_generation_prompt=True, tokenize=True, return_dict=True, processor_kwargs=options
            )
        if self.family.kind == "prefix":
            text = f"{self.processor.image_token}{self.prompt}"
            return self.processor(images=images, text=[text] * len(images), **options)
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
        self.device, self._dtype = _place()
        # On a CPU a batch of a large model takes minutes, and an interruption costs one.
        self.batch_size = 16 if self.device == "cpu" and source.name != EMBEDDED else 32
        self._source = source
        self._options = options
        self._model: Any = None
        self._ends: frozenset[int] = frozenset()

    def load(self) -> None:
        """Load the weights.

        Raises:
            ModelNotSupported: the weights are missing or do not fit the model.
        """
        import torch
        from transformers import AutoModelForImageTextToText

        with _loading(self._source):
            model: Any = AutoModelForImageTextToText.from_pretrained(
                self._source.location,
                revision=self._source.commit,
                dtype=getattr(torch, self._dtype),
                trust_remote_code=False,
            )
        self._model = model.to(self.device).eval()
        self._ends = _end_tokens(self._model)

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

        try:
            with torch.inference_mode(), _quiet():
                start, sequences = self._generate(prepared, seeds)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise OutOfMemory(_one_line(error)) from error
        except _REFUSALS as error:
            if "alloc" in str(error) and "memory" in str(error):  # how the CPU allocator says it
                raise OutOfMemory(_one_line(error)) from error
            raise CaptioningFailed(_one_line(error)) from error
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
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    pinned: dict[str, Any] = {"revision": source.commit, "trust_remote_code": False}
    with _loading(source):
        config = AutoConfig.from_pretrained(source.location, **pinned)
        if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise ModelNotSupported(
                f"{source.name} is a {config.model_type} model, which writes no text about images; give an "
                "image-text-to-text model (PaliGemma, Qwen-VL, SmolVLM, LLaVA, BLIP, GIT, …)"
            )
        processor = AutoProcessor.from_pretrained(source.location, **pinned)
    if getattr(processor, "tokenizer", None) is None:
        raise ModelNotSupported(f"{source.name} lacks a tokenizer, so its captions cannot be read")
    processor.tokenizer.padding_side = "left"  # generation goes on from the right end
    own = _own_styles(source)
    family = FAMILIES.get(config.model_type, CHAT)
    if family is CHAT and getattr(processor, "chat_template", None) is None:
        raise ModelNotSupported(
            f"{source.name} ({config.model_type}) brings no chat template, so it cannot be told what to do; give an "
            "instruction-tuned version of it"
        )
    prompt = prompt_text(options.style, family, own, source.name)
    provenance = Provenance(
        writer="model",
        captioner=name,
        model=source.name,
        revision=source.revision,
        style=options.style if options.style in ("short", "long") else "free",
        prompt=prompt,
        prompt_hash=hashlib.sha256(prompt.encode()).hexdigest(),
        sampling=_sampling(options),
        seed=options.seed if options.temperature else None,
        dtype=_place()[1],
        libraries={library: version(library) for library in LIBRARIES},
    )
    return Vlm(source, VlmPreparer(processor, family, config.model_type, prompt), provenance, options)


def _sampling(options: CaptionerOptions) -> dict[str, Any]:
    tokens = {"max_new_tokens": options.max_tokens or max_tokens(options.style)}
    if not options.temperature:
        return {"do_sample": False, **tokens}
    sampling: dict[str, Any] = {
        "do_sample": True,
        "temperature": options.temperature,
        "top_p": options.top_p,
        **tokens,
    }
    if options.candidates > 1:
        sampling |= {"candidates": options.candidates, "choice": CHOICE}
    return sampling


def _own_styles(source: ModelSource) -> Mapping[str, str]:
    """What the model's folder calls its styles; nothing where it does not say.

    Raises:
        ModelNotSupported: it says so in a form that cannot be read.
    """
    if source.commit is None:
        path: Path | None = Path(source.location) / OWN_STYLES
    else:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        try:
            path = Path(hf_hub_download(source.location, OWN_STYLES, revision=source.commit))
        except EntryNotFoundError:
            path = None
    if path is None or not path.is_file():
        return {}
    try:
        styles = json.loads(path.read_text(encoding="utf8"))["styles"]
        return {str(style): str(prompt) for style, prompt in styles.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotSupported(
            f'{OWN_STYLES} of {source.name} should read {{"styles": {{"short": "…", "long": "…"}}}}: {error!r}'
        ) from error


def _place() -> tuple[str, str]:
    """Device and dtype that suit this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda", "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if torch.backends.mps.is_available():
        return "mps", "float16"
    return "cpu", "float32"


def _end_tokens(model: Any) -> frozenset[int]:
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


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's remarks on generation options off the progress bar."""
    from transformers.utils import logging as library

    before = library.get_verbosity()
    library.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        library.set_verbosity(before)


@contextmanager
def _loading(source: ModelSource) -> Iterator[None]:
    """Turn what the library raises about a model that it cannot load into one line."""
    from transformers.utils import logging as library

    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        with hub_errors(f"{source.name} at {source.revision}"), _quiet():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelNotSupported(
            f"{source.name} cannot be loaded by transformers: {_one_line(error)}"
        ) from error
    finally:
        if bars:
            library.enable_progress_bar()
