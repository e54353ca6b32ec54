"""Detectors of the user's own: a function `package.module:function` that takes nothing and returns an object with

    classes     the names of what it detects
    revision    a text that changes with its weights
    detect      list of RGB pictures → per picture a list of {"bbox": [x, y, width, height] in pixels, "category", "score"}

What it returns is checked before it is evidence: a wrong form ends the run with an error, as an answer that may mean anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from audits.evidence import Seen
from audits.evidence.detections import class_name
from recapdata.errors import DetectorError, OptionError, RecapdataError
from recapdata.registry import load_own

ROUNDING = 1e-3
"""A score may lie so far outside 0 to 1, as sums of low precision do, and is then taken for 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSource:
    """A detector by the path of the function that makes it, with the revision and classes that it had when it was found."""

    name: str
    revision: str
    classes: tuple[str, ...]

    def load(self) -> "CustomDetector":
        """Call the function.

        Raises:
            OptionError: no such function, or what it returns is no detector or has another revision by now.
        """
        detector = make_detector(self.name)
        if detector.revision != self.revision:
            raise OptionError(
                f"detector:{self.name}: its revision is {detector.revision} here and was {self.revision} when the run began; "
                "the same weights are needed wherever the run works"
            )
        return detector


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDetector:
    """A detector ready to look; made by `make_detector`.

    Attributes:
        classes: in lower case, as the lexicon has them.
        revision: without blanks and commas, as identities hold it.
        detector: what the function returned.
    """

    name: str
    revision: str
    classes: tuple[str, ...]
    detector: Any

    def look(
        self,
        pictures: Sequence[Image.Image],
        classes: Sequence[str],
        nouns: Sequence[Sequence[str]],
        lowest: float,
    ) -> list[list[Seen]]:
        """What it detects in each picture from a score on; it is asked for no class and no noun.

        Raises:
            DetectorError: it fails, or returns something of another form than it should.
        """
        try:
            answers = self.detector.detect([picture.copy() for picture in pictures])
        except RecapdataError:
            raise
        except Exception as error:
            raise DetectorError(
                f"detector:{self.name} failed on {len(pictures)} pictures: {type(error).__name__}: {error}; what is finished is "
                "kept"
            ) from error
        if not _is_list(answers) or len(answers) != len(pictures):
            given = f"{len(answers)} lists" if _is_list(answers) else f"a {type(answers).__name__}"
            raise self._wrong(
                f"{given} for {len(pictures)} pictures", "a list with one list for each picture"
            )
        found = []
        for boxes in answers:
            if not _is_list(boxes):
                raise self._wrong(f"a {type(boxes).__name__} for a picture", "a list of its detections")
            seen = [self._seen(each) for each in boxes]
            found.append([each for each in seen if not (each.score or 0.0) < lowest])  # NaN is kept
        return found

    def _seen(self, given: Any) -> Seen:
        """One detection; a box or score that is not finite stays as it is, to be counted as invalid."""
        if not isinstance(given, Mapping) or not {"bbox", "category", "score"} <= set(given):
            raise self._wrong(repr(given)[:200], 'dictionaries with "bbox", "category" and "score"')
        category = class_name(given["category"]) if isinstance(given["category"], str) else None
        if category not in self.classes:
            known = ", ".join(self.classes[:5]) + (", …" if len(self.classes) > 5 else "")
            raise self._wrong(f"the category {given['category']!r}", f"names of its `classes` ({known})")
        try:
            x, y, width, height = (float(side) for side in given["bbox"])
            score = float(given["score"])
        except (TypeError, ValueError) as error:
            raise self._wrong(
                f"bbox {given['bbox']!r} with score {given['score']!r}", "four numbers and one"
            ) from error
        if score < -ROUNDING or score > 1 + ROUNDING:
            raise self._wrong(f"a score of {score:g}", "scores from 0 to 1")
        # NaN fails both comparisons and stays NaN.
        score = 0.0 if score < 0 else 1.0 if score > 1 else score
        return Seen(bbox=(x, y, width, height), category=category, score=score)

    def _wrong(self, given: str, wanted: str) -> DetectorError:
        return DetectorError(f"detector:{self.name} returned {given}; `detect` has to return {wanted}")


def open_custom(path: str, revision: str | None = None) -> tuple[CustomSource, CustomDetector]:
    """The detector of a path, found and made.

    Args:
        revision: the revision that it has to have; any where None.

    Raises:
        OptionError: no such function, what it returns is no detector, or one of another revision.
    """
    detector = make_detector(path)
    if revision not in (None, detector.revision):
        raise OptionError(
            f"detector:{path}@{revision}: its revision is {detector.revision}; leave out what stands after the @"
        )
    return CustomSource(name=path, revision=detector.revision, classes=detector.classes), detector


def make_detector(path: str) -> CustomDetector:
    """Call the function at a path and check what it returns.

    Raises:
        OptionError: no such function, it takes arguments or fails, or what it returns is no detector.
    """
    function = load_own(path)
    if not callable(function):
        raise OptionError(f"detector:{path} is a {type(function).__name__} and no function")
    try:
        made = function()
    except RecapdataError:
        raise
    except Exception as error:
        raise OptionError(
            f"detector:{path} cannot be made: {type(error).__name__}: {error}; the function is called without arguments and "
            "returns an object with `classes`, `revision` and `detect`"
        ) from error
    classes, revision = getattr(made, "classes", None), getattr(made, "revision", None)
    if not callable(getattr(made, "detect", None)):
        raise _no_detector(path, "no function `detect`")
    if not isinstance(classes, list | tuple) or not all(isinstance(each, str) for each in classes):
        raise _no_detector(path, "no `classes`, a list of names")
    names = tuple(dict.fromkeys(filter(None, map(class_name, classes))))
    if not names:
        raise _no_detector(path, "`classes` without a name in it")
    if not isinstance(revision, str) or not revision.strip():
        raise _no_detector(path, "no `revision`, a text that changes with its weights")
    plain = re.sub(r"[\s,]+", "_", revision.strip())
    return CustomDetector(name=path, revision=plain, classes=names, detector=made)


def _no_detector(path: str, lacks: str) -> OptionError:
    return OptionError(f"detector:{path} returned an object with {lacks}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
