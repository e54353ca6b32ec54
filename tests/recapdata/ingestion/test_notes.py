"""The ledger of notes, and the limit of pixels: what an ingest says of records and what later stages have to know."""

import io
from pathlib import Path

import pytest
from PIL import Image

import recapdata
from audits.reporting.pictures import thumbnail
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.removal import remove
from recapdata.dataset.target import open_dataset
from recapdata.errors import DatasetDamaged, OptionError
from recapdata.ingestion import IngestOptions, ingest
from recapdata.recaptioning.batches import Batch, ImageReader, prepare_batch
from recapdata.records import MAX_PIXELS, MOST_PIXELS, Object, image_key
from tests.builders import png
from tests.recapdata.ingestion.sources import Item, Listed, table

SIDE = 13_500
"""Of a square that Pillow takes for a decompression bomb by itself."""
BAD = (Object(bbox=(0, 0, -1, 1), category="cat"),)


def listed(monkeypatch: pytest.MonkeyPatch, items: list[Item]) -> None:
    monkeypatch.setattr("recapdata.ingestion.run.open_source", lambda name, options: Listed(items, name=name))


def test_notes_are_of_records_alone_and_go_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The third is the first again, and the last is no picture: they have no record that a note could be of.
    images = [png(0), png(1), png(0), b"no picture"]
    items = [Item(source=f"item {place}", image=image, objects=BAD) for place, image in enumerate(images)]
    listed(monkeypatch, items)
    summary = ingest("listed", tmp_path / "out")
    assert [(each.note, each.count, each.source) for each in summary.noted] == [("BadBox", 2, "item 0")]
    assert ingest("listed", tmp_path / "out").noted == summary.noted  # nothing to do, and the same to say
    (tmp_path / "keys.txt").write_text(image_key(png(0)))
    remove(tmp_path / "out", tmp_path / "keys.txt")
    assert [row["source"] for row in table(tmp_path / "out", "notes")] == ["item 1"]


def test_notes_of_a_shard_that_never_got_its_name_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(source=f"item {place}", image=png(place), objects=BAD) for place in range(4)]
    listed(monkeypatch, items)
    options = IngestOptions(shard_rows=2)
    ingest("listed", tmp_path / "out", options=options)
    folder = DatasetFolder(tmp_path / "out")
    folder.image_shard(1).unlink()  # as an ingest leaves it that is killed between the two names
    summary = ingest("listed", tmp_path / "out", options=options)
    assert [(each.note, each.count) for each in summary.noted] == [("BadBox", 4)]


@pytest.fixture(scope="module")
def panorama() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (SIDE, SIDE), 120).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_limit_of_pixels_is_kept_and_holds_in_every_later_stage(tmp_path: Path, panorama: bytes) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.png").write_bytes(panorama)
    (source / "b.png").write_bytes(png(1))
    assert ingest(str(source), out).failures[0].error == "DecompressionBomb"
    before = Image.MAX_IMAGE_PIXELS
    out = tmp_path / "wide"
    ingest(str(source), out, options=IngestOptions(max_pixels=SIDE * SIDE))
    assert before == Image.MAX_IMAGE_PIXELS
    target = open_dataset(out)
    assert (target.manifest.max_pixels, target.max_pixels) == (SIDE * SIDE, SIDE * SIDE)
    keys = tuple(DatasetFolder(out).read_keys(0))
    batch = Batch(shard=0, number=0, rows=(0, 1), keys=keys)
    prepared = prepare_batch(
        ImageReader(DatasetFolder(out)), lambda images: [each.size for each in images], batch
    )
    assert (prepared.errors, prepared.parts[0].prepared) == ({}, [(SIDE, SIDE), (8, 8)])
    assert thumbnail(panorama, 10_000, max_pixels=target.max_pixels).error == ""
    assert thumbnail(panorama, 10_000).error.startswith("DecompressionBomb")
    # A later ingest under the usual limit does not take it back.
    (tmp_path / "more").mkdir()
    (tmp_path / "more/c.png").write_bytes(png(2))
    ingest(str(tmp_path / "more"), out, append=True)
    assert open_dataset(out).max_pixels == SIDE * SIDE


def test_load_decodes_what_came_in(tmp_path: Path, panorama: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back afterwards
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(panorama)
    ingest(str(tmp_path / "in"), tmp_path / "out", options=IngestOptions(max_pixels=SIDE * SIDE))
    assert recapdata.load(tmp_path / "out")[0]["image"].size == (SIDE, SIDE)


def test_the_usual_limit_leaves_the_manifest_as_it_was(tmp_path: Path) -> None:
    ingest("scenes:2", tmp_path / "out", options=IngestOptions(max_pixels=MAX_PIXELS))
    assert "max_pixels" not in (tmp_path / "out/recapdata.yaml").read_text()


def test_a_limit_without_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--max-pixels 536870913: it must be at most 536,870,912"):
        IngestOptions(max_pixels=MOST_PIXELS + 1)
    ingest("scenes:2", tmp_path / "out")
    manifest = tmp_path / "out/recapdata.yaml"
    manifest.write_text(manifest.read_text() + f"max_pixels: {10**12}\n")
    with pytest.raises(DatasetDamaged, match="max_pixels: 1000000000000 is not between"):
        open_dataset(tmp_path / "out")
