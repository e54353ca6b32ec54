"""What every patch of a scene shows: the labels that teach the vision tower to see before any text.

For a patch with a shape in it: the shape, its color and size, where it is, the group of alike shapes that it belongs to (in the
captions' canonical order), how many they are and how that group lies to the next one. For a patch of a word: which letter,
and the how manyth. A captioner on such a tower has only to learn to say what the tower knows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import BACKGROUNDS, COLORS, SHAPES, SIDE, SIZES, Scene, font, render, shapes
from recapdata.scenes.captions import groups_of, relation_between

NOTHING = -100
"""The value that torch's cross entropy leaves out."""
FEWEST_PIXELS = 3
"""A patch with fewer pixels of a shape does not show it."""
RELATION_NAMES = ("none", "left", "right", "above", "below")


@dataclass(frozen=True, slots=True)
class Head:
    """One question about a patch with `classes` answers, and its weight in the loss: what is hard to see weighs most."""

    name: str
    classes: int
    weight: float


HEADS = (
    Head("shape", len(SHAPES) + 1, 3.0),
    Head("color", len(COLORS), 0.5),
    Head("size", len(SIZES), 0.5),
    Head("column", 3, 0.2),
    Head("row", 3, 0.2),
    Head("group", 5, 1.0),
    Head("count", 5, 1.0),
    Head("relation", len(RELATION_NAMES), 1.0),
    Head("letter", len(font.LETTERS) + 1, 2.0),
    Head("place", 5, 0.4),
    Head("background", len(BACKGROUNDS), 0.1),
)
_COLOR_NAMES, _BACKGROUND_NAMES = tuple(COLORS), tuple(BACKGROUNDS)
_AT = {head.name: place for place, head in enumerate(HEADS)}


@dataclass(frozen=True, slots=True)
class Dense:
    """Targets of a scene, patches in the order of a ViT (row by row).

    labels: (patches, heads) int64. ink: (patches, pixels of a patch) float32, 1 where a pixel is not background. boxes: (patches, 4) float32, how far
    left, top, right and bottom edge of the shape or letter lie from the patch's center, in units of 16 pixels; NaN where there is none.
    """

    labels: NDArray[np.int64]
    ink: NDArray[np.float32]
    boxes: NDArray[np.float32]


BOX_UNIT = 16.0


def dense_targets(scene: Scene, patch: int) -> Dense:
    """All targets of a scene."""
    side = SIDE // patch
    ink = (render(scene) != scene.background_rgb).any(-1)
    patches = ink.reshape(side, patch, side, patch).transpose(0, 2, 1, 3).reshape(side * side, -1)
    labels, things = _labels(scene, patch)
    centers = (np.arange(side) + 0.5) * patch
    x, y = np.meshgrid(centers, centers)
    edges = np.stack([x, y, x, y], -1).reshape(-1, 4)
    return Dense(labels, patches.astype(np.float32), ((things - edges) / BOX_UNIT).astype(np.float32))


def _labels(scene: Scene, patch: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels, and for every patch the edges (left, top, right, bottom) of what it shows."""
    side = SIDE // patch
    things = np.full((side * side, 4), np.nan)
    labels = np.full((side * side, len(HEADS)), NOTHING, np.int64)
    labels[:, _AT["shape"]] = len(SHAPES)
    labels[:, _AT["letter"]] = len(font.LETTERS)
    labels[:, _AT["background"]] = _BACKGROUND_NAMES.index(scene.background)
    most = np.full(side * side, FEWEST_PIXELS - 1)
    groups = groups_of(scene)
    for place, group in enumerate(groups):
        follower = groups[place + 1] if place + 1 < len(groups) else None
        relation = (relation_between(group, follower) or "none") if follower else "none"
        for drawn in group.members:
            x, y, width, height = drawn.box
            page = np.zeros((SIDE, SIDE), np.int64)
            page[y : y + height, x : x + width] = shapes.mask(drawn.shape, drawn.diameter)
            pixels = page.reshape(side, patch, side, patch).sum((1, 3)).ravel()
            shown = pixels > most
            most = np.maximum(most, pixels)
            things[shown] = (x, y, x + width, y + height)
            labels[shown, : _AT["relation"] + 1] = (
                SHAPES.index(drawn.shape),
                _COLOR_NAMES.index(drawn.color),
                SIZES.index(drawn.size),
                *drawn.cell,
                place,
                len(group.members) - 1,
                RELATION_NAMES.index(relation),
            )
    if scene.word:
        _label_letters(labels.reshape(side, side, len(HEADS)), things.reshape(side, side, 4), scene, patch)
    return labels, things


def _label_letters(labels: NDArray[np.int64], things: NDArray[np.float64], scene: Scene, patch: int) -> None:
    """Give every patch that a word's rows cross the letter that most of its columns belong to."""
    assert scene.word is not None
    x, y, _, height = scene.word.box
    starts = x - font.left_margin(scene.word.text[0]) + np.arange(len(scene.word.text)) * font.ADVANCE
    edges = np.arange(labels.shape[1]) * patch
    overlap = np.minimum(edges[:, None] + patch, starts + font.WIDTH) - np.maximum(edges[:, None], starts)
    best = overlap.argmax(1)
    rows = slice((y + 2) // patch, (y + height - 3) // patch + 1)
    for column in np.flatnonzero(overlap.max(1) >= patch // 2):
        letter = font.LETTERS.index(scene.word.text[best[column]])
        labels[rows, column, _AT["letter"]] = letter
        labels[rows, column, _AT["place"]] = best[column]
        left = starts[best[column]]
        free = labels[rows, column, _AT["shape"]] == len(SHAPES)
        things[rows, column][free] = (left, y, left + font.WIDTH, y + height)
