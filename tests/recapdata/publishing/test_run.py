"""Publishing over the Hub's real protocol, and reading back with the stock `datasets`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from huggingface_hub.repocard import DatasetCard

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import writing
from recapdata.errors import (
    CaptionSetNotFound,
    DatasetBusy,
    DatasetDamaged,
    HubError,
    NothingToPublish,
    PublishRefused,
    VersionError,
)
from recapdata.publishing import plan_publication, publish
from recapdata.records import Object, image_key
from tests.builders import add_set, build_dataset, noise_jpeg, png, write_audit, write_captions
from tests.console import run_command
from tests.reading import caption_reads

LICENSE = "cc-by-4.0"


def send(folder: DatasetFolder, repo_id: str, version: str, **options):
    return publish(plan_publication(folder.path, repo_id, version=version, **options))


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(
        tmp_path / "birds",
        sets={"alt": ["a | b", "<b>", None, "d", "e", "f"]},
        columns={"tags": pa.array([["x"], [], None, ["y"], ["z"], ["q"]], pa.list_(pa.string()))},
        objects=[
            [
                Object(bbox=(0, 0, 4, 4), category="dog", mask={"size": [8, 8], "counts": "0@"}),
                Object(text="hi"),
            ]
        ]
        * 6,
        license=LICENSE,
    )


def rows_of(repo_id: str, config: str, revision: str, tmp_path: Path):
    from datasets import load_dataset

    return load_dataset(repo_id, config, revision=revision, split="train", cache_dir=str(tmp_path / "cache"))


def test_two_versions_load_with_stock_load_dataset(hub, repo_id, folder, tmp_path):
    write_audit(folder, ["alt"])
    first = send(folder, repo_id, "1.0.0")
    add_set(folder, "recap-short", [f"a bird {row}" for row in range(6)])
    write_audit(folder, ["alt", "recap-short"])
    second = send(folder, repo_id, "1.1.0")
    assert (first.tag, second.tag) == ("v1.0.0", "v1.1.0")
    for tag, sets in (("v1.0.0", ["alt"]), ("v1.1.0", ["alt", "recap-short"])):
        images = rows_of(repo_id, "default", tag, tmp_path)
        assert images.column_names[-len(sets) - 1 :] == ["tags", *sets]
        assert images["alt"][:] == ["a | b", "<b>", None, "d", "e", "f"]
        assert images[3]["image"].size == (8, 8)
        assert images[3]["key"] == image_key(png(3))
        assert images[0]["objects"][0]["bbox"] == [0, 0, 4, 4]
        assert images[0]["objects"][0]["mask"] == {"size": [8, 8], "counts": "0@"}
        assert images[0]["objects"][1]["text"] == "hi"
        captions = rows_of(repo_id, "captions", tag, tmp_path)
        assert (len(captions), captions.unique("set")) == (6 * len(sets), sets)
        audit = rows_of(repo_id, "audit", tag, tmp_path)
        assert len(audit) == 6 * len(sets)
        assert audit[0]["claims"][0]["object"] == "bird"
    api = HfApi()
    assert api.dataset_info(repo_id).private
    assert api.dataset_info(repo_id, revision="v1.0.0").sha == first.commit
    assert open_dataset(f"{repo_id}@v1.1.0").manifest.parent == first.commit
    local = folder.manifest
    assert (local.version, local.parent, local.name) == ("1.1.0", first.commit, "birds")


def test_captions_are_read_once_to_plan_and_once_to_build_what_is_sent(hub, repo_id, folder):
    write_audit(folder, ["alt"])
    shards = ("alt/train-00000", "alt/train-00001")
    with caption_reads() as reads:
        plan = plan_publication(folder.path, repo_id, version="1.0.0")
        assert reads() == dict.fromkeys(shards, 1)
        publish(plan)
        assert reads() == dict.fromkeys(shards, 1)
        write_audit(folder, ["alt"])
        reads()
        plan = plan_publication(folder.path, repo_id, version="1.0.1", license="cc0-1.0")
        assert reads() == dict.fromkeys(shards, 1)
        publish(plan)
        assert reads() == {}  # the data shards are there


def test_only_what_changed_is_sent(hub, repo_id, folder):
    assert (
        send(folder, repo_id, "1.0.0").files_sent == 2 + 2 + 3
    )  # data, captions, manifest + contents + card
    write_audit(folder, ["alt"])
    plan = plan_publication(folder.path, repo_id, version="1.0.1")
    assert [part.path for part in plan.send] == [
        "audits/alt/train-00000.parquet",
        "audits/alt/train-00001.parquet",
        "audits/summary.json",
    ]
    assert plan.changes.level == "patch"
    publish(plan)
    write_captions(folder, "alt", 1, folder.read_keys(1), ["e", "changed"])
    shutil.rmtree(folder.path / "audits")
    plan = plan_publication(folder.path, repo_id, version="1.1.0")
    assert len(plan.delete) == 3
    assert [part.path for part in plan.send] == [
        "data/train-00001.parquet",
        "captions/alt/train-00001.parquet",
    ]
    assert plan.changes.captions["alt"].changed == 1


def test_corrections_travel_along(hub, repo_id, folder, tmp_path):
    write_audit(folder, ["alt"])
    send(folder, repo_id, "1.0.0")
    word = '{"key": "' + image_key(png(0)) + '", "right": false}\n'
    (folder.path / "audits" / "corrections.jsonl").write_text(word)
    plan = plan_publication(folder.path, repo_id, version="1.0.1")
    assert (plan.changes.level, plan.changes.phrases()) == ("patch", ["corrections of the audit"])
    publish(plan)
    there = open_dataset(f"{repo_id}@v1.0.1").file("audits/corrections.jsonl")
    assert there is not None
    assert there.read_text() == word
    assert len(rows_of(repo_id, "audit", "v1.0.1", tmp_path)) == 6


def test_the_card_validates_and_escapes(hub, repo_id, folder):
    write_audit(folder, ["alt"])
    send(folder, repo_id, "1.0.0")
    path = open_dataset(repo_id).file("README.md")
    card = DatasetCard.load(path)
    card.validate()  # by the Hub
    assert card.data.license == LICENSE
    assert [config["config_name"] for config in card.data.configs] == ["default", "captions", "audit"]
    assert card.data.size_categories == ["n<1K"]
    assert "a &#124; b" in card.text
    assert "<b>" not in card.text
    assert f'load_dataset("{repo_id}", revision="v1.0.0", split="train")' in card.text
    assert "Refused 1" in card.text
    assert "50.0 % (40.0–60.0), n = 6" in card.text


def test_the_changelog_grows(hub, repo_id, folder):
    first = send(folder, repo_id, "1.0.0")
    add_set(folder, "recap", ["x"] * 6)
    send(folder, repo_id, "1.1.0")
    text = DatasetCard.load(open_dataset(repo_id).file("README.md")).text
    assert f"commit {first.commit[:12]}): first version; 6 rows; caption set alt" in text
    assert "caption set recap added" in text


def test_refusals(hub, repo_id, folder, monkeypatch):
    with pytest.raises(PublishRefused, match=r"did you mean cc-by-4\.0"):
        plan_publication(folder.path, repo_id, version="1.0.0", license="CC-BY-4")
    with pytest.raises(VersionError, match="not of the form"):
        plan_publication(folder.path, repo_id, version="one")
    send(folder, repo_id, "1.0.0")
    with pytest.raises(NothingToPublish, match=r"equals the published 1\.0\.0"):
        plan_publication(folder.path, repo_id, version="1.1.0")
    with pytest.raises(VersionError, match="exists already"):
        plan_publication(folder.path, repo_id, version="1.0.0")
    write_captions(folder, "alt", 1, folder.read_keys(1), ["e", "changed"])
    with pytest.raises(VersionError, match=r"exists already.*smallest right one is 1\.1\.0"):
        plan_publication(folder.path, repo_id, version="1.0.0")
    with pytest.raises(
        VersionError, match=r"1 caption of alt changed \(MINOR\); the smallest right one is 1\.1\.0"
    ):
        plan_publication(folder.path, repo_id, version="1.0.1")
    folder.journal("alt", 0).write_bytes(b"")
    with pytest.raises(PublishRefused, match="under way"):
        plan_publication(folder.path, repo_id, version="1.1.0")
    folder.journal("alt", 0).unlink()
    folder.caption_shard("alt", 0).unlink()
    with pytest.raises(CaptionSetNotFound, match="finish it"):
        plan_publication(folder.path, repo_id, version="1.1.0")


def test_refusals_of_the_hub(hub, repo_id, folder, monkeypatch):
    folder.save_manifest(replace(folder.manifest, license=None))
    with pytest.raises(PublishRefused, match="has no license"):
        plan_publication(folder.path, repo_id, version="1.0.0")
    with pytest.raises(HubError, match="lacks its owner"):
        plan_publication(folder.path, "birds", version="1.0.0", license=LICENSE)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match="check HF_TOKEN"):
        plan_publication(folder.path, repo_id, version="1.0.0", license=LICENSE)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="no token"):
        plan_publication(folder.path, repo_id, version="1.0.0", license=LICENSE)
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        plan_publication(folder.path, repo_id, version="1.0.0", license=LICENSE)


def test_an_ingest_under_way_is_not_published(hub, repo_id, folder):
    manifest = folder.manifest
    folder.save_manifest(replace(manifest, sources=("scenes:6", "scenes:9,seed=9")))
    with pytest.raises(PublishRefused, match=r"ingest of scenes:9,seed=9 .* interrupted"):
        plan_publication(folder.path, repo_id, version="1.0.0", license="mit")


def test_a_worse_audit_is_refused_by_name(hub, repo_id, folder):
    write_audit(
        folder, ["alt"], {"object coverage": (0.5, 0.45, 0.55), "object precision": (0.9, 0.85, 0.95)}
    )
    send(folder, repo_id, "1.0.0")
    write_audit(
        folder, ["alt"], {"object coverage": (0.5, 0.45, 0.55), "object precision": (0.7, 0.65, 0.75)}
    )
    with pytest.raises(
        PublishRefused, match=r"alt: object precision 90\.0 % .* → 70\.0 %.*--allow-regression"
    ):
        plan_publication(folder.path, repo_id, version="1.0.1")
    plan = plan_publication(folder.path, repo_id, version="1.0.1", allow_regression=True)
    assert "published with 1 audit figure worse than before" in plan.notes
    assert "worse    alt: object precision" in plan.text()


def test_an_audit_of_other_captions_is_refused(hub, repo_id, folder):
    write_audit(folder, ["alt"])
    write_captions(folder, "alt", 1, folder.read_keys(1), ["e", "changed"])
    with pytest.raises(
        PublishRefused, match=r"the audit of alt is of captions that have changed.*audits run"
    ):
        plan_publication(folder.path, repo_id, version="1.0.0")
    write_audit(folder, ["alt"])
    folder.audit_shard("alt", 1).unlink()
    (note,) = plan_publication(folder.path, repo_id, version="1.0.0").notes
    assert "covers 1 of 2 shards" in note


def test_the_console_shows_the_plan_and_exits_with_2(hub, repo_id, folder):
    command = ["recapdata", "publish", folder.path, repo_id, "--version", "1.0.0"]
    shown = run_command(*command)
    assert (shown.returncode, shown.stdout.split()[:2]) == (2, ["Hub", hub.endpoint])
    assert "add --yes" in shown.stderr
    assert not HfApi().repo_exists(repo_id, repo_type="dataset")
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
    program = Path(sys.executable).with_name("recapdata")
    done = subprocess.run(
        [program, *command[1:], "--yes", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commit"] == HfApi().dataset_info(repo_id, revision="v1.0.0").sha
    again = run_command(*command, "--yes")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith("error: version 1.0.0 exists already")


def test_removed_rows_and_shards_call_for_a_major_version(hub, repo_id, folder):
    send(folder, repo_id, "1.0.0")
    folder.image_shard(1).unlink()
    folder.caption_shard("alt", 1).unlink()
    with pytest.raises(VersionError, match=r"2 rows removed \(MAJOR\).* 2\.0\.0"):
        plan_publication(folder.path, repo_id, version="1.1.0")
    plan = plan_publication(folder.path, repo_id, version="2.0.0")
    assert plan.delete == ("captions/alt/train-00001.parquet", "data/train-00001.parquet")
    assert any("stay in the earlier versions" in note for note in plan.notes)
    publish(plan)
    assert open_dataset(repo_id).shards() == [0]
    assert open_dataset(f"{repo_id}@v1.0.0").shards() == [0, 1]


def test_more_files_than_one_commit_takes(hub, repo_id, folder, monkeypatch):
    monkeypatch.setattr("recapdata.publishing.plan.FILES_PER_COMMIT", 3)
    monkeypatch.setattr("recapdata.publishing.run.FILES_PER_COMMIT", 3)
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    assert plan.commits == 3
    summary = publish(plan)
    messages = [commit.title for commit in HfApi().list_repo_commits(repo_id, repo_type="dataset")]
    assert messages[0].startswith("v1.0.0: first version")
    assert messages.count("Part of v1.0.0") == 2
    assert HfApi().dataset_info(repo_id, revision="v1.0.0").sha == summary.commit


def test_a_folder_written_to_after_the_plan_is_refused(hub, repo_id, folder):
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    write_captions(folder, "alt", 1, folder.read_keys(1), ["e", "changed"])
    with pytest.raises(PublishRefused, match="written to since the plan"):
        publish(plan)
    with writing(folder), pytest.raises(DatasetBusy):
        publish(plan)
    assert not HfApi().repo_exists(repo_id, repo_type="dataset")


def test_someone_else_publishing_meanwhile_is_noticed(hub, repo_id, folder):
    send(folder, repo_id, "1.0.0")
    write_audit(folder, ["alt"])
    plan = plan_publication(folder.path, repo_id, version="1.0.1")
    HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="LICENSE", repo_id=repo_id, repo_type="dataset")
    with pytest.raises(PublishRefused, match="changed by someone else"):
        publish(plan)
    assert send(folder, repo_id, "1.0.1").tag == "v1.0.1"
    assert "LICENSE" in HfApi().list_repo_files(repo_id, repo_type="dataset", revision="v1.0.1")


def test_a_commit_without_its_tag_is_only_tagged(hub, repo_id, folder, monkeypatch):
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    monkeypatch.setattr(HfApi, "create_tag", lambda *_, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(plan)
    monkeypatch.undo()
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    assert plan.step == "tag"
    assert "only the tag is missing" in plan.text()
    assert publish(plan).files_sent == 0
    api = HfApi()
    assert (
        len(api.list_repo_commits(repo_id, repo_type="dataset", revision="v1.0.0")) == 2
    )  # with the first, empty one
    folder.save_manifest(replace(folder.manifest, version=None))  # killed before it was written down
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    assert plan.step == "record"
    publish(plan)
    assert folder.manifest.version == "1.0.0"


def test_public_is_asked_for(hub, repo_id, folder):
    plan = plan_publication(folder.path, repo_id, version="1.0.0", public=True)
    assert "PUBLIC" in plan.text()
    publish(plan)
    assert HfApi().dataset_info(repo_id).private is False
    write_audit(folder, ["alt"])
    plan = plan_publication(folder.path, repo_id, version="1.0.1")
    assert (plan.private, plan.exists) == (False, True)
    assert any("exists and is public" in note for note in plan.notes)


def test_a_published_version_reads_like_its_folder(hub, repo_id, folder):
    write_audit(folder, ["alt"])
    send(folder, repo_id, "1.0.0")
    local, remote = open_dataset(folder.path), open_dataset(f"{repo_id}@v1.0.0")
    for columns in (["key"], ["alt", "key"], ["key", "objects", "tags", "alt"], ["image", "width", "alt"]):
        for shard in (0, 1):
            mine = pa.Table.from_batches(local.read(shard, columns)).to_pylist()
            assert pa.Table.from_batches(remote.read(shard, columns)).to_pylist() == mine
    assert remote.rows(1) == 2
    assert remote.summary() == local.summary()
    assert remote.read_audit("alt", 0).num_rows == 4
    assert remote.read_captions("alt", 0).equals(local.read_captions("alt", 0))
    with pytest.raises(HubError, match="no such revision"):
        open_dataset(f"{repo_id}@v9.9.9")
    with pytest.raises(HubError, match="no such dataset"):
        open_dataset("tests/nothing-there")


def test_row_groups_keep_their_boundaries(hub, repo_id, folder):
    send(folder, repo_id, "1.0.0")
    path = open_dataset(repo_id).file("data/train-00000.parquet")
    groups = pq.read_metadata(path)
    assert [groups.row_group(place).num_rows for place in range(groups.num_row_groups)] == [2, 2]


@pytest.mark.parametrize("request_", ["preupload_lfs_files", "create_commit", "create_tag"])
def test_killed_before_any_request_the_same_command_finishes(hub, repo_id, folder, tmp_path, request_):
    first = send(folder, repo_id, "1.0.0")
    add_set(folder, "recap", ["x"] * 6)
    write_audit(folder, ["alt", "recap"])
    command = [sys.executable, "-m", "tests.recapdata.publishing.publish_and_die", request_]
    died = subprocess.run([*command, folder.path, repo_id, "1.1.0"], check=False)
    assert died.returncode == -signal.SIGKILL
    second = send(folder, repo_id, "1.1.0")
    api = HfApi()
    tags = [tag.name for tag in api.list_repo_refs(repo_id, repo_type="dataset").tags]
    assert sorted(tags) == ["v1.0.0", "v1.1.0"]
    assert api.dataset_info(repo_id, revision="v1.0.0").sha == first.commit
    assert api.dataset_info(repo_id, revision="v1.1.0").sha == second.commit
    assert not list(folder.path.glob(".publishing"))
    assert len(rows_of(repo_id, "default", "v1.1.0", tmp_path)) == 6
    assert len(rows_of(repo_id, "captions", "v1.1.0", tmp_path)) == 12
    assert len(rows_of(repo_id, "audit", "v1.1.0", tmp_path)) == 12
    assert rows_of(repo_id, "default", "v1.0.0", tmp_path).column_names[-1] == "alt"


def test_a_picture_that_changed_on_the_disk_is_not_published(hub, repo_id, tmp_path):
    images = [noise_jpeg(index) for index in range(6)]
    folder = build_dataset(tmp_path / "birds", images=images, license=LICENSE)
    path = folder.image_shard(1)
    content = path.read_bytes()
    middle = images[5][1000:1064]
    place = content.index(middle)
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(DatasetDamaged, match=rf"train-00001\.parquet, row 1: .*key {image_key(images[5])}"):
        send(folder, repo_id, "1.0.0")
    assert HfApi().list_repo_refs(repo_id, repo_type="dataset").tags == []
    assert not (folder.path / ".publishing").exists()
    path.write_bytes(content)  # restored
    assert send(folder, repo_id, "1.0.0").rows == 6


def test_what_people_wrote_into_the_repository_stays(hub, repo_id, folder):
    """A section and a field of the card, and files of their own, through two versions."""
    api = HfApi()
    send(folder, repo_id, "1.0.0")
    path = api.hf_hub_download(repo_id, "README.md", repo_type="dataset")
    card = Path(path).read_text()
    card = card.replace("---\n", "---\nextra_gated_prompt: Ask Ann.\n", 1)
    card = card.replace("## Load this version", "## How we collected it\n\nBy hand.\n\n## Load this version")
    own = ("data/notes.csv", "captions/alt/readme.txt", "failures/why.md", "LICENSE")
    for name, content in (("README.md", card), *((name, "x,y") for name in own)):
        api.upload_file(
            repo_id=repo_id, repo_type="dataset", path_in_repo=name, path_or_fileobj=content.encode()
        )
    for number, version in enumerate(("1.1.0", "1.2.0")):
        add_set(folder, f"set-{number}", [f"a bird {number} {row}" for row in range(6)])
        plan = plan_publication(folder.path, repo_id, version=version)
        assert plan.delete == ()
        assert plan.to_dict()["card_keeps"] == ["## How we collected it", "extra_gated_prompt"]
        assert (
            "keeps what was written there by hand: ## How we collected it; extra_gated_prompt" in plan.text()
        )
        publish(plan)
        path = api.hf_hub_download(repo_id, "README.md", repo_type="dataset", revision=f"v{version}")
        assert Path(path).read_text().count("## How we collected it\n\nBy hand.\n") == 1
        assert DatasetCard.load(path).data.to_dict()["extra_gated_prompt"] == "Ask Ann."
        assert set(own) <= set(api.list_repo_files(repo_id, repo_type="dataset"))


def test_a_file_that_would_be_read_as_rows_is_named_before_it_goes(hub, repo_id, folder):
    send(folder, repo_id, "1.0.0")
    api, name = HfApi(), "data/train-extra.parquet"
    api.upload_file(repo_id=repo_id, repo_type="dataset", path_in_repo=name, path_or_fileobj=b"rows")
    add_set(folder, "new", ["a bird"] * 6)
    plan = plan_publication(folder.path, repo_id, version="1.1.0")
    assert plan.delete == (name,)
    assert f"{name} is deleted: it is none of this version's files" in plan.text()
    publish(plan)
    assert name not in api.list_repo_files(repo_id, repo_type="dataset")


def test_a_killed_publication_leaves_no_edits_behind(hub, repo_id, folder):
    """What recapdata itself wrote before it was killed is nobody's edit."""
    send(folder, repo_id, "1.0.0")
    add_set(folder, "new", ["a bird"] * 6)
    module = "tests.recapdata.publishing.publish_and_die"
    died = subprocess.run(
        [sys.executable, "-m", module, "create_tag", str(folder.path), repo_id, "1.1.0"], check=False
    )
    assert died.returncode == -signal.SIGKILL
    add_set(folder, "more", ["another bird"] * 6)
    plan = plan_publication(folder.path, repo_id, version="1.1.0")
    assert (plan.step, plan.card.kept, plan.card.lost) == ("publish", [], ())
