"""T2I-CompBench's numeracy score (Huang et al. 2025, T2I-CompBench++): are the things of a prompt there, in their numbers?

    score = mean over the things of a prompt of 0.5·(is there) + 0.5·(is there in that number)

"a dog" is one, as in the original; of two boxes of a class that lie on each other, one is counted.

Deviations. Any detector from a score of 0.5 on, for UniDet, which cannot be installed any more. Things and numbers are read by the audit's
claims and lexicon, and not by lists of words and substrings (the original finds "car" in "carrot"); a thing that the detector has
no class for is left out, where the original gives it 0.

What it cannot see: whether what is counted is what was meant; things behind and cut off are counted as well, and no thing that the prompt
names without number or article is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from recaptrain.evaluation.detected import SCORE, apart, boxes_of
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, open_detections
from recaptrain.evaluation.stated import counted_things, nouns, read_prompts, reading_identity
from recaptrain.evaluation.sums import mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
SCHEMA = pa.schema(
    [
        ("classes", pa.list_(pa.string())),
        ("stated", pa.list_(pa.int32())),
        ("detected", pa.list_(pa.int32())),
        ("score", pa.float64()),
    ]
)
"""Of a picture the classes with their numbers, stated and detected, and the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeracy:
    """T2I-CompBench's numeracy; made by `open_numeracy`."""

    detector: Detector
    identity: Mapping[str, Any]
    name: str = "numeracy"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt names things of the detector's classes in numbers, "a dog" being one."""
        contexts = read_prompts([picture.prompt for picture in pictures])
        things = [counted_things(context, self.detector.classes) for context in contexts]
        asked = [nouns(context) if own else None for context, own in zip(contexts, things, strict=True)]
        rows: list[Mapping[str, Any] | None] = []
        for own, evidence in zip(things, self.detector.look(images, asked), strict=True):
            if evidence is None:
                rows.append(None)
                continue
            stated = [each.count or 0 for each in own]
            seen = [len(apart(boxes_of(evidence, each.classes))) for each in own]
            rows.append(
                {
                    "classes": [each.name for each in own],
                    "stated": stated,
                    "detected": seen,
                    "score": numeracy_score(stated, seen),
                }
            )
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The mean score."""
        return [
            Statistic(
                name="numeracy",
                better="higher",
                unit="",
                n=rows.num_rows,
                value=mean(rows.column("score").to_pylist()),
            )
        ]


def numeracy_score(stated: Sequence[int], detected: Sequence[int]) -> float:
    """Numbers stated and detected → 0 to 1."""
    points = [
        0.5 * (seen > 0) + 0.5 * (seen > 0 and seen == said)
        for said, seen in zip(stated, detected, strict=True)
    ]
    return sum(points) / len(points)


def open_numeracy(settings: "EvaluateSettings", pictures: "Pictures") -> Numeracy:
    """Open the detector.

    Raises:
        OptionError: no detector is named.
    """
    detector = open_detections(settings, "numeracy")
    identity = {
        "rules": VERSION,
        "detector": detector.identity,
        "claims": reading_identity(),
        "score": SCORE,
    }
    return Numeracy(detector=detector, identity=identity, batch_size=settings.batch_size)
