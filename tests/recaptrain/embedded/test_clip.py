"""The CLIP recipe runs, what it writes loads through open_clip's `local-dir:`, and the shipped one tells captions apart."""

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from transformers import SiglipVisionConfig, SiglipVisionModel

from recapdata.scenes import draw_scene, human_long, render
from recapdata.scenes.world import Dice
from recapdata.weights import embedded_path
from recaptrain.embedded import tokenizers
from recaptrain.embedded.clip import ClipRecipe, evaluate_clip, plant_tower, train_clip
from recaptrain.embedded.hard_negatives import reversed_position
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.vision import Tower, pixel_values
from tests.recaptrain.pipelines import build_embedded_captioner

TWO = Stage(steps=2, batch=4, rate=1e-3, warmup=1)
TOWER = Tower(width=32, layers=2, heads=2, inner=64)
RECIPE = ClipRecipe(matching=TWO, placing=TWO, tower=TOWER, text_layers=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    build_embedded_captioner(folder / "captioner", TOWER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "TEXTS_FROM", 100)
        train_clip(RECIPE, folder / "captioner", folder / "work", folder / "out")
    return folder


def test_two_steps_of_the_recipe_load_through_open_clip(made):
    name = f"local-dir:{made / 'out'}"
    model, prepare = open_clip.create_model_from_pretrained(name)
    saved = load_file(made / "out" / "open_clip_model.safetensors")
    assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())
    ids = open_clip.get_tokenizer(name)(["A red circle."])
    assert ids.shape == (1, 77)
    assert (ids == model.text.eos_id).sum() == 1
    from PIL import Image

    pixels = render(draw_scene(0, 1))
    assert torch.allclose(prepare(Image.fromarray(pixels)), pixel_values(pixels[None])[0], atol=1e-6)


def test_a_planted_tower_sees_what_the_captioners_sees(made):
    """With the class token out of the way, the ViT's patch features before its projection equal SigLIP's."""
    tower = SiglipVisionModel(SiglipVisionConfig(**TOWER.config())).eval()
    weights = load_file(made / "captioner" / "model.safetensors")
    start = "vision_tower."
    tower.load_state_dict({key.split(start)[1]: value for key, value in weights.items() if start in key})
    (visual := open_clip.create_model(f"local-dir:{made / 'out'}").visual).eval()
    plant_tower(visual, made / "captioner")
    pixels = pixel_values(render(draw_scene(0, 2))[None])
    with torch.inference_mode():
        features = visual.conv1(pixels).flatten(2).transpose(1, 2) + visual.positional_embedding[1:]
        features = visual.ln_post(visual.transformer(features))
        assert torch.allclose(features, tower(pixels).last_hidden_state, atol=2e-3)  # GELU and its tanh form


def test_the_shipped_model_finds_the_caption_of_a_picture():
    retrieval = evaluate_clip(embedded_path("clip"), count=200, seed=987_655)
    assert retrieval.long_first > 0.3
    assert retrieval.above_lie > 0.7
    assert retrieval.above_reverse > 0.8


def test_one_position_of_a_caption_is_reversed():
    caption = "A red ring. The red ring is at the top left. A LEFT sign is below it."
    turned = {reversed_position(caption, Dice(0, index, "which")) for index in range(40)}
    assert turned == {
        "A red ring. The red ring is at the bottom left. A LEFT sign is below it.",
        "A red ring. The red ring is at the top right. A LEFT sign is below it.",
        "A red ring. The red ring is at the top left. A LEFT sign is above it.",
    }
    assert reversed_position("Two red rings.", Dice(0, 0, "which")) == "Two red rings."


def test_few_long_captions_are_longer_than_the_models_context():
    tokenizer = open_clip.get_tokenizer(f"local-dir:{embedded_path('clip')}").tokenizer
    lengths = [len(tokenizer(human_long(draw_scene(5, index)))["input_ids"]) for index in range(200)]
    assert sum(length > 77 for length in lengths) < 60
