"""Detectors of the user's own: a function `package.module:function` without arguments that returns an object with

    classes     names of the classes that it detects
    revision    text that changes with its weights
    detect      list of RGB images → per image a list of {"bbox": [x, y, width, height] in pixels, "category", "score"}

Its answers are checked before they become evidence; an answer of another form ends the run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from audits.evidence import Observation
from audits.evidence.detections import class_name
from recapdata.errors import DetectorError, OptionError, RecapdataError
from recapdata.registry import load_dotted

ROUNDING = 1e-3
"""Tolerance for scores outside 0 to 1, as sums of low precision are; they are clipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDetector:
    """A detector of the user's own; made by `make_detector`.

    Attributes:
        name: the dotted path of its function.
        classes: in lower case, as in the lexicon.
        revision: without blanks and commas, which identities separate by.
        detector: what the function returned.
    """

    name: str
    revision: str
    classes: tuple[str, ...]
    detector: Any

    def detect(
        self, pictures: Sequence[Image.Image], nouns: Sequence[Sequence[str]], lowest: float
    ) -> list[list[Observation]]:
        """Its detections in each image from a score on; `nouns` is ignored.

        Raises:
            DetectorError: it fails, or its answer has another form.
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
        detections = []
        for boxes in answers:
            if not _is_list(boxes):
                raise self._wrong(f"a {type(boxes).__name__} for a picture", "a list of its detections")
            observations = [self._observation(box) for box in boxes]
            detections.append([one for one in observations if not (one.score or 0.0) < lowest])  # keeps NaN
        return detections

    def _observation(self, given: Any) -> Observation:
        """One detection; a box or score that is not finite is kept, to be counted as invalid."""
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
        return Observation(bbox=(x, y, width, height), category=category, score=score)

    def _wrong(self, given: str, wanted: str) -> DetectorError:
        return DetectorError(f"detector:{self.name} returned {given}; `detect` has to return {wanted}")


def make_detector(path: str) -> CustomDetector:
    """Call the function at a dotted path and check what it returns.

    Raises:
        OptionError: no such function, it takes arguments or fails, or what it returns is no detector.
    """
    function = load_dotted(path)
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
    listed = isinstance(classes, list | tuple) and all(isinstance(each, str) for each in classes)
    names = tuple(dict.fromkeys(filter(None, map(class_name, classes or ())))) if listed else ()
    lacks = (
        "no function `detect`"
        if not callable(getattr(made, "detect", None))
        else "no `classes`, a list of names"
        if not listed
        else "`classes` without a name in it"
        if not names
        else "no `revision`, a text that changes with its weights"
        if not isinstance(revision, str) or not revision.strip()
        else None
    )
    if lacks is not None:
        raise OptionError(f"detector:{path} returned an object with {lacks}")
    plain = re.sub(r"[\s,]+", "_", str(revision).strip())
    return CustomDetector(name=path, revision=plain, classes=names, detector=made)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
