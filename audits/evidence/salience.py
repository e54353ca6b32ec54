"""Which of the colors that were seen a caption can miss: those that are sure and stand out.

A color that is hardly seen, or that the light may have made, is still evidence for a caption that says it. To hold against a
caption that it leaves a color out takes more: the namer is sure of it (`Observation.sure`), the thing is no small part of the picture,
all things of its kind have the color, and it is not the color that goes without saying.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from audits.evidence import Observation
from audits.evidence.color_names import to_lab

SMALLEST = 0.01
"""Share of the picture from which on the color of a thing stands out."""
COLORLESS = 12.0
"""Chroma in CIELAB that 95 % of a black-and-white picture's pixels stay under; a little is left of an old print's tint."""
USUAL: Mapping[str, str] = {
    "banana": "yellow",
    "broccoli": "green",
    "carrot": "orange",
    "lemon": "yellow",
    "lettuce": "green",
    "orange": "orange",
    "potted plant": "green",
    "plant": "green",
    "tree": "green",
    "grass": "green",
}
"""Colors that go without saying."""
SCREENS = frozenset({"tv", "television", "monitor", "laptop", "cell phone", "computer monitor"})
SHOWN = frozenset({"blue", "white"})
"""What a screen shows as a rule, which is no color of the thing."""


def salient(picture: Image.Image, objects: Sequence[Observation]) -> list[Observation]:
    """The objects, of which only those stay sure whose color stands out."""
    if _is_colorless(picture):
        return [replace(one, sure=False) for one in objects]
    large = [one for one in objects if _area(one) >= SMALLEST * picture.width * picture.height]
    found = []
    for one in objects:
        alike = [other for other in large if other.category == one.category]
        agree = all(other.sure and other.colors[:1] == one.colors[:1] for other in alike)
        stands_out = one in large and agree and not _goes_without_saying(one)
        found.append(one if stands_out or not one.sure else replace(one, sure=False))
    return found


def _is_colorless(picture: Image.Image) -> bool:
    small = np.asarray(picture.resize((48, 48))).reshape(-1, 3)
    lab = to_lab(small)
    return float(np.percentile(np.hypot(lab[:, 1], lab[:, 2]), 95)) < COLORLESS


def _area(seen: Observation) -> float:
    if seen.area is not None:
        return seen.area
    return seen.bbox[2] * seen.bbox[3] if seen.bbox is not None else 0.0


def _goes_without_saying(seen: Observation) -> bool:
    category, color = str(seen.category), seen.colors[0] if seen.colors else ""
    return USUAL.get(category) == color or (category in SCREENS and color in SHOWN)
