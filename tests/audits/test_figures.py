"""The registry of figures, and one from outside as CONTRIBUTING shows it: in the summary, the comparison, the report and the card."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audits.comparison import compare
from audits.figures import GROUPS, TABLE, VARIABLE, Figure, registered
from audits.reporting import write_report
from audits.runner.run import run
from audits.sums import numbers
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import OptionError
from recapdata.publishing.card import render_card
from recapdata.records import Object
from recapdata.versions.figures import compare_figures
from tests.builders import add_set, build_dataset
from tests.recapdata.publishing.test_card import facts

CONTRIBUTING = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf8")
NAME = "exclamation marks per caption"


def shouting() -> str:
    """The module of CONTRIBUTING."""
    section = CONTRIBUTING.partition("### A figure")[2]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module on the path whose figures the environment may name."""
    folder = tmp_path / "on_path"
    folder.mkdir()
    (folder / "shouting.py").write_text(shouting())
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("shouting", None)


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Of four captions without and with exclamation marks, the last of either set missing."""
    folder = build_dataset(tmp_path / "ds", rows=4, sets={"calm": ["A dog.", "A cat!", "A cow.", None]})
    add_set(folder, "loud", ["A dog!!", "A cat!", "A cow.", None])
    return folder


def test_one_from_outside_is_in_everything_that_shows_figures(
    module: Path, folder: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(shouting().splitlines()) <= 60
    monkeypatch.setenv(VARIABLE, "shouting:SHOUTING")
    summary = run(folder.path, evidence=["annotations"])
    calm, loud = (summary.sets[name]["figures"][NAME] for name in ("calm", "loud"))
    assert (calm["value"], loud["value"]) == (0.333333, 1.0)  # of three captions each
    assert loud["n"] == 3
    assert calm["low"] <= calm["value"] <= calm["high"]
    assert (calm["unit"], calm["better"], calm["rests_on"]) == ("marks", "lower", ["hygiene"])
    assert NAME in summary.text()
    (difference,) = [each for each in compare(folder.path, "calm", set_b="loud").figures if each.name == NAME]
    assert difference.difference == pytest.approx(2 / 3)
    page = tmp_path / "report.html"
    write_report(folder.path, page)
    text = page.read_text(encoding="utf8")
    heading = text.index(GROUPS["texts"].title)
    assert heading < text.index(NAME)
    content = {"pipeline": "en", "clip": None, "evidence": [], "sets": summary.sets}
    card = render_card(facts(summary=content))
    (line,) = [line for line in card.splitlines() if NAME in line]
    assert re.fullmatch(rf"\| {NAME} \| 0\.33 .*\| 1.* \|", line)
    # What the publish gate and `recapdata diff` judge by.
    worse = {**summary.sets["calm"], "figures": {NAME: {**calm, "value": 9.0, "low": 8.0, "high": 10.0}}}
    changes = compare_figures({"sets": {"calm": summary.sets["calm"]}}, {"sets": {"calm": worse}})
    assert [each.verdict for each in changes if each.name == NAME] == ["worse"]


def test_the_page_and_the_card_show_it_where_its_code_is_not(
    module: Path, folder: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "shouting:SHOUTING")
    run(folder.path)
    monkeypatch.delenv(VARIABLE)
    write_report(folder.path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf8")
    assert text.index(GROUPS["other"].title) < text.index(NAME)


def test_by_entry_point(module: Path, folder: DatasetFolder) -> None:
    info = module / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[audits.figures]\nshouting = shouting:SHOUTING\n")
    sys.path_importer_cache.clear()
    assert registered()[[figure.name for figure in registered()].index(NAME)].unit == "marks"
    assert run(folder.path).sets["loud"]["figures"][NAME]["value"] == 1.0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("X = 3", "odd:X is a int and not an audits.figures.Figure"),
        ("Y = 3", "odd:X: odd has no X"),
        ("X = Figure('CLIP score', len)", "odd:X: there is another figure 'CLIP score'"),
        ("X = Figure('x', len, group='far')", "figure x: group 'far' is none of .*'coverage'"),
        ("X = Figure('x', len, rests_on=('luck',))", "figure x: rests_on 'luck' is none of"),
        ("X = Figure('x', lambda rows: [1])", r"'x' gave an array of shape \(1,\) for 3 captions"),
        ("X = Figure('x', lambda rows: [float('nan')] * len(rows))", "it has to give one finite number"),
        ("X = Figure('x', lambda rows: rows.nothing)", "the figure 'x' failed: AttributeError"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    module: Path, folder: DatasetFolder, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (module / "odd.py").write_text(f"from audits.figures import Figure\n{code}\n")
    monkeypatch.setenv(VARIABLE, "odd:X")
    try:
        with pytest.raises(OptionError, match=message):
            run(folder.path)
    finally:
        sys.modules.pop("odd", None)


def test_the_table_reads_group_by_group() -> None:
    groups = [figure.group for figure in TABLE]
    assert list(dict.fromkeys(groups)) == [group for group in GROUPS if group in groups]
    assert groups == sorted(groups, key=list(GROUPS).index)


def test_what_is_behind_a_figure_follows_from_its_unit_and_direction() -> None:
    field = numbers("words")
    assert Figure("x", field, better="higher").behind == ("short", "captions that fall short")
    assert Figure("x", field, better="lower").behind == ("counted", "captions that count")
    assert Figure("x", field, unit="points").behind == ("lowest", "the lowest first")
    assert Figure("x", field, unit="points", better="lower").behind == ("highest", "the highest first")


def test_how_many_claims_of_each_kind_were_judged(tmp_path: Path) -> None:
    """Two objects a caption of which annotators look for one; a count of either; nobody looks at sizes."""
    captions = ["Two dogs and three moons.", "A small dog and a moon.", None]
    dog = Object(bbox=(0, 0, 4, 4), category="dog")
    folder = build_dataset(tmp_path / "ds", rows=3, sets={"alt": captions}, objects=[[dog], [dog], []])
    plain = run(folder.path).sets["alt"]["figures"]
    assert not [name for name in plain if name.endswith("claims judged")]
    figures = run(folder.path, evidence=["annotations"]).sets["alt"]["figures"]
    shares = {
        name: (each["value"], each["better"])
        for name, each in figures.items()
        if name.endswith("claims judged")
    }
    assert shares == {
        "claims judged": (pytest.approx(3 / 7, rel=1e-5), None),
        "object claims judged": (0.5, None),
        "count claims judged": (0.5, None),
        "size claims judged": (0.0, None),
    }
    write_report(folder.path, tmp_path / "page.html")
    assert "object claims judged" in (tmp_path / "page.html").read_text()
