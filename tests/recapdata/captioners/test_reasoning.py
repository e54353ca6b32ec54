"""Reasoning apart from the caption, in the marks of the models that write them."""

import pytest

from recapdata.captioners.reasoning import without_reasoning
from recapdata.captioners.text_generation import written_caption


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>A cat? No.</think>\n\nA dog.", "A dog."),
        ("A cat? No.\n</think>\n\nA dog.", "A dog."),  # the prompt's template ended with <think>
        ("<THINKING>x</THINKING> A dog.", "A dog."),
        ("[THINK]hm[/THINK]A dog.", "A dog."),
        ("◁think▷hm◁/think▷A dog.", "A dog."),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>A dog.<|return|>",
            "A dog.",
        ),
        ("<think>a</think><answer>A dog.</answer>", "A dog."),
        ("<|begin_of_box|>A dog.<|end_of_box|>", "A dog."),
        ("A dog. <think>Or a cat?</think>", "A dog."),
        ("A dog. <think>Or a", "A dog."),
        ("<think>Let me", ""),
    ],
)
def test_marks(text, answer):
    assert without_reasoning(text).answer == answer


@pytest.mark.parametrize(
    "text", ["A dog.", 'A screen that says "<think>" and "</think>".', "1 < 2 > 0 [THIN]"]
)
def test_no_marks(text):
    assert without_reasoning(text) == (text, False, False)


def test_a_model_that_only_reasoned_has_no_caption():
    cut = written_caption("<think>Let me", seed=None, ended=False, tokens=64)
    assert cut.error == "TokenLimit: all 64 tokens were spent on reasoning; raise --max-tokens"
    assert written_caption("<think>a</think> A dog.", seed=None, ended=True, tokens=9).caption == "A dog."
    assert written_caption(" ", seed=None, ended=True, tokens=1).error.startswith("EmptyCaption: ")
