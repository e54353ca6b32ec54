"""Two revisions of a dataset in a real Chromium: each opens at its own address, and the captions of both side by side."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audits.fiftyone.dataset import build
from audits.fiftyone.source import same_pictures
from audits.runner.run import run
from recapdata.errors import OptionError
from recapdata.publishing import plan_publication, publish
from recapdata.records import Object
from tests.audits.fiftyone.browser import TIMEOUT, browsing, needs_browser, open_sample, served, shot
from tests.builders import build_dataset, noise_jpeg, write_captions

DOG = Object(bbox=(8, 20, 24, 40), category="dog", color="brown")


@pytest.fixture
def revisions(fo: ModuleType, hub: Any, repo_id: str, tmp_path: Path) -> tuple[str, str]:
    """Two published versions, of which the second has another caption for the first of three pictures."""
    folder = build_dataset(
        tmp_path / "pets",
        images=[noise_jpeg(index, (64, 64)) for index in range(3)],
        sets={"alt": ["a red dog", "a dog", "a cat"]},
        objects=[[DOG]] * 3,
        license="cc0-1.0",
    )
    run(folder.path, evidence=["annotations"])
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    write_captions(folder, "alt", 0, folder.read_keys(0), ["a brown dog", "a dog", "a cat"])
    run(folder.path, evidence=["annotations"])
    publish(plan_publication(folder.path, repo_id, version="1.1.0"))
    return f"{repo_id}@v1.0.0", f"{repo_id}@v1.1.0"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(TIMEOUT)
@needs_browser
def test_a_published_version_opens_with_another_beside_it(revisions: tuple[str, str]) -> None:
    first, second = revisions
    build(first)
    with served(second) as url, browsing() as page:
        page.goto(url, wait_until="domcontentloaded")
        page.locator("[data-cy=entry-counts]").get_by_text("3 samples", exact=True).first.wait_for()
        open_sample(page)
        modal = page.locator("[data-cy=modal]")
        modal.get_by_text("published and the same for everybody").wait_for()
        assert not modal.get_by_text("Edit", exact=True).count()
        modal.get_by_text("nothing else", exact=True).click()
        page.get_by_role("option", name=first).click()
        modal.get_by_text(f"alt in {first}").wait_for()
        modal.locator("[data-verdict=contradicted]", has_text="red").wait_for()
        modal.locator("[data-verdict=supported]", has_text="brown").wait_for()
        shot(page, "beside")
        page.keyboard.press("ArrowRight")
        modal.get_by_text(f"The same in {first}.").wait_for()


def test_datasets_of_the_same_pictures_find_each_other(
    fo: ModuleType, revisions: tuple[str, str], tmp_path: Path
) -> None:
    for name in fo.list_datasets():
        fo.delete_dataset(name)
    first, second = (build(target).name for target in revisions)
    build(build_dataset(tmp_path / "others").path)
    found = same_pictures(fo.load_dataset(second))
    assert {name: about.label for name, about in found.items()} == {first: revisions[0]}


def test_a_name_that_the_app_cannot_open_is_refused(fo: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="slash"):
        build(build_dataset(tmp_path / "pets").path, name="me/pets")
