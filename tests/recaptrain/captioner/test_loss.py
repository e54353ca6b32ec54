"""What training feeds is what captioning feeds, for every family: prompts, labels and loss, and where the caption ends."""

import numpy as np
import pytest
import torch
from PIL import Image

from recapdata.errors import ModelNotSupported, OptionError
from recaptrain.captioner.base import (
    add_adapter,
    find_base,
    freeze,
    load_model,
    trained_weights,
    vision_tower,
)
from recaptrain.captioner.loss import IGNORED, answer_loss, caption_encoder
from tests.vlms import FAMILIES, save_vlm

PLAIN = ("blip", "blip2", "git")
CAPTIONS = ["a red circle", "two blue dogs on a street", "a"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def folder(family):
        if family not in made:
            made[family] = save_vlm(family, tmp_path_factory.mktemp("vlm") / family)
        return str(made[family])

    return folder


def pictures():
    dice = np.random.default_rng(0)
    return [Image.fromarray(dice.integers(0, 255, (40 + 8 * row, 64, 3), dtype=np.uint8)) for row in range(3)]


def tensors(arrays):
    return {name: torch.from_numpy(np.asarray(each)) for name, each in arrays.items()}


class Observation:
    """A logits processor that notes what generation begins with, and the first scores."""

    ids = scores = None

    def __call__(self, ids, scores):
        if self.ids is None:
            self.ids, self.scores = ids.clone(), scores.clone()
        return scores


@pytest.mark.parametrize("family", FAMILIES)
def test_training_feeds_what_captioning_feeds(folders, family):
    styles = ["short"] if family in PLAIN else ["short", "long"]
    base = find_base(folders(family), None, styles, {})
    model = load_model(base, half=None)
    asked = caption_encoder(base, model)
    answers = asked.answers("short", CAPTIONS)
    batch = tensors(asked.batch("short", pictures(), answers))
    seen = Observation()
    with torch.no_grad():
        questions = tensors(asked.preparers["short"](pictures()))
        model.generate(**questions, logits_processor=[seen], max_new_tokens=1, do_sample=False)
        own = model(**batch)
        mine = answer_loss(model, model, batch)

    length = batch["labels"].shape[1]
    begins = int((batch["labels"] != IGNORED).int().argmax(1)[0])
    assert torch.equal(batch["input_ids"][:, :begins], seen.ids)
    assert torch.allclose(own.logits[:, -length:][:, begins - 1], seen.scores, atol=1e-4)
    assert (mine / (batch["labels"] != IGNORED).sum()).item() == pytest.approx(own.loss.item(), rel=1e-4)

    for row, caption in enumerate(CAPTIONS):
        said = batch["labels"][row][batch["labels"][row] != IGNORED]
        assert int(said[-1]) in asked.ends
        assert not set(said[:-1].tolist()) & asked.ends
        if family not in ("blip", "git"):  # whose word tokenizer does not know every word
            assert (
                base.pretrained.processor.tokenizer.decode(said, skip_special_tokens=True).strip() == caption
            )
    assert (batch["attention_mask"].sum(1) - (batch["labels"] != IGNORED).sum(1)).min() > 0


def test_a_templates_own_end_of_turn_is_learned(folders, tmp_path):
    """Qwen's class closes a turn with a token of its own, on which it also stops; what comes after it is not learned."""
    base = find_base(folders("qwen2_vl"), None, ["short"], {})
    model = load_model(base, half=None)
    tokenizer = base.pretrained.processor.tokenizer
    ends = tokenizer.convert_tokens_to_ids("<end>")
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, ends]
    (answer,) = caption_encoder(base, model).answers("short", ["a cat"])
    assert tokenizer.decode(answer) == "a cat<end>"
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    (answer,) = caption_encoder(base, model).answers("short", ["a cat"])
    assert tokenizer.decode(answer) == "a cat<eos>"


def test_a_space_that_the_template_puts_before_an_answer_is_learned(folders):
    base = find_base(folders("llava"), None, ["short"], {})
    processor = base.pretrained.processor
    processor.chat_template = (
        "{% for message in messages %}{{ message.role }}:{% for part in message.content %}"
        "{% if part.type == 'image' %}<image>{% else %} {{ part.text }}{% endif %}{% endfor %} {% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    (answer,) = caption_encoder(base, load_model(base, half=None)).answers("short", ["a cat"])
    assert processor.tokenizer.decode(answer) == " a cat<eos>"


def test_paligemma_sees_its_prompt_at_once_and_writes_word_by_word(folders):
    base = find_base(folders("paligemma"), None, ["short"], {})
    asked = caption_encoder(base, load_model(base, half=None))
    batch = asked.batch("short", pictures()[:1], [[7, 8, 9]])
    assert batch["token_type_ids"][0, -4:].tolist() == [0, 1, 1, 1]
    assert batch["labels"][0, -4:].tolist() == [IGNORED, 7, 8, 9]


def test_prompts_are_those_of_captioning_unless_given(folders):
    base = find_base(folders("paligemma"), None, ["short", "long"], {"long": "describe all"})
    assert base.prompts == {"short": "caption en", "long": "describe all"}
    with pytest.raises(OptionError, match="same prompt"):
        find_base(folders("paligemma"), None, ["short", "long"], {"long": "caption en"})
    with pytest.raises(OptionError, match="no captions are given for long"):
        find_base(folders("paligemma"), None, ["short"], {"long": "x"})
    with pytest.raises(OptionError, match="takes no instruction, so it learns captions of one kind"):
        find_base(folders("blip"), None, ["short", "long"], {})


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tower_is_frozen_and_adapters_stand_in_the_language_model_alone(folders, family):
    base = find_base(folders(family), None, ["short"], {})
    model = load_model(base, half=None)
    everything = sum(each.numel() for each in model.parameters())
    tower = sum(each.numel() for each in vision_tower(model).parameters())
    freeze(model, ("vision",))
    assert trained_weights(model) == everything - tower
    assert 0 < tower < everything
    adapted = add_adapter(model, 2, seed=0)
    names = [name for name, each in adapted.named_parameters() if each.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    seeing = {id(each) for each in vision_tower(adapted.get_base_model()).parameters()}
    assert not [
        name for name, each in adapted.named_parameters() if each.requires_grad and id(each) in seeing
    ]


def test_an_encoder_decoder_is_refused(tmp_path):
    from transformers import Blip2Config, Blip2ForConditionalGeneration, T5Config

    from tests.vlms import VISION, blip2

    _, processor = blip2()
    text = T5Config(vocab_size=400, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    config = Blip2Config(
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        qformer_config={**VISION, "encoder_hidden_size": 32, "vocab_size": 50},
        text_config=text,
        num_query_tokens=4,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    Blip2ForConditionalGeneration(config).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    base = find_base(str(tmp_path), None, ["short"], {})
    with pytest.raises(ModelNotSupported, match="an encoder and a decoder; tuning knows prefix-prompted"):
        load_model(base, half=None)
