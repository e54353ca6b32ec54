"""A curator's way through the App in a real Chromium: views, figures, verdicts, an edit and a correction that outlive it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from audits.corrections import read_corrections
from audits.fiftyone.dataset import build
from audits.fiftyone.views import SAMPLE_VIEW
from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from recapdata.records import Object, image_key
from tests.audits.fiftyone.browser import (
    TIMEOUT,
    browsing,
    needs_browser,
    open_sample,
    open_sample_panel,
    select_sample,
    served,
    shot,
)
from tests.builders import build_dataset, noise_jpeg

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(TIMEOUT), needs_browser]

DOG = Object(bbox=(8, 20, 24, 40), category="dog", color="brown")
CAT = Object(bbox=(40, 24, 20, 30), category="cat", color="black")
ALT = [
    "A red dog and a cat, with <img src='https://example.com/x.png'> and **bold** 🐶.",
    "a cat to the left of a dog",
    "three dogs",
    "כלב חום ושחור",
    "A dog. " * 2857 + "!",
    None,
]
SHORT = ["A brown dog and a black cat."] * 6
MISSING = 2


@pytest.fixture(scope="module")
def folder(fo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = build_dataset(
        tmp_path_factory.mktemp("panel") / "pets",
        images=[noise_jpeg(index, (64, 64)) for index in range(6)],
        sets={"alt": ALT, "recap-short": SHORT},
        objects=[[DOG], [DOG, CAT], [DOG], [DOG], [DOG], [CAT]],
    )
    run(folder.path, evidence=["annotations"])
    return folder


@pytest.fixture(scope="module")
def page(folder: DatasetFolder) -> Iterator["Page"]:
    """The App on the folder."""
    with served(folder.path) as url, browsing() as page:
        page.goto(url, wait_until="domcontentloaded")
        page.locator("[data-cy=looker]").first.wait_for()
        yield page


def samples(page: "Page", count: int) -> None:
    """Wait until the grid says that it shows so many."""
    word = "sample" if count == 1 else "samples"
    page.locator("[data-cy=entry-counts]").get_by_text(f"{count} {word}", exact=True).first.wait_for()


def shown_dataset(fo: ModuleType, folder: DatasetFolder) -> Any:
    dataset = fo.load_dataset(build(folder.path).name)
    dataset.reload()
    return dataset


def test_the_grid_shows_captions(page: "Page") -> None:
    samples(page, 6)
    shot(page, "grid")


def test_each_saved_view_opens_with_its_samples(page: "Page", fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = shown_dataset(fo, folder)
    chosen = "Unsaved view"
    for name in dataset.list_saved_views():
        if count := dataset.load_saved_view(name).count():
            page.get_by_text(chosen, exact=True).first.click()
            choice = page.get_by_text(name, exact=True).last
            choice.wait_for()
            if name == SAMPLE_VIEW:
                shot(page, "views")
            choice.click()
            samples(page, count)
            chosen = name
    page.locator("[data-cy=btn-clear-view-bar]").click()
    page.get_by_text("Unsaved view", exact=True).wait_for()


def test_a_click_on_a_figure_shows_what_is_behind_it(page: "Page", folder: DatasetFolder) -> None:
    summary = json.loads((folder.path / "audits" / "summary.json").read_text())
    rate = summary["sets"]["alt"]["figures"]["hallucination rate"]["value"]
    cell = page.locator("tr", has_text="hallucination rate").locator("td").nth(1)
    cell.get_by_text(f"{100 * rate:.1f} %").wait_for()
    shot(page, "panel")
    cell.click()
    samples(page, 1)
    page.get_by_text("In the grid: alt: captions that invent an object").wait_for()
    assert cell.is_visible()  # the figures are still those of all samples
    shot(page, "cell")
    page.get_by_text("Show all of the view").click()
    samples(page, 6)


def test_a_selection_is_recaptioned_and_audited(page: "Page", folder: DatasetFolder) -> None:
    select_sample(page, 0)
    select_sample(page, 1)
    page.get_by_role("button", name="Recaption", exact=True).click()
    page.get_by_text("Captions 2 selected samples").wait_for()
    shot(page, "recaption")
    page.locator("input[value^='recap-']").first.fill("again")
    page.get_by_role("button", name="Schedule").click()
    page.get_by_text("recaption again: done").wait_for()
    coverage = page.locator("table", has_text="Coverage")
    coverage.locator("th", has_text="again").wait_for()  # what came of it, without a look at anything else
    shot(page, "recaptioned")
    provenance = folder.manifest.sets["again"]
    assert (provenance.writer, provenance.captioner) == ("model", "embedded")
    summary = json.loads((folder.path / "audits" / "summary.json").read_text())
    assert summary["sets"]["again"]["captions"] == 6  # the others keep those of the latest whole set
    assert (provenance.base, provenance.edits) == ("recap-short", 2)


def test_a_sample_shows_its_verdicts_and_takes_a_correction(page: "Page", folder: DatasetFolder) -> None:
    page.locator("tr", has_text="hallucination rate").locator("td").nth(1).click()
    samples(page, 1)
    open_sample(page)
    modal = page.locator("[data-cy=modal]")
    modal.locator(
        "canvas, img"
    ).first.wait_for()  # the picture, and beside it, without a click, what is said of it
    wrong = modal.locator("[data-verdict=contradicted]")
    wrong.get_by_text("red ").first.wait_for()
    assert (
        "".join(modal.locator("[data-verdict]").all_inner_texts()).count(
            "<img src='https://example.com/x.png'>"
        )
        == 1
    )
    assert not modal.locator("img[src*='example.com']").count()
    shot(page, "sample")
    row = modal.locator("tr", has_text="red dog")
    row.get_by_role("button").last.click()
    row.get_by_text("disagree", exact=True).wait_for()
    (word,) = read_corrections(folder.path)
    assert (word.kind, word.right, word.verdict, word.set_name) == ("color", False, "contradicted", "alt")
    assert word.sample  # of six pictures all are among the random hundred


def assert_beside_the_arrow(page: "Page") -> None:
    """FiftyOne's arrow to the next sample lies over no button of the panel, wherever that is scrolled to."""
    arrow = page.locator("[data-cy=nav-right-button]").locator("..").bounding_box()
    assert arrow is not None
    buttons = page.locator("[data-cy=modal] tbody").get_by_role("button").all()
    assert buttons
    for button in buttons:
        box = button.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= arrow["x"]


