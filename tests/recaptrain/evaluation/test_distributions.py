"""FID and its kind from pictures to figures: features made once, the reference's kept, figures of other references not compared."""

import math
from pathlib import Path

import pytest
from PIL import Image

import recapdata
import recaptrain
from recapdata.errors import InputError, OptionError, SourceNotFound
from recaptrain.evaluation import distributions, measuring
from recaptrain.evaluation.evaluations import EvaluateSummary
from recaptrain.evaluation.run import evaluate
from recaptrain.evaluation.settings import EvaluateSettings
from tests.recaptrain.evaluation import grays
from tests.recaptrain.evaluation.test_run import generated

GRAYS = "tests.recaptrain.evaluation.grays:open_grays"


@pytest.fixture(autouse=True)
def _nothing_encoded() -> None:
    grays.encoded.clear()
    distributions._KEPT.clear()


def images(folder: Path, *values: int) -> Path:
    folder.mkdir(parents=True)
    for value in values:
        Image.new("RGB", (8, 8), (value,) * 3).save(folder / f"{value}.png")
    return folder


def run(*sources: object, **options: object) -> EvaluateSummary:
    settings = {"metrics": ("fid",), "features": GRAYS, **options}
    return evaluate([str(each) for each in sources], EvaluateSettings(**settings))


def test_fid_of_grays_by_hand(tmp_path: Path) -> None:
    """Grays 10, 20, 30 are of mean 20 and deviation 10; 40 and 60 of 50 and √200: 30² + (10 − √200)²."""
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": 30})
    found = run(folder, reference=str(images(tmp_path / "real", 40, 60)), out=str(tmp_path / "out"))
    (figure,) = found.evaluations[0].figures
    assert figure.value == pytest.approx(900 + (10 - math.sqrt(200)) ** 2)
    assert figure.low < figure.value < figure.high
    assert figure.better == "lower"
    assert "grays" in figure.note
    assert figure.identity["features"] == "grays@1"
    assert figure.identity["resize"] == "none"
    assert figure.identity["reference"].startswith("real (2 pictures, ")


def test_features_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 2)
    a = generated(tmp_path / "a", {"a": 10, "b": 20, "c": 30})
    b = generated(tmp_path / "b", {"a": 11, "b": 21, "c": 31})
    real = images(tmp_path / "real", 40, 60, 80)
    options = {"metrics": ("fid", "kid"), "reference": str(real), "out": str(tmp_path / "out")}
    first = run(a, **options)
    assert grays.encoded == [10, 20, 30, 40, 60, 80]
    second = run(a, b, **options)
    assert grays.encoded[6:] == [11, 21, 31]
    assert second.evaluations[0].figures == first.evaluations[0].figures
    assert [each.figure for each in second.differences if not each.why] == ["fid", "kid"]
    # As after a kill while the reference was under way: what is lacking is made, and the figures are the same.
    (part,) = (tmp_path / "out" / "reference").glob("*/*/00001.parquet")
    part.unlink()
    distributions._KEPT.clear()
    assert run(a, **options).evaluations[0].figures == first.evaluations[0].figures
    assert grays.encoded[9:] == [80]
    # Another reference, and another extractor, say so in what the figure rests on.
    other = run(a, **{**options, "reference": str(images(tmp_path / "real2", 40, 60))})
    assert other.evaluations[0].figures[0].identity != first.evaluations[0].figures[0].identity
    assert grays.encoded[10:] == [40, 60]
    run(a, **{**options, "features": f"{GRAYS}:2"})
    assert grays.encoded[12:] == [10, 20, 30, 40, 60, 80]


def test_images_that_cannot_be_decoded_count_nowhere(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": None})
    real = images(tmp_path / "real", 40, 60)
    (real / "broken.jpg").write_bytes(b"no image")
    found = run(folder, reference=str(real), out=str(tmp_path / "out"))
    (figure,) = found.evaluations[0].figures
    assert (figure.n, figure.unreadable) == (2, 1)
    assert figure.value == pytest.approx((50 - 15) ** 2 + (math.sqrt(200) - math.sqrt(50)) ** 2)


def test_a_dataset_as_reference(tmp_path: Path) -> None:
    """Pictures against themselves: the covariance of fewer pictures than dimensions is said, and the distance is nought."""
    recapdata.ingest("scenes:12,seed=4,human=12", tmp_path / "d")
    recapdata.import_captions(tmp_path / "d", "human", "human_short")
    found = recaptrain.evaluate(
        f"{tmp_path / 'd'}:human",
        metrics="fid,kid,cmmd",
        features="embedded",
        reference=tmp_path / "d",
        out=tmp_path / "out",
    )
    figures = {each.name: each for each in found.evaluations[0].figures}
    assert figures["fid"].value == pytest.approx(0, abs=1e-6)
    assert "too few" in figures["fid"].note
    # Unbiased discrepancies of a set from itself are below nought: the pairs across hold each picture with itself.
    assert figures["kid"].value < 0
    assert figures["cmmd"].value < 0


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20})
    out = str(tmp_path / "out")
    with pytest.raises(OptionError, match=r"fid needs real images .*--reference"):
        run(folder, out=out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        run(folder, reference=str(tmp_path / "empty"), out=out)
    with pytest.raises(SourceNotFound):
        run(folder, reference=str(tmp_path / "nowhere"), out=out)
    real = str(images(tmp_path / "real", 40, 60))
    for features, message in {
        "resnet": "no feature extractor 'resnet'",
        "clip": "which model",
        "embedded:x": "takes nothing",
        f"inception:{tmp_path / 'x.pth'}": "no such file",
    }.items():
        with pytest.raises(OptionError, match=message):
            run(folder, reference=real, features=features, out=out)


def test_of_one_picture_there_is_no_distance_and_the_figure_says_so(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10})
    real = images(tmp_path / "real", 40, 60)
    found = run(folder, metrics=("fid", "kid"), reference=str(real), out=str(tmp_path / "out"))
    assert [(each.name, each.value, each.low) for each in found.evaluations[0].figures] == [
        ("fid", None, None),
        ("kid", None, None),
    ]
    assert (
        found.evaluations[0].figures[0].why
        == "two pictures here and in the reference are the least, and there are 1 and 2"
    )


def test_no_interval_of_a_distance_reaches_below_zero(tmp_path: Path) -> None:
    """Pictures against nearly themselves: repetitions about a distance near 0 lie on both sides of it."""
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": 30, "d": 60})
    found = run(folder, reference=str(images(tmp_path / "real", 10, 20, 31, 60)), out=str(tmp_path / "out"))
    (figure,) = found.evaluations[0].figures
    assert figure.low == 0.0 < figure.value < figure.high
