"""Tiny models of random weights in the real libraries' own formats, and datasets to train them on."""

from functools import cache
from pathlib import Path

from recapdata.scenes import alt_text, draw_scene, encode_png, human_long, human_short
from tests.builders import build_dataset


def build_scenes(path, *, rows=8, shard_rows=5, **changes):
    """A dataset folder of scenes with the caption sets alt, short and long."""
    scenes = [draw_scene(5, index) for index in range(rows)]
    sets = {
        "alt": [alt_text(scene) for scene in scenes],
        "short": [human_short(scene) for scene in scenes],
        "long": [human_long(scene) for scene in scenes],
    }
    images = [encode_png(scene) for scene in scenes]
    return build_dataset(
        path,
        rows=rows,
        shard_rows=shard_rows,
        **{"sets": sets, "images": images, "license": "cc0-1.0", **changes},
    )


@cache
def _tokenizer():
    from recaptrain.embedded.tokenizers import build_clip_tokenizer

    return build_clip_tokenizer(0, vocabulary=600, scenes=50)


def build_pipeline(path: Path, *, epsilon: bool = False) -> Path:
    """A pipeline of random weights, 64×64 pixels: like the embedded one, or with Stable Diffusion 1's scheduler."""
    from diffusers import PNDMScheduler

    from recaptrain.embedded.autoencoder import Autoencoder, build
    from recaptrain.embedded.denoiser import Denoiser, build_unet
    from recaptrain.embedded.diffusion import save
    from recaptrain.embedded.text_encoder import TextEncoder, build_text_encoder

    unet = build_unet(Denoiser(channels=(8, 16)), 16, 0)
    text_encoder = build_text_encoder(TextEncoder(width=16, layers=1), _tokenizer(), 0)
    vae = build(Autoencoder(channels=(8, 8, 8)), 0)
    pipeline = save(vae, _tokenizer(), text_encoder, unet, path)
    if epsilon:
        pipeline.scheduler = PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
        )
        pipeline.save_pretrained(path)
    return path


def build_xl_pipeline(path: Path) -> Path:
    """A StableDiffusionXLPipeline of random weights, 64×64 pixels: two text encoders, pooled states, Euler as its scheduler."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from recaptrain.embedded.autoencoder import Autoencoder, build

    tokenizer = _tokenizer()

    def text_config(width):
        return CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            projection_dim=12,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16 + 8,
        attention_head_dim=4,
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=12 + 6 * 4,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=build(Autoencoder(channels=(8, 8, 8)), 0),
        text_encoder=CLIPTextModel(text_config(16)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(8)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
    )
    pipeline.save_pretrained(path)
    return path


def build_embedded_captioner(path: Path, tower) -> Path:
    """The embedded captioner's kind of model, of random weights, with a small tokenizer."""
    import pytest

    from recaptrain.embedded import tokenizers
    from recaptrain.embedded.captioner import CaptionerRecipe, Language, build_model, save
    from recaptrain.embedded.stages import Stage

    stage = Stage(steps=2, batch=4, rate=1e-3, warmup=1)
    language = Language(width=32, layers=1, heads=2, inner=32)
    recipe = CaptionerRecipe(tower=tower, language=language, seeing=stage, pretraining=stage, tuning=stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "TEXTS_FROM", 100)
        processor = tokenizers.build_processor(1, tower.patch)
    save(build_model(recipe, processor), processor, path)
    return path
