"""The base model: any Stable Diffusion pipeline by name and revision, and the parts of it that are trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported, OptionError
from recapdata.extras import require
from recapdata.models.sources import ModelSource, resolve_model

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline

TRAINABLE = ("unet", "text_encoder")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
_EXPECTED = "expected a StableDiffusionPipeline in diffusers' format, such as stable-diffusion-v1-5/stable-diffusion-v1-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A loaded base model, in float32 on the CPU.

    Attributes:
        resolution: side of its pictures in pixels, from UNet and autoencoder.
        factor: pixels per latent along a side.
        prediction: what the UNet predicts: `epsilon`, `v_prediction` or `sample`.
    """

    source: ModelSource
    pipeline: "StableDiffusionPipeline"
    resolution: int
    factor: int
    prediction: str

    def parts(self, names: Sequence[str]) -> "dict[str, torch.nn.Module]":
        """The modules to train, by name.

        Raises:
            OptionError: no such part can be trained.
        """
        unknown = [name for name in names if name not in TRAINABLE]
        if unknown or not names:
            raise OptionError(
                f"--train {','.join(names)}: name some of {', '.join(TRAINABLE)}, separated by commas"
            )
        return {name: getattr(self.pipeline, name) for name in TRAINABLE if name in names}

    def count_tokens(self, captions: Sequence[str]) -> list[int]:
        """How many tokens each caption has for the text encoder, start and end tokens included, before it is cut."""
        if not captions:
            return []
        ids = self.pipeline.tokenizer(list(captions), truncation=False, verbose=False).input_ids
        return [len(each) for each in ids]

    @property
    def token_limit(self) -> int:
        """How many tokens the text encoder reads."""
        return int(self.pipeline.tokenizer.model_max_length)


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
        raise ModelNotSupported(f"{name}: its UNet has sample_size {side!r}, not one number; {_EXPECTED}")
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


def load_pipeline(source: ModelSource) -> "StableDiffusionPipeline":
    """Load a resolved model as a StableDiffusionPipeline in float32.

    Raises:
        ModelNotSupported: it is another kind of model, or its files are not complete.
        MissingExtra: diffusers is not installed.
    """
    require("diffusers", "accelerate", extra="train")
    import torch
    from diffusers import DiffusionPipeline, StableDiffusionPipeline

    _quiet()
    kind = _declared_class(source, DiffusionPipeline)
    if kind != StableDiffusionPipeline.__name__:
        raise ModelNotSupported(f"{source.name} is a {kind}; {_EXPECTED}")
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            source.location, revision=source.commit, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelNotSupported(f"{source.name} cannot be loaded ({error}); {_EXPECTED}") from error
    wanted, given = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if wanted != given:
        raise ModelNotSupported(
            f"{source.name}: its UNet takes {wanted} channels and its autoencoder gives {given} (an inpainting model?)"
        )
    return pipeline


def _declared_class(source: ModelSource, loader: Any) -> str:
    """The pipeline class that the model's model_index.json names."""
    try:
        return str(loader.load_config(source.location, revision=source.commit).get("_class_name"))
    except OSError as error:
        raise ModelNotSupported(f"{source.name} has no readable model_index.json; {_EXPECTED}") from error


def _quiet() -> None:
    """No bars and remarks of the libraries: the commands have their own, and those would fill a log."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()
