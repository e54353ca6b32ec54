"""Metrics of `recaptrain evaluate` at each validation: of the pictures of fixed prompts and seeds."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recapdata.errors import OptionError
from recapdata.suggestions import did_you_mean
from recaptrain.evaluation.measuring import measure
from recaptrain.evaluation.metrics import Metric, open_metric
from recaptrain.evaluation.pictures import Picture, Pictures
from recaptrain.evaluation.seen import open_store
from recaptrain.evaluation.settings import EvaluateSettings

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "metrics"
"""The folder of their rows, in that of the run."""
OPTIONS = ("reference", "detector", "reader", "clip", "features", "preference", "vlm")
"""Options of `recaptrain evaluate` that `--validate-with` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFigure:
    """A figure of one checkpoint."""

    value: float
    better: Literal["higher", "lower"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetrics:
    """The metrics of a run; their models are opened at the first validation and stay.

    Attributes:
        folder: of their rows.
    """

    settings: EvaluateSettings
    folder: Path
    _metrics: list[Metric] = field(default_factory=list)

    def measure(
        self, step: int, images: "Sequence[Image.Image]", prompts: Sequence[str]
    ) -> dict[str, MeasuredFigure]:
        """The figures of the pictures of a step by name, without those that rest on nothing."""
        pictures = Pictures(
            name=f"step {step}",
            source=str(self.folder / f"step-{step:06d}"),
            items=[_picture(*each) for each in enumerate(zip(images, prompts, strict=True))],
            made_with={"step": step},
        )
        if not self._metrics:
            names = dict.fromkeys(self.settings.metrics)
            self._metrics.extend(open_metric(name, self.settings, pictures) for name in names)
        rows = measure(pictures.items, self._metrics, Path(pictures.source))
        open_store(self.settings).save()
        figures = {}
        for metric in self._metrics:
            own = rows[metric.name].measured()
            for statistic in metric.figures(own) if len(own) else ():
                value = float(statistic.value(np.ones(len(own), np.int64)))
                if math.isfinite(value):
                    figures[statistic.name] = MeasuredFigure(value=value, better=statistic.better)
        return figures


def _picture(number: int, pair: "tuple[Image.Image, str]") -> Picture:
    image, prompt = pair
    return Picture(
        id=f"{number:04d}",
        prompt_id=f"{number:04d}",
        prompt=prompt,
        read=prompt,
        mark=hashlib.sha256(image.tobytes()).hexdigest(),
        load=lambda: image,
    )


def evaluate_settings(metrics: Sequence[str], options: Mapping[str, str], **more: Any) -> EvaluateSettings:
    """The settings of `recaptrain evaluate` for metrics and options by name.

    Raises:
        OptionError: there is no such option.
    """
    known = [each.name for each in fields(EvaluateSettings) if each.name in OPTIONS]
    for name in options:
        if name not in known:
            raise OptionError(
                f"--validate-with {name}: no such option of recaptrain evaluate{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
    return EvaluateSettings(metrics=tuple(metrics), **{**options, **more})
