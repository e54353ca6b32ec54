"""FID and its kind: how far the features of pictures are, as a whole, from those of real images (`--reference`).

    fid         Fréchet distance of `--features`, Inception's unless told otherwise (Heusel et al. 2017)
    kid         1000 · squared discrepancy of the same features with KID's kernel (Bińkowski et al. 2018)
    cmmd        1000 · squared discrepancy of the embeddings of the `--clip` model with CMMD's kernel; published figures rest on ViT-L-14-336:openai
    fd-dinov2   Fréchet distance of DINOv2's features (Stein et al. 2023); `--features dinov2:MODEL` names another than ViT-L/14

They see no prompt: pictures of other prompts than the reference's captions differ for that alone. FID and KID share their features. Rows are
the features of each picture, made once; the reference's are in OUT, too (`reference`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from recapdata.console import progress
from recaptrain.evaluation.extractors import Extractor, extractor_identity, open_extractor
from recaptrain.evaluation.frechet import FrechetTo, Gaussian, gaussian
from recaptrain.evaluation.measuring import measure
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.mmd import DiscrepancyTo, cubic, gauss
from recaptrain.evaluation.reference import Reference, open_reference

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
INCEPTION = "inception"
DISCREPANCY_REPLICATES = 500
PUBLISHED_CLIP = "ViT-L-14-336:openai"
Distance = Callable[[str, NDArray[np.float32], NDArray[np.float32]], Statistic]
"""Name, features [n, d] and the reference's [m, d] → figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The rows of `Distribution`, by themselves a `Metric` without figures."""

    extractor: Extractor
    batch_size: int

    @property
    def name(self) -> str:
        """Where the rows of an extractor are kept."""
        return f"features-{self.extractor.name.replace('/', '-')}-{self.extractor.revision[-12:]}"

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"version": VERSION, **extractor_identity(self.extractor)}

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("features", pa.list_(pa.float32(), self.extractor.dimensions))])

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any]]:
        return [{"features": each} for each in self.extractor.encode(images)]

    def figures(self, rows: pa.Table) -> list[Statistic]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A `Metric`: a distance of features from those of real images."""

    name: str
    extractor: Extractor
    reference: Reference
    distance: Distance
    batch_size: int

    @property
    def rows(self) -> Features:
        """What makes the rows."""
        return Features(extractor=self.extractor, batch_size=self.batch_size)

    @property
    def rows_name(self) -> str:
        return self.rows.name

    @property
    def rows_identity(self) -> Mapping[str, Any]:
        return self.rows.identity

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**self.rows.identity, **self.reference.identity}

    @property
    def schema(self) -> pa.Schema:
        return self.rows.schema

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any]]:
        return self.rows.measure(pictures, images)

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The distance; none of fewer than two pictures here or there."""
        others = reference_features(self.reference, self.rows)
        own = as_matrix(rows)
        if len(own) < 2 or len(others) < 2:
            return [too_few(self.name, len(own), len(others), "pictures")]
        return [self.distance(self.name, own, others)]


def too_few(name: str, own: int, others: int, kind: str) -> Statistic:
    """A figure without a value: of fewer than two pictures, or crops, here or in the reference there is no distance."""
    return Statistic(
        name=name,
        n=own,
        value=lambda weights: float("nan"),
        better="lower",
        replicates=2,
        note=f"two {kind} here and in the reference are the least, and there are {own:,} and {others:,}",
    )


def as_matrix(rows: pa.Table) -> NDArray[np.float32]:
    """Features [n, d] of rows."""
    column = rows.column("features").combine_chunks()
    return np.asarray(column.flatten(), np.float32).reshape(len(column), column.type.list_size)


_KEPT: dict[str, NDArray[np.float32]] = {}
"""The reference's features that were asked for last, which several metrics and runs need."""


def reference_features(reference: Reference, features: Features) -> NDArray[np.float32]:
    """The features [m, d] of real images, measured where they are not there yet; those that cannot be decoded are left out."""
    key = f"{reference.folder} {reference.digest} {features.identity}"
    if key not in _KEPT:
        with progress(f"reference {reference.name}", total=len(reference.pictures)) as advance:
            rows = measure(reference.pictures, [features], reference.folder, advance=advance)[features.name]
        _KEPT.clear()
        _KEPT[key] = as_matrix(rows.measured())
    return _KEPT[key]


# --- distances -------------------------------------------------------------------------------------------------------------


