"""Chat models of transformers: tiny ones with random weights, in the real formats."""

from dataclasses import replace

import pytest
from PIL import Image

from recapdata.captioners.answers import Words
from recapdata.errors import CaptionerNotFound, ModelNotSupported, OptionError
from recaptrain.chat import Opening, Request, Turn
from recaptrain.chat.transformers import ChatPreparer, open_transformers
from tests.vlms import byte_tokenizer, save_vlm

OPENING = Opening(
    model=None,
    revision=None,
    temperature=0.0,
    seed=0,
    max_tokens=6,
    pictures=False,
    words=Words("answer", "--model", "--protocol"),
)
TEMPLATE = (
    "{% for message in messages %}{{ '<start>' + message.role + ':' + message.content + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start>assistant:' }}{% endif %}"
)
STRICT = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + TEMPLATE
DEAF = TEMPLATE.replace("{{ '<start>'", "{% if message.role != 'system' %}{{ '<start>'").replace(
    "'<end>' }}", "'<end>' }}{% endif %}"
)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    return str(save_vlm("qwen2_vl", tmp_path_factory.mktemp("models") / "seeing"))


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A language model without eyes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "talking"
    tokenizer = byte_tokenizer(chat_template=TEMPLATE)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def requests(count, pictures=False):
    image = (Image.new("RGB", (16, 16), (200, 30, 30)),) if pictures else ()
    return [
        Request(
            key=f"{n}", conversation=[Turn("system", "Be short."), Turn("user", f"number {'x' * n}", image)]
        )
        for n in range(count)
    ]


def texts(model, asked):
    return [reply.text or reply.error for _, reply in model.replies(iter(asked))]


@pytest.mark.parametrize("pictures", [True, False])
def test_answers_do_not_depend_on_the_batch(seeing, talking, pictures):
    opening = replace(OPENING, model=seeing if pictures else talking, pictures=pictures, temperature=1.0)
    model, asked = open_transformers(opening), requests(5, pictures)
    together = texts(model, asked)
    assert len(together) == 5
    assert texts(model, asked[3:4]) == together[3:4]
    assert len(set(together)) > 1
    assert model.identity["revision"].startswith("sha256:")
    assert (model.identity["temperature"], model.identity["max_tokens"]) == (1.0, 6)


def test_a_batch_without_memory_is_halved(talking, monkeypatch):
    model = open_transformers(replace(OPENING, model=talking))
    whole, sizes = texts(model, requests(4)), []
    generate = model._writer._generate

    def short(prepared, seeds):
        sizes.append(len(prepared["input_ids"]))
        if sizes[-1] > 1:
            raise MemoryError
        return generate(prepared, seeds)

    monkeypatch.setattr(model._writer, "_generate", short)
    assert texts(model, requests(4)) == whole
    assert sizes[:3] == [4, 2, 1]


@pytest.mark.parametrize(("template", "told"), [(TEMPLATE, False), (STRICT, True), (DEAF, True)])
def test_a_template_without_a_system_turn_is_told_by_the_user(template, told):
    tokenizer = byte_tokenizer(chat_template=template)
    tokenizer.padding_side = "left"
    prepared = ChatPreparer(tokenizer, sees=False)([each.conversation for each in requests(1)])
    text = tokenizer.decode(prepared["input_ids"][0])
    assert ("<start>user:Be short.\n\nnumber <end>" in text) == told
    assert ("<start>system:Be short.<end>" in text) != told


def test_models_that_cannot_be_asked(talking, seeing, tmp_path):
    with pytest.raises(ModelNotSupported, match="llama model, which sees no pictures"):
        open_transformers(replace(OPENING, model=talking, pictures=True))
    with pytest.raises(ModelNotSupported, match="holds no conversation"):
        open_transformers(replace(OPENING, model="embedded", pictures=True))
    with pytest.raises(OptionError, match="needs a model"):
        open_transformers(OPENING)
    with pytest.raises(OptionError, match="is a local model"):
        open_transformers(replace(OPENING, model=talking, revision="v1"))
    with pytest.raises(CaptionerNotFound, match="no such folder"):
        open_transformers(replace(OPENING, model="no such model"))
    bare = tmp_path / "bare"
    save_vlm("paligemma", bare)
    with pytest.raises(ModelNotSupported, match="holds no conversation"):
        open_transformers(replace(OPENING, model=str(bare)))
