"""Figures over checkpoints: which run is which checkpoint, and where points stand, by hand."""

import pytest

from recaptrain.evaluation.reporting.axes import HEIGHT, MARGIN, WIDTH
from recaptrain.evaluation.reporting.curves import checkpoint, colors, curves
from tests.recaptrain.evaluation.reporting.test_tables import evaluation, figure


@pytest.mark.parametrize(
    ("name", "made", "found"),
    [
        ("recap@500", {"model": "other/step-7"}, ("recap", 500)),
        ("p", {"model": "/runs/recap/step-500"}, ("/runs/recap", 500)),
        ("p", {"model": "runs/recap/checkpoint-0500"}, ("runs/recap", 500)),
        ("p", {"model": "me/model", "revision": "step-500"}, ("me/model", 500)),
        ("p", {"model": "me/sd-v1-4", "revision": "12345"}, None),
        ("p", {"model": "me/overstep500"}, None),
        ("me@home", {}, None),
        ("birds@2024:human", {"dataset": "birds"}, None),
    ],
)
def test_the_checkpoint_of_a_run(name: str, made: dict, found: tuple[str, int] | None) -> None:
    assert checkpoint(evaluation(name, **made)) == found


def test_points_stand_where_their_step_and_value_are() -> None:
    """Values 0 to 100 and steps 0 to 400 reach from edge to edge; 100 of 400 stands at a quarter, 25 of 100 at three quarters from the top."""
    runs = [
        evaluation("base", figure("soa-c", 100.0)),
        evaluation("r@400", figure("soa-c", 75.0)),
        evaluation("r@0", figure("soa-c", 0.0)),
        evaluation("r@100", figure("soa-c", 25.0, low=0.0, high=50.0), figure("ca", 1.0)),
    ]
    (curve,) = curves(runs)  # one checkpoint with CA makes no curve
    ((line,), (level,)) = curve.lines, curve.levels
    room = WIDTH - MARGIN - 8
    assert [(each.x, each.y) for each in line.points] == [
        (MARGIN, HEIGHT),
        (MARGIN + room / 4, HEIGHT * 3 / 4),
        (MARGIN + room, HEIGHT / 4),
    ]
    assert (line.points[1].low, line.points[1].high) == (HEIGHT, HEIGHT / 2)
    assert line.points[1].told == "r, step 100: 25 [0, 50]"
    assert line.path == f"M{MARGIN} 150.0L{MARGIN + room / 4} 112.5L{MARGIN + room}.0 37.5".replace(
        f"M{MARGIN} ", f"M{MARGIN}.0 "
    )
    assert level.y == 0
    assert [label for _, label in curve.up] == ["0", "25", "50", "75", "100"]
    assert [label for _, label in curve.across] == ["0", "100", "200", "300", "400"]
    assert colors(runs) == [0, 1, 1, 1]
    assert (level.color, line.color) == (0, 1)


def test_without_two_checkpoints_there_is_no_curve() -> None:
    assert curves([evaluation("a", figure("ca", 1.0)), evaluation("b@3", figure("ca", 2.0))]) == []


def test_equal_values_have_an_axis() -> None:
    (curve,) = curves([evaluation(f"r@{step}", figure("ca", 0.0)) for step in (5, 10)])
    assert [each.y for each in curve.lines[0].points] == [HEIGHT / 2, HEIGHT / 2]
