"""The index of keys: right after every change of the shards, whoever made it."""

import hashlib
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.keys import INDEX, KeyIndex, removed_keys
from recapdata.dataset.shards import ShardWriter
from recapdata.errors import DatasetDamaged
from recapdata.records import RECORD_SCHEMA, image_key
from tests.builders import build_dataset, png


def digest(index: int) -> bytes:
    return bytes.fromhex(image_key(png(index)))


def write_keys(folder: DatasetFolder, shard: int, keys: list[bytes]) -> None:
    rows = [{"key": key.hex()} for key in keys]
    with ShardWriter(folder.image_shard(shard), RECORD_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=RECORD_SCHEMA))


def test_it_knows_the_keys_of_all_shards(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=6, shard_rows=4)
    asked = {digest(index) for index in range(3, 9)}
    with KeyIndex(folder) as index:
        assert index.records(asked) == {digest(3), digest(4), digest(5)}
        assert index.records(()) == set()
        assert index.removed(asked) == set()


def test_it_takes_in_shards_that_came_without_it(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4, shard_rows=4)
    with KeyIndex(folder) as index:
        index.add_shard(0, [])  # noted again: what matters is what the shard holds
    write_keys(folder, 1, [digest(7)])
    with KeyIndex(folder) as index:
        assert index.records([digest(0), digest(7)]) == {digest(0), digest(7)}


def test_a_shard_written_anew_is_read_anew(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4, shard_rows=4)
    with KeyIndex(folder):
        pass
    write_keys(folder, 0, [digest(9)])
    with KeyIndex(folder) as index:
        assert index.records([digest(0), digest(9)]) == {digest(9)}


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_torn_index_is_made_again(tmp_path: Path, content: bytes) -> None:
    folder = build_dataset(tmp_path, rows=4)
    (tmp_path / INDEX).write_bytes(content)
    with KeyIndex(folder) as index:
        assert index.records([digest(2)]) == {digest(2)}


def test_an_index_of_another_format_is_made_again(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4)
    with sqlite3.connect(tmp_path / INDEX) as db:
        db.execute("PRAGMA user_version=77")
    with KeyIndex(folder) as index:
        assert index.records([digest(2)]) == {digest(2)}


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4, shard_rows=4)
    with KeyIndex(folder) as index, pytest.raises(FileNotFoundError):
        index.add_shard(1, [digest(50)])  # a shard that was never finished
    with KeyIndex(folder) as index:
        assert index.records([digest(50)]) == set()


def test_a_key_in_two_rows_is_damage(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4, shard_rows=4)
    write_keys(folder, 1, [digest(1)])
    with pytest.raises(DatasetDamaged, match=r"images/train-00001.parquet holds a key that"):
        KeyIndex(folder)


def test_removed_keys_are_known_and_follow_their_file(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=4)
    removed_keys(folder).parent.mkdir()
    for out in ([digest(1)], [digest(2), digest(3)]):
        pq.write_table(pa.table({"key": [key.hex() for key in out]}), removed_keys(folder))
        with KeyIndex(folder) as index:
            assert index.removed([digest(each) for each in range(5)]) == set(out)
            assert index.records([digest(1)]) == {digest(1)}


def test_keys_are_the_same_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recapdata.dataset.keys._MERGE", 5)
    folder = build_dataset(tmp_path, rows=12, shard_rows=3)  # merged after the second and the fourth shard
    pictures = [digest(number) for number in range(12)]
    with KeyIndex(folder) as index:
        assert index.records(pictures) == set(pictures)
        write_keys(folder, 0, pictures[1:3])
        index.forget(0, [pictures[0]])
        assert index.records(pictures) == set(pictures[1:])
    write_keys(folder, 4, [pictures[5]])
    with pytest.raises(DatasetDamaged, match=r"train-00004.parquet holds a key"):
        KeyIndex(folder)


def test_many_keys_are_asked_at_once(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path, rows=1)
    keys = [hashlib.sha256(str(each).encode()).digest() for each in range(3000)]
    write_keys(folder, 1, keys[::2])
    with KeyIndex(folder) as index:
        assert index.records(keys) == set(keys[::2])
