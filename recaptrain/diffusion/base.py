"""The base model: any Stable Diffusion pipeline (1, 2, XL) by name and revision, and the parts of it that are trained."""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported, OptionError
from recapdata.extras import require
from recapdata.models.building import building
from recapdata.models.opening import TRIED, opening
from recapdata.models.sources import ModelSource, local_folder, resolve_model
from recaptrain.diffusion.components import EXPECTED, check_fit, pipeline_class
from recaptrain.diffusion.conditioning import text_encoders
from recaptrain.diffusion.windows import MOST

if TYPE_CHECKING:
    import torch

    from recaptrain.diffusion.conditioning import Pipeline

TRAINABLE = ("unet", "text_encoder")
"""What `--train` names; `text_encoder` stands for all text encoders that a pipeline has, both of SDXL."""
PREDICTIONS = ("epsilon", "v_prediction", "sample")
_HALVES = ("F16", "BF16")
_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors")
"""Files that diffusers and transformers load where no variant is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A loaded base model, in float32 on the CPU.

    Attributes:
        resolution: side of its pictures in pixels, from UNet and autoencoder.
        factor: pixels per latent along a side.
        prediction: what the UNet predicts: `epsilon`, `v_prediction` or `sample`.
    """

    source: ModelSource
    pipeline: "Pipeline"
    resolution: int
    factor: int
    prediction: str

    def parts(self, names: Sequence[str]) -> "dict[str, torch.nn.Module]":
        """The modules to train, by their names in the pipeline.

        Raises:
            OptionError: no such part can be trained.
        """
        unknown = [name for name in names if name not in TRAINABLE]
        if unknown or not names:
            raise OptionError(
                f"--train {','.join(names)}: name some of {', '.join(TRAINABLE)}, separated by commas"
            )
        parts: dict[str, torch.nn.Module] = {"unet": self.pipeline.unet} if "unet" in names else {}
        return parts | (text_encoders(self.pipeline) if "text_encoder" in names else {})

    def count_tokens(self, captions: Sequence[str]) -> list[int]:
        """How many tokens each caption has for the text encoder, start and end tokens included, before it is cut."""
        if not captions:
            return []
        ids = self.pipeline.tokenizer(list(captions), truncation=False, verbose=False).input_ids
        return [len(each) for each in ids]

    @property
    def token_limit(self) -> int:
        """How many tokens the text encoder reads at once."""
        return int(self.pipeline.tokenizer.model_max_length)

    def readable(self, over_length: str) -> int:
        """How many tokens of a caption are read under a policy for long ones, start and end tokens of one window included."""
        return self.token_limit + (self.windows(over_length) - 1) * (self.token_limit - 2)

    def windows(self, over_length: str) -> int:
        """How many windows of a caption are read at most under a policy for long ones."""
        return MOST if over_length == "chunks" else 1

    def stored_in_half(self, parts: Sequence[str]) -> dict[str, str]:
        """Those of the parts whose files hold weights in half precision, and in which: rounded already, before training."""
        folder = local_folder(self.source)
        if folder is None:
            return {}
        dtypes = {part: _stored_dtypes(folder / part) for part in parts}
        return {part: min(own) for part, each in dtypes.items() if (own := each.intersection(_HALVES))}


def load_base(name: str, revision: str | None = None) -> Base:
    """Resolve a base model to its revision and load it.

    Args:
        name: `embedded`, a folder, or `user/name` on the Hub.

    Raises:
        CaptionerNotFound: no such model.
        ModelNotSupported: it is no text-to-image Stable Diffusion pipeline.
    """
    source = resolve_model(name, kind="diffusion", revision=revision)
    pipeline = load_pipeline(source)
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    side = pipeline.unet.config.sample_size
    if not isinstance(side, int):
        raise ModelNotSupported(f"{name}: its UNet has sample_size {side!r}, not one number; {EXPECTED}")
    return Base(
        source=source,
        pipeline=pipeline,
        resolution=side * factor,
        factor=factor,
        prediction=prediction_type(pipeline.scheduler),
    )


def prediction_type(scheduler: Any) -> str:
    """What the scheduler's configuration says the model predicts.

    Raises:
        ModelNotSupported: it is none of `PREDICTIONS`.
    """
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind not in PREDICTIONS:
        raise ModelNotSupported(
            f"the base model's scheduler says prediction_type {kind!r}; this trainer knows {', '.join(PREDICTIONS)}"
        )
    return str(kind)


def _stored_dtypes(folder: Path) -> set[str]:
    """The types of weights in a part's safetensors files, by their headers alone."""
    found = set()
    for path in folder.glob("*.safetensors"):
        if not _WEIGHTS.fullmatch(path.name):
            continue
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: Mapping[str, Any] = json.loads(file.read(length))
        found |= {str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__"}
    return found


def load_pipeline(source: ModelSource) -> "Pipeline":
    """Load a resolved model as a StableDiffusionPipeline or StableDiffusionXLPipeline in float32.

    Raises:
        ModelNotSupported: it is another kind of model, its files are not complete, or its parts do not fit together.
        MissingExtra: diffusers is not installed.
    """
    require("diffusers", "accelerate", extra="train")
    import diffusers
    import torch

    _quiet()
    kind = pipeline_class(source)
    with (
        opening(source.name, f"{source.name} cannot be loaded by diffusers", f"; {EXPECTED}"),
        building(source.name, source),
    ):
        pipeline: Pipeline = getattr(diffusers, kind).from_pretrained(
            source.location, revision=source.commit, dtype=torch.float32
        )
        pipeline.tokenizer(TRIED)
    check_fit(pipeline, source.name)
    return pipeline


def _quiet() -> None:
    """No bars and remarks of the libraries: the commands have their own, and those would fill a log."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()
