"""A transformers model found, pinned and checked before its weights are loaded: configuration, processor, and how it wants to be asked."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.captioners.prompts import CHAT, FAMILIES, Family
from recapdata.endpoint import hub_errors
from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource

OWN_STYLES = "recapdata.json"
REDUCING_GAP = 2
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError)
"""What processors and models raise on an input they cannot take; one image must not end a night's run."""


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
        ModelNotSupported: it is of another kind, or not complete.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    pinned: dict[str, Any] = {"revision": source.commit, "trust_remote_code": False}
    with loading(source):
        kind = AutoConfig.from_pretrained(source.location, **pinned).model_type
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise ModelNotSupported(
                f"{source.name} is a {kind} model, which writes no text about images; give an "
                "image-text-to-text model (PaliGemma, Qwen-VL, SmolVLM, LLaVA, BLIP, GIT, …)"
            )
        processor = AutoProcessor.from_pretrained(source.location, **pinned)
    if getattr(processor, "tokenizer", None) is None:
        raise ModelNotSupported(f"{source.name} lacks a tokenizer, so its captions cannot be read")
    processor.tokenizer.padding_side = "left"  # generation goes on from the right end
    family = FAMILIES.get(kind, CHAT)
    if family is CHAT and getattr(processor, "chat_template", None) is None:
        raise ModelNotSupported(
            f"{source.name} ({kind}) brings no chat template, so it cannot be told what to do; give an "
            "instruction-tuned version of it"
        )
    return Pretrained(source, kind, processor, family, _styles_of(source))


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


def load_weights(source: ModelSource, dtype: str, device: str) -> Any:
    """The model with its weights, ready to generate.

    Raises:
        ModelNotSupported: the weights are missing or do not fit the model.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    with loading(source):
        model: Any = AutoModelForImageTextToText.from_pretrained(
            source.location,
            revision=source.commit,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
        )
    if device == "cpu":
        leave_a_core()
    return model.to(device).eval()


def leave_a_core() -> None:
    """Keep the model off one core, which decodes: threads that wait for each other there cost many times what they bring.

    The number depends on the machine alone, since sums in another order could end in other words.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


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


def device_and_dtype() -> tuple[str, str]:
    """Device and dtype that suit this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda", "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if torch.backends.mps.is_available():
        return "mps", "float16"
    return "cpu", "float32"


def is_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, on whatever device."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "alloc" in str(error) and "memory" in str(error)  # how the CPU allocator says it


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's remarks on generation options off the progress bar."""
    from transformers.utils import logging as library

    before = library.get_verbosity()
    library.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        library.set_verbosity(before)


@contextmanager
def loading(source: ModelSource) -> Iterator[None]:
    """Turn what the library raises about a model that it cannot load into one line."""
    from transformers.utils import logging as library

    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        with hub_errors(f"{source.name} at {source.revision}"), quiet():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelNotSupported(
            f"{source.name} cannot be loaded by transformers: {one_line(error)}"
        ) from error
    finally:
        if bars:
            library.enable_progress_bar()


def own_styles(path: Path, model: str) -> Mapping[str, str]:
    """What a model calls its styles in the `recapdata.json` at `path`; nothing where there is none.

    Raises:
        ModelNotSupported: it says so in a form that cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        styles = json.loads(path.read_text(encoding="utf8"))["styles"]
        return {str(style): str(prompt) for style, prompt in styles.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotSupported(
            f'{OWN_STYLES} of {model} should read {{"styles": {{"short": "…", "long": "…"}}}}: {error!r}'
        ) from error


def _styles_of(source: ModelSource) -> Mapping[str, str]:
    """The model's own styles, from its folder or from the Hub."""
    if source.commit is None:
        return own_styles(Path(source.location) / OWN_STYLES, source.name)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = hf_hub_download(source.location, OWN_STYLES, revision=source.commit)
    except EntryNotFoundError:
        return {}
    return own_styles(Path(path), source.name)
