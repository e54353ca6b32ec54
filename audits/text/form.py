"""The form of a caption: prose, or tags, JSON, HTML, Markdown, a prompt; and the text in it that the pipeline reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from audits.text import markdown, notations, prompts
from audits.text.languages import languages
from audits.text.squeezed import END, NOTHING

Kind = Literal["prose", "tags", "json", "html", "latex", "prompt", "markdown"]

LONGEST = 20_000
"""Code points of a caption that are read; a longer one is no caption, and whoever reads it says so."""
FLAGS = ("not_english", "json", "html", "markdown", "latex", "tags", "prompt_syntax")
"""The flags of a form; they are hygiene flags of its caption."""

#: Plain prose has none of these: marks, lines, labels, addresses, characters beyond Europe's letters.
_NOTATION = re.compile(
    r"[^\w .,;!?'\"()/%&–—…’‘“”:$+-]|[&$+]\w*[;^\\{=]|--|—\w|::|\(\(|:[\d]|:\s|_|\w\.\w|\dgirl|\dboy|BREAK|^\s|^[-+–—\"]|^1[.)]\s|"
    "[^\x00-\u024f\u02b0-\u036f\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf]"
)


@dataclass(frozen=True, slots=True)
class Form:
    """How a caption is written.

    Attributes:
        text: what the pipeline reads, as many code points as the caption; a blank where the caption has no text,
            `NOTHING` inside a word, `END` where a sentence ends (see `audits.text.squeezed`).
        language: ISO 639 code; None where there are too few words to tell.
        flags: those of `FLAGS` that hold.
        readable: there may be English in it. The text of a caption that is not readable is blank.
    """

    text: str
    kind: Kind
    language: str | None
    flags: tuple[str, ...]
    readable: bool


@lru_cache(
    maxsize=8
)  # what asks for the text and what asks for the flags ask of the same caption, one after the other
def read_form(caption: str) -> Form:
    """The form of a caption, in time that grows with its length."""
    text: str = caption
    kinds: list[Kind] = []
    if _NOTATION.search(caption):
        text, kinds = _read(caption)
    elif prompts.are_tags(caption):
        text, kinds = prompts.read_tags(caption), ["tags"]
    spoken = languages(text)
    flags = {"prompt_syntax" if kind == "prompt" else kind for kind in kinds}
    if spoken.foreign:
        flags.add("not_english")
        text = _without(text, spoken.foreign) if spoken.readable else " " * len(text)
    return Form(
        text,
        kinds[0] if kinds else "prose",
        spoken.language,
        tuple(flag for flag in FLAGS if flag in flags),
        spoken.readable,
    )


def _read(caption: str) -> tuple[str, list[Kind]]:
    """The text of a caption in any notation, and its notations, the one that encloses the others first."""
    kinds: list[Kind] = []
    text = markdown.without_links(caption) if "](" in caption else caption
    has_links = text != caption
    text = notations.without_signs(text)
    start = notations.json_start(text) if '"' in text or "'" in text else None
    if start is not None:
        kinds.append("json")
        text = notations.read_json(text, start, _read_value)
    if "\\" in text and notations.is_latex(text):
        kinds.append("latex")
        text = notations.read_latex(text)
    if "(" in text:
        text = prompts.without_qualifiers(text)
    if "\\" in text:
        text = notations.without_escapes(text)
    if ("<" in text or "&" in text) and notations.is_html(text):
        kinds.append("html")
        text = notations.read_html(text)
    plain = prompts.without_parameters(text)
    is_prompt = plain != text
    text = notations.without_chat(plain)
    is_markdown = has_links or markdown.is_markdown(text)
    text = markdown.read_lines(_without_csv(text))
    if "json" not in kinds and prompts.are_tags(text):
        kinds.append("tags")
        text = prompts.read_tags(text)
    if is_prompt:
        kinds.append("prompt")
    if is_markdown:
        kinds.append("markdown")
    return text, kinds


def _read_value(value: str) -> str:
    """The text of a string in JSON."""
    value = prompts.without_qualifiers(value)
    value = notations.without_escapes(value)
    return prompts.read_tags(value) if prompts.are_tags(value) else value


def _without_csv(text: str) -> str:
    """The text without the marks of a quoted CSV field, in which a doubled mark is one."""
    stripped = text.strip()
    if not (len(stripped) > 4 and stripped[0] == stripped[-1] == '"' and '""' in stripped[1:-1]):
        return text
    start, end = text.index('"'), text.rindex('"')
    inside = text[start + 1 : end].replace('""', f'{NOTHING}"')
    return f"{text[:start]} {inside} {text[end + 1 :]}"


def _without(text: str, spans: tuple[tuple[int, int], ...]) -> str:
    parts, end = [], 0
    for start, stop in spans:
        parts += [text[end:start], END, " " * (stop - start - 1)]
        end = stop
    return "".join([*parts, text[end:]])
