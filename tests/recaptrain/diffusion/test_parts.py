"""The trained parts of a pipeline as one module."""

import torch
from transformers import CLIPTextConfig, CLIPTextModel

from recaptrain.diffusion.parts import join


def test_what_is_computed_with_parts_is_computed_in_one_call():
    """What wraps a module sees its calls: here a hook counts them, and the answer passes through it."""
    joined = join({"unet": torch.nn.Linear(2, 2), "text_encoder": torch.nn.Linear(2, 2)})
    answers = []
    joined.register_forward_hook(lambda module, given, answer: answers.append(answer))
    answer = joined(lambda parts: parts["unet"](parts["text_encoder"](torch.ones(1, 2))))
    assert answers == [answer]
    assert sorted(joined.state_dict()) == [
        "text_encoder.bias",
        "text_encoder.weight",
        "unet.bias",
        "unet.weight",
    ]


def test_blocks_that_the_parts_name_and_have_are_gathered_alone():
    """CLIP's list has the layers of its vision tower too, which is no part of a text encoder."""
    config = CLIPTextConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9
    )
    model = CLIPTextModel(config)
    assert "CLIPVisionEmbeddings" in model._no_split_modules
    assert join({"text_encoder": model})._no_split_modules == ["CLIPEncoderLayer", "CLIPTextEmbeddings"]
