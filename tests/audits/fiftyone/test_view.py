"""The FiftyOne dataset on a real MongoDB: what is in it, what a second build changes, and what it refuses to mix."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from audits.fiftyone import require
from audits.fiftyone.dataset import build
from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.removal import remove
from recapdata.errors import DatasetExists, MissingExtra, SourceNotFound
from recapdata.ingestion import ingest
from recapdata.records import Object, image_key
from tests.builders import add_set, build_dataset, png, write_captions
from tests.console import run_command

AUDITS = Path(sys.executable).with_name("audits")
ALT = ["a red dog", "two dogs", None, "<b>bold</b> מילים 🐶", "a cat", "dog"]
DOG = Object(bbox=(2, 0, 4, 8), category="dog", color="brown")
OBJECTS = [[DOG], [DOG, DOG], [], [], [DOG], [DOG]]
KEYS = [image_key(png(index)) for index in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six 8×8 pictures in two shards, audited with their annotations."""
    folder = build_dataset(
        tmp_path / "birds", sets={"alt": ALT, "recap-short": ["A dog."] * 6}, objects=OBJECTS
    )
    run(folder.path, evidence=["annotations"])
    return folder


def sample(dataset, index: int):
    return dataset.one(require().ViewField("key") == KEYS[index])


def test_a_sample_holds_all_there_is(fo: ModuleType, folder: DatasetFolder) -> None:
    summary = build(folder.path)
    dataset = fo.load_dataset(summary.name)
    assert (summary.samples, summary.added, summary.updated, summary.removed) == (6, 6, 0, 0)
    assert (dataset.persistent, len(dataset)) == (True, 6)
    assert dataset.values("key") == KEYS
    assert dataset.values("alt") == ALT
    assert dataset.values("recap_short") == ["A dog."] * 6
    assert Path(sample(dataset, 1).filepath).read_bytes() == png(1)

    (box,) = sample(dataset, 0).annotations.detections
    assert (box.label, box["color"]) == ("dog", "brown")
    assert box.bounding_box == [2 / 8, 0, 4 / 8, 1]

    audit = sample(dataset, 0).alt_audit
    assert (audit["words"], audit["claims_total"], audit["claims_color"]) == (3, 2, 1)
    assert (audit["supported"], audit["contradicted"], audit["unknown"]) == (1, 1, 0)
    assert audit["says"] == ["red dog", "dog"]
    assert audit["wrong"] == ["red dog (annotations: dog is brown)"]
    color = next(claim for claim in sample(dataset, 0).alt_claims if claim["kind"] == "color")
    assert (color["span"], color["words"], color["verdict"]) == ([2, 9], "red dog", "contradicted")
    assert sample(dataset, 2).alt_audit is None  # no caption, nothing to audit
    assert sample(dataset, 3).alt_audit["flags"] == ["wrong_script", "markup", "not_english", "html"]
    assert sample(dataset, 4).alt_audit["missed"] == ["dog"]


