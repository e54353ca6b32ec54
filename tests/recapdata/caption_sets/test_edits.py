"""The set of edits: another set with the edits put in, which nothing else is written over."""

from dataclasses import replace
from pathlib import Path

import pytest

from recapdata.caption_sets.edits import RecordNotFound, complete_edited, edit_caption
from recapdata.caption_sets.resuming import begin_set
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import note_sets, writing
from recapdata.errors import CaptionSetExists, CaptionSetNotFound, DatasetBusy, OptionError
from recapdata.publishing import plan_publication, publish
from recapdata.records import Provenance, image_key
from tests.builders import add_set, build_dataset, png, write_captions

KEYS = [image_key(png(index)) for index in range(6)]
ALT = ["a", "b", None, "d", "e", "f"]


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(tmp_path / "birds", sets={"alt": ALT, "long": list("ABCDEF")}, license="cc0-1.0")


def captions(folder: DatasetFolder, name: str = "edited") -> list[str | None]:
    return [
        caption
        for shard in folder.shards()
        for caption in folder.read_captions(name, shard, ["caption"]).column("caption").to_pylist()
    ]


def test_the_first_edit_makes_a_complete_set(folder: DatasetFolder) -> None:
    summary = edit_caption(folder.path, KEYS[4], " a bird 🐦 \n", of="alt")
    assert (summary.base, summary.edits, summary.caption) == ("alt", 1, "a bird 🐦")
    assert captions(folder) == ["a", "b", None, "d", "a bird 🐦", "f"]
    assert captions(folder, "alt") == ALT
    provenance = folder.manifest.sets["edited"]
    assert (provenance.writer, provenance.base, provenance.edits) == ("human", "alt", 1)
    rows = folder.read_captions("edited", 1).to_pylist()
    assert [row["finish_reason"] for row in rows] == ["edit", "import"]
    assert {row["set"] for row in rows} == {"edited"}
    assert folder.read_captions("edited", 0).to_pylist()[2]["error"] == "Refused: built to fail"


def test_an_edit_of_an_edit_replaces_it_and_the_old_words_take_it_back(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[0], "one", of="alt")
    edit_caption(folder.path, KEYS[2], "a caption at last", of="alt")
    assert edit_caption(folder.path, KEYS[0], "two", of="edited").edits == 2
    assert captions(folder) == ["two", "b", "a caption at last", "d", "e", "f"]
    assert edit_caption(folder.path, KEYS[0], "a", of="edited").edits == 1
    assert captions(folder) == ["a", "b", "a caption at last", "d", "e", "f"]
    assert folder.read_captions("edited", 0).to_pylist()[0]["finish_reason"] == "import"


def test_an_edit_of_another_set_lands_in_the_same_one(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[0], "one", of="alt")
    assert edit_caption(folder.path, KEYS[1], "Bee", of="long").base == "alt"
    assert captions(folder) == ["one", "Bee", None, "d", "e", "f"]


def test_what_the_base_gets_later_is_taken_over(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[5], "mine", of="alt")
    assert complete_edited(folder.path) == 0
    write_captions(folder, "alt", 0, KEYS[:4], ["a", "b", "c", "d"])  # a retry
    assert complete_edited(folder.path) == 1
    write_captions(folder, "alt", 1, KEYS[4:], ["E", "mine"])  # which comes to the person's own words
    assert complete_edited(folder.path) == 1
    assert captions(folder) == ["a", "b", "c", "d", "E", "mine"]
    assert folder.manifest.sets["edited"].edits == 0


def test_an_unfinished_base_is_edited_where_it_is_finished(folder: DatasetFolder) -> None:
    folder.caption_shard("alt", 1).unlink()
    edit_caption(folder.path, KEYS[0], "one", of="alt")
    assert folder.finished_captions("edited") == [0]
    with pytest.raises(CaptionSetNotFound, match="shard 1"):
        edit_caption(folder.path, KEYS[5], "six", of="alt")
    write_captions(folder, "alt", 1, KEYS[4:], ["e", "f"])
    assert complete_edited(folder.path) == 1
    assert captions(folder) == ["one", "b", None, "d", "e", "f"]


def test_refusals_leave_everything_as_it_was(folder: DatasetFolder) -> None:
    for caption, message in ((" \n", "empty"), ("\ud83d", "type it again")):
        with pytest.raises(OptionError, match=message):
            edit_caption(folder.path, KEYS[0], caption, of="alt")
    with pytest.raises(CaptionSetNotFound, match="alt, long"):
        edit_caption(folder.path, KEYS[0], "x", of="recap")
    with pytest.raises(RecordNotFound, match="audits view"):
        edit_caption(folder.path, "0" * 64, "x", of="alt")
    with writing(folder), pytest.raises(DatasetBusy):
        edit_caption(folder.path, KEYS[0], "x", of="alt")
    assert list(folder.manifest.sets) == ["alt", "long"]


def test_edits_that_were_being_taken_out_do_not_come_back(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[0], "one", of="alt")
    folder.caption_shard("edited", 1).unlink()  # so that there is something to complete
    note_sets(folder, ["edited"])  # and the removal is killed
    assert complete_edited(folder.path) == 0
    assert list(folder.manifest.sets) == ["alt", "long"]
    assert not (folder.path / "captions" / "edited").exists()


def test_a_set_of_that_name_by_others_is_kept(folder: DatasetFolder) -> None:
    add_set(folder, "edited", list("uvwxyz"))
    with pytest.raises(CaptionSetExists, match="not made by editing"):
        edit_caption(folder.path, KEYS[0], "x", of="alt")
    assert complete_edited(folder.path) == 0
    assert captions(folder) == list("uvwxyz")


def test_no_model_writes_over_edits(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[0], "one", of="alt")
    with pytest.raises(CaptionSetExists, match="human"):
        begin_set(folder, "edited", Provenance(writer="model", model="m"), overwrite=False)


def test_edits_are_in_the_next_version(hub, repo_id: str, folder: DatasetFolder) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    edit_caption(folder.path, KEYS[4], "a bird", of="alt")
    plan = plan_publication(folder.path, repo_id, version="1.1.0")
    assert plan.changes.level == "minor"
    publish(plan)
    target = open_dataset(f"{repo_id}@v1.1.0")
    assert replace(target.manifest.sets["edited"], date=None) == Provenance(
        writer="human", base="alt", edits=1
    )
    found = [caption for batch in target.read(1, ["edited"]) for caption in batch.column(0).to_pylist()]
    assert found == ["a bird", "f"]
