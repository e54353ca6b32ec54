"""The CoCa's recipe runs, and what it writes loads with open_clip, captions under its prefixes, and is measured by the truth."""

import json

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from recapdata.captioners import CaptionerOptions, open_captioner
from recapdata.scenes import SIDE, alt_text, draw_scene, human_long, human_short, render
from recaptrain.embedded import tokenizers
from recaptrain.embedded.accuracy import evaluate_captioner
from recaptrain.embedded.coca import CocaRecipe, coca_loss, texts_of, train_coca
from recaptrain.embedded.recipe import RECIPES, read_recipe
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.vision import Tower, pixel_values
from tests.recaptrain.pipelines import build_embedded_captioner

TWO = Stage(steps=2, batch=4, rate=1e-3, warmup=1)
TOWER = Tower(width=32, layers=2, heads=2, inner=64)
RECIPE = CocaRecipe(captioning=TWO, tower=TOWER, text_layers=1, decoder_layers=1, locked=True)
PREFIXES = {"short:": human_short, "long:": human_long, "alt:": alt_text}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coca")
    build_embedded_captioner(folder / "captioner", TOWER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "TEXTS_FROM", 100)
        train_coca(RECIPE, folder / "captioner", folder / "work", folder / "out")
    return folder


def test_two_steps_of_the_recipe_load_with_open_clip(made):
    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{made / 'out'}")
    assert type(model).__name__ == "CoCa"
    saved = load_file(made / "out" / "open_clip_model.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    pixels = render(draw_scene(0, 1))
    assert torch.allclose(prepare(Image.fromarray(pixels)), pixel_values(pixels[None])[0], atol=1e-6)


def test_a_locked_tower_stays_the_captioners(made):
    """Open_clip's names on the left, SigLIP's on the right."""
    coca = load_file(made / "out" / "open_clip_model.safetensors")
    captioner = load_file(made / "captioner" / "model.safetensors")
    (ours,) = [name for name in captioner if name.endswith("encoder.layers.1.mlp.fc1.weight")]
    assert torch.equal(coca["visual.transformer.resblocks.1.mlp.c_fc.weight"], captioner[ours])


def test_it_captions_under_its_prefixes(made):
    images = [Image.fromarray(render(draw_scene(0, index))) for index in range(3)]
    for style in ("short", "long"):
        options = CaptionerOptions(model=str(made / "out"), style=style, max_tokens=5)
        captioner = open_captioner("coca", options)
        assert captioner.provenance.prompt == f"{style}:"
        captioner.load()
        for caption in captioner.caption(captioner.prepare(images), ["a", "b", "c"]):
            assert caption.error or (caption.tokens <= 5 and not caption.caption.startswith(style))
    page = json.loads((made / "out" / "recapdata.json").read_text())
    assert page["size"] == [SIDE, SIDE]


def test_training_gives_the_decoder_what_captioning_will(made):
    captioner = open_captioner("coca", CaptionerOptions(model=str(made / "out"), style="long"))
    words = captioner._words
    scenes = [draw_scene(3, index) for index in range(4)]
    found = set()
    for step in range(12):
        rows, start = texts_of(words.tokenizer, scenes, step, RECIPE.context)
        assert rows.shape == (4, RECIPE.context)
        begun = words.text(rows[0, 1:start].tolist())
        found.add(begun)
        assert rows[:, :start].tolist() == [words.start(begun)] * 4
        for row, scene in zip(rows.tolist(), scenes, strict=True):
            written = row[start : row.index(words.end)] if words.end in row else row[start:]
            assert PREFIXES[begun](scene).startswith(words.text(written))
            assert set(row[row.index(words.end) + 1 :] if words.end in row else []) <= {0}
    assert found == set(PREFIXES)


def test_the_loss_is_open_clips_where_a_text_begins_at_once(made):
    """With one token before the text nothing is left out, and open_clip's own forward and loss give the same."""
    from open_clip.loss import CoCaLoss

    model = open_clip.create_model(f"local-dir:{made / 'out'}").eval()
    scenes = [draw_scene(3, index) for index in range(4)]
    pixels = pixel_values(torch.stack([torch.from_numpy(render(scene)) for scene in scenes]).numpy())
    words = open_captioner("coca", CaptionerOptions(model=str(made / "out")))._words
    rows, start = texts_of(words.tokenizer, scenes, 0, RECIPE.context)
    with torch.inference_mode():
        own = CoCaLoss(2.0, 1.0, pad_id=0)(**model(pixels, rows))
        mine, figures = coca_loss(model, pixels, (rows, 1))
        asked, _ = coca_loss(model, pixels, (rows, start))
    assert mine.item() == pytest.approx(sum(own).item(), rel=0.01)  # in bfloat16
    assert figures["caption"].item() == pytest.approx(own[1].item() / 2, rel=0.01)
    assert asked.item() != pytest.approx(mine.item(), rel=1e-4)


def test_it_is_measured_through_the_captioner(made):
    accuracy, captions = evaluate_captioner(made / "out", count=3, seed=9, style="short")
    assert (accuracy.captions, len(captions)) == (3, 3)
    assert accuracy.objects_recall == 0.0  # two steps teach nothing


def test_the_recipe_parses():
    recipe = read_recipe(RECIPES / "embedded-coca.yaml", CocaRecipe)
    assert recipe.tower == Tower()  # the shipped captioner's, from which it starts
    assert recipe.captioning.steps > 100