def test_it_is_stored_as_fiftyone_itself_would(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    stored = {each["key"]: each for each in dataset._sample_collection.find()}
    for each in dataset:
        each._doc.validate()
        written = each.to_mongo_dict(include_id=True)
        assert {name: value for name, value in written.items() if value is not None} == {
            name: value for name, value in stored[each["key"]].items() if value is not None
        }
    box = sample(dataset, 0).annotations.detections[0].to_dict()
    built = fo.Detection(label="dog", bounding_box=box["bounding_box"], color="brown", id=str(box["_id"]))
    assert box == built.to_dict()


def test_it_equals_the_audit_row_by_row(fo: ModuleType, folder: DatasetFolder) -> None:
    import pyarrow.parquet as pq

    dataset = fo.load_dataset(build(folder.path).name)
    for set_name, field in (("alt", "alt"), ("recap-short", "recap_short")):
        rows = [
            row
            for shard in folder.shards()
            for row in pq.read_table(folder.audit_shard(set_name, shard)).to_pylist()
        ]
        both = zip(dataset.values(f"{field}_audit"), dataset.values(f"{field}_claims"), strict=True)
        for row, (shown, claims) in zip(rows, both, strict=True):
            if row["claims"] is None:
                assert shown is None
                continue
            assert [claim["verdict"] for claim in claims] == [claim["verdict"] for claim in row["claims"]]
            assert {name: shown[name] for name in row["scores"]} == row["scores"]


def test_fields_can_be_filtered_by(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    field = fo.ViewField
    assert dataset.match(field("alt_audit.contradicted") > 0).values("key") == [KEYS[0], KEYS[4]]
    assert dataset.match(field("alt_audit.flags").contains("markup")).values("key") == [KEYS[3]]
    assert dataset.match(field("alt_audit.claims_count") > 0).values("key") == [KEYS[1]]
    schema = dataset.get_field_schema(flat=True)
    assert "alt_audit.clip_score" in schema  # declared though there is none yet


def test_info_says_where_it_comes_from(fo: ModuleType, folder: DatasetFolder) -> None:
    about = fo.load_dataset(build(folder.path).name).info["recapdata"]
    assert about["folder"] == str(folder.path)
    assert about["fields"] == {"alt": "alt", "recap-short": "recap_short"}
    assert about["sets"]["alt"]["writer"] == "web"
    assert about["audit"]["sets"]["alt"]["missing"] == 1


def test_a_second_build_changes_nothing(fo: ModuleType, folder: DatasetFolder) -> None:
    name = build(folder.path).name
    dataset = fo.load_dataset(name)
    ids, stamps = dataset.values("id"), dataset.values("last_modified_at")
    pictures = [Path(each).stat().st_mtime_ns for each in dataset.values("filepath")]
    again = build(folder.path)
    assert (again.name, again.added, again.updated, again.removed) == (name, 0, 0, 0)
    dataset.reload()
    assert (dataset.values("id"), dataset.values("last_modified_at")) == (ids, stamps)
    assert [Path(each).stat().st_mtime_ns for each in dataset.values("filepath")] == pictures


def test_what_changed_is_brought_up_to_date_in_place(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    ids = dataset.values("id")
    liked = sample(dataset, 5)
    liked.tags.append("liked")
    liked.save()
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", None])
    add_set(folder, "edited", [f"edit {index}" for index in range(6)])
    run(folder.path, evidence=["annotations"])
    summary = build(folder.path)
    assert (summary.samples, summary.added, summary.updated) == (6, 0, 6)
    dataset.reload()
    assert dataset.values("id") == ids
    assert sample(dataset, 4).alt == "a bird"
    assert sample(dataset, 4).alt_audit["says"] == ["bird"]
    assert (sample(dataset, 5).alt, sample(dataset, 5).alt_audit, sample(dataset, 5).tags) == (
        None,
        None,
        ["liked"],
    )
    assert dataset.values("edited") == [f"edit {index}" for index in range(6)]


def test_only_the_changed_shard_is_touched(fo: ModuleType, folder: DatasetFolder) -> None:
    build(folder.path)
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", "two birds"])
    run(folder.path, evidence=["annotations"])
    summary = build(folder.path)
    assert (summary.added, summary.updated) == (0, 2)


def test_a_stale_audit_is_not_shown(fo: ModuleType, folder: DatasetFolder, capsys) -> None:
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", "two birds"])
    dataset = fo.load_dataset(build(folder.path).name)
    assert (sample(dataset, 4).alt, sample(dataset, 4).alt_audit) == ("a bird", None)
    assert sample(dataset, 0).alt_audit is not None
    assert "alt, shard 1: its audit is of other captions" in capsys.readouterr().err


def test_a_set_that_is_gone_takes_its_fields_along(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    manifest = folder.manifest
    folder.save_manifest(replace(manifest, sets={"alt": manifest.sets["alt"]}))
    build(folder.path)
    dataset.reload()
    assert not any(name.startswith("recap_short") for name in dataset.get_field_schema())
    assert dataset.values("alt") == ALT


def test_removed_records_go(fo: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    ingest("scenes:5", folder)
    dataset = fo.load_dataset(build(folder).name)
    gone, *left = dataset.values("key")
    (tmp_path / "keys.txt").write_text(f"{gone}\n")
    remove(folder, tmp_path / "keys.txt")
    summary = build(folder)
    assert (summary.samples, summary.removed) == (4, 1)
    dataset.reload()
    assert dataset.values("key") == left


def test_a_name_taken_by_something_else_is_refused(
    fo: ModuleType, folder: DatasetFolder, tmp_path: Path
) -> None:
    build(folder.path, name="mine")
    other = build_dataset(tmp_path / "other")
    with pytest.raises(DatasetExists, match=r"birds.*--name"):
        build(other.path, name="mine")
    fo.Dataset("theirs", persistent=True)
    with pytest.raises(DatasetExists, match="theirs"):
        build(other.path, name="theirs")
    assert len(fo.load_dataset("theirs")) == 0


def test_two_revisions_never_share_a_dataset_but_share_pictures(
    fo: ModuleType, hub, repo_id: str, folder: DatasetFolder
) -> None:
    from recapdata.publishing import plan_publication, publish

    folder.save_manifest(replace(folder.manifest, license="cc0-1.0"))
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    first = build(f"{repo_id}@v1.0.0")
    add_set(folder, "edited", ["an edit"] * 6)
    publish(plan_publication(folder.path, repo_id, version="1.1.0"))
    second = build(f"{repo_id}@v1.1.0")
    assert first.name != second.name
    one, two = fo.load_dataset(first.name), fo.load_dataset(second.name)
    assert not one.has_field("edited")
    assert two.values("edited") == ["an edit"] * 6
    assert one.values("filepath") == two.values("filepath")
    assert one.info["recapdata"]["commit"] != two.info["recapdata"]["commit"]
    assert one.values("alt_audit.words") == two.values("alt_audit.words")  # the published audit
    # `main` has moved on: it is the second commit, in a dataset of its own name, and v1.0.0's stays what it was.
    assert build(f"{repo_id}@main").name not in (first.name, second.name)
    assert build(f"{repo_id}@v1.0.0").updated == 0


def test_without_fiftyone_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, folder: DatasetFolder
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(MissingExtra, match=r"recapdata\[view\]"):
        build(folder.path)


def test_a_dataset_that_is_none_is_told_before_fiftyone_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)  # which would start MongoDB
    with pytest.raises(SourceNotFound, match="no such folder"):
        build(tmp_path / "nowhere")


def test_console(fo: ModuleType, folder: DatasetFolder) -> None:
    done = run_command("audits", "view", folder.path, "--no-app", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert (summary["samples"], summary["audited"]) == (6, ["alt", "recap-short"])
    assert summary["name"] in fo.list_datasets()


def test_another_database_of_this_user_is_left_alone(
    fo: ModuleType, folder: DatasetFolder, tmp_path: Path
) -> None:
    fo.list_datasets()  # the database of the tests is running
    elsewhere = {name: each for name, each in os.environ.items() if name != "FIFTYONE_PRIVATE_DATABASE_PORT"}
    elsewhere |= {
        "FIFTYONE_DATABASE_DIR": str(tmp_path / "db"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(tmp_path / "media"),
    }
    command = [AUDITS, "view", folder.path, "--no-app", "--name", "elsewhere"]
    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("waiting for MongoDB")]
    assert (done.returncode, said) == (0, [])
    assert (tmp_path / "db" / "WiredTiger").exists()
    assert "elsewhere" not in fo.list_datasets()
