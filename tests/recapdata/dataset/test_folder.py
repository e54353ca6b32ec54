"""The dataset folder: atomic shards, sums that are checked, one writer at a time."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import LEDGERS, DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.writing import delete_captions, writing
from recapdata.errors import CaptionSetNotFound, DatasetBusy, DatasetDamaged, NotADataset
from recapdata.records import CAPTION_SCHEMA, RECORD_SCHEMA, Counts, Manifest, Provenance
from tests.builders import build_dataset, write_audit

SMALL = pa.schema([("key", pa.string())])


def _table(*keys):
    return pa.table({"key": list(keys)}, schema=SMALL)


def _images(folder, shard, keys, **columns):
    schema = RECORD_SCHEMA
    for name in columns:
        schema = schema.append(pa.field(name, pa.string()))
    rows = [
        {
            "key": key,
            "image": {"bytes": b"x", "path": None},
            **{name: values[place] for name, values in columns.items()},
        }
        for place, key in enumerate(keys)
    ]
    with ShardWriter(folder.image_shard(shard), schema) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=schema))


def test_a_shard_has_no_name_before_it_is_whole(tmp_path):
    path = tmp_path / "train-00000.parquet"
    writer = ShardWriter(path, SMALL)
    writer.write(_table("a", "b"))
    assert not path.exists()
    writer.write(_table("c"))
    writer.commit({"recapdata.items": "0-3"})
    file = pq.ParquetFile(path)
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (3, 2)
    assert file.metadata.metadata[b"recapdata.items"] == b"0-3"
    assert [entry.name for entry in tmp_path.iterdir()] == ["train-00000.parquet"]


def test_an_error_leaves_nothing_behind(tmp_path):
    path = tmp_path / "train-00000.parquet"
    wrong = pa.table({"key": [1]})
    with pytest.raises(ValueError, match="schema"), ShardWriter(path, SMALL) as writer:
        writer.write(wrong)
    assert not list(tmp_path.iterdir())


def test_create_opens_what_is_there(tmp_path):
    folder = DatasetFolder.create(tmp_path / "data")
    assert folder.manifest == Manifest(name="data")
    folder.save_manifest(
        Manifest(
            name="data",
            sets={"alt": Provenance(writer="web", column="alt_text")},
            counts=Counts(3, 2, 1, 0, 0),
        )
    )
    again = DatasetFolder.create(tmp_path / "data").manifest
    assert again.sets["alt"].column == "alt_text"
    assert again.counts.balanced


def test_what_is_no_dataset_is_said(tmp_path):
    with pytest.raises(NotADataset, match=r"recapdata ingest"):
        DatasetFolder.open(tmp_path)
    (tmp_path / "recapdata.yaml").write_text("sets: [")
    with pytest.raises(DatasetDamaged, match=r"recapdata\.yaml"):
        _ = DatasetFolder.open(tmp_path).manifest


def test_one_writer_at_a_time(tmp_path):
    folder = DatasetFolder.create(tmp_path)
    with writing(folder), pytest.raises(DatasetBusy, match="another"), writing(DatasetFolder(tmp_path)):
        pass
    with writing(folder):
        pass


def test_a_gap_in_the_shards_is_damage(tmp_path):
    folder = DatasetFolder.create(tmp_path)
    _images(folder, 0, ["a"])
    _images(folder, 2, ["b"])
    with pytest.raises(DatasetDamaged, match=r"train-00001\.parquet"):
        folder.shards()


def test_columns_that_came_later_read_as_nulls(tmp_path):
    folder = DatasetFolder.create(tmp_path)
    _images(folder, 0, ["a", "b"])
    _images(folder, 1, ["c"], alt_text=["text"])
    assert folder.schema().names == [*RECORD_SCHEMA.names, "alt_text"]
    first = pa.Table.from_batches(folder.read_images(0, ["alt_text", "key"]))
    assert first.to_pylist() == [{"alt_text": None, "key": "a"}, {"alt_text": None, "key": "b"}]
    assert pa.Table.from_batches(folder.read_images(0, ["alt_text"])).num_rows == 2
    second = pa.Table.from_batches(folder.read_images(1, ["alt_text"]))
    assert second.to_pylist() == [{"alt_text": "text"}]


def test_the_sum_is_checked(tmp_path):
    folder = DatasetFolder.create(tmp_path)
    _images(folder, 0, ["a", "b"])
    assert folder.count(items=2) == Counts(items=2, records=2)
    with pytest.raises(DatasetDamaged, match="3 items, but 2 records"):
        folder.count(items=3)


def test_unfinished_captions_are_said(tmp_path):
    folder = DatasetFolder.create(tmp_path)
    _images(folder, 0, ["a"])
    _images(folder, 1, ["b"])
    row = {"key": "a", "set": "alt", "caption": "a cat"}
    with ShardWriter(folder.caption_shard("alt", 0), CAPTION_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist([row], schema=CAPTION_SCHEMA))
    assert folder.finished_captions("alt") == [0]
    assert folder.read_captions("alt", 0).column("caption").to_pylist() == ["a cat"]
    with pytest.raises(CaptionSetNotFound, match="shard 1"):
        folder.read_captions("alt", 1)


def test_ledgers_without_their_shard_go_when_the_folder_is_opened_to_write(tmp_path):
    folder = build_dataset(tmp_path / "birds")  # shards 0 and 1
    rows = pa.table({"key": ["0" * 64]})
    kept = [
        folder.ledger("duplicates", 0),
        folder.ledger("failures", 1),
        folder.path / "failures" / "notes.txt",
    ]
    orphans = [folder.ledger(kind, shard) for kind in LEDGERS for shard in (2, 7)]
    for path in (*kept, *orphans):
        with ShardWriter(path, rows.schema) as writer:
            writer.write(rows)
    with writing(folder):
        assert [path for path in (*kept, *orphans) if path.is_file()] == kept


def test_audits_of_a_set_named_as_a_ledger_stay(tmp_path):
    folder = build_dataset(tmp_path / "birds", sets=["failures"])
    write_audit(folder, ["failures"])
    delete_captions(folder, "another")  # holds the audits
    assert folder.audit_shard("failures", 1).is_file()
