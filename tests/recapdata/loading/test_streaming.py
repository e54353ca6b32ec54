"""`recapdata.load(streaming=True)`: the same rows as without, whatever part of them is read, and by whom."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Image

import recapdata
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, OptionError
from recapdata.loading.streaming import parts_of
from recapdata.publishing import plan_publication, publish
from recapdata.records import IMAGE_TYPE
from tests.builders import build_dataset, png
from tests.recapdata.loading.test_load import data_files


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in shards of four and two, with row groups of two."""
    sets = {"alt": ["a", "b", None, "d", "e", "f"], "long": list("uvwxyz")}
    return build_dataset(tmp_path / "birds", sets=sets, license="cc0-1.0")


@pytest.fixture(params=["folder", "version"])
def target(request: pytest.FixtureRequest, folder: DatasetFolder) -> str:
    if request.param == "folder":
        return str(folder.path)
    request.getfixturevalue("hub")
    repo_id = request.getfixturevalue("repo_id")
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    return repo_id


def test_the_rows_are_those_of_the_whole_dataset(target: str) -> None:
    streamed = recapdata.load(target, streaming=True)
    loaded = recapdata.load(target)
    assert streamed.info.description == loaded.info.description == open_dataset(target).resolved
    assert streamed.features == loaded.features
    rows = list(streamed)
    assert [row["key"] for row in rows] == loaded["key"][:]
    assert [row["alt"] for row in rows] == ["a", "b", None, "d", "e", "f"]
    assert rows[5]["image"].getpixel((0, 0)) == (185, 0, 5)  # png(5): 37 · 5, 0, 5
    assert next(iter(recapdata.load(target, streaming=True, sets=["long"]))).keys() == {
        *loaded.column_names
    } - {"alt"}


def test_a_streamed_version_is_not_downloaded(hub, repo_id: str, folder: DatasetFolder) -> None:
    commit = publish(plan_publication(folder.path, repo_id, version="1.0.0")).commit
    assert len(list(recapdata.load(repo_id, revision="v1.0.0", streaming=True))) == 6
    assert data_files(repo_id, commit) == []


@pytest.mark.parametrize(
    ("split", "captions"),
    [
        ("train[:100]", "uvwxyz"),
        ("train[1:5]", "vwxy"),  # from inside the first shard to inside the second
        ("train[50%:]", "xyz"),
        ("train[-1:]", "z"),
        ("train[:1]+train[4:]", "uyz"),
    ],
)
def test_slices_are_those_of_datasets(target: str, split: str, captions: str) -> None:
    streamed = recapdata.load(target, split=split, streaming=True)
    assert "".join(row["long"] for row in streamed) == captions
    assert "".join(recapdata.load(target, split=split)["long"]) == captions


def test_rows_of_other_shards_are_not_read(folder: DatasetFolder) -> None:
    assert parts_of(open_dataset(folder.path), "train[4:]") == [(1, 0, 2)]
    assert parts_of(open_dataset(folder.path), "train") == [(0, 0, None), (1, 0, None)]


def test_every_node_and_worker_reads_rows_of_its_own(target: str) -> None:
    from datasets.distributed import split_dataset_by_node
    from torch.utils.data import DataLoader

    streamed = recapdata.load(target, streaming=True, sets=["long"]).select_columns(["long"])
    nodes = [split_dataset_by_node(streamed, rank=rank, world_size=2) for rank in (0, 1)]
    assert ["".join(row["long"] for row in node) for node in nodes] == ["uvwx", "yz"]
    for start in ("fork", "spawn"):
        loader = DataLoader(streamed, batch_size=None, num_workers=2, multiprocessing_context=start)
        assert sorted(row["long"] for row in loader) == list("uvwxyz")


