"""The learning curve goes on where it stopped, tells curves apart, and prints what it measured."""

import json

import pytest

from recapdata.errors import OptionError
from recapdata.weights import embedded_path
from recaptrain.embedded import accuracy, curve
from recaptrain.embedded.curve import CurveSettings, learning_curve, steps_for, table


def settings(**changes):
    return CurveSettings(
        **{"base": str(embedded_path("captioner")), "captions": (3, 5), "test": 2, **changes}
    )


def test_steps_grow_with_the_captions():
    assert [steps_for(count) for count in (30, 3000)] == [100, 1585]  # 100 ** 0.6 = 15.85


def test_a_curve_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(curve, "steps_for", lambda captions: 1)
    measured, measure = [], accuracy.evaluate_captioner

    def measure_or_die(model, **options):
        if len(measured) == 4:
            raise KeyboardInterrupt
        measured.append((model.name, options["style"]))
        return measure(model, **options)

    monkeypatch.setattr(accuracy, "evaluate_captioner", measure_or_die)
    out = tmp_path / "curve.json"
    with pytest.raises(KeyboardInterrupt):
        learning_curve(settings(), out, tmp_path / "work")
    assert list(json.loads(out.read_text())["points"]) == ["0", "3"]
    (log,) = (tmp_path / "work").glob("*-5/training/log.jsonl")
    before = log.read_text()

    measured.clear()
    done = learning_curve(settings(), out, tmp_path / "work")
    assert list(done["points"]) == ["0", "3", "5"]
    assert [style for _, style in measured] == ["short", "long"]
    assert done["points"]["5"]["captions"] == {"short": 5, "long": 5}
    assert log.read_text() == before  # it had been tuned, only not measured
    assert json.loads(out.read_text()) == done
    assert learning_curve(settings(), out, tmp_path / "work") == done
    with pytest.raises(OptionError, match="test: 2 there, 3 now"):
        learning_curve(settings(test=3), out, tmp_path / "work")


def test_the_table_has_a_row_for_each_number():
    figures = dict.fromkeys(curve.SHOWN, 0.5)
    points = {"100": {"best_step": 84, "long": figures}, "0": {"long": figures}}
    lines = table({"points": points}, ["long"]).splitlines()
    assert lines[0].startswith("| long captions, tuned on | steps kept | objects, recall |")
    assert lines[2:] == ["| 0 | – |" + " 0.500 |" * 6, "| 100 | 84 |" + " 0.500 |" * 6]


def test_what_cannot_be_measured_is_said():
    with pytest.raises(OptionError, match="--captions: numbers above 0"):
        settings(captions=(0,))
    with pytest.raises(OptionError, match="--test 0"):
        settings(test=0)
    with pytest.raises(OptionError, match="the captioned scenes are of that world"):
        settings(seed=2024)
