"""What a scene holds: one to five colored shapes on a plain background, sometimes a word.

The picture is a 3×3 grid of cells, 21 pixels each, and every shape lies inside a cell of its own with at least
one empty pixel to its neighbors. So nothing overlaps, boxes are exact, the region of a shape (top left, center …)
is never a matter of taste, and counts can be learned. Shapes that share shape and color also share their size:
"two red circles" says all there is to say about them.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from recapdata.scenes import font, shapes

SIDE = 64
CELL = 21
SHAPES = shapes.SHAPES
SIZES = ("small", "large")
DIAMETERS = {"small": (10, 11, 12), "large": (17, 18, 19)}
COLORS = {
    "red": (222, 32, 38),
    "orange": (247, 138, 24),
    "yellow": (246, 220, 36),
    "green": (38, 158, 62),
    "blue": (38, 84, 222),
    "purple": (128, 44, 168),
    "pink": (250, 138, 192),
    "brown": (126, 72, 34),
}
BACKGROUNDS = {"white": (248, 248, 248), "gray": (152, 152, 152), "black": (12, 12, 12)}
INKS = {"white": ("black",), "gray": ("black", "white"), "black": ("white",)}
WORD_ROWS = ("top", "middle", "bottom")
WORDS = (
    "STOP", "OPEN", "SALE", "EXIT", "SHOP", "CAFE", "TAXI", "HOTEL", "BUS", "ZOO", "PARK",
    "FOOD", "NEWS", "BOOK", "HOME", "LOVE", "HELLO", "PIZZA", "MUSIC", "TEA", "BAR", "GYM",
    "FREE", "LEFT", "RIGHT", "SLOW", "FAST", "WOW", "YES", "ICE", "JAZZ", "KEY", "LAMP",
    "MAP", "OWL", "QUIZ", "RIVER", "SUN", "TIME", "UNION", "VIEW", "WATER", "XRAY", "YOUR",
    "ZEBRA", "DOG", "CAT", "FISH", "BIRD", "TRAIN",
)  # fmt: skip
SHARE_WITH_WORD = 0.35
SHARE_RANDOM_WORD = 0.5
WORD_DRIFT = 3
"""A word is this many pixels off the middle at most, so that "at the top" needs no left or right."""
SHADE = 9
"""Each color channel is moved by up to this much, so that no color is one exact RGB triple."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What its scenes may hold; the default is the whole world, a smaller one has less to learn.

    Attributes:
        objects: the most shapes of a scene, 1 to 5.
        words: whether a scene may have a word.
        sizes: those of `SIZES` that shapes come in.
    """

    objects: int = 5
    words: bool = True
    sizes: tuple[str, ...] = SIZES


WHOLE = World()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shape as drawn: `box` is [x, y, width, height] in pixels, tight around its `rgb` pixels."""

    shape: str
    color: str
    size: str
    box: tuple[int, int, int, int]
    cell: tuple[int, int]
    diameter: int
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Word:
    """A rendered word: capitals, in black or white, in the top, middle or bottom row of the picture."""

    text: str
    row: str
    color: str
    box: tuple[int, int, int, int]
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """The whole truth of one picture; `objects` go left to right by column, then top to bottom."""

    seed: int
    index: int
    background: str
    background_rgb: tuple[int, int, int]
    objects: tuple[Drawn, ...]
    word: Word | None


class Dice:
    """Random choices that are the same on every machine and Python.

    Only `random.Random.random` is drawn from, the one method whose sequence Python guarantees for a seed.
    """

    __slots__ = ("_next",)

    def __init__(self, seed: int, index: int, purpose: str) -> None:
        digest = hashlib.sha256(f"{purpose}:{seed}:{index}".encode()).digest()
        self._next = random.Random(int.from_bytes(digest[:8], "big")).random

    def below(self, count: int) -> int:
        return int(self._next() * count)

    def chance(self, share: float) -> bool:
        return self._next() < share

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._next() * len(items))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        left = list(items)
        return [left.pop(int(self._next() * len(left))) for _ in range(count)]


