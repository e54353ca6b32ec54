"""Whether a number can be an honest count of the objects that evidence shows: yes, no, or nobody can tell.

People count what stands out and leave out what is small or far away; annotators miss small things, stop at about a dozen and draw
one box around a bunch; a detector is not sure of some boxes. A number that any of these ways of counting gives is right; one is
wrong only where all of them give another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from audits.evidence import Evidence, Observation
from audits.extraction.words import quantity
from audits.grounding.recall import MEDIUM
from audits.grounding.spatial import overlap
from audits.lexicon import load_lexicon

PROMINENT = 0.1
"""Objects of at least this share of the largest one's area count even where the small ones are not counted."""
CLEAR_STEP = 0.25
"""Where the next smaller object has at most this share of the area, the larger ones stand out from the rest."""
STEP = 0.6
"""Where it has more than this share, nothing tells the larger ones from the rest."""
MANY = 10
"""From this number on people round, and annotators may have stopped counting."""
UNBOXED = 1e12
PLAIN = 0.1
"""Where the smallest object covers this share of the image, a detector that sees it will not miss another one."""
ONE_PLACE = 0.5
"""Two boxes of a class with this overlap (IoU) may be one object seen twice."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many objects of some classes the evidence shows.

    Attributes:
        sure: objects sure enough to be counted, the largest first by area.
        most: their number with all the unsure and doubtful ones.
        crowd: whether there are more than are listed.
        classes: what they are.
        shares: of the image's area that each object covers, sure or not, the largest first.
        detected: whether a detector saw them, and not an annotator.
    """

    sure: tuple[Observation, ...]
    most: int
    crowd: bool
    classes: frozenset[str]
    shares: tuple[float, ...]
    detected: bool

    @property
    def total(self) -> int:
        """How many are sure."""
        return len(self.sure)

    def text(self, name: str) -> str:
        """How many there are, as evidence texts say it; never nought of what is there."""
        if not self.most:
            return f"no {name}"
        crowd = " and a crowd" if self.crowd else ""
        if self.total == self.most:
            return f"{quantity(self.total, name)}{crowd}"
        up_to = quantity(self.most, name)
        return (
            f"up to {up_to}, none of them sure{crowd}"
            if not self.total
            else f"{self.total} to {up_to}{crowd}"
        )


def counted(objects: Sequence[Observation], classes: frozenset[str], evidence: Evidence) -> Counted:
    """Count the objects, which are of these classes.

    Args:
        objects: those of the evidence that are meant.
    """
    sure = [each for each in objects if each.score is None or each.score >= evidence.counting]
    doubtful = sum(each.category in classes for each in evidence.doubtful)
    picture = max(evidence.width * evidence.height, 1)
    return Counted(
        sure=tuple(sorted(sure, key=_area, reverse=True)),
        most=len(objects) + doubtful,
        crowd=bool(evidence.uncounted & classes),
        classes=classes,
        detected=bool(doubtful) or any(each.score is not None for each in objects),
        shares=tuple(sorted((_area(each) / picture for each in objects), reverse=True)),
    )


def fits(number: int, objects: Counted) -> bool | None:
    """Whether a stated number is an honest count of the objects; None where nobody can tell."""
    numbers = {number}
    if objects.classes <= load_lexicon().pairs:
        numbers |= {2 * number, ceil(number / 2)}
    found = [_fits(each, objects) for each in sorted(numbers)]
    return True if True in found else None if None in found else False


def _fits(number: int, objects: Counted) -> bool | None:
    alone = number == objects.total and not objects.crowd
    if number and (alone or _stands_out(number, objects)):
        return True
    if objects.crowd:
        # The box around a crowd is one of the objects.
        return True if number > 1 and number >= objects.most - 1 else None
    if number > objects.most:
        return _beyond(number, objects)
    if number > objects.total:
        return None
    return _short_of(number, objects)


def _stands_out(number: int, objects: Counted) -> bool:
    """Whether that many stand out by their size."""
    areas = [_area(each) for each in objects.sure]
    if not 0 < number < len(areas):
        return False
    prominent = sum(area >= PROMINENT * areas[0] for area in areas)
    return number == prominent or areas[number] <= CLEAR_STEP * areas[number - 1]


def _beyond(number: int, objects: Counted) -> bool | None:
    """A number of more than can be seen: wrong, unless a box holds several or small ones were passed over."""
    if not objects.most:
        return False
    several = objects.classes & load_lexicon().grouped
    small = bool(objects.shares) and objects.shares[-1] < MEDIUM
    overlooked = small and number <= 2 * objects.most + 1
    rounded = number >= MANY and 2 * objects.most >= number
    # Where a detector was unsure of some it may have seen nothing of as many others, and of one in any case, but of large ones.
    easy = objects.total and objects.shares and objects.shares[-1] >= PLAIN
    undetected = (
        objects.detected and not easy and number <= objects.most + max(1, objects.most - objects.total)
    )
    return None if several or objects.most >= MANY or overlooked or rounded or undetected else False


def _short_of(number: int, objects: Counted) -> bool | None:
    """A number of fewer than are seen: wrong, unless some of them are hardly seen, or may be the same."""
    areas = [_area(each) for each in objects.sure]
    if number < 1:
        return False
    plain = sum(share >= MEDIUM for share in objects.shares)
    distinct = _distinct(objects.sure)
    step = areas[number] <= STEP * areas[number - 1]
    rounded = number >= MANY and objects.total <= 2 * number
    return None if step or plain <= number or distinct <= number or rounded else False


def _distinct(objects: Sequence[Observation]) -> int:
    """How many boxes do not lie on another one."""
    kept: list[Observation] = []
    for each in objects:
        if each.bbox is None or all(
            other.bbox is None or overlap(each.bbox, other.bbox) < ONE_PLACE for other in kept
        ):
            kept.append(each)
    return len(kept)


def _area(seen: Observation) -> float:
    """The area of the box; what has none is taken to be as large as can be."""
    return seen.bbox[2] * seen.bbox[3] if seen.bbox is not None else UNBOXED
