"""What people would write about a scene: the web's alt text, and true short and long captions in varied wording.

The human captions speak of the groups of alike shapes in one canonical order (left to right), and *what* they state is a
function of the scene alone; only the wording varies. So they are true, and what they say can be learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recapdata.scenes.world import COLORS, SHAPES, Dice, Drawn, Scene

NUMBERS = ("no", "one", "two", "three", "four", "five")
PLURALS = {shape: f"{shape}es" if shape.endswith("s") else f"{shape}s" for shape in SHAPES}
REGIONS = {
    (0, 0): ("at the top left", "in the top left corner"),
    (1, 0): ("at the top",),
    (2, 0): ("at the top right", "in the top right corner"),
    (0, 1): ("on the left", "on the left side"),
    (1, 1): ("in the center", "in the middle"),
    (2, 1): ("on the right", "on the right side"),
    (0, 2): ("at the bottom left", "in the bottom left corner"),
    (1, 2): ("at the bottom",),
    (2, 2): ("at the bottom right", "in the bottom right corner"),
}
WORD_REGIONS = {
    "top": ("at the top",),
    "middle": ("in the middle", "across the middle"),
    "bottom": ("at the bottom",),
}
RELATIONS = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above",),
    "below": ("below",),
}
OPENINGS = (
    "{things} on a {ground} background",
    "there {are} {things} on a {ground} background",
    "on a {ground} background there {are} {things}",
)
CLEAR = 10.0
"""Centers must be at least this many pixels apart for a relation to be stated."""
MOST_RELATIONS = 2
MOST_REGIONS = 2


@dataclass(frozen=True, slots=True)
class Group:
    """All shapes of a scene that look alike."""

    shape: str
    color: str
    size: str
    members: tuple[Drawn, ...]


def groups_of(scene: Scene) -> tuple[Group, ...]:
    """The groups, in the order of their first members from left to right."""
    members: dict[tuple[str, str, str], list[Drawn]] = {}
    for drawn in scene.objects:
        members.setdefault((drawn.shape, drawn.color, drawn.size), []).append(drawn)
    return tuple(Group(*look, tuple(alike)) for look, alike in members.items())


def relation_between(group: Group, other: Group) -> str | None:
    """How a group lies to another when that is beyond dispute: every member clearly so, to every member of the other."""
    found = {_relation(first, second) for first in group.members for second in other.members}
    return found.pop() if len(found) == 1 else None


def _relation(first: Drawn, second: Drawn) -> str | None:
    right = (second.box[0] + second.box[2] / 2) - (first.box[0] + first.box[2] / 2)
    down = (second.box[1] + second.box[3] / 2) - (first.box[1] + first.box[3] / 2)
    if first.cell[1] == second.cell[1] or (first.cell[0] != second.cell[0] and abs(right) >= abs(down)):
        return ("left" if right > 0 else "right") if abs(right) >= CLEAR else None
    return ("above" if down > 0 else "below") if abs(down) >= CLEAR else None


def human_short(scene: Scene) -> str:
    """One sentence: every group with its count and color; the word if there is one; sometimes background or position."""
    dice = Dice(scene.seed, scene.index, "short")
    groups = groups_of(scene)
    things = [_noun_phrase(group, size=False, dice=dice) for group in groups]
    relation = relation_between(*groups) if len(groups) == 2 and not scene.word else None
    ground = f" on a {scene.background} background" if dice.chance(0.35) else ""
    if relation and dice.chance(0.4):
        sentence = f"{things[0]} {dice.pick(RELATIONS[relation])} {things[1]}{ground}"
    elif scene.word:
        word = f'the word "{scene.word.text}"'
        sentence = (
            f"{_join(things)} and {word}{ground}"
            if dice.chance(0.5) and len(things) == 1
            else f"{_join(things)} with {word}{ground}"
        )
    else:
        sentence = f"{_join(things)}{ground}"
    return _sentence(sentence)


def human_long(scene: Scene) -> str:
    """Several sentences: groups with counts, sizes and colors, background, relations, regions, the word and where it is."""
    dice = Dice(scene.seed, scene.index, "long")
    groups = groups_of(scene)
    things = [_noun_phrase(group, size=True, dice=dice) for group in groups]
    plural = len(groups[0].members) > 1
    opening = dice.pick(OPENINGS)
    sentences = [
        opening.format(things=_join(things), ground=scene.background, are="are" if plural else "is"),
    ]
    placed: set[int] = set()
    for left, right in _related(groups):
        placed |= {left, right}
        sentences.append(_relation_sentence(groups[left], groups[right], dice))
    free = [place for place in range(len(groups)) if place not in placed and len(groups[place].members) == 1]
    sentences.extend(_region_sentence(groups[place], dice) for place in free[:MOST_REGIONS])
    if scene.word:
        region = dice.pick(WORD_REGIONS[scene.word.row])
        wording = dice.pick(
            ('the word "{}" is {}', 'the word "{}" is written {}', 'the word "{}" appears {}')
        )
        sentences.append(wording.format(scene.word.text, region))
    return " ".join(_sentence(sentence) for sentence in sentences)


def _related(groups: Sequence[Group]) -> list[tuple[int, int]]:
    """Neighbors in the canonical order whose relation is clear, the first few of them."""
    pairs = [
        (place, place + 1)
        for place in range(len(groups) - 1)
        if relation_between(groups[place], groups[place + 1])
    ]
    return pairs[:MOST_RELATIONS]


def _relation_sentence(group: Group, other: Group, dice: Dice) -> str:
    relation = relation_between(group, other)
    assert relation is not None
    verb = "are" if len(group.members) > 1 else "is"
    return f"{_reference(group)} {verb} {dice.pick(RELATIONS[relation])} {_reference(other)}"


def _region_sentence(group: Group, dice: Dice) -> str:
    return f"{_reference(group)} is {dice.pick(REGIONS[group.members[0].cell])}"


def _reference(group: Group) -> str:
    """`the red circle`: shape and color name a group, since no two groups share both."""
    return f"the {group.color} {PLURALS[group.shape] if len(group.members) > 1 else group.shape}"


def _noun_phrase(group: Group, *, size: bool, dice: Dice) -> str:
    words = [group.size] * size + [group.color]
    if len(group.members) > 1:
        return " ".join([NUMBERS[len(group.members)], *words, PLURALS[group.shape]])
    article = "an" if words[0][0] in "aeiou" else "a"
    if dice.chance(0.06):
        article = "one"
    return " ".join([article, *words, group.shape])


def _join(things: Sequence[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


OFF_TOPIC = (
    "click to enlarge", "Home | Welcome to our blog", "summer vacation 2019", "my new wallpaper", "image",
    "Best of the week", "read more >>", "Photo by Anna", "thumbnail", "featured image", "related posts",
    "throwback thursday", "Monday mood", "see description", "Picture of the day", "logo",
)  # fmt: skip
ADVERTISING = (
    "FREE SHIPPING on orders over ${price}", "Buy {shape} stickers online - from ${price}", "{color} {shape} decal | ShapeStore",
    "SALE! {percent}% off {shape} wall art", "{Shape} Vector Art, Icons and Graphics for Free Download",
    "Set of {number} {shape} pins, only ${price}", "Shop {color} home decor | Best prices",
)  # fmt: skip
FILE_NAMES = (
    "IMG_{big}.JPG", "DSC{big}.jpg", "untitled ({number}).png", "{shape}-{color}-{number}.png", "{shape}_final_v{number}.psd",
    "Screenshot 2021-0{digit}-1{digit} at 10.{percent}.png", "clipart_{big}.gif",
)  # fmt: skip
PARTIAL = (
    "{shape}", "{color}", "{color} {shape}", "{shape} clip art", "{color} {shape} vector illustration", "{Shape} icon",
    "{shape} on {ground} background stock photo", "abstract {color} shapes", "a {shape}", "{plural} pattern", "{ground} background",
)  # fmt: skip


def alt_text(scene: Scene) -> str:
    """What the web would give: a file name, an advertisement, something else entirely, or a part, often wrong."""
    dice = Dice(scene.seed, scene.index, "alt")
    seen = dice.pick(scene.objects)
    shape, color = seen.shape, seen.color
    kind = dice.below(20)
    if kind < 3:  # wrong
        shape, color = dice.pick(SHAPES), dice.pick(tuple(COLORS))
        template = dice.pick(PARTIAL[2:5])
    elif kind < 6:
        template = dice.pick(OFF_TOPIC)
    elif kind < 9:
        template = dice.pick(ADVERTISING)
    elif kind < 12:
        template = dice.pick(FILE_NAMES)
    elif kind < 14:
        return _listing(scene, dice)
    else:
        template = dice.pick(PARTIAL)
    if scene.word and dice.chance(0.15):
        template = dice.pick((f"{scene.word.text.lower()} sign", f"{scene.word.text} - {template}"))
    number = 1 + dice.below(9)
    return template.format(
        shape=shape, Shape=shape.capitalize(), plural=PLURALS[shape], color=color, ground=scene.background,
        number=number, digit=1 + dice.below(8), percent=10 + 5 * dice.below(10), price=5 + dice.below(45),
        big=1000 + dice.below(9000),
    )  # fmt: skip


def _listing(scene: Scene, dice: Dice) -> str:
    """The better sort of alt text: the shapes listed in any order, seldom with color, never with counts or positions."""
    names = [
        f"{group.color} {group.shape}" if dice.chance(0.5) else group.shape for group in groups_of(scene)
    ]
    names = dice.sample(names, len(names))
    return dice.pick(("{}", "{} on {} background", "{} illustration")).format(
        ", ".join(names), scene.background
    )