def test_an_edit_makes_a_set_of_its_own(page: "Page", folder: DatasetFolder) -> None:
    page.locator("[data-cy=modal]").get_by_text("Edit", exact=True).first.click()
    box = page.locator("textarea").first
    box.fill("A brown dog, edited.")
    shot(page, "edit")
    page.get_by_role("button", name="Execute").click()
    page.get_by_text("saved in the caption set 'edited': alt with 1 edited").first.wait_for()
    page.locator("[data-cy=modal]").locator("[data-verdict]", has_text="A brown dog, edited.").wait_for()
    assert folder.manifest.sets["edited"].base == "alt"
    assert "A brown dog, edited." in [row["caption"] for row in folder.read_captions("edited", 0).to_pylist()]


def test_both_outlive_the_app(page: "Page", fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = shown_dataset(fo, folder)
    keys = dataset.values("key")
    with served(folder.path) as url:
        # One picture is gone from the disk; the others are shown all the same.
        Path(dataset.values("filepath")[MISSING]).unlink()
        page.goto(url, wait_until="domcontentloaded")
        samples(page, 6)
        first = keys.index(image_key(noise_jpeg(0)))
        open_sample(page, first)
        modal = page.locator("[data-cy=modal]")
        open_sample_panel(page)
        modal.get_by_text("A brown dog, edited.").first.wait_for()
        modal.locator("tr", has_text="red dog").get_by_text("disagree", exact=True).first.wait_for()
        assert_beside_the_arrow(page)
        shot(page, "again")
        for place, expected in ((3, "כלב"), (4, "dog")):
            page.goto(f"{url}&id={dataset.values('id')[place]}", wait_until="domcontentloaded")
            open_sample_panel(page)
            modal.locator("[data-verdict]", has_text=expected).first.wait_for()
            shot(page, f"odd-{place}")
