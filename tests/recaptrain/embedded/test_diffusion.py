"""The recipe of the embedded diffusion model, with a few steps: it runs, goes on, and what it makes loads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import recapdata.weights
from recapdata.scenes import draw_scene, human_long, render
from recapdata.scenes.world import Dice
from recaptrain.embedded.autoencoder import (
    CROP,
    Autoencoder,
    batch_of,
    build,
    pictures,
    psnr,
    standardize,
    to_unit,
)
from recaptrain.embedded.curriculum import Curriculum, web_caption
from recaptrain.embedded.denoiser import Denoiser, build_scheduler
from recaptrain.embedded.diffusion import DiffusionRecipe, train_embedded_diffusion
from recaptrain.embedded.recipe import RECIPES, read_recipe
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.text_encoder import PAIRS, TextEncoder, bag_of_tokens
from recaptrain.embedded.tokenizers import build_clip_tokenizer

TINY = DiffusionRecipe(
    vocabulary=560,
    autoencoder=Autoencoder(channels=(8, 8, 8)),
    crops=Stage(steps=2, batch=2, rate=1e-3),
    wholes=Stage(steps=1, batch=2, rate=1e-3),
    text_encoder=TextEncoder(width=16, layers=1),
    reading=Stage(steps=2, batch=3, rate=1e-3),
    denoiser=Denoiser(channels=(8, 16), scenes=8),
    drawing=Stage(steps=2, batch=4, rate=1e-3),
    finishing=Stage(steps=1, batch=4, rate=1e-3),
    curriculum=Curriculum(listing=1.0, complete=1.0),
    settling=Stage(steps=1, batch=4, rate=1e-3),
)


def test_the_shipped_recipe_parses():
    recipe = read_recipe(RECIPES / "embedded-diffusion.yaml", DiffusionRecipe)
    assert (recipe.drawing.course, recipe.finishing.course) == ("constant", "cosine")
    assert list(recipe.denoiser.world.sizes) == ["large"]
    assert recipe.web.listing == 0, "the base ends on what the control of reproduce is trained on"


def test_it_runs_and_its_pipeline_loads(tmp_path, monkeypatch):
    from diffusers import StableDiffusionPipeline

    monkeypatch.setattr(
        "recaptrain.embedded.diffusion.build_clip_tokenizer",
        lambda *a, **k: build_clip_tokenizer(0, scenes=20),
    )
    train_embedded_diffusion(TINY, tmp_path / "work", tmp_path / "out")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "out")
    assert {pipeline.unet.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {torch.float32}
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a red circle", num_inference_steps=2).images[0].size == (64, 64)

    again = train_embedded_diffusion(
        TINY, tmp_path / "work", tmp_path / "again"
    )  # every stage is finished: no step more
    same = StableDiffusionPipeline.from_pretrained(tmp_path / "again").unet.state_dict()
    assert all(torch.equal(weight, same[name]) for name, weight in pipeline.unet.state_dict().items())
    assert again.scheduler.config.prediction_type == "v_prediction"


def test_crops_hold_things_and_weigh_them():
    settings = Autoencoder(thing_weight=5.0)
    pixels, weights = batch_of(settings, 0, 0, 6, whole=False)
    assert pixels.shape == (6, CROP, CROP, 3)
    assert set(np.unique(weights)) == {1.0, 5.0}
    assert all((weights[index] == 5.0).any() for index in range(6))
    whole, weights = batch_of(settings, 0, 3, 1, whole=True)
    scene = draw_scene(0, 3)
    assert np.array_equal(whole[0], render(scene))
    things = (render(scene) != np.array(scene.background_rgb)).any(2)
    assert np.array_equal(weights[0, 0] == 5.0, things)


def test_pixels_span_minus_one_to_one():
    assert to_unit(np.array([[[[0, 255, 51]]]], np.uint8)).flatten().tolist() == pytest.approx(
        [-1.0, 1.0, -0.6]
    )


def test_psnr_of_an_untrained_autoencoder_is_low():
    assert psnr(build(Autoencoder(channels=(8, 8, 8)), 0).eval(), 32) < 12


def test_web_captions_are_empty_alt_text_or_a_true_list():
    partly, fully = (Curriculum(listing=1.0, complete=share, dropout=0.0) for share in (0.0, 1.0))
    for index in range(50):
        scene = draw_scene(0, index)
        kinds = {f"{drawn.color} {drawn.shape}" for drawn in scene.objects}
        some, every = (kinds_of(web_caption(kind, scene, Dice(0, index, "test"))) for kind in (partly, fully))
        assert some <= kinds
        assert every == kinds
    captions = [web_caption(Curriculum(dropout=0.25), scene, Dice(0, index, "test")) for index in range(1000)]
    empty = sum(not caption for caption in captions) / 1000
    assert empty == pytest.approx(0.25, abs=0.055)  # four standard deviations


def kinds_of(caption: str) -> set[str]:
    """The kinds that a list names: "a red circle, a blue star and a pink ring on white", or the same as tags."""
    names = caption.split(" on ")[0].replace(" and ", ", ").split(", ")
    return {name.removeprefix("an ").removeprefix("a ") for name in names}


def test_standard_latents_decode_to_the_same_picture():
    vae = build(Autoencoder(channels=(8, 8, 8)), 0).eval()
    with torch.no_grad():
        vae.quant_conv.weight[0] *= 30  # one channel of the latents drowns the others
        images = torch.from_numpy(to_unit(pictures(0, 0, 64)))
        before = vae.decode(vae.encode(images).latent_dist.mode()).sample
        spread = vae.encode(images).latent_dist.std
        standardize(vae)
        latents = vae.encode(images).latent_dist
        after = vae.decode(latents.mode()).sample
    assert vae.config.scaling_factor == 1.0
    assert torch.allclose(before, after, atol=1e-4)
    assert latents.mode().mean((0, 2, 3)).tolist() == pytest.approx(
        [0.0] * 4, abs=0.1
    )  # other scenes than its own
    assert latents.mode().std((0, 2, 3)).tolist() == pytest.approx([1.0] * 4, abs=0.1)
    assert torch.allclose(
        latents.std / spread, (latents.std / spread)[:1, :, :1, :1].expand_as(spread), rtol=1e-3
    )


def test_an_autoencoder_can_be_given(tmp_path, monkeypatch):
    from diffusers import AutoencoderKL

    monkeypatch.setattr(
        "recaptrain.embedded.diffusion.build_clip_tokenizer",
        lambda *a, **k: build_clip_tokenizer(0, scenes=20),
    )
    build(Autoencoder(channels=(8, 8, 8)), 5).save_pretrained(tmp_path / "vae")
    train_embedded_diffusion(TINY, tmp_path / "work", tmp_path / "out", tmp_path / "vae")
    given, written = (AutoencoderKL.from_pretrained(tmp_path / path) for path in ("vae", "out/vae"))
    assert torch.allclose(
        given.encoder.conv_in.weight, written.encoder.conv_in.weight, atol=1e-3
    )  # half precision
    assert not (tmp_path / "work/crops").exists()
    assert "_name_or_path" not in (tmp_path / "out/vae/config.json").read_text(encoding="utf8")


def test_what_a_text_says_is_its_tokens_and_neighboring_pairs():
    one, other = bag_of_tokens([3, 7, 4], 10), bag_of_tokens([3, 4, 7], 10)
    assert one.shape == (10 + PAIRS,)
    assert np.flatnonzero(one[:10]).tolist() == np.flatnonzero(other[:10]).tolist() == [3, 4, 7]
    assert one.sum() == 5  # three tokens, two pairs
    assert not np.array_equal(one, other)


def test_the_last_step_of_the_schedule_has_no_signal():
    assert build_scheduler().alphas_cumprod[-1].item() == pytest.approx(0.0, abs=1e-6)


def test_tokenizer_reads_the_world_in_words_and_anything_else_in_bytes(tmp_path):
    from transformers import CLIPTokenizer

    tokenizer = build_clip_tokenizer(0, scenes=300)
    assert tokenizer.tokenize("A red circle") == ["a</w>", "red</w>", "circle</w>"]
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    for text in (human_long(draw_scene(1, 1)), "Ünïcode 🙂", ""):
        ids = again(text).input_ids
        assert ids == tokenizer(text).input_ids
        assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert again.decode(ids[1:-1]).replace(" ", "") == text.lower().replace(" ", "")
    assert again.model_max_length == 77


def test_other_seeds_make_other_weights():
    first, other = (build(Autoencoder(channels=(8, 8, 8)), seed).state_dict() for seed in (0, 1))
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert replace(TINY, seed=9).seed == 9


def test_no_shipped_model_says_where_its_parts_were_loaded_from():
    weights = Path(recapdata.weights.__file__).parent
    configs = [path for path in weights.rglob("*.json") if path.stat().st_size < 100_000]
    assert len(configs) > 5
    assert [path for path in configs if "_name_or_path" in path.read_text(encoding="utf8")] == []