def draw_scene(seed: int, index: int, world: World = WHOLE) -> Scene:
    """The scene number `index` of the world `seed`; needs none of the scenes before it."""
    dice = Dice(seed, index, "scene")
    background = dice.pick(tuple(BACKGROUNDS))
    background_rgb = _shade(BACKGROUNDS[background], dice, gray=True)
    word = _draw_word(dice, background) if dice.chance(SHARE_WITH_WORD) and world.words else None
    taken = WORD_ROWS.index(word.row) if word else None
    cells = [(column, row) for column in range(3) for row in range(3) if row != taken]
    groups = _draw_groups(dice, world)
    places = dice.sample(cells, len(groups))
    objects = [
        _draw_object(dice, cell, shape, color, size)
        for cell, (shape, color, size) in zip(places, groups, strict=True)
    ]
    objects.sort(key=lambda drawn: drawn.cell)
    return Scene(seed, index, background, background_rgb, tuple(objects), word)


def scene_objects(scene: Scene) -> list[dict[str, Any]]:
    """The truth in a dataset's `objects` form: shapes left to right, then the word under the category "word"."""
    rows: list[dict[str, Any]] = [
        {
            "bbox": [float(side) for side in drawn.box],
            "category": drawn.shape,
            "color": drawn.color,
            "size": drawn.size,
            "text": None,
        }
        for drawn in scene.objects
    ]
    if scene.word:
        box = [float(side) for side in scene.word.box]
        rows.append(
            {
                "bbox": box,
                "category": "word",
                "color": scene.word.color,
                "size": None,
                "text": scene.word.text,
            }
        )
    return rows


def _draw_groups(dice: Dice, world: World) -> list[tuple[str, str, str]]:
    """One (shape, color, size) per object; alike objects come in groups of up to four."""
    total = 1 + dice.below(world.objects)
    groups: list[tuple[str, str, str]] = []
    seen: set[tuple[str, str]] = set()
    while len(groups) < total:
        shape, color = dice.pick(SHAPES), dice.pick(tuple(COLORS))
        size = dice.pick(world.sizes)
        alike = 1 if dice.chance(0.6) else 2 + dice.below(3)
        if (shape, color) not in seen:
            seen.add((shape, color))
            groups.extend([(shape, color, size)] * min(alike, total - len(groups)))
    return groups


def _draw_object(dice: Dice, cell: tuple[int, int], shape: str, color: str, size: str) -> Drawn:
    diameter = dice.pick(DIAMETERS[size])
    height, width = shapes.mask(shape, diameter).shape
    x = cell[0] * CELL + dice.below(CELL - width)
    y = cell[1] * CELL + dice.below(CELL - height)
    rgb = _shade(COLORS[color], dice)
    return Drawn(shape, color, size, (x, y, width, height), cell, diameter, rgb)


def _draw_word(dice: Dice, background: str) -> Word:
    text = dice.pick(WORDS)
    if dice.chance(SHARE_RANDOM_WORD):
        text = "".join(dice.pick(font.LETTERS) for _ in range(3 + dice.below(3)))
    row = dice.pick(WORD_ROWS)
    height, width = font.mask(text).shape
    x = (SIDE - width) // 2 + dice.below(2 * WORD_DRIFT + 1) - WORD_DRIFT
    y = WORD_ROWS.index(row) * CELL + dice.below(CELL - height)
    color = dice.pick(INKS[background])
    return Word(text, row, color, (x, y, width, height), _shade(BACKGROUNDS[color], dice, gray=True))


def _shade(rgb: tuple[int, int, int], dice: Dice, gray: bool = False) -> tuple[int, int, int]:
    red = dice.below(2 * SHADE + 1) - SHADE
    moves = (
        (red, red, red)
        if gray
        else (red, dice.below(2 * SHADE + 1) - SHADE, dice.below(2 * SHADE + 1) - SHADE)
    )
    shaded = [min(255, max(0, channel + move)) for channel, move in zip(rgb, moves, strict=True)]
    return (shaded[0], shaded[1], shaded[2])
