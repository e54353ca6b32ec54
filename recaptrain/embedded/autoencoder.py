"""The autoencoder of the embedded diffusion model: 64×64 scenes ↔ 16×16 latents of 4 channels.

First on 32×32 crops around the drawn things, which cost a quarter of a picture and hold no empty background; then on
whole pictures, because group normalization sees other statistics there. Pixels that are not background weigh more:
they are few, and they are what captions speak of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import SIDE, Scene, World, draw_scene, render
from recapdata.scenes.world import WHOLE
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL

CROP = 32
HELD_OUT_SEED = 2**31 - 1
HELD_OUT = 512
"""Scenes that figures of the autoencoder, and the scale of its latents, are measured on; of a world of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoencoder:
    """What the autoencoder is and what it is trained for.

    Attributes:
        thing_weight: weight of a pixel that is not background, relative to one that is.
        kl_weight: weight of the KL divergence per latent value, beside the squared error per pixel channel in [-1, 1].
    """

    channels: tuple[int, ...] = (16, 32, 64)
    thing_weight: float = 5.0
    kl_weight: float = 1e-4


def build(settings: Autoencoder, seed: int) -> "AutoencoderKL":
    """The untrained autoencoder; no attention, so that what it learns on crops holds for whole pictures."""
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    levels = len(settings.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(settings.channels),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        act_fn="relu",
        mid_block_add_attention=False,
        sample_size=SIDE,
        scaling_factor=1.0,
    )


def train_autoencoder(
    settings: Autoencoder, crops: Stage, wholes: Stage, work: Path, *, seed: int, device: str
) -> "AutoencoderKL":
    """Train on crops, then on whole pictures; the scaling factor gives latents of the world unit variance."""
    vae = build(settings, seed).to(device)
    for name, stage, whole in (("crops", crops, False), ("wholes", wholes, True)):

        def loss_of(step: int, stage: Stage = stage, whole: bool = whole) -> Loss:
            start = step * stage.batch + (crops.steps * crops.batch if whole else 0)
            pixels, weights = batch_of(settings, seed, start, stage.batch, whole=whole)
            loss = reconstruction_loss(vae, pixels, weights, settings.kl_weight, seed=start)
            return loss, {"dB": psnr(vae, 128)} if (step + 1) % 300 == 0 else {}

        train(name, stage, vae, loss_of, work)
    return standardize(vae)


def open_autoencoder(folder: Path) -> "AutoencoderKL":
    """A trained autoencoder of the drawn world, with standardized latents."""
    from diffusers import AutoencoderKL

    return standardize(AutoencoderKL.from_pretrained(folder))


def to_unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels (N, H, W, 3) as (N, 3, H, W) in [-1, 1], the range the pipeline's image processor uses."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1.0


def pictures(seed: int, start: int, count: int, world: World = WHOLE) -> NDArray[np.uint8]:
    """Scenes `start`… of a world as pixels, (count, 64, 64, 3)."""
    return np.stack([render(draw_scene(seed, index, world)) for index in range(start, start + count)])


def batch_of(
    settings: Autoencoder, seed: int, start: int, count: int, *, whole: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Pixels (N, H, W, 3) and weights (N, 1, H, W) of the scenes from `start` on, whole or one crop of each."""
    chance = np.random.default_rng((seed, start))
    pixels, weights = [], []
    for index in range(start, start + count):
        scene = draw_scene(seed, index)
        picture = render(scene)
        things = (picture != np.array(scene.background_rgb, np.uint8)).any(2)
        if not whole:
            x, y = _corner(scene, chance)
            picture, things = picture[y : y + CROP, x : x + CROP], things[y : y + CROP, x : x + CROP]
        pixels.append(picture)
        weights.append(1.0 + (settings.thing_weight - 1.0) * things)
    return np.stack(pixels), np.stack(weights)[:, None].astype(np.float32)


def _corner(scene: Scene, chance: np.random.Generator) -> tuple[int, int]:
    """Top left corner of a crop that has one of the drawn things about its middle, on the grid of the latents."""
    boxes = [drawn.box for drawn in scene.objects] + ([scene.word.box] if scene.word else [])
    x, y, width, height = boxes[chance.integers(len(boxes))]
    middle = (x + chance.integers(width), y + chance.integers(height))
    left, top = (int(np.clip(each - CROP // 2, 0, SIDE - CROP)) // 4 * 4 for each in middle)
    return left, top


def reconstruction_loss(
    vae: "AutoencoderKL",
    pixels: NDArray[np.uint8],
    weights: NDArray[np.float32],
    kl_weight: float,
    *,
    seed: int,
) -> "torch.Tensor":
    """Weighted mean squared error of the decoded pictures, and the KL divergence per latent value."""
    import torch

    images = torch.from_numpy(to_unit(pixels)).to(vae.device)
    weight = torch.from_numpy(weights).to(vae.device)
    generator = torch.Generator().manual_seed(seed)
    with autocast(vae.device):
        latents = vae.encode(images).latent_dist
        decoded = vae.decode(latents.sample(generator)).sample
    error = (decoded.float() - images).square()
    kl = latents.kl().mean() / latents.mean[0].numel()
    return (error * weight).sum() / (3 * weight.sum()) + kl_weight * kl


def psnr(vae: "AutoencoderKL", count: int) -> float:
    """Peak signal-to-noise ratio in dB of reconstructed held-out scenes, over the mean squared error of all pixels."""
    import torch

    with torch.no_grad():
        errors = [
            (vae.decode(vae.encode(batch).latent_dist.mode()).sample.clamp(-1, 1) - batch).square().mean()
            for batch in _held_out(vae, count)
        ]
    return float(10 * torch.log10(4.0 / torch.stack(errors).mean()))


def _held_out(vae: "AutoencoderKL", count: int) -> Iterator["torch.Tensor"]:
    import torch

    for start in range(0, count, 32):
        yield torch.from_numpy(to_unit(pictures(HELD_OUT_SEED, start, min(32, count - start)))).to(vae.device)


def standardize(vae: "AutoencoderKL") -> "AutoencoderKL":
    """Move each latent channel to mean 0 and standard deviation 1 over held-out scenes; what is decoded stays the same.

    An autoencoder may write the background with ten times the contrast of the shapes. A denoiser then hears the shapes
    only where hardly any noise is left. The change is linear per channel, so the convolutions on either side of the
    latents take it up, and the file stays an ordinary AutoencoderKL.
    """
    import torch

    with torch.no_grad():
        latents = torch.cat([vae.encode(batch).latent_dist.mode() for batch in _held_out(vae, HELD_OUT)])
        mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        moments, channels = vae.quant_conv, len(mean)
        moments.weight[:channels] /= spread[:, None, None, None]
        moments.bias[:channels] = (moments.bias[:channels] - mean) / spread
        moments.bias[channels:] -= 2 * spread.log()
        restored = vae.post_quant_conv
        restored.bias += restored.weight[:, :, 0, 0] @ mean
        restored.weight *= spread[:, None, None]
    vae.register_to_config(scaling_factor=1.0)
    return vae.eval()
