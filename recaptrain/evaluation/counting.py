"""Counting alignment, CA (Dinh et al. 2022, TISE): how far the numbers of objects are from those that the prompt states.

    CA = mean over pictures of √( mean over the stated classes of (stated − detected)² )

Lower is better; 0 where every number is right. Classes that the prompt gives no number of do not count.

Deviations. TISE counts with a network of its own (Cholakkal et al. 2019) that has no released successor; here the objects of the
detector from a score of 0.5 on are counted. Numbers are read by the audit's claims: "two men and three women" are five persons, "a
dog" and "several dogs" state none.

What it cannot see: that a number is right by chance of wrong objects; objects of the class that the prompt names without a number
are counted as well, and so are those behind and far away that nobody would count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence
from recaptrain.evaluation.detected import count_of, hold_against, rows_rest_on
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, open_detections
from recaptrain.evaluation.stated import Stated, stated_counts
from recaptrain.evaluation.sums import flat, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
SCHEMA = pa.schema(
    [
        ("classes", pa.list_(pa.string())),
        ("stated", pa.list_(pa.int32())),
        ("detected", pa.list_(pa.int32())),
        ("error", pa.float64()),
    ]
)
"""Of a picture the classes with a stated number, both numbers, and the root of their mean squared difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingAlignment:
    """CA; made by `open_ca`."""

    detector: Detector
    identity: Mapping[str, Any]
    name: str = "ca"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt states a number of a class of the detector."""
        return hold_against(self.detector, pictures, images, stated_counts, _row)

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """CA, and beside it the share of stated numbers that are met."""
        places, (stated, detected) = flat(rows, "stated", "detected")
        met = [said == seen for said, seen in zip(stated, detected, strict=True)]
        errors = rows.column("error").to_pylist()
        return [
            Statistic(name="ca", better="lower", unit="", n=rows.num_rows, value=mean(errors)),
            Statistic(
                name="ca-exact",
                better="higher",
                unit="%",
                n=rows.num_rows,
                value=mean(met, places, scale=100),
            ),
        ]


def _row(stated: Sequence[Stated], evidence: Evidence) -> dict[str, Any]:
    said = [each.count or 0 for each in stated]
    seen = [count_of(evidence, each.classes) for each in stated]
    names = [each.name for each in stated]
    return {"classes": names, "stated": said, "detected": seen, "error": rmse(said, seen)}


def rmse(stated: Sequence[int], detected: Sequence[int]) -> float:
    """The root of the mean squared difference of two lists of numbers."""
    return sqrt(sum((said - seen) ** 2 for said, seen in zip(stated, detected, strict=True)) / len(stated))


def open_ca(settings: "EvaluateSettings", pictures: "Pictures") -> CountingAlignment:
    """Open the detector.

    Raises:
        OptionError: no detector is named.
    """
    detector = open_detections(settings, "ca")
    return CountingAlignment(
        detector=detector, identity=rows_rest_on(detector, VERSION), batch_size=settings.batch_size
    )
