"""A captioner that plants errors into a set's captions, or makes them vague: captions whose audit is known before it is run.

    recapdata recaption DIR color-20 --captioner recaptrain.reproduction.planting:open_planter:color=0.2,of=DIR:recap-long

writes the captions of `recap-long`, of pictures of the drawn world, with 20 % of the colors changed. Every error is a function of (seed, key, what it
changes), so that the errors at 10 % are among those at 20 %. A caption keeps its number of words, so length tells two sets apart nowhere.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recapdata.captioners import CaptionerOptions
from recapdata.dataset.target import open_dataset
from recapdata.errors import OptionError
from recapdata.records import Caption, Provenance
from recapdata.scenes.captions import NUMBERS, PLURALS
from recapdata.scenes.world import COLORS, SHAPES, SIZES, Dice
from recapdata.sentences import sentences

if TYPE_CHECKING:
    from PIL.Image import Image

    from recapdata.captioners import Preparer

VERSION = 1
"""Raised whenever the same captions become others."""
_SINGULAR = {plural: shape for shape, plural in PLURALS.items()}
_COUNTS = NUMBERS[2:]
_THING = re.compile(
    rf"(?:(?P<article>an?|one|the|{'|'.join(_COUNTS)}) )?(?:(?P<size>{'|'.join(SIZES)}) )?"
    rf"(?P<color>{'|'.join(COLORS)}) (?P<shape>{'|'.join([*_SINGULAR, *SHAPES])})\b",
    re.IGNORECASE,
)
_OPPOSITES = {
    "left": "right", "right": "left", "above": "below", "below": "above", "top": "bottom", "bottom": "top",
    "in the center": "at the top", "in the middle": "at the bottom", "across the middle": "across the bottom",
}  # fmt: skip
_PLACE = re.compile(rf"\b({'|'.join(sorted(_OPPOSITES, key=len, reverse=True))})\b")
_ARTICLE = re.compile(rf"\b(an?) (?=({'|'.join([*SIZES, *COLORS])})\b)", re.IGNORECASE)
_VAGUE_THING = {2: "something else", 3: "something else here", 4: "something else to see"}
_VAGUE_THINGS = {3: "some other things", 4: "some other things here"}
_VAGUE_SENTENCES = {
    7: "There is more of it in here.",
    8: "There is more to be seen in here.",
    9: "There is more to be seen in the picture.",
    10: "There is some more to be seen in this picture.",
    11: "There is some more to be seen in this very picture.",
}

Entity = tuple[str, str]
"""Color and shape, in the singular: no two groups of a scene share both."""


def plant(caption: str, kind: str, share: float, *, seed: int, key: str) -> str:
    """A caption of the drawn world with errors of one kind, in as many words.

    Args:
        kind: a key of `KINDS`. An object or a color is changed wherever its thing is mentioned, to one that the caption has nowhere;
            `vague` says nothing of a thing instead, which is no error.
        share: of the things, counts or positions that are changed, 0 to 1, each by a chance of its own.
    """
    return KINDS[kind](caption, lambda what: Dice(seed, 0, f"{key} {kind} {what}"), share)


Draw = Callable[[str], Dice]


def _entities(caption: str) -> list[Entity]:
    return list(dict.fromkeys(_entity(match) for match in _THING.finditer(caption)))


def _entity(match: "re.Match[str]") -> Entity:
    shape = match["shape"].lower()
    return match["color"].lower(), _SINGULAR.get(shape, shape)


def _chosen(caption: str, draw: Draw, share: float) -> dict[Entity, Dice]:
    """The things to change, each with what its change is drawn from."""
    dice = {entity: draw(" ".join(entity)) for entity in _entities(caption)}
    return {entity: each for entity, each in dice.items() if each.chance(share)}


def _objects(caption: str, draw: Draw, share: float) -> str:
    there = {shape for _, shape in _entities(caption)}
    free = [shape for shape in SHAPES if shape not in there]
    wrong = {entity: dice.pick(free) for entity, dice in _chosen(caption, draw, share).items()}

    def change(match: "re.Match[str]") -> str:
        shape = wrong.get(_entity(match))
        if shape is None:
            return match[0]
        plural = match["shape"].lower() in _SINGULAR
        return f"{match[0][: -len(match['shape'])]}{PLURALS[shape] if plural else shape}"

    return _THING.sub(change, caption)


def _colors(caption: str, draw: Draw, share: float) -> str:
    there = {color for color, _ in _entities(caption)}
    free = [color for color in COLORS if color not in there]
    wrong = {entity: dice.pick(free) for entity, dice in _chosen(caption, draw, share).items()}

    def change(match: "re.Match[str]") -> str:
        color = wrong.get(_entity(match))
        if color is None:
            return match[0]
        start = match.start("color") - match.start()
        return f"{match[0][:start]}{_cased(color, match['color'])}{match[0][start + len(match['color']) :]}"

    return _with_articles(_THING.sub(change, caption))


def _counts(caption: str, draw: Draw, share: float) -> str:
    def change(match: "re.Match[str]") -> str:
        said = (match["article"] or "").lower()
        dice = draw(" ".join(_entity(match)))
        if said not in _COUNTS or not dice.chance(share):
            return match[0]
        other = dice.pick([number for number in _COUNTS if number != said])
        return f"{_cased(other, match['article'])}{match[0][len(said) :]}"

    return _THING.sub(change, caption)


def _positions(caption: str, draw: Draw, share: float) -> str:
    """Every statement of where something is, a sentence's, is turned round as a whole."""
    parts = []
    for number, sentence in enumerate(sentences(caption)):
        wrong = _PLACE.search(sentence) and draw(str(number)).chance(share)
        parts.append(
            _PLACE.sub(lambda match: _OPPOSITES[match[1]], sentence) if wrong else sentence,
        )
    return " ".join(parts)


