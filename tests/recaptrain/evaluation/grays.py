"""A feature extractor from outside: the gray of a picture, in one dimension."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

encoded: list[int] = []
"""Grays of the pictures that were encoded, in order."""


class Grays:
    name, resize, dimensions = "grays", "none", 1

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        grays = [image.getpixel((0, 0))[0] for image in images]
        encoded.extend(grays)
        return np.array(grays, np.float32)[:, None]


def open_grays(argument: str | None) -> Grays:
    return Grays(argument or "1")
