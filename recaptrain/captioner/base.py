"""The captioner to start from, any image-text-to-text model of transformers: its prompts, what of it is trained, how it is saved."""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.captioners.prompts import OWN_STYLES, prompt_text
from recapdata.captioners.vlm import Pretrained, end_tokens, load_weights, open_pretrained
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.sources import ModelSource, resolve_model
from recaptrain.training.card import base_name
from recaptrain.training.model_folder import swapped_in

if TYPE_CHECKING:
    import torch

KIND = "captioner-base"
"""What the name `embedded` stands for here: the model that has seen no descriptive caption."""

ADAPTER = "adapter"
"""The folder of the adapter by itself, inside that of the model with it merged."""
SUPPORTED = (
    "prefix-prompted models (PaliGemma), chat models with a template of their own (Qwen-VL, SmolVLM, Idefics, LLaVA, "
    "Gemma 3, …), and plain ones with a decoder alone (BLIP, BLIP-2 with OPT, GIT)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerBase:
    """A base model without its weights.

    Attributes:
        prompts: prompt by style, in the order of the styles.
        own_styles: prompts that the base's own folder brings along.
    """

    source: ModelSource
    pretrained: Pretrained
    prompts: Mapping[str, str]

    @property
    def styles(self) -> dict[str, str]:
        """The prompts that the tuned captioner's folder states: its own, and the base's for styles not tuned."""
        return {**self.pretrained.own_styles, **self.prompts}


def find_base(
    name: str, revision: str | None, styles: list[str], own_prompts: Mapping[str, str]
) -> CaptionerBase:
    """Resolve a base to its revision, read its configuration and settle on a prompt per style.

    Args:
        name: `embedded`, a folder, or `user/name` on the Hub.
        own_prompts: prompts that the user gives, by style.

    Raises:
        CaptionerNotFound: no such model.
        ModelNotSupported: it writes no text about images, or in a way that cannot be tuned here.
        OptionError: a prompt for a style that is not tuned, no prompt for one that is, or the same for two.
    """
    for style in own_prompts:
        if style not in styles:
            raise OptionError(
                f"--prompt {style}=…: no captions are given for {style}; add them to --captions"
            )
    source = resolve_model(name, kind=KIND, revision=revision)
    pretrained = open_pretrained(source)
    prompts: dict[str, str] = {}
    for style in styles:
        try:
            prompts[style] = own_prompts.get(style) or prompt_text(
                style, pretrained.family, pretrained.own_styles, name
            )
        except OptionError as error:
            raise OptionError(
                f"{name} takes no instruction, so it learns captions of one kind; tune it on short=SET alone, or say "
                f"with --prompt {style}=TEXT how a {style} caption begins"
            ) from error
    if len(set(prompts.values())) < len(prompts):
        raise OptionError(
            f"{' and '.join(prompts)} have the same prompt ({next(iter(prompts.values()))!r}), so the captioner could not "
            "tell them apart; give one of them another by --prompt STYLE=TEXT, or tune each by itself with --apart"
        )
    return CaptionerBase(source=source, pretrained=pretrained, prompts=prompts)


def load_model(base: CaptionerBase, *, half: str | None) -> Any:
    """The base's weights, on the CPU: in float32 to train them, or in `half` where only an adapter beside them is trained.

    Raises:
        ModelNotSupported: it cannot be loaded, or is of a kind that cannot be tuned here.
    """
    model = load_weights(base.source, half or "float32", "cpu")
    if model.config.is_encoder_decoder or getattr(
        getattr(model, "language_model", None), "is_encoder_decoder", False
    ):
        raise ModelNotSupported(
            f"{base.source.name} ({base.pretrained.model_type}) writes with an encoder and a decoder; tuning knows {SUPPORTED}"
        )
    if not end_tokens(model):
        raise ModelNotSupported(
            f"{base.source.name} does not say which token ends its texts (eos_token_id), so it cannot learn to stop"
        )
    if not any(each.is_floating_point() for each in model.parameters()):
        raise ModelNotSupported(f"{base.source.name} is quantized; give it in float32, bfloat16 or float16")
    return model


def saved_dtype(model: Any) -> "torch.dtype":
    """The dtype in which the base's own weights were saved; the tuned ones are saved in the same."""
    import torch

    saved = getattr(model.config, "dtype", None) or torch.float32
    return getattr(torch, saved) if isinstance(saved, str) else saved


def freeze(model: Any, parts: tuple[str, ...]) -> None:
    """Freeze parts of a model, by name: `vision`.

    Raises:
        ModelNotSupported: this model has no such part.
    """
    if "vision" in parts:
        vision_tower(model).requires_grad_(False)


def trained_weights(model: Any) -> int:
    """How many weights are trained."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def vision_tower(model: Any) -> Any:
    """The part that sees.

    Raises:
        ModelNotSupported: it is under no name that is known.
    """
    tower = model.get_encoder(modality="image")
    if type(tower) is type(model):
        tower = next((part for name, part in model.named_modules() if name.endswith("image_encoder")), None)
    if tower is None or type(tower) is type(model.base_model):
        raise ModelNotSupported(
            f"{model.config.model_type}: its vision tower could not be found; leave out --freeze"
        )
    return tower


def add_adapter(model: Any, rank: int, *, seed: int) -> Any:
    """Put LoRA adapters of a rank beside all linear layers of the language model; everything else is frozen.

    Args:
        seed: of their first weights.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    outside = [rf"(?!{re.escape(name)}\.)" for name in (_name_of(model, model.get_decoder()),) if name]
    seeing = rf"{re.escape(_name_of(model, vision_tower(model)))}\."
    adapter = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        bias="none",
        target_modules="all-linear",
        exclude_modules=rf"({'|'.join([*outside, seeing])}).*",
    )
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # peft asks transformers by a name that is going out of use
        return get_peft_model(model, adapter)


def _name_of(model: Any, part: Any) -> str:
    return next(name for name, each in model.named_modules() if each is part)


def save_captioner(model: Any, base: CaptionerBase, out: Path, dtype: "torch.dtype") -> None:
    """Write the model with any adapter merged into it, the adapter by itself, processor and prompts.

    Args:
        model: without the wrappers of Accelerate.
        dtype: of the weights written.
    """
    from transformers.utils import logging as library

    library.disable_progress_bar()
    with swapped_in(out) as partial:
        if hasattr(model, "merge_and_unload"):
            _save_adapter(model, base, partial / ADAPTER)
            model = model.to("cpu").float().merge_and_unload()
        model.to("cpu", dtype).eval().save_pretrained(partial)
        base.pretrained.processor.save_pretrained(partial)
        styles = json.dumps({"styles": base.styles}, indent=2, ensure_ascii=False)
        (partial / OWN_STYLES).write_text(styles + "\n", encoding="utf8")
        for path in partial.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes for the owner alone


def _save_adapter(model: Any, base: CaptionerBase, folder: Path) -> None:
    """The adapter alone; it names its base by its name on the Hub, not by a path of this machine."""
    for each in model.peft_config.values():
        each.base_model_name_or_path = base_name(base.source)
        each.revision = base.source.commit
    model.save_pretrained(folder, save_embedding_layers=False)  # they are not trained
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form; the card says it all
