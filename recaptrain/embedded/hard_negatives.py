"""Near misses: scenes with one thing changed, a true caption of which is nearly one of the real scene, and captions with a position reversed."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from recapdata.scenes import COLORS, SHAPES, SIZES, Scene
from recapdata.scenes.captions import groups_of
from recapdata.scenes.world import CELL, WORD_ROWS, WORDS, Dice, Drawn


def hard_negative(scene: Scene) -> Scene:
    """The scene with another color, shape, size, count, arrangement or word; never equal to the original."""
    dice = Dice(scene.seed, scene.index, "lie")
    changes: list[Callable[[Scene, Dice], Scene]] = [_color, _color, _shape, _count, _size, _arrangement]
    if scene.word:
        changes += [_word, _word]
    while True:
        changed = dice.pick(changes)(scene, dice)
        if changed != scene:
            return changed


_REVERSE = {"left": "right", "above": "below", "top": "bottom"}
_REVERSE |= {there: here for here, there in _REVERSE.items()}
POSITION = re.compile(rf"\b({'|'.join(_REVERSE)})\b")


def reversed_position(caption: str, dice: Dice) -> str:
    """The caption with one of its position words, drawn by the dice, turned into its opposite; the caption itself where it has none."""
    words = list(POSITION.finditer(caption))
    if not words:
        return caption
    word = dice.pick(words)
    return f"{caption[: word.start()]}{_REVERSE[word[0]]}{caption[word.end() :]}"


def _recast(scene: Scene, dice: Dice, **look: Any) -> Scene:
    """Give one group another look, unless some other group has its color and shape already."""
    group = dice.pick(groups_of(scene))
    members = {id(drawn) for drawn in group.members}
    new = replace(group.members[0], **look)
    others = {(drawn.shape, drawn.color) for drawn in scene.objects if id(drawn) not in members}
    if (new.shape, new.color) in others:
        return scene
    return replace(scene, objects=tuple(replace(o, **look) if id(o) in members else o for o in scene.objects))


def _color(scene: Scene, dice: Dice) -> Scene:
    return _recast(scene, dice, color=dice.pick(tuple(COLORS)))


def _shape(scene: Scene, dice: Dice) -> Scene:
    return _recast(scene, dice, shape=dice.pick(SHAPES))


def _size(scene: Scene, dice: Dice) -> Scene:
    return _recast(scene, dice, size=dice.pick(SIZES))


def _count(scene: Scene, dice: Dice) -> Scene:
    """One shape less, or one more like another in a free cell."""
    if len(scene.objects) > 1 and dice.chance(0.5):
        gone = dice.below(len(scene.objects))
        return replace(scene, objects=scene.objects[:gone] + scene.objects[gone + 1 :])
    taken = {drawn.cell for drawn in scene.objects}
    word_row = WORD_ROWS.index(scene.word.row) if scene.word else None
    free = [(column, row) for column in range(3) for row in range(3) if row != word_row]
    free = [cell for cell in free if cell not in taken]
    if not free or len(scene.objects) == 5:
        return scene
    return _ordered(scene, (*scene.objects, _moved(dice.pick(scene.objects), dice.pick(free))))


def _arrangement(scene: Scene, dice: Dice) -> Scene:
    """Two shapes of different looks change places."""
    if len(scene.objects) < 2:
        return scene
    one, other = dice.sample(scene.objects, 2)
    if (one.shape, one.color) == (other.shape, other.color):
        return scene
    rest = tuple(drawn for drawn in scene.objects if drawn is not one and drawn is not other)
    return _ordered(scene, (*rest, _moved(one, other.cell), _moved(other, one.cell)))


def _word(scene: Scene, dice: Dice) -> Scene:
    assert scene.word is not None
    return replace(scene, word=replace(scene.word, text=dice.pick(WORDS)))


def _moved(drawn: Drawn, cell: tuple[int, int]) -> Drawn:
    x, y, width, height = drawn.box
    shift = ((cell[0] - drawn.cell[0]) * CELL, (cell[1] - drawn.cell[1]) * CELL)
    return replace(drawn, cell=cell, box=(x + shift[0], y + shift[1], width, height))


def _ordered(scene: Scene, objects: tuple[Drawn, ...]) -> Scene:
    return replace(scene, objects=tuple(sorted(objects, key=lambda drawn: drawn.cell)))
