"""What a diffusion model learns: the noise in noised latents under their captions, weighted by Min-SNR-γ.

Notation: x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε and SNR(t) = ᾱ_t/(1−ᾱ_t), with ᾱ from the scheduler's own schedule.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.caption_sets.mixture import Drawn
from recaptrain.diffusion.base import Base, prediction_type
from recaptrain.diffusion.buckets import Batches
from recaptrain.diffusion.conditioning import Encoded, Tokens, encode, text_encoders, time_ids, tokenize
from recaptrain.diffusion.data import Examples, speaks_of_sides
from recaptrain.diffusion.latents import Latents, sample
from recaptrain.diffusion.text_states import TextStates
from recaptrain.diffusion.weights import CaptionWeights
from recaptrain.training.accelerator import seed_device
from recaptrain.training.preparing import Training

if TYPE_CHECKING:
    import torch
    from diffusers import DDPMScheduler

    from recaptrain.diffusion.conditioning import Pipeline


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


def offset_noise(noise: "torch.Tensor", strength: float, generator: "torch.Generator") -> "torch.Tensor":
    """Noise (N, C, h, w) with a part that is constant over each channel (Guttenberg 2023), so that brightness is learned, too."""
    import torch

    return noise + strength * torch.randn((*noise.shape[:2], 1, 1), generator=generator)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The rows of one micro-batch, with their captions and pictures.

    Attributes:
        text: captions as the text encoders' tokens, or their states where those are kept.
        moments: (N, 2, channels, height, width): mean and standard deviation of each picture's latents.
        corners: (N, 2): top and left of what was cut out of each scaled picture.
        originals: (N, 2): height and width of each picture before that.
        drawn: the captions, and the sets that they are of.
        weights: (N,): of each caption in the loss.
    """

    rows: NDArray[np.int64]
    text: Tokens | Encoded
    moments: NDArray[np.float32]
    corners: NDArray[np.int32]
    originals: NDArray[np.int64]
    drawn: Sequence[Drawn]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoising:
    """A `Task`: predict the noise in noised latents under their captions.

    Attributes:
        batches: which rows stand together.
        schedule: that noise is added by; see `schedule.training_schedule`.
        snr_gamma: γ of Min-SNR-γ weighting; None weighs all noise levels alike.
        texts: kept states of captions; None where they are made at every step.
        offset: strength of offset noise; 0 for none.
        weights: of captions in the loss; None weighs all alike.
        seen: what this process has been trained on since somebody cleared it.
    """

    training: Training
    base: Base
    schedule: "DDPMScheduler"
    examples: Examples
    batches: Batches
    latents: Latents
    snr_gamma: float | None
    texts: TextStates | None = None
    offset: float = 0.0
    weights: CaptionWeights | None = None
    seen: list[MicroBatch] = field(default_factory=list)

    def inputs(self, step: int) -> list[MicroBatch]:
        """The step's micro-batches of this process: of the endless sequence of batches, those whose turn it is."""
        settings, accelerator = self.training.optimization, self.training.accelerator
        first = step * settings.accumulate
        return [
            self._micro_batch((first + micro) * accelerator.num_processes + accelerator.process_index)
            for micro in range(settings.accumulate)
        ]

    def _micro_batch(self, number: int) -> MicroBatch:
        seed = self.training.optimization.seed
        epoch, rows = self.batches.batch(seed, number)
        drawn = self.examples.captions(rows, seed=seed, epoch=epoch)
        return self._of(
            rows, drawn, self._fittings(rows, [each.caption or "" for each in drawn], seed, epoch)
        )

    def fixed(self, rows: NDArray[np.int64], captions: Sequence[str]) -> MicroBatch:
        """A micro-batch of rows under given captions, as they are cut without chance."""
        return self._of(rows, [Drawn(set_name=None, caption=each) for each in captions], [0] * len(rows))

    def _of(self, rows: NDArray[np.int64], drawn: Sequence[Drawn], fittings: list[int]) -> MicroBatch:
        captions = [each.caption or "" for each in drawn]
        text: Tokens | Encoded | None = None if self.texts is None else self.texts.read(captions)
        if text is None:
            most = self.base.windows(self.examples.mixture.over_length)
            text = tokenize(self.base.pipeline, captions, most=most)
        moments, corners = self.latents.read(rows, fittings)
        weights = np.ones(len(rows), np.float32)
        if self.weights is not None:
            for place, (row, each) in enumerate(zip(rows.tolist(), drawn, strict=True)):
                weights[place] = self.weights.of(each.set_name, row, each.caption or "")
        originals = self.examples.shapes[rows][:, ::-1]
        return MicroBatch(rows, text, moments, corners, originals, drawn, weights)

    def _fittings(self, rows: NDArray[np.int64], captions: Sequence[str], seed: int, epoch: int) -> list[int]:
        """Which crop of each picture is seen in an epoch, and whether mirrored: a function of seed, epoch and row."""
        ways = self.latents.fittings
        if len(ways) == 1:
            return [0] * len(rows)
        straight = sum(not way.flip for way in ways)
        chosen = []
        for row, caption in zip(rows.tolist(), captions, strict=True):
            crop, side = np.random.default_rng((seed, epoch, row)).random(2)
            mirrored = len(ways) > straight and side < 0.5 and not speaks_of_sides(caption)
            chosen.append(int(crop * straight) + straight * mirrored)
        return chosen

    def loss(
        self, inputs: MicroBatch, draw: int
    ) -> "tuple[torch.Tensor, Mapping[str, torch.Tensor | float]]":
        """The loss of one micro-batch; noise is drawn on the CPU, so that every device sees the same."""
        import torch

        pipeline, device, count = self.base.pipeline, self.training.accelerator.device, len(inputs.rows)
        if torch.is_grad_enabled():
            self.seen.append(inputs)
        seed_device(device, draw)  # for dropout layers, where a model has any
        generator = torch.Generator().manual_seed(draw)
        moments = torch.from_numpy(inputs.moments)
        shape = (count, *moments.shape[2:])
        clean = sample(moments, torch.randn(shape, generator=generator)).to(device)
        noise = torch.randn(shape, generator=generator)
        times = torch.randint(0, self.schedule.config.num_train_timesteps, (count,), generator=generator)
        if self.offset:
            noise = offset_noise(noise, self.offset, generator)
        noise, times = noise.to(device), times.to(device)
        size = (shape[2] * self.base.factor, shape[3] * self.base.factor)
        sizes = time_ids(inputs.originals.tolist(), inputs.corners.tolist(), size)
        text = inputs.text.to(device) if isinstance(inputs.text, Encoded) else inputs.text
        noised = self.schedule.add_noise(clean, noise, times)

        def predict(parts: Mapping[str, Any]) -> "torch.Tensor":
            trained = dict(parts)
            unet = trained.pop("unet", pipeline.unet)
            condition = encode(pipeline, text, trained)
            answer: torch.Tensor = unet(noised, times, **condition.arguments(sizes)).sample
            return answer

        with self.training.accelerator.autocast():
            answer = self.training.model(predict)
        weights = min_snr_weights(signal_to_noise(self.schedule, times), self.base.prediction, self.snr_gamma)
        weights = weights * torch.from_numpy(inputs.weights).to(device)
        wanted = target(self.schedule, clean, noise, times)
        return denoising_loss(answer, wanted, weights), self._drawn(inputs)

    def _drawn(self, inputs: MicroBatch) -> dict[str, float]:
        """The shares of a micro-batch's captions by set, and of those that were dropped, as figures to log."""
        sets, count = [each.set_name for each in inputs.drawn], len(inputs.rows)
        shares = {f"drawn/{name}": sets.count(name) / count for name in self.examples.mixture.sets}
        return {**shares, "dropped": sum(not each.caption for each in inputs.drawn) / count}


def place(
    pipeline: "Pipeline",
    names: Collection[str],
    device: "torch.device",
    *,
    trained_on: "torch.device | str | None" = None,
) -> "dict[str, Any]":
    """Move the parts to their device and freeze what is not trained; the modules to train by name.

    Args:
        trained_on: the device of those that are trained, where it is another.
    """
    pipeline.vae.requires_grad_(False)
    modules = {"unet": pipeline.unet, **text_encoders(pipeline)}
    for name, module in modules.items():
        module.requires_grad_(name in names).train(name in names)
        module.to(trained_on or device if name in names else device)
    if "text_encoder_2" in modules:
        # SDXL reads the states before the last layer, so what is behind them learns nothing
        first = getattr(modules["text_encoder"], "text_model", modules["text_encoder"])
        first.encoder.layers[-1].requires_grad_(False)
        first.final_layer_norm.requires_grad_(False)
    return {name: modules[name] for name in modules if name in names}
