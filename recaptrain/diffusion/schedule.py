"""The noise schedule: what a base was trained with, and the changes to it that the saved pipeline samples with."""

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported, OptionError
from recaptrain.diffusion.base import Base

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

BETAS = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")


def reschedule(base: Base, *, prediction: str | None, zero_terminal_snr: bool) -> Base:
    """Put another prediction target or a zero-terminal-SNR schedule into the base's pipeline, whose scheduler is saved with it.

    A scheduler that cannot sample so is replaced by DDIM, of the same betas. With zero terminal SNR its steps are spaced from
    the end, since the last one must be among them (Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed").

    Args:
        prediction: `epsilon`, `v_prediction` or `sample`; None keeps the base's.

    Raises:
        OptionError: zero terminal SNR is asked of a model that predicts the noise.
        ModelNotSupported: the base has no schedule of betas (flow matching, EDM).
    """
    scheduler: Any = base.pipeline.scheduler
    check_schedule(scheduler, base.source.name)
    wanted = prediction or base.prediction
    if zero_terminal_snr and wanted == "epsilon":
        raise OptionError(
            "--zero-terminal-snr: at the last step the input is pure noise, so predicting the noise (epsilon) teaches nothing there; "
            "add --prediction-type v_prediction, or leave the option out"
        )
    changes: dict[str, Any] = {} if wanted == base.prediction else {"prediction_type": wanted}
    if zero_terminal_snr and not scheduler.config.get("rescale_betas_zero_snr"):
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    if changes:
        base.pipeline.scheduler = _changed(scheduler, changes)
    return replace(base, prediction=wanted)


def _changed(scheduler: Any, changes: dict[str, Any]) -> Any:
    """The scheduler with some of its configuration changed; DDIM where its class cannot sample so."""
    from diffusers import DDIMScheduler, PNDMScheduler

    kind, config = type(scheduler), {**scheduler.config, **changes}
    unable = isinstance(scheduler, PNDMScheduler) and changes.get("prediction_type") == "sample"
    if unable or not set(changes) <= set(inspect.signature(kind.__init__).parameters):
        # DDIM would clip x_0 to [-1, 1] unless told otherwise, and latents lie outside
        kind, config = DDIMScheduler, {**config, "clip_sample": False}
    known = inspect.signature(kind.__init__).parameters
    return kind.from_config({name: value for name, value in config.items() if name in known})


def check_schedule(scheduler: Any, name: str) -> None:
    """Refuse a model whose noise has no schedule of betas.

    Raises:
        ModelNotSupported: so it is.
    """
    missing = [each for each in BETAS if each not in scheduler.config]
    if missing:
        raise ModelNotSupported(
            f"{name}: its scheduler {type(scheduler).__name__} has no {missing[0]}, so it is a flow-matching or EDM model; "
            "this trainer knows models with a schedule of betas (Stable Diffusion 1, 2 and XL)"
        )


def training_schedule(scheduler: Any) -> "DDPMScheduler":
    """The scheduler's betas as DDPM has them: x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε, whatever form the sampler computes in.

    Euler, the scheduler that SDXL is published with, would add noise in the form x_0 + σ·ε, which no UNet was trained on.
    """
    from diffusers import DDPMScheduler

    known = inspect.signature(DDPMScheduler.__init__).parameters
    config = {name: value for name, value in scheduler.config.items() if name in known}
    return DDPMScheduler.from_config(config)
