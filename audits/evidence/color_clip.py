"""What color an object is by a CLIP model that sees the crop, after GenEval (Ghosh et al. 2023).

GenEval's prompts, averaged per color; its crop, with gray laid over what a mask leaves out. It asks about ten colors and takes the
likeliest; here gray is the eleventh, and a color that the model holds for nearly as likely is never held against a caption.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from audits.evidence import Observation
from audits.evidence.color_names import NAMES
from audits.evidence.masks import decode_mask
from audits.rules import source_rules
from recapdata.models.dual_encoders import ClipSource, find_clip

if TYPE_CHECKING:
    import torch

PROMPTS = (
    "a photo of a {color} {noun}",
    "a photo of a {color}-colored {noun}",
    "a photo of a {color} object",
)
GROUND = (0x99, 0x99, 0x99)
UNCLEAR = 0.3
"""Where the likeliest color has less than this probability, nothing is said."""
SURE = 0.8
"""Probability from which on a color is sure; gray never is: it is white in the shade, or steel."""
POSSIBLE = 0.1
"""Probability from which on no claim of a color is wrong."""


@dataclass(frozen=True, slots=True)
class ClipNamer:
    """Names colors by a CLIP model; made by `open_namer`."""

    source: ClipSource

    @property
    def model(self) -> str:
        """The model with its revision."""
        return f"{self.source.name}@{self.source.revision}"

    def identity(self) -> str:
        """The version of these rules."""
        return source_rules("clip_colors")

    def name(self, picture: Image.Image, objects: Sequence[Observation]) -> list[Observation]:
        """The objects with the color that is the likeliest of their crops."""
        likely = self.likelihoods(picture, objects)
        return [with_likely_colors(seen, each) for seen, each in zip(objects, likely, strict=True)]

    def likelihoods(
        self, picture: Image.Image, objects: Sequence[Observation]
    ) -> "list[np.ndarray[Any, Any]]":
        """The probability of each color for each of the objects, [11] in the order of `NAMES`."""
        import torch

        if not objects:
            return []
        clip, classifiers = _load(self.source)
        crops = torch.stack([clip.pixels(crop(picture, seen)) for seen in objects])
        images = clip.encode_images(crops)
        scale = getattr(clip.model, "logit_scale", None)
        factor = 100.0 if scale is None else float(scale.detach().exp())
        likelihoods = []
        for seen, image in zip(objects, images, strict=True):
            noun = str(seen.category)
            if noun not in classifiers:
                classifiers[noun] = _classifier(clip, noun)
            likelihoods.append((factor * image @ classifiers[noun].T).softmax(-1).cpu().numpy())
        return likelihoods


def open_namer(name: str) -> ClipNamer:
    """The namer with a CLIP model by name (see `audits.clip.models` for the forms).

    Raises:
        ModelNotSupported: no such model.
        HubError: the Hub cannot be reached.
    """
    return ClipNamer(find_clip(name))


def crop(picture: Image.Image, seen: Observation) -> Image.Image:
    """The part of a picture inside an object's box, in gray where its mask leaves it out; at least one pixel."""
    assert seen.bbox is not None
    covered = decode_mask(seen, picture.height, picture.width)
    if covered is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, GROUND), Image.fromarray(covered))
    x, y, width, height = seen.bbox
    left, top = min(max(int(x), 0), picture.width - 1), min(max(int(y), 0), picture.height - 1)
    right, bottom = min(round(x + width), picture.width), min(round(y + height), picture.height)
    return picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def with_likely_colors(seen: Observation, likely: "np.ndarray[Any, Any]") -> Observation:
    """An object with the colors that are likely, if one is.

    Args:
        likely: a probability per color, [11], in the order of `NAMES`.
    """
    order = [int(place) for place in np.argsort(-likely, kind="stable")]
    if likely[order[0]] < UNCLEAR:
        return seen
    near = frozenset(NAMES[place] for place in order[1:] if likely[place] >= POSSIBLE)
    sure = NAMES[order[0]] != "gray" and bool(likely[order[0]] >= SURE)
    return replace(seen, colors=(NAMES[order[0]],), near_colors=near, sure=sure)


_MODELS: dict[str, tuple[Any, dict[str, "torch.Tensor"]]] = {}
"""By name and revision the model, loaded once in a process, and its classifiers by noun."""


def _load(source: ClipSource) -> tuple[Any, dict[str, "torch.Tensor"]]:
    from audits.clip.scorer import load_clip

    pinned = f"{source.name}@{source.revision}"
    if pinned not in _MODELS:
        _MODELS[pinned] = load_clip(source), {}
    return _MODELS[pinned]


def _classifier(clip: Any, noun: str) -> "torch.Tensor":
    """One unit embedding per color [11, d]: the mean over the prompts."""
    texts = [prompt.format(color=color, noun=noun) for color in NAMES for prompt in PROMPTS]
    means = clip.encode_texts(texts).view(len(NAMES), len(PROMPTS), -1).mean(1)
    unit: torch.Tensor = means / means.norm(dim=-1, keepdim=True)
    return unit
