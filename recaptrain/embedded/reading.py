"""Pixels → what a picture of the drawn world shows, without learning: colors cut apart, pieces matched with the shapes.

Exact on real renders. On generated pictures it reads what is drawn well enough to be told, and leaves out the rest, so it can
score them: a detector whose faults are known.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import font, shapes
from recapdata.scenes.world import BACKGROUNDS, COLORS, DIAMETERS, SHAPES, SIZES

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_NAMES = (*COLORS, *BACKGROUNDS)
_VALUES = np.array([*COLORS.values(), *BACKGROUNDS.values()], np.float32)
GROUND = -1
FAR_FROM_GROUND = 60.0
"""A pixel is drawn when it is this far (Euclidean, 0–441) from the background."""
FEWEST_PIXELS = 14
ALIKE = 0.6
"""Least intersection over union of a piece with the shape it is called."""
LETTERS_ALIKE = 0.75
LARGEST_SMALL = (max(DIAMETERS["small"]) + min(DIAMETERS["large"])) / 2


def read_background(pixels: Pixels) -> str:
    """The name of the background: what most of the picture's edge is nearest to."""
    return min(BACKGROUNDS, key=lambda name: float(np.abs(_ground(pixels) - BACKGROUNDS[name]).sum()))


def read_scene(pixels: Pixels) -> list[dict[str, Any]]:
    """What an RGB picture (height, width, 3) shows, in the form of `scene_objects`: shapes from left to right, then the word."""
    return _read(pixels)[0]


def count_unread(pixels: Pixels) -> int:
    """How many colored pieces of a picture are like none of the shapes."""
    return _read(pixels)[1]


def _read(pixels: Pixels) -> tuple[list[dict[str, Any]], int]:
    names = _color_names(pixels)
    unread = 0
    found, ink = [], np.zeros(names.shape, bool)
    for piece, name in _pieces(names):
        if name in BACKGROUNDS:
            ink |= piece
        elif entry := _shape_of(piece, name):
            found.append(entry)
        else:
            unread += 1
    found.sort(key=lambda entry: entry["bbox"][0] + entry["bbox"][2] / 2)
    word = _word_of(ink, pixels)
    return ([*found, word] if word else found), unread


def _ground(pixels: Pixels) -> NDArray[np.float32]:
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.median(edge, axis=0).astype(np.float32)


def _color_names(pixels: Pixels) -> NDArray[np.int64]:
    """For every pixel the place of its color in `_NAMES`, or `GROUND`."""
    values = pixels.astype(np.float32)
    names = ((values[:, :, None] - _VALUES) ** 2).sum(-1).argmin(-1)
    off = ((values - _ground(pixels)) ** 2).sum(-1) ** 0.5
    names[off < FAR_FROM_GROUND] = GROUND
    return names


def _pieces(names: NDArray[np.int64]) -> list[tuple[Mask, str]]:
    """Connected areas (8 neighbors) of one color, but for specks: every pixel takes the highest number in reach."""
    height, width = names.shape
    numbers = np.where(names == GROUND, 0, np.arange(1, names.size + 1).reshape(names.shape))
    while True:
        framed, colors = np.pad(numbers, 1), np.pad(names, 1, constant_values=GROUND)
        spread = numbers
        for down in range(3):
            for right in range(3):
                window = (slice(down, down + height), slice(right, right + width))
                spread = np.maximum(spread, np.where(colors[window] == names, framed[window], 0))
        spread[names == GROUND] = 0
        if np.array_equal(spread, numbers):
            break
        numbers = spread
    kept, counts = np.unique(numbers, return_counts=True)
    pieces = [
        numbers == number
        for number, count in zip(kept, counts, strict=True)
        if number and count >= FEWEST_PIXELS
    ]
    return [(piece, _NAMES[int(names[piece][0])]) for piece in pieces]


def _box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _shape_of(piece: Mask, color: str) -> dict[str, Any] | None:
    x, y, width, height = _box(piece)
    cut = piece[y : y + height, x : x + width]
    scores = {shape: _overlap(cut, _stretched(shape, width, height)) for shape in SHAPES}
    best = max(scores, key=scores.__getitem__)
    if scores[best] < ALIKE:
        return None
    size = SIZES[max(width, height) > LARGEST_SMALL]
    box = [float(side) for side in (x, y, width, height)]
    return {"bbox": box, "category": best, "color": color, "size": size, "text": None}


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


@cache
def _stretched(shape: str, width: int, height: int) -> Mask:
    """The shape as drawn if there is such a box among the real ones, else the largest brought to this box."""
    for diameters in DIAMETERS.values():
        for diameter in diameters:
            if shapes.mask(shape, diameter).shape == (height, width):
                return shapes.mask(shape, diameter)
    model = shapes.mask(shape, max(DIAMETERS["large"]))
    rows = (np.arange(height) * model.shape[0] // height)[:, None]
    return model[rows, np.arange(width) * model.shape[1] // width]


def _word_of(ink: Mask, pixels: Pixels) -> dict[str, Any] | None:
    """The word that the black or white pieces spell, if they look like letters."""
    if ink.sum() < FEWEST_PIXELS:
        return None
    x, y, width, height = _box(ink)
    best, text = 0.0, ""
    count = max(1, round((width + 2 * font.SCALE) / font.ADVANCE))
    for letters in {max(1, count - 1), count, count + 1}:
        for margin in range(0, 3 * font.SCALE, font.SCALE):
            score, spelled = _spell(ink, x - margin, y, letters)
            if score > best:
                best, text = score, spelled
    if best < LETTERS_ALIKE:
        return None
    color = min(("black", "white"), key=lambda name: abs(float(pixels[ink].mean()) - BACKGROUNDS[name][0]))
    return {
        "bbox": [float(side) for side in (x, y, width, height)],
        "category": "word",
        "color": color,
        "size": None,
        "text": text,
    }


def _spell(ink: Mask, left: int, top: int, letters: int) -> tuple[float, str]:
    """The best letter for every place from `left` on, and how well the word so spelled covers all ink."""
    framed = np.pad(ink, font.ADVANCE)
    spelled = ""
    for place in range(letters):
        column = left + font.ADVANCE * (place + 1)
        cut = framed[top + font.ADVANCE :, column:][: font.HEIGHT, : font.WIDTH]
        if cut.shape != (font.HEIGHT, font.WIDTH):
            return 0.0, ""
        spelled += max(font.LETTERS, key=lambda letter: _overlap(cut, font.glyph(letter)))
    page = np.zeros_like(framed)
    mask = font.mask(spelled)
    first = left + font.ADVANCE + font.left_margin(spelled[0])
    part = page[top + font.ADVANCE :, first:][: mask.shape[0], : mask.shape[1]]
    part[:] = mask[: part.shape[0], : part.shape[1]]
    return _overlap(framed, page), spelled