def _vague(caption: str, draw: Draw, share: float) -> str:
    hidden = _chosen(caption, draw, share).keys()
    first, *rest = sentences(caption) or [""]

    def change(match: "re.Match[str]") -> str:
        if _entity(match) not in hidden:
            return match[0]
        several = match["shape"].lower() in _SINGULAR
        return _cased((_VAGUE_THINGS if several else _VAGUE_THING)[len(match[0].split())], match[0])

    parts = [_THING.sub(change, first)]
    for sentence in rest:
        mentions = {_entity(match) for match in _THING.finditer(sentence)}
        parts.append(_vague_sentence(sentence) if mentions & hidden else sentence)
    return " ".join(parts)


def _vague_sentence(sentence: str) -> str:
    words = min(max(len(sentence.split()), min(_VAGUE_SENTENCES)), max(_VAGUE_SENTENCES))
    return _VAGUE_SENTENCES[words]


def _cased(word: str, like: str) -> str:
    return f"{word[0].upper()}{word[1:]}" if like[0].isupper() else word


def _with_articles(text: str) -> str:
    """`a` and `an` as the word behind them wants it."""
    return _ARTICLE.sub(
        lambda match: f"{match[1][0]}{'n' if match[2][0].lower() in 'aeiou' else ''} ",
        text,
    )


KINDS: Mapping[str, Callable[[str, Draw, float], str]] = {
    "object": _objects,
    "color": _colors,
    "count": _counts,
    "position": _positions,
    "vague": _vague,
}
"""What can be planted: wrong shapes, colors, numbers, places; or silence about a thing."""


class _Unseen:
    """A preparer of a captioner that does not look."""

    detail = 1

    def __call__(self, images: "Sequence[Image]") -> int:
        return len(images)


@dataclass(slots=True)
class Planter:
    """A `Captioner`: the captions of a set with errors planted; a record without one is a failure."""

    dataset: str
    set_name: str
    kind: str
    share: float
    seed: int
    provenance: "Provenance"
    prepare: "Preparer" = field(default_factory=_Unseen)
    batch_size: int = 256
    at_once: int = 1
    device: str = "cpu"
    _captions: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """Read the captions of the set."""
        target = open_dataset(self.dataset)
        for shard in target.shards():
            for batch in target.read(shard, ["key", self.set_name]):
                self._captions.update(zip(*(column.to_pylist() for column in batch), strict=True))

    def caption(self, prepared: Any, keys: "Sequence[str]") -> "list[Caption]":
        """One caption per key, in order."""
        return [self._planted(key) for key in keys]

    def _planted(self, key: str) -> "Caption":
        own = self._captions.get(key)
        if not own:
            return Caption(caption=None, error=f"NoCaption: {self.set_name} has none of it")
        return Caption(
            caption=plant(own, self.kind, self.share, seed=self.seed, key=key), finish_reason="stop"
        )


def open_planter(options: CaptionerOptions) -> Planter:
    """Errors planted in a caption set; `options.model` is `KIND=SHARE,of=DATASET:SET`, such as `color=0.2,of=drawn:recap-long`.

    Raises:
        OptionError: it is not of that form, or the dataset has no such set.
        SourceNotFound, NotADataset, HubError: as of `open_dataset`.
    """
    planted, _, place = (options.model or "").partition(",of=")
    kind, equals, number = planted.partition("=")
    dataset, _, set_name = place.rpartition(":")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if kind not in KINDS or not equals or not 0.0 <= share <= 1.0 or not dataset:
        raise OptionError(
            f"{options.model}: write what is planted as KIND=SHARE,of=DATASET:SET, with a share from 0 to 1 and a kind of {', '.join(KINDS)}"
        )
    target = open_dataset(dataset)
    if set_name not in target.set_names():
        raise OptionError(
            f"{dataset} has no caption set {set_name}; it has {', '.join(target.set_names()) or 'none'}"
        )
    provenance = Provenance(
        writer="model",
        captioner="recaptrain.reproduction.planting:open_planter",
        model=f"{set_name}+{planted}",
        revision=f"planted-v{VERSION}",
        style=options.style,
        sampling={"of": f"{target.resolved}:{set_name}"},
        seed=options.seed,
    )
    return Planter(
        dataset=target.resolved,
        set_name=set_name,
        kind=kind,
        share=share,
        seed=options.seed,
        provenance=provenance,
    )
