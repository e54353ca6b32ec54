"""Annotations held against their picture: what is sound stays as it is, what is not is left out with a note, from every source."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from recapdata.dataset.masks import run_lengths
from recapdata.ingestion import ingest
from recapdata.ingestion.annotations import check_objects, is_annotation, read_objects
from recapdata.ingestion.source import IngestOptions
from recapdata.records import Item, Object
from tests.builders import png
from tests.recapdata.ingestion.sources import table
from tests.recapdata.ingestion.test_webdataset import tar_bytes

WIDTH, HEIGHT = 64, 48
NAN, INF = float("nan"), float("inf")
SQUARE = [5, 5, 30, 5, 30, 25, 5, 25]
"""A polygon over 25 × 20 pixels."""


def check(**values: Any) -> tuple[Object, list[str]]:
    checked = check_objects([Object(**{"category": "cat", **values})], WIDTH, HEIGHT)
    assert checked.objects is not None
    return checked.objects[0], [note.note for note in checked.notes]


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box",
    [
        [None] * 4, [5, NAN, 20, 10], [INF, 0, 1, 1], [0, 0, -INF, 1], ["5", "5", "9", "9"], [True, 0, 5, 5], [[5], 5, 9, 9],
        [5, 5, -9, 9], [5, 5, 9, -9], [5, 5, 0, 9], [5, 5, 9], [5, 5, 9, 9, 9], [], {}, "5,5,9,9", 7, [2**31, 0, 9, 9],
        [0, 0, 10**5000, 1], [-20, -20, 10, 10], [64, 0, 5, 5], [0, 48, 5, 5], [-9, 0, 12, 12], [0, 0, 200, 100],
    ],
    ids=lambda box: ascii(box)[:30] if not (isinstance(box, list) and 10**5000 in box) else "digits",
)  # fmt: skip
def test_a_box_that_is_none_of_the_picture_is_left_out(box: Any) -> None:
    found, notes = check(bbox=box, mask=[SQUARE])
    assert (found.bbox, found.category, notes) == (None, "cat", ["BadBox"])
    assert found.mask is not None  # where the thing is, its mask still says


@pytest.mark.parametrize(
    "box", [(5, 5, 25, 20), (0, 0, 64, 48), (-1, -0.5, 20, 20), (50, 40, 15, 9), (0.25, 0.5, 0.1, 0.1)]
)
def test_a_box_of_the_picture_stays_as_it_is(box: tuple[float, ...]) -> None:
    assert check(bbox=list(box)) == (Object(category="cat", bbox=box), [])


def test_a_box_that_reaches_out_of_the_picture_is_cut_to_it() -> None:
    found, notes = check(bbox=[-4, 20, 24, 40])  # 20 × 28 of 24 × 40 pixels are inside
    assert (found.bbox, notes) == ((0, 20, 20, 28), ["CutBox"])


# --- masks ------------------------------------------------------------------------------------------------------------


def encoded(pixels: np.ndarray) -> dict[str, Any]:
    found = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_of_any_mask_are_sound_and_stay_as_they_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(1, 90, 2))
    pixels = random.random((height, width)) < random.choice([0.02, 0.5, 0.98])
    pixels[0, 0] = True
    mask = encoded(pixels)
    assert run_lengths(mask, height, width) == mask
    counts = coco_mask.frPyObjects({"size": [height, width], "counts": uncompressed(pixels)}, height, width)
    assert run_lengths({"size": [height, width], "counts": uncompressed(pixels)}, height, width) == mask
    assert counts["counts"].decode() == mask["counts"]


def uncompressed(pixels: np.ndarray) -> list[int]:
    flat = np.concatenate([[False], pixels.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]).tolist()
    ends = [edge for edge in edges if edge < pixels.size]
    return np.diff([0, *ends, pixels.size]).tolist()


def test_a_polygon_becomes_run_lengths() -> None:
    for polygons in ([SQUARE], SQUARE):  # a list of one, and the one by itself
        found, notes = check(mask=polygons)
        assert notes == []
        assert coco_mask.area({**found.mask, "counts": found.mask["counts"].encode()}) == 25 * 20


@pytest.mark.parametrize(
    "mask",
    [
        [[-164.1, -221.8, 2.085e8, 3.52e8, 225.9, 236.5, 272, 384]], [[5, 5, NAN, 5, 30, 25]], [[5, 5, INF, 5, 30, 25]],
        [[5, 5, None, 5, 30, 25]], [[5, 5, 30, 5]], [[5, 5, 30, 5, 30, 25, 5]], [["x"]], [[]], [[[5, 5], [30, 5], [30, 25]]],
        [SQUARE, "x"], ["5 5 30 5 30 25"], [[100, 100, 110, 100, 110, 110]], "x", 7, {"size": [48, 64]},
        {"size": [48, 64], "counts": [10, 20, 5000]}, {"size": [48, 64], "counts": [-1, 200, 2873]},
        {"size": [48, 64], "counts": [3072]}, {"size": [48, 64], "counts": [0.5, 3071.5]}, {"size": [48, 64], "counts": []},
        {"size": [64, 48], "counts": [0, 3072]}, {"size": [NAN, 64], "counts": [0, 3072]}, {"size": 48, "counts": [0, 3072]},
        {"size": [48, 64], "counts": "zzzz"}, {"size": [48, 64], "counts": "o" * 40}, {"size": [48, 64], "counts": "0100"},
        {"size": [48, 64], "counts": "é"}, {"size": [48, 64], "counts": ""}, {"size": [48, 64], "counts": b"\xff"},
        {"size": [2**31, 2**31], "counts": [0, 2**62]}, {"size": [48, 64], "counts": [10**5000]},
    ],
    ids=lambda mask: "digits" if _huge(mask) else ascii(mask)[:40],
)  # fmt: skip
def test_a_mask_that_is_none_of_the_picture_is_left_out(mask: Any) -> None:
    found, notes = check(bbox=[5, 5, 25, 20], mask=mask)
    assert (found.mask, found.bbox, notes) == (None, (5, 5, 25, 20), ["BadMask"])


def _huge(value: Any) -> bool:
    return isinstance(value, dict) and value.get("counts") == [10**5000]


# --- classes and words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "category", [["cat", "animal"], {"name": "cat"}, 7, NAN, "", "  ", "c\udce9t", [], True]
)
def test_a_class_that_is_no_name_is_unknown(category: Any) -> None:
    found, notes = check(category=category, bbox=[1, 2, 3, 4])
    assert (found.category, found.bbox, notes) == (None, (1, 2, 3, 4), ["BadCategory"])


def test_words_that_are_none_are_left_out_one_by_one() -> None:
    found, notes = check(color=5, size=["small"], text="c\udce9")
    assert (found, notes) == (Object(category="cat"), ["BadAttribute"] * 3)
    assert check(category=["cat"], color="red") == (Object(category="cat", color="red"), [])


# --- the forms of sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected", "notes"),
    [
        (None, None, []),
        ([], [], []),
        ({"bbox": [1, 2, 3, 4], "category": "cat"}, [([1, 2, 3, 4], "cat")], []),
        ({"bbox": [[1, 2, 3, 4]] * 2, "category": ["a", "b"]}, [([1, 2, 3, 4], "a"), ([1, 2, 3, 4], "b")], []),
        ({"bbox": [[1, 2, 3, 4]], "category": "cat"}, [([1, 2, 3, 4], "cat")], []),
        ({"bbox": [[1, 2, 3, 4]] * 2, "category": ["a"]}, [([1, 2, 3, 4], [])] * 2, []),  # whose class is it?
        ({"bbox": [], "category": []}, [], []),
        ([{"bbox": [1, 2, 3, 4], "category": 1}], [([1, 2, 3, 4], "dog")], []),
        ([{"bbox": [1, 2, 3, 4], "category": 1.0}], [([1, 2, 3, 4], "dog")], []),
        ([{"bbox": [1, 2, 3, 4], "category": 9}], [([1, 2, 3, 4], 9)], []),  # `check_objects` says that it is none
        ([{"bbox": [1, 2, 3, 4], "label": "cat"}, 5], [([1, 2, 3, 4], "cat"), (None, None)], ["BadAnnotation"]),
        ('[{"bbox": [1, 2, 3, 4], "category": "cat"}]', [([1, 2, 3, 4], "cat")], []),
        ("[" * 100_000, None, ["BadAnnotations"]),
        ("no JSON", None, ["BadAnnotations"]),
        (7, None, ["BadAnnotations"]),
        (NAN, None, ["BadAnnotations"]),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_forms_of_annotations(value: Any, expected: Any, notes: list[str]) -> None:
    objects, found = read_objects(value, ["cat", "dog"])
    assert [note.note for note in found] == notes
    assert (None if objects is None else [(each.bbox, each.category) for each in objects]) == expected


def test_what_looks_like_annotations() -> None:
    assert is_annotation([{"bbox": None, "category": 1}])
    assert is_annotation('{"bbox": [], "labels": []}')
    assert not any(is_annotation(value) for value in (None, "a cat", "[1", ["cat"], {"bbox": []}, 7))


GOOD = {"bbox": [1, 2, 3, 4], "category": "cat"}
BAD = {"bbox": [1, NAN, 3, 4], "category": "cat"}
LINES = [[GOOD], [BAD, GOOD], "a cat", None, [{"bbox": [1, 2, 3, 4], "category": ["cat", "dog"]}]]
"""The annotations of five pictures of 8 × 8 pixels; what is not sound of the second, the third and the fifth is left out."""
SOUND = [[((1, 2, 3, 4), "cat")], [(None, "cat"), ((1, 2, 3, 4), "cat")], None, None, [((1, 2, 3, 4), None)]]
NOTES = {"BadBox": 1, "BadAnnotations": 1, "BadCategory": 1}


def outcome(source: str, out: Path) -> None:
    summary = ingest(source, out)
    assert (summary.counts.records, summary.counts.failures) == (5, 0)
    rows = table(out, "images")
    found = [
        None
        if row["objects"] is None
        else [(each["bbox"] and tuple(each["bbox"]), each["category"]) for each in row["objects"]]
        for row in rows
    ]
    assert found == SOUND
    assert {each.note: each.count for each in summary.noted} == NOTES
    keys = {row["key"] for row in rows}
    noted = table(out, "notes")
    assert {row["key"] for row in noted} <= keys
    assert len(noted) == 3
    assert all(f"{count:>8,}  {name}: " in summary.text() for name, count in NOTES.items())


def test_lines_of_json(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    lines = [json.dumps({"file_name": f"{place}.png", "objects": each}) for place, each in enumerate(LINES)]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    for place in range(5):
        (root / f"{place}.png").write_bytes(png(place))
    outcome(str(root), tmp_path / "out")


def test_cells_of_csv(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    cells = ["" if each is None else json.dumps(each).replace('"', '""') for each in LINES]
    lines = ["file_name,objects", *(f'{place}.png,"{cell}"' for place, cell in enumerate(cells))]
    (root / "metadata.csv").write_text("\n".join(lines))
    for place in range(5):
        (root / f"{place}.png").write_bytes(png(place))
    outcome(str(root), tmp_path / "out")


def test_json_in_tars(tmp_path: Path) -> None:
    members = []
    for place, each in enumerate(LINES):
        members += [(f"{place}.png", png(place)), (f"{place}.json", json.dumps({"objects": each}).encode())]
    (tmp_path / "in.tar").write_bytes(tar_bytes(members))
    outcome(f"wds:{tmp_path}/in.tar", tmp_path / "out")


def test_columns_of_parquet(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([("bbox", pa.list_(pa.float64())), ("category", pa.list_(pa.string()))]))
    objects = pa.array(
        [
            [{"bbox": [1, 2, 3, 4], "category": ["cat"]}],
            [{"bbox": [1, NAN, 3, 4], "category": ["cat"]}, None],
            [{"bbox": [1, 2, 3, 4], "category": ["cat", "dog"]}],
        ],
        kind,
    )
    pq.write_table(pa.table({"jpg": [png(0), png(1), png(2)], "objects": objects}), tmp_path / "in.parquet")
    summary = ingest(f"urls:{tmp_path}/in.parquet", tmp_path / "out")
    assert {each.note: each.count for each in summary.noted} == {
        "BadBox": 1, "BadAnnotation": 1, "BadCategory": 1,
    }  # fmt: skip
    found = [
        [(each["bbox"], each["category"]) for each in row["objects"]]
        for row in table(tmp_path / "out", "images")
    ]
    assert found == [[([1, 2, 3, 4], "cat")], [(None, "cat"), (None, None)], [([1, 2, 3, 4], None)]]


# --- the picture decides ----------------------------------------------------------------------------------------------------


def turned() -> bytes:
    """A picture of 200 × 100 pixels, stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (100, 200), "red").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "noted"),
    [
        ((200, 100), []),
        ((0, 0), []),
        ((None, "x"), []),
        ((NAN, 100), []),
        ((100, 200), ["OtherSize"]),
        ((20, 10), ["OtherSize"]),
    ],
    ids=str,
)
def test_boxes_are_of_the_upright_picture_whatever_size_the_source_says(
    tmp_path: Path, size: tuple[Any, Any], noted: list[str]
) -> None:
    root = tmp_path / "in"
    (root / "annotations").mkdir(parents=True)
    (root / "a.jpg").write_bytes(turned())
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 1,
                "bbox": [150, 10, 40, 80],
                "segmentation": [[150, 10, 190, 10, 190, 90]],
            }
        ],
    }
    (root / "annotations/instances.json").write_text(json.dumps(content))
    summary = ingest(f"coco:{root}", tmp_path / "out")
    (row,) = table(tmp_path / "out", "images")
    assert (row["width"], row["height"]) == (200, 100)
    assert row["objects"][0]["bbox"] == [150, 10, 40, 80]
    assert row["objects"][0]["mask"]["size"] == [100, 200]
    assert [each.note for each in summary.noted] == noted


def test_a_source_from_outside_is_checked_as_well(tmp_path: Path) -> None:
    from recapdata.ingestion.checking import check_item
    from tests.recapdata.ingestion.sources import Listed

    item = Item(source="a", image=png(1), objects=(Object(bbox=(0, 0, -1, 1), category="cat"),))
    checked = check_item(item, Listed([item]), IngestOptions())
    assert checked.failure is None
    assert [note.note for note in checked.item.notes] == ["BadBox"]
