"""Detection thresholds and non-maximum suppression: a detector's boxes → objects, doubtful objects, and uncounted classes.

The defaults are GenEval's (Ghosh et al. 2023): a score above 0.3, 16 objects of a class at most, and 0.9 or more to be counted.
Boxes below the threshold are kept down to 0.1 as doubtful ones: they leave counts and absences unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite

from audits.evidence import Observation
from recapdata.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Scores and overlaps, from 0 to 1, that decide what a detector's boxes are evidence of.

    Attributes:
        threshold: a box above this score is an object that is there.
        counting: it is sure, and counted, from this score on.
        nms: of two boxes of a class with an IoU above this the one with the lower score is left out; at 1 none is.
        doubt: boxes from this score up to the threshold are doubtful; boxes below are left out.
        most: objects of a class in an image; where there are more, the class is not counted.
    """

    threshold: float = 0.3
    counting: float = 0.9
    nms: float = 1.0
    doubt: float = 0.1
    most: int = 16

    @property
    def lowest(self) -> float:
        """The score below which a box is of no use."""
        return min(self.doubt, self.threshold)

    def changed(self, defaults: "Thresholds") -> list[str]:
        """What differs from the defaults, as `with_options` takes it."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return [f"{name}={value:g}" for name, value in values if value != getattr(defaults, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What thresholds and suppression leave of a detector's boxes, sorted by class in the order of first appearance.

    Attributes:
        objects: boxes above the threshold, per class the highest score first.
        doubtful: boxes from `Thresholds.doubt` up to the threshold.
        uncounted: classes of which there are more than `Thresholds.most`.
    """

    objects: tuple[Observation, ...]
    doubtful: tuple[Observation, ...]
    uncounted: frozenset[str]


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


def class_name(name: str) -> str:
    """A class as the lexicon has it; empty for the numbers and gaps of a table of names that name nothing."""
    bare = " ".join(name.lower().replace("_", " ").split())
    return "" if bare in ("n/a", "background", "no object") or bare.startswith("label ") else bare


def valid(found: Sequence[Observation], width: int, height: int) -> list[Observation]:
    """The detections of an image with a finite score and a finite box of some area inside it."""
    return [
        each
        for each in found
        if all(map(isfinite, (*_box(each), _score(each))))
        and min(_box(each)[2:]) > 0
        and _inside(each, width, height)
    ]


def cut_off(seen: Observation, width: int, height: int) -> Observation:
    """A detection with its box cut off at the edges of the image; its area is that of the box."""
    x, y, w, h = _box(seen)
    left, top, right, bottom = _edges(seen, width, height)
    whole = (left, top, right, bottom) == (x, y, x + w, y + h)
    box = (x, y, w, h) if whole else (left, top, right - left, bottom - top)
    return replace(seen, bbox=box, area=box[2] * box[3])


def keep(found: Sequence[Observation], thresholds: Thresholds) -> Kept:
    """Apply suppression and thresholds to the boxes of one image.

    Args:
        found: boxed objects with category and score.
    """
    scored = [each for each in found if _score(each) >= thresholds.lowest]
    apart = suppress(scored, thresholds.nms)
    objects: list[Observation] = []
    doubtful: list[Observation] = []
    uncounted: set[str] = set()
    for class_ in dict.fromkeys(str(each.category) for each in found):
        boxes = [each for each in apart if each.category == class_]
        above = [each for each in boxes if _score(each) > thresholds.threshold]
        below = [each for each in boxes[len(above) :] if _score(each) >= thresholds.doubt]
        objects += above[: thresholds.most]
        doubtful += below[: thresholds.most]
        if len(above) > thresholds.most:
            uncounted.add(class_)
    return Kept(objects=tuple(objects), doubtful=tuple(doubtful), uncounted=frozenset(uncounted))


def suppress(found: Sequence[Observation], nms: float, *, across_classes: bool = False) -> list[Observation]:
    """Non-maximum suppression per class: the boxes that do not lie on one with a higher score, by falling score.

    Args:
        nms: the IoU above which two boxes lie on each other; at 1 all are kept.
        across_classes: whether boxes of different classes suppress each other as well.
    """
    if nms >= 1 or len(found) < 2:
        return sorted(found, key=lambda each: -_score(each))
    import torch
    from torchvision.ops import batched_nms

    numbers: dict[str, int] = {}
    corners, groups = [], []
    for each in found:
        x, y, width, height = _box(each)
        corners.append((x, y, x + width, y + height))
        groups.append(0 if across_classes else numbers.setdefault(str(each.category), len(numbers)))
    kept = batched_nms(
        torch.tensor(corners, dtype=torch.float32),
        torch.tensor([_score(each) for each in found], dtype=torch.float32),
        torch.tensor(groups),
        nms,
    )
    return [found[place] for place in kept.tolist()]


def _score(seen: Observation) -> float:
    return seen.score if seen.score is not None else 0.0


def _box(seen: Observation) -> tuple[float, float, float, float]:
    assert seen.bbox is not None
    return seen.bbox


def _edges(seen: Observation, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box inside the image."""
    x, y, w, h = _box(seen)
    return max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)


def _inside(seen: Observation, width: int, height: int) -> bool:
    left, top, right, bottom = _edges(seen, width, height)
    return right > left and bottom > top
