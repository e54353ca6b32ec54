"""What color an object is, as evidence: from its pixels inside its mask or box, with the background left out.

`colors` looks at the objects that the sources named before it saw, and alone at the annotated ones. By a mask the object's pixels are
known. In a box, a pixel is background where it looks like what surrounds the box (a ring around it). The pixels get the eleven
basic color names (`color_names`), and the object those that cover a good part of it; one that covers a little, or that many
pixels could be called, is never held against a caption; and a caption misses only a color that is sure and stands out
(`salience`). `colors:MODEL` asks a CLIP model about the crop instead, as GenEval
does (Ghosh et al. 2023): its prompts, its gray around the mask; with gray as an eleventh color.

People and traffic lights are left out: "a white man" is no statement on pixels, and a green light is a lamp in a black box.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.evidence import Evidence, Observation, Record, Scope
from audits.evidence.annotations import annotated, is_identified, unplaced
from audits.evidence.color_names import NAMES, names_of, neutral_light, relit, to_lab
from audits.evidence.masks import decode_mask
from audits.evidence.salience import salient
from audits.rules import source_rules
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.target import Target

UNTOLD = frozenset({"person", "traffic light"})
LEADING = 0.25
"""Share of an object's pixels from which on a color is one of its colors."""
TRACE = 0.06
HUE_TRACE = 0.02
"""Share from which on no claim of a color is wrong; less of a hue is enough, since people name the yellow of a gray train."""
SHADES = {"gray": {"white", "black"}, "white": {"gray"}, "black": {"gray"}}
"""Colors that only the light on a thing tells apart: a white wall in the shade is gray."""
POSSIBLE = 0.3
"""Share of pixels that could be called a color, from which on no claim of it is wrong."""
UNCLEAR = 0.3
"""Where the first color has less than this share, nothing is said."""
FEWEST = 25
"""Pixels of an object that are enough to tell."""
MOST = 2000
"""Pixels looked at, evenly spread."""
RING = 0.12
"""Width of the ring around a box, as a share of its shorter side; at least two pixels."""
ALIKE = 10.0
"""Distance in CIELAB within which two pixels look alike …"""
COMMON = 0.05
"""… and share of the ring that a pixel has to look like to be background."""


@dataclass(frozen=True, slots=True)
class Sure:
    """When the first color of an object is sure.

    Attributes:
        share: of its pixels that have the color, at least.
        other: of its pixels that could be called any other color, at most; grays and whites are no other.
        around: of the rest of the picture that has the color, at most: beyond, it may be that of the light.
    """

    share: float = 0.6
    other: float = 0.5
    around: float = 0.5


SURE: Mapping[str, Sure] = {
    "white": Sure(share=0.5, other=0.4),
    "black": Sure(share=0.65, other=0.3),  # dark blue, dark brown or dark red, with the light behind
    "brown": Sure(share=0.8, other=0.4, around=0.3),  # what a lamp makes of most things
}
"""By color, where it differs from that of any other; gray never is sure: it is white in the shade, or steel."""
BARE = 0.1
"""Where less than this share of a box differs from its surroundings, the object cannot be told from them."""


class Namer(Protocol):
    """Something that says what colors an object has.

    Attributes:
        model: its model with the revision, None where it has none.
    """

    @property
    def model(self) -> str | None: ...

    def identity(self) -> str:
        """What its answers depend on beside the model: the version of its rules."""
        ...

    def name(self, picture: Image.Image, objects: Sequence[Observation]) -> list[Observation]:
        """The objects, with their colors where they are clear."""
        ...


