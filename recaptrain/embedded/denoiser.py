"""The denoiser and text encoder of the embedded diffusion model, pretrained the way a base model is: mostly on alt text.

So it draws the world's shapes and knows their names, but counts, positions and whole descriptions it has never read:
what better captions add is left for the training that follows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import alt_text, draw_scene
from recapdata.scenes.world import Dice
from recaptrain.denoising import denoising_loss, min_snr_weights, signal_to_noise, target
from recaptrain.embedded.autoencoder import pictures, to_unit
from recaptrain.embedded.training import Stage, train

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """What UNet and text encoder are and what they are trained on, together and from nothing.

    Attributes:
        scenes: how many pictures they see, over and over; their latents are made once.
        listing: share of the captions that list some of the shapes truly ("red circle, blue star").
        dropout: share of empty captions, which classifier-free guidance needs.
        gamma: of Min-SNR-γ.
        averaging: how much of the average of past weights, which is what is kept, each step leaves.
    """

    channels: tuple[int, ...] = (64, 96)
    text_width: int = 128
    text_layers: int = 2
    scenes: int = 20_000
    listing: float = 0.3
    dropout: float = 0.1
    gamma: float = 5.0
    averaging: float = 0.998


def build_unet(settings: Denoiser) -> "UNet2DConditionModel":
    """Attention, to itself and to the text, on the coarser of the two grids only, where it costs a sixteenth."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=tuple(settings.channels),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=settings.text_width,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    unet.set_attn_processor(AttnProcessor())  # twice as fast as the fused one when training on a CPU
    return unet


def build_text_encoder(settings: Denoiser, tokenizer: "CLIPTokenizer") -> "CLIPTextModel":
    """A CLIP text encoder that reads as many tokens as Stable Diffusion's: 77."""
    from transformers import CLIPTextConfig, CLIPTextModel

    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.text_width,
            intermediate_size=4 * settings.text_width,
            num_hidden_layers=settings.text_layers,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    encoder.set_attn_implementation("eager")
    return encoder


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


def web_caption(settings: Denoiser, seed: int, index: int, step: int) -> str:
    """Alt text of a scene, or a true list of some of its shapes, or nothing; drawn anew at every step."""
    scene = draw_scene(seed, index)
    dice = Dice(seed, index * 1_000_003 + step, "web caption")
    if dice.chance(settings.dropout):
        return ""
    if not dice.chance(settings.listing):
        return alt_text(scene)
    looks = list(dict.fromkeys(f"{drawn.color} {drawn.shape}" for drawn in scene.objects))
    said = ", ".join(dice.sample(looks, 1 + dice.below(len(looks))))
    return f"{said} on {scene.background}" if dice.chance(0.3) else said


def encode_scenes(vae: "AutoencoderKL", seed: int, count: int, path: Path) -> NDArray[np.float16]:
    """Mean latents of the first scenes of a world in the denoiser's scale, (count, 4, 16, 16); kept in `path`."""
    import torch

    if path.is_file():
        return np.load(path)
    parts = []
    with torch.no_grad(), torch.autocast(vae.device.type, torch.bfloat16):
        for start in range(0, count, 100):
            images = torch.from_numpy(to_unit(pictures(seed, start, min(100, count - start))))
            latents = vae.encode(images.to(vae.device)).latent_dist.mode() * vae.config.scaling_factor
            parts.append(latents.to("cpu", torch.float16).numpy())
    np.save(path, np.concatenate(parts))
    return np.load(path)


def build_model(settings: Denoiser, tokenizer: "CLIPTokenizer", seed: int) -> "torch.nn.ModuleDict":
    """UNet and text encoder under training, and under `average` the average of their past weights."""
    import copy

    import torch

    torch.manual_seed(seed)
    model = torch.nn.ModuleDict(
        {"unet": build_unet(settings), "text_encoder": build_text_encoder(settings, tokenizer)}
    )
    model["average"] = copy.deepcopy(model).requires_grad_(False)
    return model


def train_denoiser(
    settings: Denoiser,
    stage: Stage,
    vae: "AutoencoderKL",
    tokenizer: "CLIPTokenizer",
    work: Path,
    *,
    seed: int,
    device: str,
) -> "torch.nn.ModuleDict":
    """Train to the end, or go on from `work`; the averaged `unet` and `text_encoder`."""
    scheduler = build_scheduler()
    model = build_model(settings, tokenizer, seed).to(device)
    latents = encode_scenes(vae, seed, settings.scenes, work / "latents.npy")

    def loss_of(step: int) -> tuple["torch.Tensor", dict[str, float]]:
        _update_average(model, settings.averaging if step > 100 else 0.9)
        rows = rows_of(step, stage.batch, len(latents), seed)
        captions = [web_caption(settings, seed, int(row), step) for row in rows]
        return _loss(model, scheduler, tokenizer, latents[rows], captions, settings.gamma, seed=step), {}

    train("denoiser", stage, model, loss_of, work)
    average: Any = model["average"]
    return average.eval()


def rows_of(step: int, batch: int, total: int, seed: int) -> NDArray[np.int64]:
    """The scenes of a step: every scene once, in an order of its own, before any comes again."""
    epoch, place = divmod(step * batch, total // batch * batch)
    return np.random.default_rng((seed, epoch)).permutation(total)[place : place + batch]


def _update_average(model: "torch.nn.ModuleDict", keep: float) -> None:
    import torch

    averages: Any = model["average"]
    with torch.no_grad():
        for name in ("unet", "text_encoder"):
            pairs = zip(averages[name].parameters(), model[name].parameters(), strict=True)
            for average, weight in pairs:
                average.lerp_(weight, 1.0 - keep)


def _loss(
    model: "torch.nn.ModuleDict",
    scheduler: Any,
    tokenizer: "CLIPTokenizer",
    latents: NDArray[np.float16],
    captions: list[str],
    gamma: float,
    *,
    seed: int,
) -> "torch.Tensor":
    import torch

    unet: Any = model["unet"]
    device: torch.device = unet.device
    generator = torch.Generator().manual_seed(seed)
    clean = torch.from_numpy(latents).float()
    noise = torch.randn(clean.shape, generator=generator).to(device)
    steps = scheduler.config.num_train_timesteps
    times = torch.randint(0, steps, (len(captions),), generator=generator).to(device)
    clean = clean.to(device)
    tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    with torch.autocast(device.type, torch.bfloat16):
        text = model["text_encoder"](tokens.input_ids.to(device))[0]
        noisy = scheduler.add_noise(clean, noise, times)
        answer = unet(noisy, times, encoder_hidden_states=text).sample
    weights = min_snr_weights(signal_to_noise(scheduler, times), "v_prediction", gamma)
    return denoising_loss(answer, target(scheduler, clean, noise, times), weights)
