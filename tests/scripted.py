"""A captioner whose words follow from the picture, and whose failures from a script: what the run does with them can be derived."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL.Image import Image

from recapdata.captioners import CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.template import Template, parse_template
from recapdata.records import Caption, Provenance

OUT_OF_MEMORY_ABOVE = "SCRIPTED_FITS"
"""Environment: most images that fit at once."""
REFUSES = "SCRIPTED_REFUSES"
"""Environment: the model refuses pictures whose red is one of these numbers (comma-separated)."""
CANNOT_PREPARE = "SCRIPTED_CANNOT_PREPARE"
KILLS_DECODER = "SCRIPTED_KILLS_DECODER"


def _numbers(name: str) -> set[int]:
    return {int(each) for each in os.environ.get(name, "").split(",") if each}


@dataclass(frozen=True)
class ScriptedPreparer:
    """Pictures → the red, green and blue of their first pixel."""

    def __call__(self, images: Sequence[Image]) -> list[tuple[int, int, int]]:
        pixels = [image.getpixel((0, 0)) for image in images]
        if any(pixel[0] in _numbers(KILLS_DECODER) for pixel in pixels):
            os._exit(9)
        if any(pixel[0] in _numbers(CANNOT_PREPARE) for pixel in pixels):
            raise CaptioningFailed("ValueError: not a shape this processor takes")
        return pixels


class Scripted:
    """Says `<prompt> <red> <green> <blue>`."""

    def __init__(self, options: CaptionerOptions) -> None:
        self.provenance = Provenance(
            writer="model",
            captioner="scripted",
            model=options.model or "scripted",
            revision=options.revision or "1",
            style=options.style,
            prompt=options.style,
            seed=options.seed if options.temperature else None,
            dtype="float32",
            libraries={"scripted": os.environ.get("SCRIPTED_VERSION", "1.0")},
        )
        self.prepare = ScriptedPreparer()
        self.batch_size = 4
        self.at_once = 1
        self.device = "cpu"
        self.sizes: list[int] = []
        opened.append(self)

    def load(self) -> None:
        """Nothing to load."""

    def caption(self, prepared: Any, keys: Sequence[str]) -> list[Caption]:
        """Captions, or what the script says."""
        self.sizes.append(len(keys))
        if len(keys) > int(os.environ.get(OUT_OF_MEMORY_ABOVE, "1000")):
            raise OutOfMemory("no room")
        if any(pixel[0] in _numbers(REFUSES) for pixel in prepared):
            raise CaptioningFailed("ValueError: the model refuses")
        return [
            Caption(caption=f"{self.provenance.prompt} {red} {green} {blue}", finish_reason="stop", tokens=4)
            for red, green, blue in prepared
        ]


opened: list[Scripted] = []
"""Every scripted captioner of this process, the last one last."""


def open_scripted(options: CaptionerOptions) -> Scripted:
    """The opener, as the table of captioners names it."""
    return Scripted(options)


@dataclass(frozen=True)
class PromptedScript(ScriptedPreparer):
    """Pictures → their prompts before the red, green and blue."""

    template: Template

    def prompted(self, images: Sequence[Image], values: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        return [
            (*pixel, self.template.render(each)) for pixel, each in zip(self(images), values, strict=True)
        ]


class Prompted(Scripted):
    """Says `<its prompt> <red> <green> <blue>`."""

    def __init__(self, options: CaptionerOptions) -> None:
        super().__init__(options)
        template = parse_template(options.style)
        assert template is not None
        self.prepare = PromptedScript(template)

    def caption(self, prepared: Any, keys: Sequence[str]) -> list[Caption]:
        captions = super().caption([pixel[:3] for pixel in prepared], keys)
        return [
            replace(caption, caption=f"{prompt} {red} {green} {blue}")
            for caption, (red, green, blue, prompt) in zip(captions, prepared, strict=True)
        ]


def open_prompted(options: CaptionerOptions) -> Prompted:
    """The opener of `Prompted`."""
    return Prompted(options)
