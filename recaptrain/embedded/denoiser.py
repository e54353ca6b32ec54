"""The denoiser of the embedded diffusion model, pretrained the way a base model is: on alt text and on lists of what is there.

So it draws the world's shapes and knows their names, but counts, positions and whole descriptions it has never seen drawn:
what better captions add is left for the training that follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import World, draw_scene
from recapdata.scenes.world import WHOLE, Dice
from recaptrain.diffusion.loss import denoising_loss, min_snr_weights, signal_to_noise, target
from recaptrain.embedded.autoencoder import pictures, to_unit
from recaptrain.embedded.curriculum import Curriculum, web_caption
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.training.accelerator import autocast
from recaptrain.training.loop import shuffled

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """What the UNet is, what it draws, and how it is trained.

    Attributes:
        world: how much its scenes hold.
        scenes: how many pictures it sees, over and over; their latents are made once.
        gamma: of Min-SNR-γ.
        averaging: decay of the average of weights, which is what is kept.
    """

    channels: tuple[int, ...] = (64, 96)
    world: World = WHOLE
    scenes: int = 20_000
    gamma: float = 5.0
    averaging: float = 0.998


def build_unet(settings: Denoiser, text_width: int, seed: int) -> "UNet2DConditionModel":
    """The untrained UNet.

    It attends, to itself and to the text, on the coarser of the two grids only, where that costs a sixteenth. A summary of
    the text, pooled by attention, is added to the time embedding, which scales and shifts every block: so the words count
    on both grids and from the first steps, long before cross-attention finds them.
    """
    import torch
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=tuple(settings.channels),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=8,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )
    unet.set_attn_processor(AttnProcessor())  # twice as fast as the fused one when training on a CPU
    return unet


def build_scheduler() -> Any:
    """DDIM as Lin et al. 2023 ask for it: v-prediction, zero SNR at the last step, steps spaced from the end."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,  # unused by trailing steps; the pipeline warns of any other
        clip_sample=False,
    )


def encode_scenes(
    vae: "AutoencoderKL", world: World, seed: int, count: int, path: Path
) -> NDArray[np.float16]:
    """Mean latents of the first scenes of a world in the denoiser's scale, (count, 4, 16, 16); kept in `path`."""
    import torch

    if path.is_file():
        return np.load(path)
    parts = []
    with torch.no_grad(), autocast(vae.device):
        for start in range(0, count, 100):
            images = torch.from_numpy(to_unit(pictures(seed, start, min(100, count - start), world)))
            latents = vae.encode(images.to(vae.device)).latent_dist.mode() * vae.config.scaling_factor
            parts.append(latents.to("cpu", torch.float16).numpy())
    np.save(path, np.concatenate(parts))
    return np.load(path)


def train_denoiser(
    settings: Denoiser,
    stages: Mapping[str, tuple[Stage, Curriculum]],
    text_encoder: "CLIPTextModel",
    tokenizer: "CLIPTokenizer",
    latents: NDArray[np.float16],
    work: Path,
    *,
    seed: int,
    device: str,
) -> "UNet2DConditionModel":
    """Train the UNet on what the text encoder reads, or go on from `work`; its averaged weights.

    Args:
        stages: by name, each with the captions it is trained on, each from the averaged weights of the one before.
        text_encoder: stays as it is.
        latents: of scenes 0, 1, … of the world of the seed.
    """
    import torch

    scheduler = build_scheduler()
    unet = build_unet(settings, text_encoder.config.hidden_size, seed)
    unet = unet.to(device, memory_format=torch.channels_last)
    text_encoder = text_encoder.to(device).eval()

    def loss_of(batch: int, curriculum: Curriculum, step: int) -> Loss:
        _, rows = shuffled(np.arange(len(latents)), seed, step, batch)
        captions = [_caption(curriculum, settings.world, seed, int(row), step) for row in rows]
        draw = torch.Generator().manual_seed(step)
        times = torch.randint(0, scheduler.config.num_train_timesteps, (len(rows),), generator=draw)
        clean = torch.from_numpy(latents[rows]).float()
        noise = torch.randn(clean.shape, generator=draw).to(device)
        clean, times = clean.to(device), times.to(device)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        with autocast(device):
            with torch.no_grad():
                text = text_encoder(tokens.input_ids.to(device))[0]
            noisy = scheduler.add_noise(clean, noise, times)
            answer = unet(noisy, times, encoder_hidden_states=text).sample
        weights = min_snr_weights(signal_to_noise(scheduler, times), "v_prediction", settings.gamma)
        return denoising_loss(answer, target(scheduler, clean, noise, times), weights), {}

    for name, (stage, curriculum) in stages.items():
        train(
            name, stage, unet, partial(loss_of, stage.batch, curriculum), work, averaging=settings.averaging
        )
    return unet.to(memory_format=torch.contiguous_format).eval()


def _caption(curriculum: Curriculum, world: World, seed: int, index: int, step: int) -> str:
    """The caption of a scene at a step; another one at every step."""
    dice = Dice(seed, index * 1_000_003 + step, "web caption")
    return web_caption(curriculum, draw_scene(seed, index, world), dice)