def frechet_statistic(
    name: str,
    own: NDArray[np.float32],
    others: Gaussian,
    *,
    note: str,
    kind: str = "pictures",
    rows: NDArray[np.intp] | None = None,
) -> Statistic:
    """The Fréchet distance of features [n, d] from a Gaussian, noting where they are too few for their dimensions.

    Args:
        kind: what has a feature.
        rows: the row of each feature, where a row has several.
    """
    notes = [note] if note else []
    if min(len(own), others.n) <= own.shape[1]:
        notes.append(
            f"{len(own):,} {kind} against {others.n:,} are too few for {own.shape[1]:,} dimensions: the figure is far too large, and compares "
            "only with figures of as many"
        )
    distance = FrechetTo(own, others)
    return Statistic(
        name=name,
        n=len(own),
        value=distance if rows is None else lambda weights: distance(weights[rows]),
        values=distance.linear if rows is None else lambda weights: distance.linear(weights, rows),
        better="lower",
        least=0.0,
        centered=True,
        note="; ".join(notes),
    )


def _frechet(note: str) -> Distance:
    def distance(name: str, own: NDArray[np.float32], others: NDArray[np.float32]) -> Statistic:
        return frechet_statistic(name, own, gaussian(others), note=note)

    return distance


def _kid(note: str) -> Distance:
    def distance(name: str, own: NDArray[np.float32], others: NDArray[np.float32]) -> Statistic:
        return _discrepancy(name, DiscrepancyTo(own, others, cubic, scale=1000), len(own), "×10⁻³", note)

    return distance


def _cmmd(note: str) -> Distance:
    def distance(name: str, own: NDArray[np.float32], others: NDArray[np.float32]) -> Statistic:
        return _discrepancy(name, DiscrepancyTo(own, others, gauss, scale=1000), len(own), "", note)

    return distance


def _discrepancy(name: str, value: DiscrepancyTo, n: int, unit: str, note: str) -> Statistic:
    return Statistic(
        name=name,
        n=n,
        value=value,
        values=value.many,
        better="lower",
        unit=unit,
        replicates=DISCREPANCY_REPLICATES,
        centered=True,
        note=note,
    )


# --- metrics by name -------------------------------------------------------------------------------------------------------


def open_fid(settings: "EvaluateSettings", pictures: "Pictures") -> Distribution:
    """FID of the features that the settings name.

    Raises:
        OptionError: no reference, no such extractor, or its weights are not to be had.
    """
    reference = open_reference(settings, "fid")
    extractor = open_extractor(settings.features or INCEPTION)
    return _distribution("fid", extractor, reference, _frechet(unlike(extractor)), settings)


def open_kid(settings: "EvaluateSettings", pictures: "Pictures") -> Distribution:
    """KID of the features that the settings name; raises as `open_fid`."""
    reference = open_reference(settings, "kid")
    extractor = open_extractor(settings.features or INCEPTION)
    return _distribution("kid", extractor, reference, _kid(unlike(extractor)), settings)


def open_cmmd(settings: "EvaluateSettings", pictures: "Pictures") -> Distribution:
    """CMMD of the CLIP model that the settings name; raises as `open_fid`."""
    reference = open_reference(settings, "cmmd")
    extractor = open_extractor(f"clip:{settings.clip}")
    other = settings.clip != PUBLISHED_CLIP
    note = f"by {extractor.name}: published figures rest on {PUBLISHED_CLIP}" if other else ""
    return _distribution("cmmd", extractor, reference, _cmmd(note), settings)


def open_fd_dinov2(settings: "EvaluateSettings", pictures: "Pictures") -> Distribution:
    """Fréchet distance of DINOv2's features; raises as `open_fid`."""
    reference = open_reference(settings, "fd-dinov2")
    named = settings.features or ""
    extractor = open_extractor(named if named.partition(":")[0] == "dinov2" else "dinov2")
    return _distribution("fd-dinov2", extractor, reference, _frechet(""), settings)


def _distribution(
    name: str, extractor: Extractor, reference: Reference, distance: Distance, settings: "EvaluateSettings"
) -> Distribution:
    return Distribution(
        name=name,
        extractor=extractor,
        reference=reference,
        distance=distance,
        batch_size=settings.batch_size,
    )


def unlike(extractor: Extractor) -> str:
    """A note where features are not those of published figures."""
    if extractor.name == INCEPTION:
        return ""
    return f"of the features of {extractor.name}: not to be held against published figures, which rest on Inception"