@dataclass(frozen=True, slots=True)
class Pixels:
    """Names colors by the pixels alone."""

    model: str | None = None

    def identity(self) -> str:
        """The version of the rules."""
        return source_rules("colors")

    def name(self, picture: Image.Image, objects: Sequence[Observation]) -> list[Observation]:
        """The objects, with their colors where they are clear."""
        pixels = np.asarray(picture)
        sample = _spread(pixels.reshape(-1, 3))
        gains = neutral_light(sample)
        everywhere = _shares(names_of(relit(sample, gains))[0])
        named = []
        for seen in objects:
            mine = relit(own(pixels, seen), gains)
            covered = (seen.area or 0.0) / (picture.width * picture.height)
            named.append(_named(seen, mine, everywhere, min(covered, 0.99)))
        return named


@dataclass(frozen=True, slots=True)
class Colors:
    """Colors as an evidence source; made by `open_colors`."""

    namer: Namer
    hashes: Mapping[int, str]
    name: str = "colors"
    columns: tuple[str, ...] = ("image", "objects", "width", "height")

    def identity(self, shard: int) -> str:
        """The rules or the model, and a hash of the shard's annotations."""
        rules = f"{self.namer.identity()}-{self.hashes[shard][:16]}"
        model = self.namer.model
        return f"colors:{model.replace(' ', '_')}+{rules}" if model else f"colors+{rules}"

    def rests_on(self, record: Record) -> list[list[Any]]:
        """The objects whose colors are asked for: where they are, by box or mask, and what; and which others there are."""
        seen, unidentified = _seen(record)
        asked = [[one.bbox, one.category, one.mask and dict(one.mask)] for one in _uncolored(seen)]
        others = [sorted(unplaced(seen)), unidentified]
        return [*asked, others] if any(others) else asked

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """The objects of each picture with their colors; None where it has none, or cannot be decoded."""
        return [
            None if record.picture is None else self._evidence(record, record.picture) for record in records
        ]

    def _evidence(self, record: Record, picture: Image.Image) -> Evidence | None:
        seen, unidentified = _seen(record)
        asked = _uncolored(seen)
        if not asked:
            return None
        classes = frozenset(str(one.category) for one in asked)
        return Evidence(
            source=self.name,
            scope=Scope(classes=classes, attributes=frozenset({"color"}), kinds=frozenset({"color"})),
            objects=tuple(
                replace(one, mask=None) for one in salient(picture, self.namer.name(picture, asked))
            ),
            unplaced=unplaced(seen),
            unidentified=unidentified,
            width=picture.width,
            height=picture.height,
        )


def _seen(record: Record) -> tuple[list[Observation], int]:
    """The objects of a record, and the number of those of unknown class."""
    if not record.evidence:
        known = [annotated(each) for each in record.values["objects"] or ()]
        seen = list(filter(is_identified, known))
        return seen, len(known) - len(seen)
    sources = [each for each in record.evidence if "object" in each.scope.kinds]
    unidentified = max((each.unidentified for each in sources), default=0)
    return [one for each in sources for one in each.objects], unidentified


def _uncolored(seen: Sequence[Observation]) -> list[Observation]:
    """Those of the objects whose colors are asked for."""
    things = [one for one in seen if one.bbox and one.category and one.text is None]
    return [one for one in things if one.category not in UNTOLD and not one.colors]


def open_colors(target: Target | None, argument: str | None = None) -> Colors:
    """Colors by the pixels, or by the CLIP model that is named.

    Raises:
        ModelNotSupported: no such CLIP model.
        HubError: the Hub cannot be reached.
    """
    namer: Namer = Pixels()
    if argument is not None:
        from audits.evidence.color_clip import open_namer

        namer = open_namer(argument)
    if target is None:
        return Colors(namer, defaultdict(str))  # of no shard is anything annotated
    hashes = {shard: rows_hash(target.read(shard, ["key", "objects"])) for shard in target.shards()}
    return Colors(namer, hashes)


# --- an object's own pixels ----------------------------------------------------------------------------------------------


