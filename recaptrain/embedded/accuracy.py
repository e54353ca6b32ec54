"""How right the embedded captioner is, by ground truth: a small strict reader of the world's own grammar.

It shares nothing with the audits' claims on purpose: two readers that agree are worth more than one. A sentence that it cannot read
counts as unread, never as right.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recapdata.captioners import CaptionerOptions, open_captioner, parse_captioner
from recapdata.scenes import COLORS, SHAPES, SIZES, Drawn, Scene, draw_scene, render
from recapdata.scenes.captions import NUMBERS, PLURALS

Kind = tuple[str, str]
"""Color and shape."""
_SHAPE_OF = {PLURALS[shape]: shape for shape in SHAPES} | {shape: shape for shape in SHAPES}
_COUNT_OF = {"a": 1, "an": 1} | {word: number for number, word in enumerate(NUMBERS) if number}
_NOUN = f"({'|'.join(COLORS)}) ({'|'.join(sorted(_SHAPE_OF, key=len, reverse=True))})"
_PHRASE = re.compile(rf"\b({'|'.join(_COUNT_OF)}) (?:({'|'.join(SIZES)}) )?{_NOUN}\b")
_RELATED = re.compile(
    rf"^(?:the|an?|one) {_NOUN} (?:(?:is|are) )?(to the left of|left of|to the right of|right of|above|below) (?:the|an?|one) {_NOUN}\b"
)
_PLACED = re.compile(
    rf"^the {_NOUN} is (?:at|on|in) the ((?:top|bottom)(?: left| right)?|left|right|center|middle)(?: corner| side)?$"
)
_WORD = re.compile(
    r'the word "([^"]*)"(?: (?:is|appears)(?: written)? (?:at the|in the|across the) (top|middle|bottom))?'
)
_GROUND = re.compile(r"\bon a (\w+) background\b")
_SIDES = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}
_EXTRA = ("there is", "there are")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caption states: counts and sizes by kind, (kind, relation, kind), (kind, region), words with row, background."""

    counts: dict[Kind, int]
    sizes: dict[Kind, str]
    relations: tuple[tuple[Kind, str, Kind], ...]
    regions: tuple[tuple[Kind, str], ...]
    words: tuple[tuple[str, str | None], ...]
    background: str | None
    unread: int


