"""The embedded diffusion model: a StableDiffusionPipeline of the drawn world, small enough to travel with the package.

Each part is a checkpoint in the work folder: the autoencoder (`autoencoder`), a tokenizer learned on the world's captions
(`tokenizer`), the text encoder (`text_encoder`), which learns to carry words and stays so, and the denoiser (`denoiser`).
What comes out loads with `StableDiffusionPipeline.from_pretrained`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import say
from recaptrain.embedded.autoencoder import HELD_OUT, Autoencoder, open_autoencoder, psnr, train_autoencoder
from recaptrain.embedded.curriculum import Curriculum
from recaptrain.embedded.denoiser import Denoiser, build_scheduler, encode_scenes, train_denoiser
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.text_encoder import TextEncoder, build_text_encoder, train_text_encoder
from recaptrain.embedded.tokenizers import build_clip_tokenizer
from recaptrain.training.model_folder import forget_origins

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionRecipe:
    """The settings of `recipes/embedded-diffusion.yaml`."""

    seed: int = 3
    device: str = "cpu"
    vocabulary: int = 1024
    autoencoder: Autoencoder = field(default_factory=Autoencoder)
    crops: Stage
    wholes: Stage
    text_encoder: TextEncoder = field(default_factory=TextEncoder)
    reading: Stage
    denoiser: Denoiser = field(default_factory=Denoiser)
    drawing: Stage
    finishing: Stage
    curriculum: Curriculum = field(default_factory=Curriculum)
    settling: Stage
    web: Curriculum = field(default_factory=lambda: Curriculum(listing=0.0))


def train_embedded_diffusion(
    recipe: DiffusionRecipe, work: Path, out: Path, vae: Path | None = None
) -> "StableDiffusionPipeline":
    """Run the recipe's stages (those that `work` holds finished are skipped) and write the pipeline to `out`.

    Args:
        vae: folder of an autoencoder to take in the place of the recipe's own.
    """
    work.mkdir(parents=True, exist_ok=True)
    seed, device = recipe.seed, recipe.device
    tokenizer = build_clip_tokenizer(seed, vocabulary=recipe.vocabulary)
    if vae is None:
        autoencoder = train_autoencoder(
            recipe.autoencoder, recipe.crops, recipe.wholes, work, seed=seed, device=device
        )
    else:
        autoencoder = open_autoencoder(vae).to(device)
    say(f"autoencoder: {psnr(autoencoder, HELD_OUT):.2f} dB on {HELD_OUT} held-out scenes")
    text_encoder = build_text_encoder(recipe.text_encoder, tokenizer, seed)
    train_text_encoder(text_encoder, recipe.reading, tokenizer, work, seed=seed, device=device)
    settings = recipe.denoiser
    latents = encode_scenes(autoencoder, settings.world, seed, settings.scenes, work / "latents.npy")
    unet = train_denoiser(
        settings,
        {
            "drawing": (recipe.drawing, recipe.curriculum),
            "finishing": (recipe.finishing, recipe.curriculum),
            "settling": (recipe.settling, recipe.web),
        },
        text_encoder,
        tokenizer,
        latents,
        work,
        seed=seed,
        device=device,
    )
    return save(autoencoder, tokenizer, text_encoder, unet, out)


def save(
    vae: "AutoencoderKL",
    tokenizer: "CLIPTokenizer",
    text_encoder: "CLIPTextModel",
    unet: "UNet2DConditionModel",
    out: Path,
) -> "StableDiffusionPipeline":
    """Write the pipeline to `out`.

    UNet and autoencoder are kept in half precision; diffusers loads them in full precision unless told otherwise. The text
    encoder is kept in full precision, since transformers loads it in the precision that it finds.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=vae.to("cpu", torch.float16),
        text_encoder=text_encoder.to("cpu"),
        tokenizer=tokenizer,
        unet=unet.to("cpu", torch.float16),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(out)
    forget_origins(out)
    for file in out.rglob("*.safetensors"):
        file.chmod(0o644)
    return pipeline
