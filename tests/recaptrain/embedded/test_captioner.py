"""The captioner's recipe runs, what it writes loads as a stock PaliGemma, and the shipped one captions well."""

import json

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from recapdata.scenes import draw_scene, render
from recapdata.weights import embedded_path
from recaptrain.embedded import tokenizers
from recaptrain.embedded.accuracy import evaluate_captioner
from recaptrain.embedded.captioner import CaptionerRecipe, Language, batch_of, language_loss, train_captioner
from recaptrain.embedded.stages import Stage
from recaptrain.embedded.tasks import STYLES, caption_task
from recaptrain.embedded.vision import Tower

TWO = Stage(steps=2, batch=2, rate=1e-3, warmup=1)
TINY = CaptionerRecipe(
    tower=Tower(width=32, layers=2, heads=2, inner=32),
    language=Language(width=32, layers=1, heads=2, inner=32),
    seeing=TWO,
    pretraining=TWO,
    tuning=TWO,
    captions=3,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "TEXTS_FROM", 100)
        train_captioner(TINY, folder / "work", folder / "out")
    return folder / "out"


def test_two_steps_of_the_recipe_give_a_stock_paligemma(made):
    model, processor = AutoModelForImageTextToText.from_pretrained(made), AutoProcessor.from_pretrained(made)
    assert (type(model).__name__, type(processor).__name__) == (
        "PaliGemmaForConditionalGeneration",
        "PaliGemmaProcessor",
    )
    assert json.loads((made / "recapdata.json").read_text())["styles"] == STYLES
    image = Image.fromarray(render(draw_scene(0, 0))).resize((200, 100))
    inputs = processor(images=image, text="<image>caption long", return_tensors="pt")
    assert model.generate(**inputs, max_new_tokens=3).shape[1] > inputs["input_ids"].shape[1]


def test_training_sees_what_the_processor_will_make(made):
    processor = AutoProcessor.from_pretrained(made)
    scene = draw_scene(3, 3)
    prompt, answer = caption_task(scene, "short")
    batch = batch_of(processor, [scene], [(prompt, answer)])
    inputs = processor(images=Image.fromarray(render(scene)), text=f"<image>{prompt}", return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    assert torch.equal(batch["input_ids"][:, :length], inputs["input_ids"])
    assert torch.equal(batch["token_type_ids"][:, :length], inputs["token_type_ids"])
    assert torch.allclose(batch["pixel_values"], inputs["pixel_values"], atol=1e-6)
    said = batch["labels"][0, length:]
    assert processor.tokenizer.decode(said, skip_special_tokens=True) == answer
    assert said[-1] == processor.tokenizer.eos_token_id
    assert (batch["labels"][0, :length] == -100).all()


def test_the_loss_is_the_models_own(made):
    model, processor = AutoModelForImageTextToText.from_pretrained(made), AutoProcessor.from_pretrained(made)
    scenes = [draw_scene(3, index) for index in range(3)]
    batch = batch_of(processor, scenes, [caption_task(scene, "short") for scene in scenes])
    own = model(**batch).loss
    mine, _ = language_loss(model, batch)
    assert mine.item() == pytest.approx(own.item(), rel=0.01)  # in bfloat16
    features = model.model.vision_tower(batch["pixel_values"]).last_hidden_state
    assert language_loss(model, batch, features)[0].item() == pytest.approx(own.item(), rel=0.01)


def test_the_tokenizer_spells_capitals_and_knows_every_text(made):
    tokenizer = AutoProcessor.from_pretrained(made).tokenizer
    assert tokenizer.tokenize('"QXZ"')[1:4] == ["Q", "X", "Z"]
    for text in ("Ünïcödé 漢字 🙂", 'The word "AB" is at the top.', "a\nb"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_shipped_captioner_is_right_on_unseen_scenes():
    accuracy, captions = evaluate_captioner(embedded_path("captioner"), count=100, seed=987_654)
    assert accuracy.objects_recall > 0.93
    assert accuracy.objects_precision > 0.95
    assert accuracy.counts > 0.8
    assert accuracy.words > 0.7
    assert accuracy.unread < 0.05
    assert all(caption.endswith(".") for caption in captions)
