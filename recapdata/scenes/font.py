"""The letters of rendered words: an own 5×7 pixel alphabet, drawn at twice its size so that 64 pixels hold a word."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

SCALE = 2
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH, HEIGHT, ADVANCE = 5 * SCALE, 7 * SCALE, 6 * SCALE
_ROWS = """
.###. ####. .#### ####. ##### ##### .#### #...# .###. ..### #...# #.... #...# #...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #..#. #.... ##.## ##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.# #.#.# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
##### ####. #.... #...# ####. ####. #..## ##### ..#.. ...#. ##... #.... #.#.# #..## #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...# #...# #...# #.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.# .#.#. ..#.. .#...
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...# #...# #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....
#...# ####. .#### ####. ##### #.... .#### #...# .###. .##.. #...# ##### #...# #...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####
""".strip().splitlines()


@cache
def _glyphs() -> dict[str, NDArray[np.bool_]]:
    rows = [row.split() for row in _ROWS]
    return {
        letter: np.array([[dot == "#" for dot in row[place]] for row in rows])
        .repeat(SCALE, 0)
        .repeat(SCALE, 1)
        for place, letter in enumerate(LETTERS)
    }


def glyph(letter: str) -> NDArray[np.bool_]:
    """Pixels of one capital in its cell, (HEIGHT, WIDTH)."""
    return _glyphs()[letter]


def mask(text: str) -> NDArray[np.bool_]:
    """Pixels of a word of capitals A–Z: 14 rows and 12 columns a letter, cut tight at both ends.

    Raises:
        KeyError: A character that the alphabet does not hold.
    """
    page = np.zeros((HEIGHT, ADVANCE * len(text)), bool)
    for place, letter in enumerate(text):
        page[:, place * ADVANCE : place * ADVANCE + WIDTH] = _glyphs()[letter]
    columns = np.flatnonzero(page.any(0))
    return page[:, columns[0] : columns[-1] + 1]


def left_margin(letter: str) -> int:
    """Empty columns to the left of a letter in its cell of `ADVANCE` columns; a word's mask lacks those of its first."""
    return int(np.flatnonzero(_glyphs()[letter].any(0))[0])
