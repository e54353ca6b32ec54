"""Edits and corrections made while looking: in the folder first, in the sample too, kept, compared and published."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audits.corrections import agreement, read_corrections
from audits.fiftyone.app import PLUGIN_FOLDER, install
from audits.fiftyone.changes import claims_of, decided, mark, save_edit, subject, words_of_people
from audits.fiftyone.dataset import build
from audits.fiftyone.source import shown, writable
from audits.fiftyone.views import SAMPLE_VIEW
from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import NotADataset, OptionError
from recapdata.publishing import plan_publication, publish
from recapdata.records import Object, image_key
from tests.builders import build_dataset, png, write_captions

KEYS = [image_key(png(index)) for index in range(6)]
DOG = Object(bbox=(2, 0, 4, 8), category="dog", color="brown")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    captions = ["a red dog", "a dog", None, "<i>html</i> 🐶 כלב", "a cat", "x " * 10_000]
    folder = build_dataset(
        tmp_path / "pets",
        sets={"alt": captions, "recap-short": ["A dog."] * 6},
        objects=[[DOG]] * 6,
        license="cc0-1.0",
    )
    run(folder.path, evidence=["annotations"])
    return folder


def sample(dataset: Any, index: int) -> Any:
    return dataset.match({"key": KEYS[index]}).first()


def test_an_edit_is_shown_kept_compared_and_published(
    fo: ModuleType, hub: Any, repo_id: str, folder: DatasetFolder
) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    summary = save_edit(dataset, sample(dataset, 0), "alt", "a brown dog")
    assert (summary.base, summary.edits) == ("alt", 1)
    edited = sample(dataset, 0)
    assert (edited.edited, edited.alt, edited.edited_audit) == ("a brown dog", "a red dog", None)
    assert dataset.values("edited")[1:] == dataset.values("alt")[1:]
    save_edit(dataset, sample(dataset, 4), "edited", "a dog, sitting")

    run(folder.path, evidence=["annotations"])
    again = fo.load_dataset(build(folder.path).name)  # as the next `audits view` does
    again.reload()
    assert again.values("edited")[4] == "a dog, sitting"
    assert sample(again, 0).edited_audit["contradicted"] == 0
    assert sample(again, 0).alt_audit["contradicted"] == 1

    from audits.comparison import compare

    found = compare(folder.path, "alt", folder.path, "edited").sets[0]
    precision = next(each for each in found.figures if each.name == "color precision")
    assert precision.a is not None
    assert precision.b is not None
    assert (precision.a.value, precision.b.value) == (0, 1)
    assert KEYS[0] in [row.key for row in found.rows]

    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    target = open_dataset(f"{repo_id}@v1.0.0")
    assert next(target.read(0, ["edited"])).column(0).to_pylist()[0] == "a brown dog"


def test_captions_are_not_changed_past_the_set_of_edits(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    save_edit(dataset, sample(dataset, 0), "alt", "a brown dog")
    for field in ("alt", "recap_short", "edited"):
        with pytest.raises(ValueError, match="read-only"):
            sample(dataset, 1)[field] = "a cat"
        with pytest.raises(ValueError, match="read-only"):
            dataset.set_values(field, {dataset.first().id: "a cat"}, key_field="id")
    save_edit(
        dataset, sample(dataset, 0), "edited", "a dog"
    )  # and is open to the next edit, and the next build
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", None])
    build(folder.path)
    dataset.reload()
    assert (sample(dataset, 0)["edited"], sample(dataset, 4)["alt"]) == ("a dog", "a bird")


def test_words_on_verdicts_are_kept_and_counted(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    first = sample(dataset, 0)
    places = decided(claims_of(dataset, first, "alt"))
    assert len(places) == 2  # the dog, and its color
    assert mark(dataset, first, "alt", places[:1], right=True) == 1
    assert mark(dataset, first, "alt", places, right=True) == 2
    color = next(p for p in places if claims_of(dataset, first, "alt")[p]["kind"] == "color")
    mark(dataset, first, "alt", [color], right=False)
    said = words_of_people(dataset, first["key"])
    claims = claims_of(dataset, first, "alt")
    assert [said[subject(first["key"], "alt", claims[p])] for p in places] == [p != color for p in places]
    assert KEYS[0] in dataset.load_saved_view(SAMPLE_VIEW).values("key")
    found = agreement(read_corrections(folder.path))
    assert (found.right, found.judged) == (1, 2)
    undecided = [
        p for p, claim in enumerate(claims_of(dataset, sample(dataset, 3), "alt")) if p not in places
    ]
    with pytest.raises(OptionError, match="decided nothing"):
        mark(dataset, sample(dataset, 3), "alt", undecided[:1] or [0], right=True)


def test_a_published_version_is_read_only(
    fo: ModuleType, hub: Any, repo_id: str, folder: DatasetFolder
) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    dataset = fo.load_dataset(build(f"{repo_id}@v1.0.0").name)
    about = shown(dataset)
    assert about is not None
    assert f"version 1.0.0 of {repo_id}" in about.read_only
    assert "audits view DIR" in about.read_only
    with pytest.raises(NotADataset, match="published"):
        save_edit(dataset, sample(dataset, 0), "alt", "x")
    with pytest.raises(NotADataset, match="published"):
        mark(dataset, sample(dataset, 0), "alt", [0], right=True)


def test_a_folder_that_is_gone_is_said(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    folder.path.rename(folder.path.with_name("elsewhere"))
    with pytest.raises(NotADataset, match="not there any more"):
        writable(dataset)
    with pytest.raises(NotADataset, match="audits view"):
        writable(fo.Dataset())


def test_odd_captions_are_whole(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    assert len(sample(dataset, 5).alt) == 20_000
    assert sample(dataset, 3).alt == "<i>html</i> 🐶 כלב"


def test_a_branch_that_moved_is_said(
    fo: ModuleType, hub: Any, repo_id: str, folder: DatasetFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    first = build(f"{repo_id}@main")
    folder.save_manifest(replace(folder.manifest, license="cc-by-4.0"))
    publish(plan_publication(folder.path, repo_id, version="1.0.1"))
    capsys.readouterr()
    second = build(f"{repo_id}@main")
    said = capsys.readouterr().err
    assert f"{repo_id}@main has moved" in said
    assert first.name in said
    assert second.name in said
    build(f"{repo_id}@main")
    assert "moved" not in capsys.readouterr().err


def test_a_picture_that_was_deleted_comes_back(fo: ModuleType, folder: DatasetFolder, tmp_path: Path) -> None:
    dataset = fo.load_dataset(build(folder.path, media=tmp_path / "media").name)
    picture = Path(sample(dataset, 0).filepath)
    picture.unlink()
    build(folder.path, media=tmp_path / "media")
    assert picture.read_bytes() == png(0)


def test_the_plugin_installs_itself_and_says_what_it_has(fo: ModuleType) -> None:
    place = install()
    assert place == install()
    assert place.resolve() == PLUGIN_FOLDER
    listed = subprocess.run(
        [Path(sys.executable).with_name("fiftyone"), "plugins", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "@recapdata/caption-audit" in listed.stdout
    from fiftyone.plugins.context import build_plugin_contexts

    (mine,) = [each for each in build_plugin_contexts() if each.name == "@recapdata/caption-audit"]
    assert mine.errors == []
    import yaml

    promised = yaml.safe_load((PLUGIN_FOLDER / "fiftyone.yml").read_text())
    assert {each.name for each in mine.instances} == {*promised["operators"], *promised["panels"]}
    for each in mine.instances:
        assert each.config.icon, each.name
        assert each.config.label != each.name
