"""From what a detector answers to what it is taken to have seen: thresholds, overlaps, how many, and what stays doubtful.

The defaults are GenEval's (Ghosh et al. 2023): a score above 0.3, 16 objects of a class at most, and above 0.9 to be counted. A class
of which something was seen below the threshold is neither there nor absent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from audits.evidence import Seen
from audits.places import overlap
from recapdata.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What counts as seen; scores and overlaps from 0 to 1.

    Attributes:
        threshold: an object is there above this score.
        counting: it is counted from this score on.
        nms: of two boxes of a class that overlap (IoU) this much the likelier one stays; at 1 both do.
        doubt: a class of which something has at least this score is not called absent.
        most: objects of a class in an image.
    """

    threshold: float = 0.3
    counting: float = 0.9
    nms: float = 1.0
    doubt: float = 0.1
    most: int = 16

    def changed(self, defaults: "Thresholds") -> list[str]:
        """What differs from the defaults, as `with_options` takes it."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return [f"{name}={value:g}" for name, value in values if value != getattr(defaults, name)]


def with_options(defaults: Thresholds, options: Sequence[str]) -> Thresholds:
    """Thresholds with values given as `name=value`.

    Raises:
        OptionError: no such threshold, or a value that is not between 0 and 1.
    """
    known = [each.name for each in fields(Thresholds) if each.name != "most"]
    values: dict[str, float] = {}
    for option in options:
        name, _, value = option.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in known or not 0 <= number <= 1:
            raise OptionError(
                f"{option}: a detector takes {', '.join(known)}, each from 0 to 1, as in threshold=0.3"
            )
        values[name] = number
    return replace(defaults, **values)  # type: ignore[arg-type]


def kept(found: Sequence[Seen], thresholds: Thresholds) -> tuple[tuple[Seen, ...], frozenset[str]]:
    """What is taken to be there, the surest of each class first, and the classes that stay doubtful.

    Args:
        found: boxed objects with category and score.
    """
    objects: list[Seen] = []
    hinted = {str(each.category) for each in found if (each.score or 0.0) >= thresholds.doubt}
    surest = sorted(found, key=lambda each: -(each.score or 0.0))
    for class_ in dict.fromkeys(each.category for each in found):
        mine = [
            each for each in surest if each.category == class_ and (each.score or 0.0) > thresholds.threshold
        ]
        objects += _apart(mine[: thresholds.most], thresholds.nms)
    return tuple(objects), frozenset(hinted - {str(each.category) for each in objects})


def once(found: Sequence[Seen], nms: float = 0.9) -> list[Seen]:
    """Of boxes in the same place, whatever their class, the likeliest: one thing has one name."""
    return _apart(sorted(found, key=lambda each: -(each.score or 0.0)), nms)


def _apart(objects: Sequence[Seen], nms: float) -> list[Seen]:
    """Those that do not lie on a surer one, the surest first."""
    chosen: list[Seen] = []
    for each in objects:
        if nms >= 1 or all(_overlap(each, other) < nms for other in chosen):
            chosen.append(each)
    return chosen


def _overlap(one: Seen, other: Seen) -> float:
    return overlap(one.bbox, other.bbox) if one.bbox and other.bbox else 0.0
