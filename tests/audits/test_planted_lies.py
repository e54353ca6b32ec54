"""Planted lies: of drawn scenes with true captions a known share is made to lie, one lie a caption, and all have to be found.

Seven kinds of ten scenes lie: by a wrong color, count, object, text, position or size, or by leaving objects out. The other three
are told truly, and nothing of them may be called wrong.
"""

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from audits.evidence import Evidence, Scope
from audits.evidence.annotations import annotated
from audits.extraction import claims as extract
from audits.grounding.verdicts import Grounding, ground
from recapdata.scenes import COLORS, SHAPES, SIDE, Scene, draw_scene, human_long, human_short, scene_objects
from recapdata.scenes.captions import NUMBERS, PLURALS

SCENES = 2000
ENOUGH = 0.97
DRAWN = Scope(classes=frozenset({*SHAPES, "word"}), attributes=frozenset({"color", "size", "text"}))
OPPOSITES = (("left of", "right of"), ("above", "below"), ("top left corner", "bottom right corner"),
             ("top right corner", "bottom left corner"), ("at the top", "at the bottom"), ("at the left", "at the right"))  # fmt: skip


def truth(scene: Scene) -> Evidence:
    objects = tuple(annotated(each | {"mask": None}) for each in scene_objects(scene))
    return Evidence(source="truth", scope=DRAWN, objects=objects, width=SIDE, height=SIDE)


def exchanged(caption: str, old: str, new: str) -> str | None:
    """The caption with the first such word exchanged; None where it has none."""
    lie, changes = re.subn(rf"\b{re.escape(old)}\b", new, caption, count=1)
    return lie if changes else None


def color(scene: Scene, dice: random.Random) -> str | None:
    drawn = dice.choice(scene.objects)
    alike = {each.color for each in scene.objects if each.shape == drawn.shape}
    wrong = dice.choice([name for name in COLORS if name not in alike])
    noun = rf"(?={drawn.shape}|{PLURALS[drawn.shape]})"
    lie, changes = re.subn(rf"\b{drawn.color} {noun}", f"{wrong} ", human_short(scene), count=1)
    return lie if changes else None


def count(scene: Scene, dice: random.Random) -> str | None:
    said = [number for number in NUMBERS[2:] if re.search(rf"\b{number}\b", human_short(scene), re.I)]
    if not said:
        return None
    old = dice.choice(said)
    new = NUMBERS[NUMBERS.index(old) - 1] if old == "five" else "seven"
    return exchanged(human_short(scene).lower(), old, new)


def object_(scene: Scene, dice: random.Random) -> str | None:
    drawn = dice.choice(scene.objects)
    absent = [shape for shape in SHAPES if shape not in {each.shape for each in scene.objects}]
    return exchanged(human_short(scene), drawn.shape, dice.choice(absent))


def text(scene: Scene, dice: random.Random) -> str | None:
    return exchanged(human_short(scene), scene.word.text, "LIAR") if scene.word else None


def position(scene: Scene, dice: random.Random) -> str | None:
    caption = human_long(scene)
    shapes = caption.partition(" The word")[0]
    said = [
        (old, new)
        for pair in OPPOSITES
        for old, new in (pair, pair[::-1])
        if re.search(rf" is [^.]*{old}", shapes)
    ]
    return caption.replace(*dice.choice(said), 1) if said else None


def size(scene: Scene, dice: random.Random) -> str | None:
    drawn = dice.choice(scene.objects)
    other = {"small": "large", "large": "small"}[drawn.size]
    if any(
        (each.shape, each.color, each.size) == (drawn.shape, drawn.color, other) for each in scene.objects
    ):
        return None  # there is one of either size, so that it would be no lie
    return exchanged(
        human_long(scene), f"{drawn.size} {drawn.color} {drawn.shape}", f"{other} {drawn.color} {drawn.shape}"
    )


def left_out(scene: Scene, dice: random.Random) -> str | None:
    gone = dice.choice(scene.objects).shape
    rest = tuple(each for each in scene.objects if each.shape != gone)
    return human_short(replace(scene, objects=rest)) if rest else None


LIES: dict[str, Callable[[Scene, random.Random], str | None]] = {
    "color": color,
    "count": count,
    "object": object_,
    "text": text,
    "position": position,
    "size": size,
    "left out": left_out,
}


def accused(found: Grounding, kind: str) -> bool:
    """Whether the audit finds a lie of a kind."""
    if kind == "left out":
        return any(each in SHAPES for each in found.recall.missed)
    return any(claim.kind == kind and claim.verdict == "contradicted" for claim in found.claims)


@pytest.fixture(scope="module")
def audited() -> list[tuple[str | None, str, Grounding]]:
    """Per scene the kind of its lie (None where it is told truly), its caption, and what the audit says."""
    dice = random.Random(5)
    scenes = [draw_scene(23, index) for index in range(SCENES)]
    told: list[tuple[str | None, str]] = []
    for index, scene in enumerate(scenes):
        kind = [*LIES, None, None, None][index % 10]
        lie = LIES[kind](scene, dice) if kind else None
        write = human_long if index % 20 < 10 else human_short
        told.append((kind, lie) if lie is not None else (None, write(scene)))
    claims = extract(caption for _, caption in told)
    return [
        (kind, caption, ground(mine, [truth(scene)], caption))
        for (kind, caption), mine, scene in zip(told, claims, scenes, strict=True)
    ]


@pytest.mark.parametrize("kind", LIES)
def test_lies_are_found(audited: list[tuple[str | None, str, Grounding]], kind: str) -> None:
    planted = [accused(found, kind) for told, _, found in audited if told == kind]
    missed = [caption for told, caption, found in audited if told == kind and not accused(found, kind)]
    wronged = [caption for told, caption, found in audited if told is None and accused(found, kind)]
    assert len(planted) >= 50
    assert sum(planted) / len(planted) >= ENOUGH, missed
    assert sum(planted) / (sum(planted) + len(wronged)) >= ENOUGH, wronged


def test_what_is_told_truly_is_not_called_wrong(audited: list[tuple[str | None, str, Grounding]]) -> None:
    true = [(caption, found) for told, caption, found in audited if told is None]
    wronged = [caption for caption, found in true if any(accused(found, kind) for kind in LIES)]
    assert len(true) >= SCENES * 0.3
    assert wronged == []
