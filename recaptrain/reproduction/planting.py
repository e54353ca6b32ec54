"""A captioner that plants errors into another's captions, or makes them vague: captions whose audit is known before it is run.

    recapdata recaption DIR color-20 --style long --captioner recaptrain.reproduction.planting:open_planter:color=0.2

writes the embedded captioner's captions of the drawn world with 20 % of the colors changed. Every error is a function of (seed, key, what it
changes), so that the errors at 10 % are among those at 20 %. A caption keeps its number of words, so length tells two sets apart nowhere.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from recapdata.captioners import CaptionerOptions, open_captioner
from recapdata.errors import OptionError
from recapdata.scenes.captions import NUMBERS, PLURALS
from recapdata.scenes.world import COLORS, SHAPES, SIZES, Dice
from recapdata.sentences import sentences

if TYPE_CHECKING:
    from recapdata.captioners import Captioner, Preparer
    from recapdata.records import Caption, Provenance

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


@dataclass(frozen=True, slots=True)
class Planter:
    """A `Captioner`: another's captions with errors planted."""

    inner: "Captioner"
    kind: str
    share: float
    seed: int
    provenance: "Provenance"

    @property
    def prepare(self) -> "Preparer":
        return self.inner.prepare

    @property
    def batch_size(self) -> int:
        return self.inner.batch_size

    @property
    def at_once(self) -> int:
        return self.inner.at_once

    @property
    def device(self) -> str:
        return self.inner.device

    def load(self) -> None:
        self.inner.load()

    def caption(self, prepared: Any, keys: Sequence[str]) -> "list[Caption]":
        captions = self.inner.caption(prepared, keys)
        return [
            replace(each, caption=plant(each.caption, self.kind, self.share, seed=self.seed, key=key))
            if each.caption
            else each
            for each, key in zip(captions, keys, strict=True)
        ]


def open_planter(options: CaptionerOptions) -> Planter:
    """The embedded captioner with errors planted; `options.model` is `KIND=SHARE`, such as `color=0.2`.

    Raises:
        OptionError: it is not of that form.
    """
    kind, equals, number = (options.model or "").partition("=")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if kind not in KINDS or not equals or not 0.0 <= share <= 1.0:
        raise OptionError(
            f"{options.model}: write what is planted as KIND=SHARE, with a share from 0 to 1 and a kind of {', '.join(KINDS)}"
        )
    inner = open_captioner("embedded", replace(options, model=None))
    provenance = replace(
        inner.provenance,
        captioner="recaptrain.reproduction.planting:open_planter",
        model=f"{inner.provenance.model}+{kind}={share:g}",
        revision=f"{inner.provenance.revision}+planted-v{VERSION}",
    )
    return Planter(inner=inner, kind=kind, share=share, seed=options.seed, provenance=provenance)
