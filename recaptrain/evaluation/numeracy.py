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

from audits.evidence import Evidence
from recaptrain.evaluation.detected import apart, boxes_of, hold_against, rows_rest_on
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, open_detections
from recaptrain.evaluation.stated import Stated, counted_things
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
        return hold_against(self.detector, pictures, images, counted_things, _row)

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


def _row(stated: Sequence[Stated], evidence: Evidence) -> dict[str, Any]:
    said = [each.count or 0 for each in stated]
    seen = [len(apart(boxes_of(evidence, each.classes))) for each in stated]
    names = [each.name for each in stated]
    return {"classes": names, "stated": said, "detected": seen, "score": numeracy_score(said, seen)}


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
    return Numeracy(
        detector=detector, identity=rows_rest_on(detector, VERSION), batch_size=settings.batch_size
    )
