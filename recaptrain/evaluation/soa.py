"""Semantic object accuracy (Hinz et al. 2020): is the class that a prompt names detected in its picture?

    SOA-C = 1/|C| Σ_c (detected pictures of c / pictures of c)        SOA-I = Σ_c detected pictures of c / Σ_c pictures of c

over the classes C of the detector, the pictures of a class being those whose prompt names it; a score of 0.5 or more. The paper uses
YOLOv3 and three pictures a caption.

Deviations. A caption names a class where the audit's claims and lexicon say so (`recaptrain.evaluation.stated`); the paper searches captions for
lists of words, so that "hot dog" names a dog there. `tise_compat` has the flaw of the port in TISE (Dinh et al. 2022), with which RECAP
measured: a picture in which nothing at all is detected falls out of the denominator, which flatters a model that draws what nobody can
recognize; a class all of whose pictures fall out counts 0.

What it cannot see: how many there are, where, of what look, whether what was detected looks right, and whatever the detector has no class for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence
from recaptrain.evaluation.detected import detected_classes, hold_against, rows_rest_on
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, open_detections
from recaptrain.evaluation.stated import Stated, named_classes
from recaptrain.evaluation.sums import flat, mean, mean_of_groups

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
TISE = "pictures in which nothing is detected are left out, as in TISE's port, whose flaw that is"
SCHEMA = pa.schema(
    [("classes", pa.list_(pa.string())), ("detected", pa.list_(pa.bool_())), ("empty", pa.bool_())]
)
"""Of a picture the classes that its prompt names, whether each is detected, and whether nothing at all is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAccuracy:
    """SOA-C and SOA-I, `fixed` and `tise_compat`; made by `open_soa`."""

    detector: Detector
    identity: Mapping[str, Any]
    name: str = "soa"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt names a class of the detector."""
        return hold_against(self.detector, pictures, images, named_classes, _row)

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """SOA-C and SOA-I, and both with TISE's flaw."""
        places, (classes, detected) = flat(rows, "classes", "detected")
        empty = rows.column("empty").to_pylist()
        counted = [not empty[place] for place in places]
        kept = [found if each else None for found, each in zip(detected, counted, strict=True)]
        total, n = rows.num_rows, rows.num_rows - sum(empty)
        by_class = mean_of_groups(detected, classes, places, scale=100)
        tise = mean_of_groups(detected, classes, places, scale=100, counted=counted)
        figures = [
            _figure("soa-c", by_class, total),
            _figure("soa-i", mean(detected, places, scale=100), total),
            _figure("soa-c-tise_compat", tise, n, TISE),
            _figure("soa-i-tise_compat", mean(kept, places, scale=100), n, TISE),
        ]
        return [each for each in figures if each.n]


def _row(stated: Sequence[Stated], evidence: Evidence) -> dict[str, Any]:
    seen = detected_classes(evidence)
    return {
        "classes": [each.name for each in stated],
        "detected": [bool(each.classes & seen) for each in stated],
        "empty": not seen,
    }


def _figure(name: str, value: Any, n: int, note: str = "") -> Statistic:
    return Statistic(name=name, better="higher", unit="%", n=n, value=value, note=note)


def open_soa(settings: "EvaluateSettings", pictures: "Pictures") -> ObjectAccuracy:
    """Open the detector.

    Raises:
        OptionError: no detector is named.
    """
    detector = open_detections(settings, "soa")
    return ObjectAccuracy(
        detector=detector, identity=rows_rest_on(detector, VERSION), batch_size=settings.batch_size
    )
