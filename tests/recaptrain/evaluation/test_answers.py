"""Answer-token probabilities: of random small models in the real formats, against the model's own distribution."""

import pytest
import torch
from PIL import Image

from recapdata.errors import ModelNotSupported, OptionError
from recaptrain.evaluation.answers import NO, YES, VlmAnswerer, answer, first_tokens, open_answerer
from recaptrain.evaluation.settings import EvaluateSettings
from tests.vlms import save_vlm

QUESTIONS = ["Is there a dog?", "Is there a very large dog on a very small chair in this picture?"]
PICTURES = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]


@pytest.fixture(scope="module", params=["paligemma", "idefics3"])
def folder(request, tmp_path_factory):
    return save_vlm(request.param, tmp_path_factory.mktemp(request.param))


def _opened(folder):
    from recapdata.captioners.vlm import open_pretrained
    from recapdata.models.sources import resolve_model

    return open_pretrained(resolve_model(str(folder), kind="captioner", revision=None))


def test_an_answer_is_yes_against_no():
    assert answer(0.3, 0.1).yes == pytest.approx(0.75)
    assert answer(0.3, 0.1).answered == pytest.approx(0.4)
    assert answer(0.0, 0.0).yes == 0.5


def test_probabilities_are_the_models_own(folder):
    pretrained = _opened(folder)
    answerer = VlmAnswerer(pretrained)
    (found,) = answerer.ask(PICTURES[:1], QUESTIONS[:1])
    # One picture alone, asked in the processor's own way, without padding.
    processor = pretrained.processor
    if pretrained.family.kind == "prefix":
        text = f"{processor.image_token}answer en {QUESTIONS[0]}"
    else:
        content = [{"type": "image"}, {"type": "text", "text": f"{QUESTIONS[0]} Answer yes or no."}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
    inputs = processor(images=PICTURES[:1], text=[text], return_tensors="pt")
    inputs.pop("labels", None)
    with torch.inference_mode():
        likely = answerer._model(**inputs).logits[0, -1].float().softmax(-1)
    yes, no = first_tokens(processor.tokenizer, "x")
    mass = [float(likely[list(tokens)].sum()) for tokens in (yes, no)]
    assert found.yes == pytest.approx(mass[0] / sum(mass), rel=1e-4)
    assert found.answered == pytest.approx(sum(mass), rel=1e-4)


def test_a_batch_gives_what_each_gives_alone(folder):
    answerer = VlmAnswerer(_opened(folder))
    together = answerer.ask(PICTURES, QUESTIONS)
    for place, found in enumerate(together):
        (alone,) = answerer.ask(PICTURES[place : place + 1], QUESTIONS[place : place + 1])
        assert found.yes == pytest.approx(alone.yes, rel=1e-3)
    assert answerer.ask([], []) == []


class Letters:
    """A tokenizer whose tokens are letters, or blanks."""

    unk_token_id = None

    def encode(self, text, add_special_tokens):
        return [ord(each) for each in text]

    def decode(self, tokens):
        return "".join(map(chr, tokens))


def test_the_first_tokens_of_words():
    yes, no = first_tokens(Letters(), "x")
    assert ({chr(each) for each in yes}, {chr(each) for each in no}) == ({"y", "Y"}, {"n", "N"})
    assert len(YES) == len(NO)


def test_a_tokenizer_that_cannot_tell_them_apart_is_refused():
    class Same(Letters):
        def encode(self, text, add_special_tokens):
            return [7]

        def decode(self, tokens):
            return "?"

    with pytest.raises(ModelNotSupported, match="same tokens"):
        first_tokens(Same(), "x")


def test_a_model_that_takes_no_questions_is_refused(tmp_path):
    pretrained = _opened(save_vlm("git", tmp_path / "git"))
    with pytest.raises(ModelNotSupported, match="takes no questions"):
        VlmAnswerer(pretrained)


def test_without_a_model_the_option_is_named():
    with pytest.raises(OptionError, match="bvqa needs a model that answers questions: give --vlm"):
        open_answerer(EvaluateSettings(), "bvqa")
