"""The tables of the page: RECAP's figures in its order, marks where a difference is shown, what runs were made with."""

from recaptrain.evaluation.evaluations import Difference, Evaluation, Figure
from recaptrain.evaluation.reporting.tables import groups, made_with, overview


def figure(name: str, value: float | None, **other: object) -> Figure:
    given = {
        "metric": name.partition("-")[0],
        "low": None,
        "high": None,
        "n": 3,
        "unit": "",
        "better": "higher",
        "note": "",
    }
    return Figure(name=name, value=value, not_applicable=0, unreadable=0, identity={}, **{**given, **other})


def evaluation(name: str, *figures: Figure, **made: object) -> Evaluation:
    return Evaluation(
        name=name,
        source=name,
        pictures=3,
        prompts=3,
        prompts_digest="",
        unreadable=0,
        not_applicable={},
        made_with=made,
        figures=figures,
        without_figures={},
    )


def test_recaps_figures_come_first_and_in_its_order() -> None:
    runs = [
        evaluation(
            "a",
            figure("clipscore", 30.0),
            figure("clipscore-sd", 2.0),
            figure("soa-i", 80.0),
            figure("soa-c", 78.9),
        ),
        evaluation("b", figure("soa-c", 84.34, unit="%"), figure("fid", 14.84, better="lower")),
    ]
    found = overview(runs, [])
    assert [each.title for each in found.columns] == ["FID ↓", "SOA-C ↑", "SOA-I ↑", "clipscore ↑"]
    assert [[cell and cell.value for cell in row.cells] for row in found.rows] == [
        [None, "78.9", "80", "30"],
        ["14.84", "84.34", None, None],
    ]
    assert [group.metric for group in groups(runs, [])] == ["clipscore", "soa", "fid"]
    assert [column.title for column, _ in groups(runs, [])[0].rows] == ["clipscore ↑", "clipscore-sd ↑"]


def test_a_difference_is_marked_where_its_interval_excludes_zero() -> None:
    """CA falls by 1 [−1.5, −0.5], which is better; SOA by 4 [−9, 1], which shows nothing; FID has no value."""
    runs = [
        evaluation("a", figure("ca", 2.0), figure("soa-c", 80.0)),
        evaluation(
            "b", figure("ca", 1.0, better="lower"), figure("soa-c", 76.0), figure("fid", None, why="too few")
        ),
    ]
    known = {"a": "a", "b": "b"}
    differences = [
        Difference(figure="ca", value=-1.0, low=-1.5, high=-0.5, better="lower", **known),
        Difference(figure="soa-c", value=-4.0, low=-9.0, high=1.0, better="higher", **known),
    ]
    fid, soa, ca = overview(runs, differences).rows[1].cells
    assert (ca.mark, soa.mark, fid.mark) == ("better", "", "")
    assert ca.told == "3 pictures; -1 [-1.5, -0.5] against a: b is better"
    assert (fid.value, fid.told) == ("no value", "too few")
    worse = Difference(figure="ca", value=1.0, low=0.5, high=1.5, better="lower", **known)
    assert overview(runs, [worse]).rows[1].cells[-1].mark == "worse"


def test_what_runs_were_made_with() -> None:
    revision = "sha256:" + "ab" * 32
    assert (
        made_with({"model": "m", "revision": revision, "steps": 30, "batch": 4})
        == "m at abababababab, steps 30"
    )
    assert made_with({"dataset": "me/birds", "commit": "c0ffee", "set": "human", "shuffled": 0}) == (
        "real images of me/birds at c0ffee, captions human, shuffled 0"
    )
    assert made_with({}) == "no record of how they were made"
