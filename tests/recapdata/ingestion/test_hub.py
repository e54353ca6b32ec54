"""Datasets of a Hub as sources, through a real Hub on loopback and the stock clients."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from huggingface_hub import HfApi

from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import DatasetExists, HubError, OptionError, SourceError, SourceNotFound
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.hub import HubDataset, open_hub
from recapdata.records import Counts, Item
from tests.builders import png
from tests.recapdata.ingestion.sources import Interrupted, table

FEATURES = Features(
    {
        "picture": Image(),
        "label": ClassLabel(names=["cat", "dog"]),
        "text": Value("string"),
        "license": Value("string"),
        "width": Value("int64"),
        "objects": {
            "bbox": List(List(Value("float32"))),
            "category": List(ClassLabel(names=["ear", "tail"])),
        },
    }
)


def rows(*numbers: int) -> Dataset:
    values = [
        {
            "picture": {"bytes": png(number), "path": f"{number}.jpg"},
            "label": number % 2,
            "text": f"text {number}",
            "license": "mit",
            "width": 9,
            "objects": {"bbox": [[1, 2, 3, 4]], "category": [1]},
        }
        for number in numbers
    ]
    return Dataset.from_list(values, features=FEATURES)


def commit_of(repo_id: str) -> str:
    return str(HfApi().dataset_info(repo_id).sha)


def read(argument: str) -> tuple[HubDataset, list[Item]]:
    source = open_hub(argument, IngestOptions())
    return source, list(source.items(0))


@pytest.mark.usefixtures("hub")
def test_a_damaged_row_group_loses_its_own_rows_only(repo_id: str, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    images = [png(number, (40 + number, 40)) for number in range(9)]
    text = [f"{number:05d}" * 40 for number in range(9)]
    pq.write_table(pa.table({"image": images, "text": text}), path, row_group_size=3, use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(1).column(1).data_page_offset
    content[start : start + 60] = b"\xff" * 60
    HfApi().create_repo(repo_id, repo_type="dataset")
    HfApi().upload_file(
        path_or_fileobj=bytes(content), path_in_repo="train.parquet", repo_id=repo_id, repo_type="dataset"
    )
    summary = ingest(f"hf:{repo_id}", tmp_path / "out")
    assert (summary.counts.records, summary.counts.failures) == (6, 3)
    assert [each.error for each in summary.failures] == ["BrokenRow"]


@pytest.mark.usefixtures("hub")
def test_columns_come_along_in_their_types_and_names(repo_id: str) -> None:
    rows(*range(5)).push_to_hub(repo_id)
    source, items = read(repo_id)
    commit = commit_of(repo_id)
    assert source.name == f"hf:{repo_id}@{commit}"
    assert [each.image for each in items] == [png(number) for number in range(5)]
    assert dict(items[1].columns) == {"label": "dog", "text": "text 1", "width_in_source": 9}
    assert items[1].license == "mit"
    assert [(each.bbox, each.category) for each in items[1].objects] == [([1, 2, 3, 4], "tail")]
    assert items[1].source == f"{repo_id}@{commit[:12]}/train#2"
    assert [list(source.items(start)) for start in (0, 3, 5)] == [items, items[3:], []]


@pytest.mark.usefixtures("hub")
def test_a_revision_stays_what_it_was(repo_id: str) -> None:
    rows(0, 1).push_to_hub(repo_id)
    first = commit_of(repo_id)
    HfApi().create_tag(repo_id, tag="v1", repo_type="dataset")
    rows(2, 3, 4).push_to_hub(repo_id)
    assert [len(read(f"{repo_id}{revision}")[1]) for revision in ("", "@main", "@v1", f"@{first}")] == [
        3,
        3,
        2,
        2,
    ]
    assert read(f"{repo_id}@v1")[0].name == f"hf:{repo_id}@{first}"


@pytest.mark.usefixtures("hub")
def test_an_interrupted_ingest_goes_on_at_its_commit(
    repo_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recapdata.ingestion import run

    rows(*range(6)).push_to_hub(repo_id)
    limits = IngestOptions(shard_rows=2)
    calls = iter(range(9))

    def interrupted(*arguments: Any) -> None:
        if next(calls) == 3:
            raise Interrupted
        place(*arguments)

    place = run._place
    monkeypatch.setattr(run, "_place", interrupted)
    with pytest.raises(Interrupted):
        ingest(f"hf:{repo_id}", tmp_path / "out", options=limits)
    monkeypatch.undo()
    rows(10, 11).push_to_hub(repo_id)
    assert ingest(f"hf:{repo_id}", tmp_path / "out", options=limits).counts == Counts(6, 6)
    with pytest.raises(DatasetExists, match="--append"):
        ingest(f"hf:{repo_id}", tmp_path / "out", options=limits)


@pytest.mark.usefixtures("hub")
def test_splits_follow_each_other_and_can_be_chosen(repo_id: str) -> None:
    DatasetDict({"train": rows(0, 1, 2), "test": rows(3, 4)}).push_to_hub(repo_id)
    source, items = read(repo_id)
    assert [each.image for each in items] == [png(number) for number in range(5)]
    assert [each.columns["split"] for each in items] == ["train"] * 3 + ["test"] * 2
    assert [list(source.items(start)) for start in range(6)] == [items[start:] for start in range(6)]
    chosen, few = read(f"{repo_id},split=test")
    assert [each.image for each in few] == [png(3), png(4)]
    assert "split" not in chosen.columns
    assert chosen.name.endswith(",split=test")
    with pytest.raises(OptionError, match="no split 'dev'; there are: train, test"):
        read(f"{repo_id},split=dev")


@pytest.mark.usefixtures("hub")
def test_configurations_must_be_chosen(repo_id: str) -> None:
    for name, number in (("small", 0), ("large", 1)):
        rows(number).push_to_hub(repo_id, config_name=name)
    assert [each.image for each in read(f"{repo_id},config=large")[1]] == [png(1)]
    with pytest.raises(SourceError, match=r"large.*,config=NAME"):
        read(repo_id)


@pytest.mark.usefixtures("hub")
def test_other_layouts_are_streamed(repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    metadata = "file_name,text\n" + "".join(f"{number}.png,text {number}\n" for number in range(3))
    for name, content in [("metadata.csv", metadata.encode()), *((f"{n}.png", png(n)) for n in range(3))]:
        api.upload_file(
            path_or_fileobj=io.BytesIO(content), path_in_repo=name, repo_id=repo_id, repo_type="dataset"
        )
    source, items = read(repo_id)
    assert [(each.image, each.columns["text"]) for each in items] == [(png(n), f"text {n}") for n in range(3)]
    assert list(source.items(2)) == items[2:]


@pytest.mark.usefixtures("hub")
def test_rows_without_an_image_are_failures(repo_id: str, tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [{"image": {"bytes": png(0), "path": None}}, {"image": None}]
    Dataset.from_list(values, features=Features({"image": Image()})).push_to_hub(repo_id)
    assert ingest(f"hf:{repo_id}", tmp_path / "out").counts == Counts(2, 1, 0, 1)
    assert table(tmp_path / "out", "failures")[0]["error"] == "MissingImage"


@pytest.mark.usefixtures("hub")
def test_a_published_dataset_keeps_sources_licenses_and_objects(repo_id: str, tmp_path: Path) -> None:
    ingest("scenes:6,seed=1", tmp_path / "first")
    shard = DatasetFolder.open(tmp_path / "first").image_shard(0)
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    api.upload_file(
        path_or_fileobj=shard, path_in_repo="data/train-00000.parquet", repo_id=repo_id, repo_type="dataset"
    )
    assert ingest(f"hf:{repo_id}", tmp_path / "second").counts == Counts(6, 6)
    assert DatasetFolder.open(tmp_path / "second").manifest.columns == ("alt_text",)
    assert table(tmp_path / "second", "images") == table(tmp_path / "first", "images")


@pytest.mark.usefixtures("hub")
def test_what_is_not_there_is_said_in_one_line(repo_id: str) -> None:
    with pytest.raises(HubError, match="no such dataset"):
        read("nobody/nothing")
    Dataset.from_dict({"a": [1], "b": ["x"]}).push_to_hub(repo_id)
    with pytest.raises(SourceError, match=r"has no column of images \(columns: a, b\)"):
        read(repo_id)
    with pytest.raises(HubError, match="no such revision"):
        read(f"{repo_id}@v9")
    with pytest.raises(SourceNotFound, match="not a dataset's name"):
        read("a b c")
    with pytest.raises(OptionError, match="means nothing here"):
        read(f"{repo_id},shard=3")
