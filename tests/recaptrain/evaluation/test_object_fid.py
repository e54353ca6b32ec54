"""O-FID by hand: what is cut out, what a distance of crops is, and that the bootstrap draws pictures with all their crops."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from audits.evidence import Evidence, Scope
from recapdata.errors import OptionError
from recaptrain.evaluation import object_fid
from recaptrain.evaluation.evaluations import Figure
from recaptrain.evaluation.frechet import gaussian
from recaptrain.evaluation.object_fid import ObjectDistance, boxes_of_objects, flat_crops
from recaptrain.evaluation.run import evaluate
from recaptrain.evaluation.settings import EvaluateSettings
from tests.recaptrain.evaluation import grays
from tests.recaptrain.evaluation.scripted_models import box
from tests.recaptrain.evaluation.test_run import generated

SIDE = 8


class Halves:
    """A detector of a user's own: the two halves of a picture, of which one that is white is nothing, and one below 100 is unsure."""

    classes = ("half",)
    revision = "1"

    def detect(self, images):
        found = []
        for image in images:
            halves = [(0, 0, SIDE // 2, SIDE), (SIDE // 2, 0, SIDE // 2, SIDE)]
            values = [image.getpixel((x, 0))[0] for x, *_ in halves]
            found.append(
                [
                    {"bbox": half, "category": "half", "score": 0.9 if value >= 100 else 0.4}
                    for half, value in zip(halves, values, strict=True)
                    if value != 255
                ]
            )
        return found


def open_halves() -> Halves:
    return Halves()


DETECTOR = f"{__name__}:open_halves"


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    grays.encoded.clear()
    object_fid._KEPT.clear()


def pictures(folder: Path, halves: dict[str, tuple[int, int]]) -> Path:
    """Pictures of two halves in gray."""
    generated(folder, dict.fromkeys(halves, 0))
    for name, (left, right) in halves.items():
        image = Image.new("RGB", (SIDE, SIDE), (left,) * 3)
        image.paste((right,) * 3, (SIDE // 2, 0, SIDE, SIDE))
        image.save(folder / f"{name}.png")
    return folder


def ofid(source: Path, real: Path, out: Path) -> Figure:
    settings = EvaluateSettings(
        metrics=("ofid",),
        reference=str(real),
        detector=DETECTOR,
        features="tests.recaptrain.evaluation.grays:open_grays",
        out=str(out),
    )
    (figure,) = evaluate([str(source)], settings).evaluations[0].figures
    return figure


def test_by_hand(tmp_path: Path) -> None:
    """Crops 100, 110, 120 of mean 110 and deviation 10; real ones 140 and 160 of 150 and √200: 40² + (10 − √200)². White and 50 are none."""
    source = pictures(tmp_path / "p", {"a": (100, 110), "b": (120, 255), "c": (255, 50)})
    real = pictures(tmp_path / "real", {"a": (140, 255), "b": (160, 50)})
    found = ofid(source, real, tmp_path / "out")
    assert found.value == pytest.approx(40**2 + (10 - math.sqrt(200)) ** 2)
    assert (found.n, found.not_applicable, found.better) == (2, 0, "lower")
    assert "score" in found.identity
    assert found.identity["reference"].startswith("real (2 pictures, ")
    assert sorted(grays.encoded) == [100, 110, 120, 140, 160]
    ofid(source, real, tmp_path / "out")
    assert len(grays.encoded) == 5  # rows are kept, of the reference too


def test_real_pictures_against_themselves_have_no_distance(tmp_path: Path) -> None:
    source = pictures(tmp_path / "p", {"a": (100, 110), "b": (120, 130)})
    assert ofid(source, source, tmp_path / "out").value == pytest.approx(0, abs=1e-9)


def test_a_picture_is_drawn_with_all_its_crops(tmp_path: Path) -> None:
    """The first picture drawn twice, the second not: crops 100, 110, 100, 110 of mean 105 and variance 100/3; the reference as above."""
    table = pa.table(
        {"crops": pa.array([[[100.0], [110.0]], [], [[120.0]]], pa.list_(pa.list_(pa.float32(), 1)))}
    )
    features, picture_of = flat_crops(table)
    assert (features[:, 0].tolist(), picture_of.tolist()) == ([100, 110, 120], [0, 0, 2])
    reference = gaussian(np.array([[140.0], [160.0]]))
    crops = SimpleNamespace(identity={})
    metric = ObjectDistance(crops=crops, reference=SimpleNamespace(folder="kept", digest=""), note="")
    object_fid._KEPT[f"kept  {crops.identity}"] = reference
    (statistic,) = metric.figures(table)
    assert statistic.value(np.array([2, 0, 0])) == pytest.approx(
        45**2 + (math.sqrt(100 / 3) - math.sqrt(200)) ** 2
    )
    assert math.isnan(statistic.value(np.array([0, 5, 1])))


def test_without_objects_there_is_no_value(tmp_path: Path) -> None:
    source = pictures(tmp_path / "p", {"a": (255, 255), "b": (50, 255)})
    real = pictures(tmp_path / "real", {"a": (140, 255)})
    found = ofid(source, real, tmp_path / "out")
    assert (found.value, found.why) == (
        None,
        "two crops here and in the reference are the least, and there are 0 and 1",
    )
    (written,) = (tmp_path / "out").glob("p-*/evaluation.json")
    assert json.loads(written.read_text(encoding="utf8"))["figures"][0]["value"] is None


def test_boxes_are_whole_pixels_within_the_picture() -> None:
    seen = [
        box("dog", 0.5, (1.4, 2.6, 3.0, 3.0)),
        box("dog", 0.49),
        box("cat", 0.9, (9.8, 0.0, 0.2, 10.0)),
        box("cat", 0.9, (4.0, 4.0, 0.2, 0.2)),
    ]
    evidence = Evidence(
        source="d", scope=Scope(classes=frozenset()), objects=tuple(seen), width=10, height=10
    )
    assert boxes_of_objects(evidence, (10, 10)) == [(1, 3, 4, 6), (9, 0, 10, 10), (4, 4, 5, 5)]
    assert boxes_of_objects(None, (10, 10)) == []


def test_it_needs_a_detector_and_a_reference(tmp_path: Path) -> None:
    source = str(pictures(tmp_path / "p", {"a": (100, 110)}))
    with pytest.raises(OptionError, match="ofid needs real images"):
        evaluate([source], EvaluateSettings(metrics=("ofid",), detector=DETECTOR, out=str(tmp_path / "out")))
    with pytest.raises(OptionError, match="ofid needs a detector"):
        evaluate([source], EvaluateSettings(metrics=("ofid",), reference=source, out=str(tmp_path / "out")))
