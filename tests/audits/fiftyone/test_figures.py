"""What the panel shows, without a browser: the figures of a view, what a click opens, captions cut into colored pieces."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audits.fiftyone.dataset import INFO, build
from audits.fiftyone.distributions import MEASURES, distribution, within
from audits.fiftyone.figures import figures, lines, shown_by
from audits.fiftyone.source import shown
from audits.figures import VARIABLE
from audits.runner.run import run
from recapdata.dataset.target import open_dataset
from recapdata.ingestion import ingest
from tests.audits.test_figures import shouting
from tests.builders import build_dataset


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recapdata.caption_sets.importing import import_captions

    folder = tmp_path_factory.mktemp("figures") / "scenes"
    ingest("scenes:60,human=60", folder)
    for name, column in (("alt", "alt_text"), ("human-short", "human_short")):
        import_captions(folder, name, column)
    run(folder, captions=["alt"], evidence=["annotations"])
    run(folder, captions=["human-short"], evidence=["annotations"], clip="embedded")
    return folder


@pytest.fixture(scope="module")
def dataset(fo: ModuleType, scenes: Path) -> Any:
    return fo.load_dataset(build(scenes).name)


def test_the_figures_of_all_samples_are_the_summary_s(dataset: Any, scenes: Path) -> None:
    summary = open_dataset(scenes).summary()
    assert summary is not None
    compared = 0
    for figure, cells in zip(lines(), figures(dataset, ["alt", "human_short"]), strict=True):
        for cell, set_name in zip(cells, ("alt", "human-short"), strict=True):
            known = summary["sets"][set_name]["figures"].get(figure.name)
            if known is not None:
                assert cell.value == pytest.approx(known["value"], rel=1e-5), (figure.name, set_name)
                assert cell.unit == known["unit"]
                compared += 1
            elif figure.name != "words (mean)":
                assert cell.value is None, (figure.name, set_name)
    assert compared > 55


def test_they_follow_the_view(fo: ModuleType, dataset: Any) -> None:
    some = dataset.limit(7)
    captions = some.values("alt_audit.claims_color")
    cell = figures(some, ["alt"])[[line.name for line in lines()].index("color coverage")][0]
    assert cell.value == pytest.approx(sum(count > 0 for count in captions) / 7)
    empty = dataset.match(fo.ViewField("key") == "none")
    assert {cell.value for (cell,) in figures(empty, ["alt"])} == {None}


def test_a_click_shows_as_many_as_the_cell_says(dataset: Any) -> None:
    for line, cells in zip(lines(), figures(dataset, ["alt", "human_short"]), strict=True):
        for field, cell in zip(("alt", "human_short"), cells, strict=True):
            view = shown_by(dataset, line, field)
            assert view.count() == cell.samples, (line.name, field)
            if line.name == "claims per caption":
                values = view.values(f"{field}_audit.claims_total")
                assert values == sorted(values)


def test_bars_hold_every_caption_once(dataset: Any) -> None:
    words = MEASURES[0]
    bars = distribution(dataset, words, ["alt", "human_short"])
    assert bars is not None
    assert [sum(heights) for heights in bars.heights] == [60, 60]
    for center, height in zip(bars.centers, bars.heights[1], strict=True):
        half = bars.width / 2
        assert within(dataset, words, "human_short", center - half, center + half).count() == height
    assert distribution(dataset, MEASURES[-1], ["alt"]) is None  # alt was not scored


def test_a_caption_runs_as_its_first_letter_does(fo: ModuleType) -> None:
    from audits.fiftyone.plugin.looks import direction

    assert [direction(text) for text in ("a dog", "12 כלב a", "«كلب»", "🐶 1", "")] == [
        "ltr",
        "rtl",
        "rtl",
        "ltr",
        "ltr",
    ]


def test_the_view_itself_tells_what_a_click_has_shown(fo: ModuleType) -> None:
    from audits.fiftyone.plugin.panel import looked_at, marked

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"{index}.png", tags=[str(index)]) for index in range(3)])
    assert looked_at(dataset) == ([], None)
    base = dataset.match_tags(["0", "1"])
    stages, shows = looked_at(base)
    assert (len(stages), shows) == (1, None)
    found = marked(base, "alt: captions of 10 words").limit(1)
    assert looked_at(found) == (stages, "alt: captions of 10 words")
    assert marked(base, "alt: captions of 10 words").count() == 2  # it takes nothing away


def test_sets_that_other_rules_audited_are_named(dataset: Any, scenes: Path) -> None:
    about = shown(dataset)
    assert about is not None
    assert about.notices == ()
    info = dataset.info[INFO]
    parts = info["made_by"]["alt"]
    try:
        dataset.info[INFO] = {
            **info,
            "made_by": {**info["made_by"], "alt": {**parts, "claims": ["en@1 earlier"]}},
        }
        (notice,) = shown(dataset).notices
    finally:
        dataset.info[INFO] = info
    assert notice == (
        f"the audit of alt was made by earlier rules (claims); run: audits run {scenes.resolve()} --captions alt --pipeline en "
        "--evidence annotations"
    )


def test_a_figure_from_outside_is_among_them(
    fo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shouting.py").write_text(shouting())
    monkeypatch.syspath_prepend(tmp_path)
    folder = build_dataset(tmp_path / "ds", rows=3, sets={"loud": ["A dog!!", "A cat!", None]})
    run(folder.path)
    before = build(folder.path)
    monkeypatch.setenv(VARIABLE, "shouting:SHOUTING")
    assert build(folder.path).updated == 3  # what the captions add to it was not there
    assert build(folder.path).updated == 0
    dataset = fo.load_dataset(before.name)
    (place,) = [place for place, line in enumerate(lines()) if line.name == "exclamation marks per caption"]
    (cell,) = figures(dataset, ["loud"])[place]
    assert (cell.text(), cell.samples) == ("1.50", 2)
    found = shown_by(dataset, lines()[place], "loud")
    assert found.values("loud") == ["A dog!!", "A cat!"]  # the worst first
