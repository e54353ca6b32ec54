"""A file that is cut off, or of which bytes were changed, is one readable error wherever it is opened."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.audit_files import read_identity
from recapdata.dataset.extents import read_extents
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.keys import KeyIndex
from recapdata.dataset.removal import remove
from recapdata.dataset.shards import ShardFile, ShardWriter, check_pages, read_footer, read_schema, read_shard
from recapdata.dataset.target import open_dataset
from recapdata.errors import DatasetDamaged
from recapdata.ingestion import IngestOptions, ingest
from recapdata.loading.load import load
from recapdata.publishing.published import build_data_shard, check_images, data_schema
from recapdata.publishing.survey import look_at_folder
from recapdata.recaptioning.batches import Batch, ImageReader
from recapdata.recaptioning.recorder import survey
from recapdata.records import RECORD_SCHEMA, image_key
from tests.builders import build_dataset, noise_jpeg, png, write_audit


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    folder = build_dataset(tmp_path / "birds", license="mit")
    write_audit(folder, ["alt"])
    return folder


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def read_target(folder: DatasetFolder, columns: list[str]) -> None:
    target = open_dataset(folder.path)
    for shard in target.shards():
        for _ in target.read(shard, columns):
            pass


KEY = image_key(png(4))  # of the second shard's first row

IMAGE_READERS: dict[str, Callable[[DatasetFolder], object]] = {
    "rows": lambda folder: folder.rows(1),
    "schema": lambda folder: folder.schema(),
    "keys": lambda folder: folder.read_keys(1),
    "key index": lambda folder: KeyIndex(folder),
    "extents": lambda folder: read_extents(folder),
    "images": lambda folder: list(folder.read_images(1)),
    "target": lambda folder: read_target(folder, ["key", "image"]),
    "one record": lambda folder: open_dataset(folder.path).take(1, [0], ["image"]),
    "load": lambda folder: load(folder.path),
    "recaption": lambda folder: survey(folder, "recap"),
    "decoding": lambda folder: ImageReader(folder).read(Batch(shard=1, number=0, rows=(0,), keys=(KEY,))),
    "publish, looking": lambda folder: look_at_folder(folder),
    "publish, building": lambda folder: build_data_shard(
        folder, 1, pa.schema([*RECORD_SCHEMA, ("alt", pa.string())]), folder.path / "out.parquet"
    ),
}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("reader", IMAGE_READERS)
def test_an_image_shard_that_was_cut_off(folder: DatasetFolder, reader: str, share: float) -> None:
    cut(folder.image_shard(1), share)
    with pytest.raises(DatasetDamaged, match=r"train-00001\.parquet is truncated or corrupt .*restore it"):
        IMAGE_READERS[reader](folder)


CAPTION_READERS: dict[str, Callable[[DatasetFolder], object]] = {
    "captions": lambda folder: folder.read_captions("alt", 1),
    "one column": lambda folder: folder.read_captions("alt", 1, ["caption"]),
    "target": lambda folder: read_target(folder, ["key", "alt"]),
    "load": lambda folder: load(folder.path),
    "state": lambda folder: survey(folder, "alt"),
    "publish": lambda folder: look_at_folder(folder),
}


@pytest.mark.parametrize("reader", CAPTION_READERS)
def test_a_caption_shard_that_was_cut_off(folder: DatasetFolder, reader: str) -> None:
    cut(folder.caption_shard("alt", 1), 0.8)
    with pytest.raises(
        DatasetDamaged, match=r"captions/alt/train-00001\.parquet is .*delete it and run the command"
    ):
        CAPTION_READERS[reader](folder)


def test_an_audit_shard_that_was_cut_off(folder: DatasetFolder) -> None:
    path = folder.audit_shard("alt", 1)
    cut(path, 0.8)
    for read in (lambda: open_dataset(folder.path).read_audit("alt", 1), lambda: read_identity(path)):
        with pytest.raises(DatasetDamaged, match="delete it and run the audit again"):
            read()


def ingested(path: Path, images: Sequence[bytes], shard_rows: int) -> DatasetFolder:
    pq.write_table(pa.table({"image": images, "caption": ["a bird"] * len(images)}), path / "rows.parquet")
    ingest(f"urls:{path / 'rows.parquet'}", path / "out", options=IngestOptions(shard_rows=shard_rows))
    return DatasetFolder.open(path / "out")


def test_a_removal_stops_at_a_torn_shard_and_goes_on_once_it_is_back(tmp_path: Path) -> None:
    folder = ingested(tmp_path, [png(index) for index in range(6)], 4)
    whole = folder.image_shard(1).read_bytes()
    cut(folder.image_shard(1), 0.5)
    (folder.path / "out.txt").write_text(image_key(png(0)))
    for _ in range(2):
        with pytest.raises(DatasetDamaged, match=r"train-00001.*restore it from a copy"):
            remove(folder.path, folder.path / "out.txt")
    folder.image_shard(1).write_bytes(whole)
    assert remove(folder.path, folder.path / "out.txt").dataset.records == 5


def test_a_note_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "audits" / "alt" / "train-00000.parquet"
    for note in ('{"format": ', "[1]", "[" * 100_000):
        with ShardWriter(path, pa.schema([("key", pa.string())])) as writer:
            writer.commit({"recapdata.audit": note})
        with pytest.raises(DatasetDamaged, match=r"recapdata\.audit in its footer.*run the audit again"):
            read_identity(path)


@pytest.mark.parametrize("seed", range(60))
def test_changed_bytes_are_read_or_said(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder = build_dataset(tmp_path / "birds", rows=6, license="mit")
    path = dice.choice([folder.image_shard(1), folder.caption_shard("alt", 1)])
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 8))):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    for read in (*IMAGE_READERS.values(), *CAPTION_READERS.values()):
        with suppress(DatasetDamaged):
            read(folder)


def test_what_is_no_damage_stays_what_it_is(folder: DatasetFolder) -> None:
    with pytest.raises(FileNotFoundError):
        read_footer(folder.path / "nothing.parquet")


def test_columns_that_are_not_there(folder: DatasetFolder, tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"key": [1, 2]}), path)
    with pytest.raises(DatasetDamaged, match="its column 'key' is int64"):
        read_schema(path)
    with pytest.raises(DatasetDamaged, match="has no column 'caption'"):
        read_shard(folder.image_shard(0), ["caption"])
    with ShardFile(folder.image_shard(0)) as file, pytest.raises(DatasetDamaged, match="no column 'color'"):
        list(file.iter_batches(columns=["key", "color"]))


def test_texts_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "text.parquet"
    wrong = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table({"caption": wrong}), path)
    with pytest.raises(DatasetDamaged, match=r"text\.parquet is truncated or corrupt"):
        read_shard(path)


def flip(path: Path, picture: bytes) -> None:
    """Change one bit in the middle of a picture that a shard holds."""
    content = bytearray(path.read_bytes())
    middle = len(picture) // 2
    content[content.index(picture[middle : middle + 64])] ^= 1
    path.write_bytes(content)


def test_a_picture_that_is_not_that_of_its_key(tmp_path: Path) -> None:
    images = [noise_jpeg(index) for index in range(5)]
    folder = ingested(tmp_path, images, 5)
    schema = data_schema(folder)
    assert build_data_shard(folder, 0, schema, tmp_path / "whole.parquet") > 0
    flip(folder.image_shard(0), images[3])
    key = image_key(images[3])
    with pytest.raises(
        DatasetDamaged, match=rf"train-00000\.parquet, row 3: the picture .*{key}.*remove {folder.path} "
    ):
        build_data_shard(folder, 0, schema, tmp_path / "data.parquet")
    assert not (tmp_path / "data.parquet").exists()
    # What the message says helps: without the record, the rest can go.
    (tmp_path / "keys").write_text(key)
    assert remove(folder.path, tmp_path / "keys").dataset.records == 4
    build_data_shard(folder, 0, schema, tmp_path / "data.parquet")
    assert pq.read_metadata(tmp_path / "data.parquet").num_rows == 4


def test_a_picture_without_bytes_is_not_that_of_its_key() -> None:
    kind = RECORD_SCHEMA.field("image").type
    table = pa.table({"key": [image_key(b"a")], "image": pa.array([{"bytes": None, "path": "a.png"}], kind)})
    with pytest.raises(DatasetDamaged, match="row 7: the picture"):
        check_images(table, Path("birds/images/train-00000.parquet"), 7)


def test_a_bit_flipped_anywhere_is_noticed_before_it_is_sent(tmp_path: Path) -> None:
    """Every seventh byte of the pages of captions, audits and pictures with what lies beside them, one at a time."""
    folder = build_dataset(tmp_path / "birds", sets={"alt": [f"a bird on a roof {row}" for row in range(6)]})
    write_audit(folder, ["alt"])
    schema = data_schema(folder)
    for path in (
        folder.caption_shard("alt", 0),
        folder.path / "audits/alt/train-00000.parquet",
        folder.image_shard(0),
    ):
        whole = path.read_bytes()
        check_pages(path)
        before = pq.read_table(path, use_threads=False)
        pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # then the footer
        for place in range(4, pages, 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            try:
                check_pages(path)
                if path == folder.image_shard(0):
                    build_data_shard(folder, 0, schema, tmp_path / "data.parquet")
                after = pq.read_table(path, use_threads=False)
            except DatasetDamaged:
                continue
            except pa.ArrowException:  # statistics and indexes, which are of no use to readers of the whole
                raise AssertionError(f"{path.name}: byte {place} was not noticed") from None
            assert after.equals(before), f"{path.name}: byte {place} was not noticed"
        path.write_bytes(whole)
