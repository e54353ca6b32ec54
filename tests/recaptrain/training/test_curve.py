"""A run's loss in a few rows."""

from recaptrain.training.curve import Stretch, loss_curve


def test_a_curve_has_the_mean_of_each_stretch_and_its_last_validation():
    """Losses 1 to 5 in two stretches: steps 1–2 of mean 1.5 and 3–5 of mean 4; validations at steps 0, 1, 2 and 4."""
    log = [{"step": step, "loss": float(step)} for step in range(1, 6)]
    validation = [{"step": 0, "loss": 9.0}, {"step": 1, "loss": 8.0}, {"step": 2, "loss": 7.0}, {"step": 4}]
    assert loss_curve(log, validation, stretches=2) == [
        Stretch(first=1, last=2, loss=1.5, validation=7.0),
        Stretch(first=3, last=5, loss=4.0, validation=None),
    ]


def test_a_short_run_has_fewer_stretches():
    assert [each.loss for each in loss_curve([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}])] == [
        2.0,
        1.0,
    ]
    assert loss_curve([]) == []
