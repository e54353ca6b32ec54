"""The denoiser of the embedded diffusion model, pretrained the way a base model is: on alt text and on lists of what is there.

So it draws the world's shapes and knows their names, but counts, positions and whole descriptions it has never seen drawn:
what better captions add is left for the training that follows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import alt_text, draw_scene
from recapdata.scenes.world import Dice
from recaptrain.diffusion.loss import denoising_loss, min_snr_weights, signal_to_noise, target
from recaptrain.embedded.autoencoder import pictures, to_unit
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.training.accelerator import autocast
from recaptrain.training.loop import shuffled

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """What the UNet is and how it is trained, whatever the curriculum.

    Attributes:
        scenes: how many pictures it sees, over and over; their latents are made once.
        gamma: of Min-SNR-γ.
        averaging: decay of the average of weights, which is what is kept.
    """

    channels: tuple[int, ...] = (64, 96)
    scenes: int = 20_000
    gamma: float = 5.0
    averaging: float = 0.998


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """What the captions of a stage are, and which noise levels it dwells on.

    Attributes:
        listing: share of captions that truly list kinds of shapes ("red circle, blue star"); the others are alt text.
        complete: share of the lists that leave nothing out.
        dropout: share of empty captions, which classifier-free guidance needs.
        noisiest: share of examples from the noisiest three tenths of the levels alone, where what is drawn is decided.
    """

    listing: float = 0.3
    complete: float = 0.0
    dropout: float = 0.1
    noisiest: float = 0.0


def build_unet(settings: Denoiser, text_width: int, seed: int) -> "UNet2DConditionModel":
    """Attention, to itself and to the text, on the coarser of the two grids only, where it costs a sixteenth."""
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


def web_caption(curriculum: Curriculum, seed: int, index: int, step: int) -> str:
    """Alt text of a scene, or a true list of its kinds of shapes or some of them, or nothing; drawn anew at every step."""
    scene = draw_scene(seed, index)
    dice = Dice(seed, index * 1_000_003 + step, "web caption")
    if dice.chance(curriculum.dropout):
        return ""
    if not dice.chance(curriculum.listing):
        return alt_text(scene)
    kinds = list(dict.fromkeys(f"{drawn.color} {drawn.shape}" for drawn in scene.objects))
    everything = curriculum.complete > 0 and dice.chance(curriculum.complete)
    listed = ", ".join(dice.sample(kinds, len(kinds) if everything else 1 + dice.below(len(kinds))))
    return f"{listed} on {scene.background}" if dice.chance(0.3) else listed


def encode_scenes(vae: "AutoencoderKL", seed: int, count: int, path: Path) -> NDArray[np.float16]:
    """Mean latents of the first scenes of a world in the denoiser's scale, (count, 4, 16, 16); kept in `path`."""
    import torch

    if path.is_file():
        return np.load(path)
    parts = []
    with torch.no_grad(), autocast(vae.device):
        for start in range(0, count, 100):
            images = torch.from_numpy(to_unit(pictures(seed, start, min(100, count - start))))
            latents = vae.encode(images.to(vae.device)).latent_dist.mode() * vae.config.scaling_factor
            parts.append(latents.to("cpu", torch.float16).numpy())
    np.save(path, np.concatenate(parts))
    return np.load(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What every stage has in common: the tokenizer, latents of scenes 0, 1, … of the world `seed`, and where it runs."""

    tokenizer: "CLIPTokenizer"
    latents: NDArray[np.float16]
    seed: int
    device: str


def train_denoiser(
    name: str,
    settings: Denoiser,
    curriculum: Curriculum,
    stage: Stage,
    unet: "UNet2DConditionModel",
    text_encoder: "CLIPTextModel",
    material: Material,
    work: Path,
) -> "torch.nn.ModuleDict":
    """Train UNet and text encoder together through one stage, or go on from `work`; both, with averaged weights."""
    import torch

    scheduler = build_scheduler()
    model = torch.nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).to(material.device)

    def loss_of(step: int) -> Loss:
        _, rows = shuffled(np.arange(len(material.latents)), material.seed, step, stage.batch)
        captions = [web_caption(curriculum, material.seed, int(row), step) for row in rows]
        draw = torch.Generator().manual_seed(step)
        times = levels_of(curriculum, len(rows), scheduler.config.num_train_timesteps, draw)
        return _loss(model, scheduler, material, rows, captions, times, settings.gamma, draw), {}

    train(name, stage, model, loss_of, work, averaging=settings.averaging)
    return model.eval()


def levels_of(curriculum: Curriculum, count: int, levels: int, draw: "torch.Generator") -> "torch.Tensor":
    """Noise levels of a batch, evenly drawn from all, but the first of them from the noisiest three tenths."""
    import torch

    times = torch.randint(0, levels, (count,), generator=draw)
    few = round(curriculum.noisiest * count)
    times[:few] = levels - 1 - times[:few] * 3 // 10
    return times


def _loss(
    model: "torch.nn.ModuleDict",
    scheduler: Any,
    material: Material,
    rows: NDArray[np.int64],
    captions: list[str],
    times: "torch.Tensor",
    gamma: float,
    draw: "torch.Generator",
) -> "torch.Tensor":
    import torch

    unet: Any = model["unet"]
    device: torch.device = unet.device
    clean = torch.from_numpy(material.latents[rows]).float()
    noise = torch.randn(clean.shape, generator=draw).to(device)
    clean, times = clean.to(device), times.to(device)
    tokens = material.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    with autocast(device):
        text = model["text_encoder"](tokens.input_ids.to(device))[0]
        noisy = scheduler.add_noise(clean, noise, times)
        answer = unet(noisy, times, encoder_hidden_states=text).sample
    weights = min_snr_weights(signal_to_noise(scheduler, times), "v_prediction", gamma)
    return denoising_loss(answer, target(scheduler, clean, noise, times), weights)
