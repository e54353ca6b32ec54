"""What the captioner is asked about a scene, and the answers: its pretraining tasks and its two styles of captions.

Pretraining is what PaLI had from the web and its labels: alt text, reading words, detection, questions with short answers. None of
them describes a picture in sentences; that is what tuning on human captions is for.
"""

from collections.abc import Callable

from recapdata.scenes import COLORS, SHAPES, Scene, alt_text, human_long, human_short
from recapdata.scenes.captions import NUMBERS, PLURALS, REGIONS, Group, groups_of, relation_between
from recapdata.scenes.world import SIDE, Dice

STYLES = {"short": "caption short", "long": "caption long"}
"""Style → prompt; the processor ends it with a newline, as PaliGemma's does."""
Task = tuple[str, str]
"""A prompt and the answer to it."""


def pretraining_task(scene: Scene, purpose: str = "task") -> Task:
    """One task, drawn from the scene's own dice."""
    dice = Dice(scene.seed, scene.index, purpose)
    roll = dice.below(100)
    for share, ask in _TASKS:
        if roll < share:
            return ask(scene, dice)
        roll -= share
    raise AssertionError("the shares of the tasks sum to 100")


def caption_task(scene: Scene, style: str) -> Task:
    """A human caption under its style's prompt."""
    return STYLES[style], (human_short if style == "short" else human_long)(scene)


def _alt(scene: Scene, dice: Dice) -> Task:
    return "alt text", alt_text(scene)


def _read(scene: Scene, dice: Dice) -> Task:
    return "read", scene.word.text if scene.word else "nothing"


def _detect(scene: Scene, dice: Dice) -> Task:
    """PaliGemma's detection format: four location tokens (top, left, bottom, right) and a label, joined by ` ; `."""
    found = []
    for drawn in scene.objects:
        x, y, width, height = drawn.box
        corners = (y, x, y + height, x + width)
        place = "".join(f"<loc{min(1023, corner * 1024 // SIDE):04d}>" for corner in corners)
        found.append(f"{place} {drawn.size} {drawn.color} {drawn.shape}")
    return "detect", " ; ".join(found)


def _list(scene: Scene, dice: Dice) -> Task:
    """Tags with counts, left to right: what an inventory of the picture would hold."""
    tags = [f"{len(group.members)} {group.size} {group.color} {group.shape}" for group in groups_of(scene)]
    return "tags", " ; ".join(tags)


def _how_many(scene: Scene, dice: Dice) -> Task:
    group = dice.pick(groups_of(scene))
    if dice.chance(0.2):
        shape, color = dice.pick(SHAPES), dice.pick(tuple(COLORS))
        count = sum((drawn.shape, drawn.color) == (shape, color) for drawn in scene.objects)
        return f"how many {color} {PLURALS[shape]}", NUMBERS[count]
    return f"how many {group.color} {PLURALS[group.shape]}", NUMBERS[len(group.members)]


def _where(scene: Scene, dice: Dice) -> Task:
    single = [group for group in groups_of(scene) if len(group.members) == 1]
    if not single:
        return _background(scene, dice)
    group = dice.pick(single)
    return f"where is the {_name(group)}", REGIONS[group.members[0].cell][0]


def _relation(scene: Scene, dice: Dice) -> Task:
    groups = groups_of(scene)
    if len(groups) < 2:
        return _background(scene, dice)
    place = dice.below(len(groups) - 1)
    one, other = groups[place], groups[place + 1]
    answer = relation_between(one, other) or "unclear"
    return f"where is the {_name(one)} from the {_name(other)}", answer


def _look(scene: Scene, dice: Dice) -> Task:
    group = dice.pick(groups_of(scene))
    kind = dice.below(2)
    if kind and sum(other.color == group.color for other in groups_of(scene)) == 1:
        return f"which shape is {group.color}", group.shape
    return f"how big is the {_name(group)}", group.size


def _background(scene: Scene, dice: Dice) -> Task:
    return "background", scene.background


def _word_place(scene: Scene, dice: Dice) -> Task:
    return "where is the word", scene.word.row if scene.word else "nowhere"


def _name(group: Group) -> str:
    return f"{group.color} {group.shape}"


_TASKS: tuple[tuple[int, Callable[[Scene, Dice], Task]], ...] = (
    (8, _alt),
    (22, _read),
    (12, _detect),
    (22, _list),
    (7, _how_many),
    (8, _where),
    (12, _relation),
    (3, _look),
    (3, _background),
    (3, _word_place),
)
