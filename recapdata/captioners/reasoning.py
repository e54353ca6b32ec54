"""What a reasoning model wrote besides its caption: the reasoning goes, whatever marks it; it is never part of a caption."""

import re
from typing import NamedTuple

_NAME = "(?:think|thinking|thoughts?|reasoning|reflection|seed:think)"
_OPENING = rf"<{_NAME}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>\s*(?:analysis|commentary)\s*<\|message\|>"
_CLOSING = rf"</{_NAME}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>\s*final\s*<\|message\|>"
_MARK = re.compile(f"(?<![\"'“‘`«])(?:(?P<opening>{_OPENING})|{_CLOSING})", re.I)
"""A mark in quotation marks is writing in the picture."""
_WRAPPING = re.compile(
    r"</?answer>|<\|(?:begin|end)_of_(?:box|solution)\|>|<\|start\|>assistant|<\|(?:return|end|im_end)\|>",
    re.I,
)


class Parts(NamedTuple):
    """A model's text without its reasoning, whether there was reasoning, and whether the text ends within it."""

    answer: str
    reasoned: bool
    cut: bool


def without_reasoning(text: str) -> Parts:
    """A model's text cut into reasoning and answer.

    Known are the marks of DeepSeek, Qwen and GLM (`<think>`), Magistral (`[THINK]`), Kimi (`◁think▷`), gpt-oss (its channels) and
    others. Where only the closing mark is there, all before it is reasoning: templates may end with the opening one. An answer in
    marks of its own (`<answer>`, `<|begin_of_box|>`) is taken out of them.
    """
    kept: list[str] = []
    start, reasoning = 0, False
    marks = list(_MARK.finditer(text))
    for mark in marks:
        if mark["opening"] is not None:
            if not reasoning:
                kept.append(text[start : mark.start()])
            reasoning = True
        else:
            if not reasoning:
                kept.clear()
            start, reasoning = mark.end(), False
    answer = "".join([*kept, "" if reasoning else text[start:]]).strip()
    if marks or _WRAPPING.match(answer):
        answer = _WRAPPING.sub("", answer).strip()
    return Parts(answer, reasoned=bool(marks), cut=reasoning)
