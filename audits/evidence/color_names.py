"""Pixels → the eleven basic color terms of English (Berlin & Kay 1969): white, black, gray and eight hues.

As van de Weijer et al. (2009) found, names do not follow hue alone: brown is a dark orange, pink a light red. So a pixel takes the
name of the nearest of a table of example colors, in CIELAB, where distances are about as large as they look. Lightness weighs
less than the rest, since shade changes it and names it little. A name whose nearest example is hardly further is one that the
pixel could be given too. The names of all colors are worked out once, on a grid of 32 steps a channel.

Before that, the light is taken out: what is almost gray in a picture is taken to be gray (a white wall under a lamp is white).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

EXAMPLES: dict[str, str] = {
    "red": "ff0000 de2026 c00000 8b0000 dc143c b22222 e04040 7a1018 cc3333 a01c24",
    "orange": "ffa500 ff8c00 f78a18 ff7f40 e06010 f5a050 cc6600 ff6a13",
    "yellow": "ffff00 f6dc24 ffd700 fff08a e6c619 f0e68c ffe135 d8b824",
    "green": "008000 00ff00 269e3e 006400 228b22 90ee90 556b2f 6b8e23 9acd32 2e8b57 3c5a3c 8fbc8f 1e3a1e 4a6b4a 7a9a5a 40e0a0 008080 20b2aa",
    "blue": "0000ff 2654de 000080 1e90ff 87ceeb add8e6 4682b4 4169e1 191970 00bfff 5f9ea0 00d0f0 3c5070 7090c0 203050 008080 20b2aa",
    "purple": "800080 802ca8 9370db 4b0082 ba55d3 c8a2c8 663399 6a3a6a 9b4f96 5a2d6e",
    "pink": "ffc0cb fa8ac0 ff69b4 ff1493 f4a6b4 e75480 db7093 fadadd f08090",
    "brown": "7e4822 8b4513 a0522d 654321 5c4033 3b2417 8b6b4a a67b5b c19a6b d2b48c b5835a 4a3528 6f4e37",
    "white": "ffffff f8f8f8 f0f0f0 faf0e6 fffff0 e6e6e6 f5f5dc e8eef4",
    "gray": "808080 989898 a9a9a9 c0c0c0 696969 555555 707880 b8b8b0 888078",
    "black": "000000 0c0c0c 1a1a1a 282828 1a1410 101820",
}
"""Examples of each color as sRGB: its focus, and those of its shades and tints that people call by its name."""
NAMES = tuple(EXAMPLES)
LIGHTNESS = 0.6
ALMOST = (1.4, 5.0)
"""A name is possible too up to this many times the distance of the nearest one, plus this many units of CIELAB."""
STEPS = 32
NEUTRAL = 18.0
"""Chroma in CIELAB under which a pixel counts as almost gray; so light that its color can be told, and not blown out."""
NEUTRAL_LIGHT = (35.0, 98.0)
ENOUGH = 0.05
"""Share of the picture that has to be almost gray before the light is judged by it."""

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def names_of(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The name of each pixel, as its place in `NAMES`, and which names it could be given.

    Args:
        pixels: [n, 3], sRGB.

    Returns:
        [n] and [n, 11].
    """
    best, possible = _grid()
    place = tuple((pixels // (256 // STEPS)).T)
    return best[place], possible[place]


def neutral_light(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What each channel is to be multiplied by (in linear light) for what is almost gray to be gray; ones where too little is.

    Args:
        pixels: [n, 3], sRGB, of the whole picture.
    """
    lab = to_lab(pixels)
    light = (lab[:, 0] > NEUTRAL_LIGHT[0]) & (lab[:, 0] < NEUTRAL_LIGHT[1])
    gray = light & (np.hypot(lab[:, 1], lab[:, 2]) < NEUTRAL)
    if gray.mean() < ENOUGH:
        return np.ones(3)
    mean = _linear(pixels[gray]).mean(0)
    gains: NDArray[np.float64] = mean.mean() / np.maximum(mean, 1e-6)
    return gains


def relit(pixels: NDArray[np.uint8], gains: NDArray[np.float64]) -> NDArray[np.uint8]:
    """sRGB pixels [n, 3] with each channel multiplied in linear light."""
    if np.allclose(gains, 1.0, atol=0.01):
        return pixels
    linear = np.clip(_linear(pixels) * gains, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB (D65) of sRGB pixels [n, 3]."""
    scaled = _linear(pixels) @ _TO_XYZ.T / _TO_XYZ.sum(1)
    root = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _linear(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear light of sRGB values."""
    value = pixels.astype(np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@cache
def _grid() -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """`names_of` of every color of the grid: [32, 32, 32] and [32, 32, 32, 11]."""
    steps = ((np.arange(STEPS) + 0.5) * (256 / STEPS)).astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    weights = np.array([LIGHTNESS, 1.0, 1.0])
    here = to_lab(colors) * weights
    distances = np.stack([_nearest(here, _examples(name) * weights) for name in NAMES], axis=1)
    nearest = distances.min(1, keepdims=True)
    possible = distances <= ALMOST[0] * nearest + ALMOST[1]
    side = (STEPS, STEPS, STEPS)
    return distances.argmin(1).reshape(side), possible.reshape(*side, len(NAMES))


def _examples(name: str) -> NDArray[np.float64]:
    return to_lab(np.array([list(bytes.fromhex(each)) for each in EXAMPLES[name].split()], np.uint8))


def _nearest(points: NDArray[np.float64], examples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to the nearest example."""
    return np.sqrt(((points[:, None] - examples[None]) ** 2).sum(-1)).min(1)
