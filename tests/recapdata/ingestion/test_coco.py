"""COCO's annotation files: captions, objects with masks, licenses, and files that are not where they should be."""

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pycocotools import mask as coco_mask

from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.annotations import check_objects
from recapdata.ingestion.coco import Coco, open_coco
from recapdata.ingestion.jsonstream import elements
from recapdata.records import OBJECT_TYPE, Counts, Item
from tests.builders import png
from tests.recapdata.ingestion.sources import table

LICENSES = [{"id": 1, "url": "http://example.org/by", "name": "By"}, {"id": 2, "name": "Other"}]
SQUARE = [[1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]]
"""A polygon over 4 × 3 pixels of an 8 × 8 picture."""


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number}.png", "height": 8, "width": 8, "license": 1, **more}


def write(root: Path, name: str, **sections: Any) -> None:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / name).write_text(json.dumps(sections))


def draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(number))


def read(root: Path) -> tuple[Coco, list[Item]]:
    source = open_coco(str(root), IngestOptions())
    return source, list(source.items(0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for number in (3, 1, 2):
        draw(root / "images" / f"{number}.png", number)
    write(
        root,
        "captions_val.json",
        licenses=LICENSES,
        images=[image(3), image(1, license=2), image(2, license=None)],
        annotations=[
            {"id": 10, "image_id": 1, "caption": "first of one"},
            {"id": 11, "image_id": 3, "caption": "of three"},
            {"id": 12, "image_id": 1, "caption": "second of one"},
        ],
    )
    write(
        root,
        "instances_val.json",
        annotations=[
            {"image_id": 1, "category_id": 5, "bbox": [1, 1, 4, 3], "segmentation": SQUARE, "iscrowd": 0},
            {
                "image_id": 1,
                "category_id": 7,
                "bbox": [0, 0, 8, 1.5],
                "segmentation": {"size": [8, 8], "counts": [0, 1, 63]},
                "iscrowd": 1,
            },
        ],
        images=[image(3), image(1)],
        categories=[{"id": 5, "name": "cat"}, {"id": 7, "name": "bird"}],
        licenses=LICENSES,
    )
    return root


def test_captions_objects_and_licenses_meet_at_the_image(root: Path) -> None:
    source, items = read(root)
    assert [each.source for each in items] == ["set/images/3.png", "set/images/1.png", "set/images/2.png"]
    assert [each.image for each in items] == [png(3), png(1), png(2)]
    assert [each.license for each in items] == ["http://example.org/by", "Other", None]
    assert source.columns == {"captions": pa.list_(pa.string()), "crowds": pa.list_(pa.string())}
    assert [dict(each.columns) for each in items] == [
        {"captions": ["of three"], "crowds": []},
        {"captions": ["first of one", "second of one"], "crowds": ["bird"]},
        {"captions": None, "crowds": None},
    ]
    # Image 3 is in the instances with none of them: nothing is there. Image 2 is not in the instances: nothing is known.
    assert [each.objects and len(each.objects) for each in items] == [(), 2, None]
    checked = check_objects(items[1].objects, 8, 8)
    assert checked.notes == ()
    cat, bird = checked.objects
    assert (cat.category, cat.bbox, bird.category, bird.bbox) == ("cat", (1, 1, 4, 3), "bird", (0, 0, 8, 1.5))
    decoded = coco_mask.decode({"size": cat.mask["size"], "counts": cat.mask["counts"].encode()})
    assert decoded.sum() == 12
    assert decoded[1:4, 1:5].all()
    assert coco_mask.decode({**bird.mask, "counts": bird.mask["counts"].encode()}).sum() == 1
    pa.array([[each.to_dict() for each in checked.objects]], pa.list_(OBJECT_TYPE))


def test_any_start_gives_the_rest(root: Path) -> None:
    source, items = read(root)
    assert [list(source.items(start)) for start in range(4)] == [items[start:] for start in range(4)]


def test_files_that_are_not_where_they_should_be(tmp_path: Path) -> None:
    root = tmp_path / "set"
    names = ["here.png", "deep/there.png", "../outside.png", "gone.png", "twice.png", "split.png"]
    images = [image(number, file_name=name) for number, name in enumerate(names)]
    write(root, "captions_train2017.json", images=[*images, {"id": 99}], annotations=[])
    for number, path in enumerate(
        [
            "here.png",
            "x/deep/there.png",
            "a/twice.png",
            "b/twice.png",
            "train2017/split.png",
            "val2017/split.png",
            "extra.png",
        ]
    ):
        draw(root / path, number)
    source, items = read(root)
    assert [each.error.error if each.error else each.source for each in items] == [
        "set/here.png",
        "set/x/deep/there.png",
        "UnsafePath",
        "MissingFile",
        "AmbiguousFile",
        "set/train2017/split.png",
        "MissingColumn",
    ]
    assert "1 image files are in no annotation file and were left aside" in source.notes()


def test_two_files_may_number_their_images_alike(tmp_path: Path) -> None:
    for split, number in (("train", 1), ("val", 2)):
        draw(tmp_path / split / f"{split}.png", number)
        images = [image(0, file_name=f"{split}.png")]
        write(
            tmp_path,
            f"captions_{split}.json",
            images=images,
            annotations=[{"image_id": 0, "caption": f"of {split}"}],
        )
    _, items = read(tmp_path)
    assert [(each.image, each.columns["captions"]) for each in items] == [
        (png(1), ["of train"]),
        (png(2), ["of val"]),
    ]


def test_odd_annotations_spoil_nothing(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 1)
    odd = [
        {"image_id": 1, "category_id": 99, "bbox": [1, 2]},
        {"image_id": 1, "category_id": 5, "bbox": None, "segmentation": [["x"]]},
        {"image_id": 77, "category_id": 5, "bbox": [0, 0, 1, 1]},
        "no object at all",
    ]
    write(
        tmp_path, "instances.json", images=[image(1)], annotations=odd, categories=[{"id": 5, "name": "cat"}]
    )
    source, items = read(tmp_path)
    checked = check_objects(items[0].objects, 8, 8)
    assert [(each.category, each.bbox, each.mask) for each in checked.objects] == [
        (None, None, None),
        ("cat", None, None),
    ]
    assert [each.note for each in (*items[0].notes, *checked.notes)] == [
        "UnknownCategory",
        "BadBox",
        "BadMask",
    ]
    assert source.notes() == [
        "1 annotations are of images that their file does not list",
        "1 entries of the annotation files are no objects, or nest too deep, and were left aside",
    ]


def test_a_caption_that_is_no_utf8_or_blank_is_a_failure(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        draw(tmp_path / "in" / f"{number}.png", number)
    captions = [{"image_id": number, "caption": f"CAPTION {number}"} for number in (1, 2, 3)]
    write(
        tmp_path / "in", "captions.json", images=[image(number) for number in (1, 2, 3)], annotations=captions
    )
    path = tmp_path / "in/annotations/captions.json"
    path.write_bytes(path.read_bytes().replace(b"CAPTION 2", b"caf\xe9").replace(b"CAPTION 3", b" "))
    summary = ingest(f"coco:{tmp_path / 'in'}", tmp_path / "out")
    assert summary.counts == Counts(3, 1, 0, 2)
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == ["NotUtf8", "EmptyCaption"]


def test_what_is_no_coco_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="there is no folder"):
        open_coco(str(tmp_path / "nowhere"), IngestOptions())
    with pytest.raises(SourceError, match=r"holds no \*captions"):
        open_coco(str(tmp_path), IngestOptions())
    write(tmp_path, "captions.json", images=[])
    with pytest.raises(SourceError, match="list no images"):
        open_coco(str(tmp_path), IngestOptions())
    (tmp_path / "annotations/captions.json").write_text('{"images": [{"id": 1}, {"id"')
    with pytest.raises(SourceError, match="no whole JSON"):
        open_coco(str(tmp_path), IngestOptions())


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
def test_elements_are_the_same_in_windows_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("recapdata.ingestion.jsonstream.CHUNK", chunk)
    content = {
        "a": [1, 23, 456.5],
        "b": {"c": [1]},
        "empty": [],
        "d": [{"e": 'x]}," y'}, None],
        "f": "g",
        "n": -12,
    }
    (tmp_path / "a.json").write_text(json.dumps(content, indent=1))
    assert list(elements(tmp_path / "a.json")) == [
        ("a", 1), ("a", 23), ("a", 456.5), ("b", {"c": [1]}), ("d", {"e": 'x]}," y'}), ("d", None), ("f", "g"), ("n", -12),
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["", '{"a": [1', '{"a": [1,,2]}', '{"a" 1}', '{"a": 1 "b": 2}'])
def test_what_is_no_json_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(json.JSONDecodeError):
        list(elements(tmp_path / "a.json"))


def test_real_photographs(tmp_path: Path) -> None:
    shared = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[4] / "shared")) / "coco-mini"
    if not shared.is_dir():
        pytest.skip(f"{shared} is not there")
    summary = ingest(f"coco:{shared}", tmp_path / "out")
    assert summary.counts == Counts(79, 79)
    rows = table(DatasetFolder.open(tmp_path / "out"), "images")
    assert all(len(row["captions"]) == 5 for row in rows)
    assert sum(len(row["objects"]) for row in rows) == 624
    assert all(each["mask"] is not None and each["category"] for row in rows for each in row["objects"])
    assert all(row["license"].startswith("http://") for row in rows)


