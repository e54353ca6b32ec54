"""The embedded diffusion model: a StableDiffusionPipeline of the drawn world, small enough to travel with the package.

Each part is a checkpoint in the work folder: the autoencoder (`autoencoder`), a tokenizer learned on the world's captions
(`tokenizer`), the text encoder (`text_encoder`), and the denoiser (`denoiser`), which first learns to draw, the text being
mostly noise to it, and then, with a text encoder that reads, to draw what is asked for. What comes out loads with
`StableDiffusionPipeline.from_pretrained`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import say
from recaptrain.embedded.autoencoder import HELD_OUT, Autoencoder, psnr, train_autoencoder
from recaptrain.embedded.denoiser import (
    Curriculum,
    Denoiser,
    Material,
    build_scheduler,
    build_unet,
    encode_scenes,
    train_denoiser,
)
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.text_encoder import TextEncoder, build_text_encoder, train_text_encoder
from recaptrain.embedded.tokenizers import build_clip_tokenizer

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline
    from transformers import CLIPTokenizer


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
    drawing_curriculum: Curriculum = field(default_factory=Curriculum)
    following: Stage
    following_curriculum: Curriculum = field(default_factory=Curriculum)


def train_embedded_diffusion(recipe: DiffusionRecipe, work: Path, out: Path) -> "StableDiffusionPipeline":
    """Run the recipe's stages (those that `work` holds finished are skipped) and write the pipeline to `out`."""
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = build_clip_tokenizer(recipe.seed, vocabulary=recipe.vocabulary)
    vae = train_autoencoder(
        recipe.autoencoder, recipe.crops, recipe.wholes, work, seed=recipe.seed, device=recipe.device
    )
    say(f"autoencoder: {psnr(vae, HELD_OUT):.2f} dB on {HELD_OUT} held-out scenes")
    trained = _train_denoiser(recipe, vae, tokenizer, work)
    return save(vae, tokenizer, trained, out)


def _train_denoiser(
    recipe: DiffusionRecipe, vae: "AutoencoderKL", tokenizer: "CLIPTokenizer", work: Path
) -> "torch.nn.ModuleDict":
    """Drawing with a text encoder that is thrown away, reading, and following with the one that reads."""
    latents = encode_scenes(vae, recipe.seed, recipe.denoiser.scenes, work / "latents.npy")
    material = Material(tokenizer=tokenizer, latents=latents, seed=recipe.seed, device=recipe.device)
    unet = build_unet(recipe.denoiser, recipe.text_encoder.width, recipe.seed)
    first, reader = (build_text_encoder(recipe.text_encoder, tokenizer, recipe.seed + n) for n in (0, 1))
    drawn = train_denoiser(
        "drawing", recipe.denoiser, recipe.drawing_curriculum, recipe.drawing, unet, first, material, work
    )
    train_text_encoder(reader, recipe.reading, tokenizer, work, seed=recipe.seed, device=recipe.device)
    return train_denoiser(
        "following",
        recipe.denoiser,
        recipe.following_curriculum,
        recipe.following,
        drawn["unet"],
        reader,
        material,
        work,
    )


def save(
    vae: "AutoencoderKL", tokenizer: "CLIPTokenizer", trained: "torch.nn.ModuleDict", out: Path
) -> "StableDiffusionPipeline":
    """Write the pipeline to `out`.

    UNet and autoencoder are kept in half precision; diffusers loads them in full precision unless told otherwise. The text
    encoder is kept in full precision, since transformers loads it in the precision that it finds.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=vae.to("cpu", torch.float16),
        text_encoder=trained["text_encoder"].to("cpu"),
        tokenizer=tokenizer,
        unet=trained["unet"].to("cpu", torch.float16),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(out)
    for file in out.rglob("*.safetensors"):
        file.chmod(0o644)
    return pipeline
