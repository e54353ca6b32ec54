"""The preference score by hand, and that a model must be named."""

from pathlib import Path

import pytest

from recapdata.errors import OptionError
from recaptrain.evaluation.preference import Preference
from recaptrain.evaluation.run import evaluate
from recaptrain.evaluation.settings import EvaluateSettings
from tests.recaptrain.evaluation.scripted_models import embeddings, figures, measured, picture
from tests.recaptrain.evaluation.test_run import generated

TEXTS = {"a star": (1.0, 0.0), "a heart": (0.0, 1.0)}


def test_by_hand() -> None:
    """A picture at (3, 4)/5 lies 0.6 from the one prompt and 0.8 from the other; whatever factor the model was trained with."""
    metric = Preference(embeddings([(3, 4), (3, 4)], TEXTS.__getitem__, factor=20.0), 32)
    rows = measured(metric, [picture("a star", 0), picture("a heart", 1)])
    assert figures(metric, rows)["preference"] == pytest.approx(70)
    assert figures(metric, rows, [3, 1])["preference"] == pytest.approx((3 * 60 + 80) / 4)
    (figure,) = metric.figures(rows)
    assert figure.note == "by known: compares with figures of the same model alone"
    assert metric.identity == {"version": 1, "preference": "known@1"}


@pytest.mark.parametrize("model", [None, "embedded"])
def test_a_model_must_be_named(tmp_path: Path, model: str | None) -> None:
    folder = generated(tmp_path / "p", {"a": 10})
    settings = EvaluateSettings(metrics=("preference",), preference=model, out=str(tmp_path / "out"))
    with pytest.raises(
        OptionError, match="preference needs a CLIP tuned on people's choices: give --preference"
    ):
        evaluate([str(folder)], settings)