@pytest.mark.parametrize(
    "name", ["../private/own.png", "/etc/hostname", "images/../../private/own.png", "own.png"]
)
def test_nothing_outside_is_read(tmp_path: Path, name: str) -> None:
    root = tmp_path / "linked"
    draw(root / "images" / "1.png", 1)
    draw(tmp_path / "private" / "own.png", 7)
    (root / "images" / "own.png").symlink_to(tmp_path / "private" / "own.png")
    write(root, "captions_val.json", images=[image(1), image(2, file_name=name)], annotations=[])
    good, bad = read(root)[1]
    assert good.image == png(1)
    assert bad.error is not None
    assert (bad.image, bad.error.error) == (None, "UnsafePath")


def test_annotations_that_are_a_link_out_are_not_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"images": [{"id": 1, "file_name": "a secret"}]}')
    (root / "annotations" / "captions_more.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(SourceError, match="is a link that leads out"):
        read(root)


def test_names_match_whatever_their_spelling_and_links_are_said(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    for index, name in enumerate([f"images/{decomposed}", "images/in/b.png"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(index))
    (tmp_path / "images/linked").symlink_to(tmp_path.parent)
    names = [composed, "in\\b.png", "..\\..\\own.png"]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/captions_a.json").write_text(json.dumps({"images": images, "annotations": []}))
    source = open_coco(str(tmp_path), IngestOptions())
    items = list(source.items(0))
    assert [each.image for each in items] == [png(0), png(1), None]
    assert items[2].error.error == "UnsafePath"
    assert source.notes() == [
        "left aside: 1 symbolic links to folders, which are not followed, first images/linked"
    ]