def own(pixels: NDArray[np.uint8], seen: Observation) -> NDArray[np.uint8]:
    """Pixels [n, 3] of an object, at most `MOST` and evenly spread; none where it cannot be told from its background.

    Args:
        pixels: the picture [height, width, 3].
        seen: an object with a box.
    """
    covered = decode_mask(seen, pixels.shape[0], pixels.shape[1])
    if covered is not None:
        return _spread(pixels[covered])
    assert seen.bbox is not None
    x, y, width, height = seen.bbox
    inside = _cut(pixels, x, y, width, height)
    margin = max(2.0, RING * min(width, height))
    around = np.ones(pixels.shape[:2], bool)
    around[_slices(pixels, x, y, width, height)] = False
    outer = _slices(pixels, x - margin, y - margin, width + 2 * margin, height + 2 * margin)
    ring = _spread(pixels[outer][around[outer]], MOST // 4)
    flat = _spread(inside.reshape(-1, 3))
    if not len(ring) or not len(flat):
        return flat
    apart = np.linalg.norm(to_lab(flat)[:, None] - to_lab(ring)[None], axis=-1)
    foreground = flat[(apart < ALIKE).mean(1) < COMMON]
    return foreground if len(foreground) >= BARE * len(flat) else flat[:0]


def _named(
    seen: Observation, pixels: NDArray[np.uint8], everywhere: NDArray[np.float64], covered: float
) -> Observation:
    """The object with the colors that its pixels have.

    Args:
        everywhere: shares of the colors in the whole picture, [11]; of which the object covers a share.
    """
    if len(pixels) < FEWEST:
        return seen
    names, possible = names_of(pixels)
    shares = _shares(names)
    order = [int(place) for place in np.argsort(-shares, kind="stable")]
    if shares[order[0]] < UNCLEAR:
        return seen
    leading = tuple(NAMES[place] for place in order if shares[place] >= LEADING)
    traces = {NAMES[place] for place in order if shares[place] >= _trace(NAMES[place])}
    near = {NAMES[place] for place in order if possible[:, place].mean() >= POSSIBLE}
    shades = set().union(*(SHADES.get(name, ()) for name in leading))
    around = (everywhere[order[0]] - covered * shares[order[0]]) / (1 - covered)
    sure = _sure(NAMES[order[0]], float(shares[order[0]]), possible.mean(0), float(around))
    near_colors = frozenset(traces | near | shades) - set(leading)
    return replace(seen, colors=leading, near_colors=near_colors, sure=sure)


def _sure(color: str, share: float, possible: NDArray[np.float64], around: float) -> bool:
    """Whether the first color of an object is sure.

    Args:
        share: of the object's pixels that have it.
        possible: shares of its pixels that could be called each color, [11].
        around: share of the rest of the picture that has it.
    """
    rule = SURE.get(color, Sure())
    others = {NAMES[place] for place in np.flatnonzero(possible > rule.other)} - {color, "gray", "white"}
    return color != "gray" and share >= rule.share and around <= rule.around and not others


def _shares(names: NDArray[np.intp]) -> NDArray[np.float64]:
    """Shares of the colors, [11], among names by place."""
    return np.bincount(names, minlength=len(NAMES)) / max(len(names), 1)


def _trace(name: str) -> float:
    return TRACE if name in SHADES else HUE_TRACE


def _spread(pixels: NDArray[np.uint8], most: int = MOST) -> NDArray[np.uint8]:
    """At most so many of the pixels [n, 3], evenly spread."""
    return pixels[:: -(-len(pixels) // most)] if len(pixels) > most else pixels


def _cut(pixels: NDArray[np.uint8], *box: float) -> NDArray[np.uint8]:
    return pixels[_slices(pixels, *box)]


def _slices(pixels: NDArray[Any], x: float, y: float, width: float, height: float) -> tuple[slice, slice]:
    """The rows and columns of a box, inside the picture."""
    rows = slice(max(round(y), 0), max(round(y + height), 0))
    columns = slice(max(round(x), 0), max(round(x + width), 0))
    return rows, columns
