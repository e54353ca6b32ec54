"""Scene → pixels → PNG bytes."""

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import font, png, shapes
from recapdata.scenes.world import SIDE, Scene


def render(scene: Scene) -> NDArray[np.uint8]:
    """RGB pixels, (64, 64, 3): hard edges, so that every pixel belongs to exactly one thing of the scene."""
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    pixels[:] = scene.background_rgb
    for drawn in scene.objects:
        x, y, width, height = drawn.box
        pixels[y : y + height, x : x + width][shapes.mask(drawn.shape, drawn.diameter)] = drawn.rgb
    if scene.word:
        x, y, width, height = scene.word.box
        pixels[y : y + height, x : x + width][font.mask(scene.word.text)] = scene.word.rgb
    return pixels


def encode_png(scene: Scene) -> bytes:
    """The picture as PNG, the same bytes on every machine."""
    return png.encode(render(scene))