def read_caption(caption: str) -> Reading:
    """Read a caption; sentences with nothing to read in them are counted in `unread`."""
    counts: dict[Kind, int] = {}
    sizes: dict[Kind, str] = {}
    relations: list[tuple[Kind, str, Kind]] = []
    regions: list[tuple[Kind, str]] = []
    words: list[tuple[str, str | None]] = []
    unread = 0
    for sentence in re.split(r"\.(?:\s+|$)", caption):
        line = f"{sentence[:1].lower()}{sentence[1:]}".strip()
        if not line:
            continue
        found_words = _WORD.findall(line)
        words.extend((text, row or None) for text, row in found_words)
        phrases = _PHRASE.findall(line)
        for number, size, color, noun in phrases:
            counts[color, _SHAPE_OF[noun]] = counts.get((color, _SHAPE_OF[noun]), 0) + _COUNT_OF[number]
            if size:
                sizes[color, _SHAPE_OF[noun]] = size
        related, placed = _RELATED.match(line), _PLACED.match(line)
        if related:
            color, noun, relation, other, other_noun = related.groups()
            side = next(word for word in relation.split() if word in _SIDES)
            relations.append(((color, _SHAPE_OF[noun]), side, (other, _SHAPE_OF[other_noun])))
        if placed:
            color, noun, region = placed.groups()
            regions.append(((color, _SHAPE_OF[noun]), region))
        unread += not (found_words or phrases or related or placed)
    ground = _GROUND.search(caption.lower())
    return Reading(
        counts,
        sizes,
        tuple(relations),
        tuple(regions),
        tuple(words),
        ground.group(1) if ground else None,
        unread,
    )


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares in 0 … 1 over a set of scenes; `counts` and `exact` are shares of captions, the others of what is there or stated.

    objects_recall, objects_precision: kinds of shapes by color and shape, each once; counts: captions all of whose kinds and counts are
    exactly the picture's; sizes, positions, backgrounds: of those stated, the true ones; words: of the pictures with a word, those whose caption quotes
    exactly it and no other; words_invented: of the pictures without, those whose caption quotes one; exact: nothing wrong or missing at all.
    """

    captions: int
    objects_recall: float
    objects_precision: float
    counts: float
    sizes: float
    positions: float
    positions_stated: float
    words: float
    words_invented: float
    backgrounds: float
    unread: float

    def table(self) -> str:
        """One line per figure."""
        return "\n".join(f"{name:18} {value:.3f}" for name, value in asdict(self).items())


def measure(scenes: Sequence[Scene], captions: Iterable[str]) -> Accuracy:
    """Captions against the truth of their scenes, in the same order."""
    tally: Counter[str] = Counter()
    for scene, caption in zip(scenes, captions, strict=True):
        _count(tally, scene, read_caption(caption))

    def share(part: str, whole: str) -> float:
        return tally[part] / tally[whole] if tally[whole] else 0.0

    return Accuracy(
        captions=tally["captions"],
        objects_recall=share("kinds found", "kinds"),
        objects_precision=share("kinds found", "kinds stated"),
        counts=share("counts right", "captions"),
        sizes=share("sizes right", "sizes"),
        positions=share("positions right", "positions"),
        positions_stated=share("positions", "captions"),
        words=share("words right", "words"),
        words_invented=share("words invented", "wordless"),
        backgrounds=share("backgrounds right", "backgrounds"),
        unread=share("unread", "captions"),
    )


def _count(tally: Counter[str], scene: Scene, reading: Reading) -> None:
    truth = Counter((drawn.color, drawn.shape) for drawn in scene.objects)
    size = {(drawn.color, drawn.shape): drawn.size for drawn in scene.objects}
    tally["captions"] += 1
    tally["unread"] += reading.unread
    tally["kinds"] += len(truth)
    tally["kinds stated"] += len(reading.counts)
    tally["kinds found"] += len(truth.keys() & reading.counts.keys())
    tally["counts right"] += reading.counts == truth
    tally["sizes"] += len(reading.sizes)
    tally["sizes right"] += sum(size.get(kind) == said for kind, said in reading.sizes.items())
    verdicts = [_related(scene, *stated) for stated in reading.relations]
    verdicts += [_placed(scene, *stated) for stated in reading.regions]
    verdicts += [scene.word is not None and scene.word.row == row for _, row in reading.words if row]
    tally["positions"] += len(verdicts)
    tally["positions right"] += sum(verdicts)
    if reading.background:
        tally["backgrounds"] += 1
        tally["backgrounds right"] += reading.background == scene.background
    said = [text for text, _ in reading.words]
    if scene.word:
        tally["words"] += 1
        tally["words right"] += set(said) == {scene.word.text}
    else:
        tally["wordless"] += 1
        tally["words invented"] += bool(said)


def _members(scene: Scene, kind: Kind) -> list[Drawn]:
    return [drawn for drawn in scene.objects if (drawn.color, drawn.shape) == kind]


def _related(scene: Scene, kind: Kind, side: str, other: Kind) -> bool:
    """True when every such shape is on the stated side of every other, by GenEval's rule.

    GenEval (Ghosh et al. 2023): the offset of the centers, less a tenth of both boxes' sides, has at least half its length in that direction.
    """
    ones, others = _members(scene, kind), _members(scene, other)
    return bool(ones and others) and all(_is_beside(one, side, two) for one in ones for two in others)


def _is_beside(one: Drawn, side: str, two: Drawn) -> bool:
    offset = []
    for axis in (0, 1):
        between = (one.box[axis] + one.box[axis + 2] / 2) - (two.box[axis] + two.box[axis + 2] / 2)
        free = max(abs(between) - 0.1 * (one.box[axis + 2] + two.box[axis + 2]), 0.0)
        offset.append(free if between > 0 else -free)
    length = (offset[0] ** 2 + offset[1] ** 2) ** 0.5
    axis, sign = _SIDES[side]
    return length > 0 and offset[axis] * sign / length > 0.5


def _placed(scene: Scene, kind: Kind, region: str) -> bool:
    """True when there is one such shape with its center in the thirds that the region names (unnamed axis: the middle)."""
    found = _members(scene, kind)
    words = region.split()
    column = 0 if "left" in words else 2 if "right" in words else 1
    row = 0 if "top" in words else 2 if "bottom" in words else 1
    return len(found) == 1 and found[0].cell == (column, row)


def evaluate_captioner(
    folder: Path, *, count: int, seed: int, style: str = "long", batch: int = 64
) -> tuple[Accuracy, list[str]]:
    """Accuracy of a captioner's folder on `count` scenes of the world `seed`, and the captions themselves.

    It is opened as `recapdata recaption` opens a folder (a CoCa or a model of transformers) and writes greedily.
    """
    from PIL import Image

    name, model = parse_captioner(str(folder))
    captioner = open_captioner(name, CaptionerOptions(model=model, style=style))
    captioner.load()
    scenes = [draw_scene(seed, index) for index in range(count)]
    captions: list[str] = []
    for first in range(0, count, batch):
        part = scenes[first : first + batch]
        prepared = captioner.prepare([Image.fromarray(render(scene)) for scene in part])
        written = captioner.caption(prepared, [f"{scene.seed}/{scene.index}" for scene in part])
        captions.extend(caption.caption or "" for caption in written)
    return measure(scenes, captions), captions
