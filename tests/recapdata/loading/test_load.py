"""`recapdata.load`: folders and versions as `datasets`, and images that are not fetched twice."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.file_download import repo_folder_name

import recapdata
from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, HubError, OptionError
from recapdata.publishing import plan_publication, publish
from recapdata.publishing.survey import look_at_folder
from recapdata.records import IMAGE_TYPE, image_key
from tests.builders import add_set, build_dataset, png


@pytest.fixture
def folder(tmp_path: Path):
    return build_dataset(
        tmp_path / "birds",
        sets={"alt": ["a", "b", None, "d", "e", "f"], "long": list("uvwxyz")},
        license="cc0-1.0",
    )


def send(folder, repo_id: str, version: str):
    return publish(plan_publication(folder.path, repo_id, version=version))


def data_files(repo_id: str, commit: str) -> list[str]:
    """Data shards that the client has downloaded at a commit."""
    snapshot = Path(
        constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo_id, repo_type="dataset"), "snapshots", commit
    )
    return sorted(path.name for path in snapshot.glob("data/*"))


def test_a_folder(folder):
    rows = recapdata.load(folder.path)
    assert rows.column_names[-2:] == ["alt", "long"]
    assert rows["alt"][:] == ["a", "b", None, "d", "e", "f"]
    assert rows[4]["image"].size == (8, 8)
    assert rows[4]["key"] == image_key(png(4))
    assert recapdata.load(folder.path, sets=["long"], split="train[1:3]")["long"][:] == ["v", "w"]
    assert recapdata.load(folder.path, sets=[]).column_names[-1] == "objects"


def test_what_cannot_be_loaded_is_said(folder):
    with pytest.raises(CaptionSetNotFound, match="it has alt, long"):
        recapdata.load(folder.path, sets=["short"])
    with pytest.raises(OptionError, match="only split is train"):
        recapdata.load(folder.path, split="test")
    with pytest.raises(OptionError, match="has no revisions"):
        recapdata.load(folder.path, revision="v1.0.0")
    folder.caption_shard("long", 1).unlink()
    with pytest.raises(CaptionSetNotFound, match="no finished captions for shard 1") as refusal:
        recapdata.load(folder.path)
    with pytest.raises(CaptionSetNotFound) as publishing:
        look_at_folder(folder)
    assert str(refusal.value) == str(publishing.value)
    assert f"or take it out: recapdata remove {folder.path} --captions long" in str(refusal.value)


def test_a_mixture_shows_the_caption_drawn(folder):
    rows = recapdata.load(folder.path, mixture="long=1", sets=["alt"])
    assert [row["caption"] for row in rows] == list("uvwxyz")
    assert {row["caption_set"] for row in rows} == {"long"}


def test_a_version_at_its_commit(hub, repo_id, folder):
    first = send(folder, repo_id, "1.0.0")
    rows = recapdata.load(repo_id, revision="v1.0.0")
    assert rows.info.description == f"{repo_id}@{first.commit}"
    assert rows["alt"][:] == ["a", "b", None, "d", "e", "f"]
    assert rows[5]["image"].getpixel((0, 0)) == (185, 0, 5)  # png(5): 37 · 5, 0, 5
    with pytest.raises(HubError, match="no such revision"):
        recapdata.load(repo_id, revision="v3.0.0")
    with pytest.raises(HubError, match=r"'1\.0\.0' \(did you mean v1\.0\.0\?\); its versions are v1\.0\.0"):
        recapdata.load(repo_id, revision="1.0.0")


def test_images_of_an_earlier_version_are_not_fetched_again(hub, repo_id, folder):
    first = send(folder, repo_id, "1.0.0")
    recapdata.load(repo_id, revision="v1.0.0")
    assert data_files(repo_id, first.commit) == ["train-00000.parquet", "train-00001.parquet"]
    add_set(folder, "recap", [f"a bird {row}" for row in range(6)])
    second = send(folder, repo_id, "1.1.0")
    rows = recapdata.load(repo_id, revision="v1.1.0")
    assert rows["recap"][:] == [f"a bird {row}" for row in range(6)]
    assert rows[3]["image"].size == (8, 8)
    assert data_files(repo_id, second.commit) == []


def test_what_a_strange_commit_says_changes_no_version(hub, repo_id, folder, tmp_path):
    """One that is no version any more has the words of one and other pictures; one that is a branch's has words that cannot be read."""
    send(folder, repo_id, "1.0.0")
    api, shard = HfApi(), folder.image_shard(0)
    table = pq.read_table(shard)
    images = [{"bytes": png(77), "path": None}, *table.column("image").to_pylist()[1:]]
    pq.write_table(table.set_column(1, "image", pa.array(images, IMAGE_TYPE)), tmp_path / "other")
    for path, content in (("data/train-00000.parquet", tmp_path / "other"), ("contents.json", b"{}")):
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo_id, repo_type="dataset")
        snapshot_download(repo_id, repo_type="dataset", revision="main")
    with pytest.raises(DatasetDamaged, match=r"contents\.json cannot be read"):
        recapdata.load(repo_id, revision="main")
    assert recapdata.load(repo_id, revision="v1.0.0")[0]["image"].getpixel((0, 0)) == (0, 0, 0)  # png(0)


def test_a_shard_with_other_pictures_is_fetched(hub, repo_id, folder, tmp_path):
    first = send(folder, repo_id, "1.0.0")
    recapdata.load(repo_id, revision="v1.0.0")
    other = build_dataset(
        tmp_path / "other",
        images=[png(index) for index in (0, 1, 2, 3, 4)],
        sets=["alt", "long"],
        license="cc0-1.0",
    )
    second = send(other, repo_id, "2.0.0")
    rows = recapdata.load(repo_id)
    assert [row["key"] for row in rows] == [image_key(png(index)) for index in range(5)]
    assert data_files(repo_id, second.commit) == ["train-00001.parquet"]
    assert open_dataset(repo_id).manifest.parent == first.commit


def test_stock_load_dataset_fills_the_same_cache(hub, repo_id, folder, tmp_path):
    from datasets import load_dataset

    send(folder, repo_id, "1.0.0")
    load_dataset(repo_id, revision="v1.0.0", cache_dir=str(tmp_path / "cache"))
    add_set(folder, "recap", ["x"] * 6)
    second = send(folder, repo_id, "1.1.0")
    assert recapdata.load(repo_id)["recap"][:] == ["x"] * 6
    assert data_files(repo_id, second.commit) == []
