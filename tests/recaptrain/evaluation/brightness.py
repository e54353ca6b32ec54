"""A metric from outside: the brightness of a picture, of those whose prompt says `bright`; and one whose figure may be infinite."""

import math
from collections.abc import Sequence

import pyarrow as pa
from PIL import ImageStat

from recaptrain.evaluation.intervals import weighted_mean
from recaptrain.evaluation.metrics import Statistic

measured: list[str] = []
"""Ids of the pictures that were measured, in order."""


class Brightness:
    name = "brightness"
    batch_size = 2
    schema = pa.schema([("mean", pa.float64())])

    def __init__(self, version: int | str) -> None:
        self.identity = {"version": version}

    def measure(self, pictures: Sequence, images: Sequence) -> list:
        assert len(pictures) <= self.batch_size
        measured.extend(each.id for each in pictures)
        return [
            {"mean": ImageStat.Stat(image.convert("L")).mean[0]} if "bright" in picture.prompt else None
            for picture, image in zip(pictures, images, strict=True)
        ]

    def figures(self, rows: pa.Table) -> list[Statistic]:
        values = rows.column("mean").to_numpy()
        return [Statistic(name="brightness", n=len(values), value=weighted_mean(values))]


class Logarithm(Brightness):
    name = "logarithm"

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The logarithm of the mean brightness."""
        mean = weighted_mean(rows.column("mean").to_numpy())

        def value(weights) -> float:
            return math.log(mean(weights)) if mean(weights) else -math.inf

        return [Statistic(name="logarithm", n=len(rows), value=value, note="black has no logarithm")]


def open_logarithm(settings, pictures) -> Logarithm:
    return Logarithm(1)


def open_brightness(settings, pictures) -> Brightness:
    return Brightness(1)


def open_another(settings, pictures) -> Brightness:
    return Brightness(2)


def open_by_name(settings, pictures) -> Brightness:
    return Brightness(pictures.name)
