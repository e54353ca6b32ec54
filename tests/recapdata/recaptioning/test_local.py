"""Memory that does not suffice, images that the model refuses, processes that die: one batch at a time."""

import pytest

from recapdata.captioners import CaptionerOptions
from recapdata.engines import EngineOptions
from recapdata.errors import OptionError
from recapdata.recaptioning.batches import Batch, ImageReader, prepare_images
from recapdata.recaptioning.local import LocalCaptioning
from recapdata.recaptioning.run import open_captioning
from recapdata.records import image_key
from tests.builders import build_dataset, png
from tests.scripted import Scripted

# The red of png(index) is index * 37 % 256: 0, 37, 74, 111, 148, 185, 222, 3, …
REDS = [index * 37 % 256 for index in range(8)]


@pytest.fixture
def folder(tmp_path):
    return build_dataset(tmp_path / "set", rows=8, shard_rows=8, row_group_rows=3, sets=())


def batch(*rows: int, shard: int = 0) -> Batch:
    return Batch(shard=shard, number=0, rows=rows, keys=tuple(image_key(png(row)) for row in rows))


def run(folder, captioner, batches, workers=0):
    with LocalCaptioning(folder, captioner, EngineOptions(workers=workers)) as engine:
        results = list(engine.run(batches))
    return [[caption.caption or caption.error for caption in each.captions] for each in results], engine


def said(row: int) -> str:
    return f"s {REDS[row]} 0 {row}"


def test_an_unknown_engine_names_the_known():
    with pytest.raises(OptionError, match="there are local, ray"):
        open_captioning("cloud")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": -1}, "--workers"),
        ({"actors": 0}, "--actors"),
        ({"gpus_per_actor": -0.5}, "--gpus-per-actor"),
        ({"gpus_per_actor": 1.5}, "whole"),
    ],
)
def test_engine_options_are_checked(options, says):
    with pytest.raises(OptionError, match=says):
        EngineOptions(**options)


@pytest.mark.parametrize("options", [{"actors": 2}, {"gpus_per_actor": 1}])
def test_options_of_a_cluster_are_refused_here(options):
    with pytest.raises(OptionError, match="--engine ray"):
        open_captioning("local").open_captioner("embedded", CaptionerOptions(), EngineOptions(**options))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_captions_come_in_order_with_any_number_of_workers(folder, workers):
    batches = [batch(5, 0), batch(7), batch(1, 2, 3, 4), batch(6)]
    captions, _ = run(folder, Scripted(CaptionerOptions(style="s")), batches, workers)
    assert captions == [[said(5), said(0)], [said(7)], [said(1), said(2), said(3), said(4)], [said(6)]]


@pytest.mark.parametrize("workers", [0, 1])
def test_batch_is_halved_until_it_fits_and_that_is_remembered(folder, monkeypatch, workers):
    monkeypatch.setenv("SCRIPTED_FITS", "2")
    captioner = Scripted(CaptionerOptions(style="s"))
    captions, engine = run(folder, captioner, [batch(0, 1, 2, 3, 4, 5, 6), batch(7, 6, 5, 4)], workers)
    assert captions == [[said(row) for row in range(7)], [said(row) for row in (7, 6, 5, 4)]]
    # 7 does not fit, nor do 3 (its half); the parts of 3, 3 and 1 are then cut to one each, as is the next batch.
    assert captioner.sizes == [7, 3, *[1] * 7, *[1] * 4]
    assert engine.batch_size == 1


def test_an_image_too_large_alone_is_an_error_of_its_own(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_FITS", "0")
    captions, _ = run(folder, Scripted(CaptionerOptions(style="s")), [batch(0, 1)])
    assert captions == [["OutOfMemory: no room"] * 2]


@pytest.mark.parametrize("where", ["SCRIPTED_REFUSES", "SCRIPTED_CANNOT_PREPARE"])
def test_images_at_fault_are_found_and_the_others_captioned(folder, monkeypatch, where):
    monkeypatch.setenv(where, f"{REDS[2]},{REDS[5]}")
    captions, engine = run(folder, Scripted(CaptionerOptions(style="s")), [batch(*range(8))])
    for row, text in enumerate(captions[0]):
        assert text.startswith("ValueError: ") if row in (2, 5) else text == said(row)
    assert engine.batch_size is None


def test_image_that_kills_its_decoder_is_named(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_KILLS_DECODER", str(REDS[3]))
    captions, _ = run(
        folder, Scripted(CaptionerOptions(style="s")), [batch(0, 1), batch(2, 3), batch(4, 5)], 1
    )
    assert captions[0] == [said(0), said(1)]
    assert captions[1][0] == said(2)
    assert captions[1][1].startswith("DecoderCrashed: ")
    assert captions[2] == [said(4), said(5)]


def test_damaged_images_are_set_aside_with_their_places(tmp_path):
    images = [png(0), b"nonsense", png(2), b"\xff\xd8\xff broken"]
    folder = build_dataset_of(tmp_path, images)
    prepared = prepare_images(Scripted(CaptionerOptions(style="s")).prepare, images, 2)
    assert [part.places for part in prepared.parts] == [(0, 2)]
    assert set(prepared.errors) == {1, 3}
    assert folder.rows(0) == 4


def build_dataset_of(tmp_path, images):
    """A folder that ingest would not have made: some of its images are damaged."""
    import pyarrow as pa

    from recapdata.dataset.folder import DatasetFolder
    from recapdata.dataset.shards import ShardWriter
    from recapdata.records import RECORD_SCHEMA, Manifest

    folder = DatasetFolder.create(tmp_path / "damaged")
    rows = [
        {
            "key": image_key(image),
            "image": {"bytes": image, "path": None},
            "width": 8,
            "height": 8,
            "source": "x",
        }
        for image in images
    ]
    with ShardWriter(folder.image_shard(0), RECORD_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=RECORD_SCHEMA))
    folder.save_manifest(Manifest(name="damaged"))
    return folder


def test_reader_gives_the_rows_in_the_batch_s_order(folder, tmp_path):
    reader = ImageReader(folder)
    assert reader.read(batch(7, 0, 3)) == [png(7), png(0), png(3)]
    assert reader.read(batch(7, 0, 3), places=[2, 0]) == [png(3), png(7)]
    assert reader.read(batch(5)) == [png(5)]


def test_reader_moves_from_shard_to_shard(tmp_path):
    folder = build_dataset(tmp_path / "set", rows=6, shard_rows=3, row_group_rows=1, sets=())
    reader = ImageReader(folder)
    assert reader.read(batch(2, shard=1)) == [png(5)]
    assert reader.read(batch(2, shard=0)) == [png(2)]
