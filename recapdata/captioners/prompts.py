"""Prompts by model family, for the two styles and for a user's own prompt.

`short` is RECAP's RECAP Short and DALL·E 3's SSC (the main subject, one sentence); `long` is RECAP Long and DSC (everything that
can be seen). A model folder may say itself what its styles are called, in `recapdata.json`:

    {"styles": {"short": "caption short", "long": "caption long"}}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recapdata.captioners import STYLES
from recapdata.captioners.template import parse_template, without_places
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.sources import ModelSource, pinned_file

OWN_STYLES = "recapdata.json"
Kind = Literal["prefix", "chat", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a kind of model is prompted.

    Attributes:
        kind: `prefix` (a short text in front, PaliGemma's way), `chat` (a message in the model's own template), or `plain` (no
            instruction: a text given is the beginning of the caption).
        prompts: prompt by style.
    """

    kind: Kind
    prompts: Mapping[str, str]


CHAT = Family(
    kind="chat",
    prompts={
        "short": "Describe the main subject of this image in one short sentence.",
        "long": (
            "Describe this image in detail, in plain sentences: the main subject and its attributes, every other object "
            "with its count, color and position, the background, any visible text, and the style of the picture. "
            "State only what can be seen."
        ),
    },
)
FAMILIES = {
    "paligemma": Family(kind="prefix", prompts={"short": "caption en", "long": "describe en"}),
    "blip": Family(kind="plain", prompts={"short": ""}),
    "blip-2": Family(kind="plain", prompts={"short": ""}),
    "git": Family(kind="plain", prompts={"short": ""}),
}
"""By `model_type` of the configuration; every other model must bring a chat template."""

MAX_TOKENS = {"short": 64, "long": 256}
FREE_MAX_TOKENS = 256


def prompt_text(style: str, family: Family, own: Mapping[str, str], model: str) -> str:
    """The prompt for a style (or the style itself where it is a prompt); `own` are the model folder's styles.

    Raises:
        OptionError: the model has no such style.
    """
    if style not in STYLES:
        return style if parse_template(style) else without_places(style)
    prompts = {**family.prompts, **own}
    if style not in prompts:
        raise OptionError(
            f"--style {style}: {model} writes captions of one kind and takes no instruction; use --style short, or give "
            "the first words of the caption as --style TEXT"
        )
    return prompts[style]


def max_tokens(style: str) -> int:
    """Most tokens of a caption of this style where the user says nothing."""
    return MAX_TOKENS.get(style, FREE_MAX_TOKENS)


def own_styles(path: Path, model: str) -> Mapping[str, str]:
    """Prompts by style of the `recapdata.json` at `path`; none where there is no file.

    Raises:
        ModelNotSupported: the file has another form.
    """
    if not path.is_file():
        return {}
    try:
        styles = json.loads(path.read_text(encoding="utf8"))["styles"]
        return {str(style): str(prompt) for style, prompt in styles.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotSupported(
            f'{OWN_STYLES} of {model} should read {{"styles": {{"short": "…", "long": "…"}}}}: {error!r}'
        ) from error


def pinned_styles(source: ModelSource) -> Mapping[str, str]:
    """`own_styles` of a pinned model, from its folder or from the Hub."""
    path = pinned_file(source, OWN_STYLES)
    return {} if path is None else own_styles(path, source.name)