def test_a_mixture_draws_what_it_draws_of_the_whole_dataset(target: str) -> None:
    mixture = recapdata.Mixture.parse("alt=0.5,long=0.5")
    for epoch in (0, 1):
        streamed = list(recapdata.load(target, mixture=mixture, seed=3, epoch=epoch, streaming=True))
        loaded = list(recapdata.load(target, mixture=mixture, seed=3, epoch=epoch))
        assert [row["caption"] for row in streamed] == [row["caption"] for row in loaded]
        assert {row["caption_set"] for row in streamed} == {"alt", "long"}


def test_a_stream_goes_on_from_its_state(target: str) -> None:
    streamed = recapdata.load(target, streaming=True)
    rows = iter(streamed)
    assert [next(rows)["long"] for _ in range(3)] == list("uvw")
    state = streamed.state_dict()
    again = recapdata.load(target, streaming=True)
    again.load_state_dict(state)
    assert [row["long"] for row in again] == list("xyz")


def test_what_cannot_be_streamed_is_said(folder: DatasetFolder, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="only split is train"):
        recapdata.load(folder.path, split="test[:3]", streaming=True)
    for streaming in (True, False):
        with pytest.raises(OptionError, match=r"split 'train\[x\]': .*write train"):
            recapdata.load(folder.path, split="train[x]", streaming=streaming)
        with pytest.raises(OptionError, match="holds no rows; it has 6"):
            recapdata.load(folder.path, split="train[3:3]", streaming=streaming)
    folder.caption_shard("long", 1).unlink()
    with pytest.raises(CaptionSetNotFound, match="no finished captions for shard 1"):
        list(recapdata.load(folder.path, streaming=True))
    assert len(list(recapdata.load(folder.path, sets=["alt"], streaming=True))) == 6
    path = tmp_path / "paths"
    other = build_dataset(path, images=[png(0)], sets=[])
    _make_paths(other)
    with pytest.raises(DatasetDamaged, match="holds no bytes"):
        list(recapdata.load(other.path, streaming=True))


def _make_paths(folder: DatasetFolder) -> None:
    """Write the image of the first shard as a path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder.image_shard(0))
    place = table.schema.get_field_index("image")
    image = pa.array([{"bytes": None, "path": "/etc/hostname"}], table.schema.field("image").type)
    pq.write_table(table.set_column(place, table.schema.field("image"), image), folder.image_shard(0))


def test_images_of_other_columns_are_decoded_too(hub, repo_id: str, tmp_path: Path) -> None:
    edited = pa.array([{"bytes": png(7), "path": None}, None, {"bytes": png(8), "path": "b.png"}], IMAGE_TYPE)
    folder = build_dataset(tmp_path / "pairs", rows=3, columns={"edited": edited}, license="cc0-1.0")
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    for target in (str(folder.path), repo_id):
        for rows in (recapdata.load(target), recapdata.load(target, streaming=True)):
            assert isinstance(rows.features["edited"], Image)
            found = [row["edited"] and row["edited"].getpixel((0, 0)) for row in rows]
            assert found == [(3, 0, 7), None, (40, 0, 8)]  # png(n): 37 · n, 0, n


def test_a_path_in_another_column_of_images_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "own.png").write_bytes(png(9))
    edited = [{"bytes": png(7), "path": None}, {"bytes": None, "path": str(tmp_path / "own.png")}]
    folder = build_dataset(tmp_path / "pairs", rows=2, columns={"edited": pa.array(edited, IMAGE_TYPE)})
    with pytest.raises(DatasetDamaged, match="names a file"):
        recapdata.load(folder.path)
    with pytest.raises(DatasetDamaged, match="names a file"):
        list(recapdata.load(folder.path, streaming=True))


def test_a_column_that_no_shard_has_is_damage(folder: DatasetFolder) -> None:
    folder.save_manifest(replace(folder.manifest, columns=("../precious/key",)))
    with pytest.raises(DatasetDamaged, match="no shard has the column"):
        recapdata.load(str(folder.path), streaming=True)
