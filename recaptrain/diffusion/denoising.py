"""The objective of a denoising model: what it is to predict, and how much a noise level counts.

Notation: x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε and SNR(t) = ᾱ_t/(1−ᾱ_t), with ᾱ from the scheduler's own schedule.
"""

from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported

if TYPE_CHECKING:
    import torch

PREDICTIONS = ("epsilon", "v_prediction", "sample")


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


def target(
    scheduler: Any, latents: "torch.Tensor", noise: "torch.Tensor", timesteps: "torch.Tensor"
) -> "torch.Tensor":
    """What the model should answer at `timesteps`: ε, x_0, or v = √ᾱ·ε − √(1−ᾱ)·x_0 (Salimans & Ho 2022)."""
    kind = prediction_type(scheduler)
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return latents
    return scheduler.get_velocity(latents, noise, timesteps)


def signal_to_noise(scheduler: Any, timesteps: "torch.Tensor") -> "torch.Tensor":
    """SNR(t), shape of `timesteps`; 0 at the last step of a zero-terminal-SNR schedule."""
    kept = scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    return kept / (1.0 - kept)


def min_snr_weights(snr: "torch.Tensor", kind: str, gamma: float | None) -> "torch.Tensor":
    """Weights of the squared error by noise level (Hang et al. 2023, Min-SNR-γ); all 1 when `gamma` is None.

    In units of x_0 the weight is min(SNR, γ): over SNR for ε. For v the paper's min(SNR, γ)/(SNR+1) is 0 at zero SNR, so
    that a zero-terminal-SNR model would never learn its first denoising step; here it is min(SNR+1, γ)/(SNR+1).
    """
    import torch

    if gamma is None:
        return torch.ones_like(snr)
    if kind == "sample":
        return snr.clamp(max=gamma)
    if kind == "v_prediction":
        return (snr + 1.0).clamp(max=gamma) / (snr + 1.0)
    return torch.where(snr > 0, snr.clamp(max=gamma) / snr.clamp(min=1e-12), torch.ones_like(snr))


def denoising_loss(
    prediction: "torch.Tensor", wanted: "torch.Tensor", weights: "torch.Tensor"
) -> "torch.Tensor":
    """Mean over examples of weight × mean squared error, in float32; inputs (N, C, h, w), weights (N,)."""
    errors = (prediction.float() - wanted.float()).square().flatten(1).mean(1)
    return (errors * weights).mean()
