"""Scenes as a source: the same each time, from any start, with their truth."""

from pathlib import Path

import pytest

from recapdata.errors import OptionError
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.drawn import open_scenes
from recapdata.records import Counts
from recapdata.scenes import alt_text, draw_scene, encode_png, human_long, human_short, scene_objects
from tests.recapdata.ingestion.sources import files, table


def test_a_scene_comes_with_its_truth_and_its_words() -> None:
    source = open_scenes("5,seed=3,human=2", IngestOptions())
    items = list(source.items(0))
    assert len(items) == source.total == 5
    scene = draw_scene(3, 1)
    assert items[1].image == encode_png(scene)
    assert dict(items[1].columns) == {
        "alt_text": alt_text(scene),
        "human_short": human_short(scene),
        "human_long": human_long(scene),
    }
    for key, value in scene_objects(scene)[0].items():
        assert items[1].objects[0].to_dict()[key] == value
    assert items[1].source == "scenes:seed=3#1"
    assert set(items[2].columns) == {"alt_text"}
    assert [list(source.items(start)) for start in range(6)] == [items[start:] for start in range(6)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("7", "scenes:7,seed=0"),
        ("7,human=9", "scenes:7,seed=0,human=9"),
        ("7,human=0,seed=4", "scenes:7,seed=4"),
        ("7,words=yes,sizes=both,objects=5", "scenes:7,seed=0"),
        ("7,words=no,sizes=large,objects=3", "scenes:7,seed=0,objects=3,words=no,sizes=large"),
    ],
)
def test_the_name_is_the_same_however_it_is_typed(text: str, name: str) -> None:
    assert open_scenes(text, IngestOptions()).name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "x",
        "5,seed",
        "5,sed=1",
        "5,seed=-1",
        "5,seed=1.5",
        "٥",
        "5,objects=0",
        "5,objects=6",
        "5,words=2",
        "5,sizes=huge",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"scenes:{text}"):
        open_scenes(text, IngestOptions())


def test_a_smaller_world_holds_no_more_than_it_says() -> None:
    items = list(open_scenes("200,objects=2,words=no,sizes=small", IngestOptions()).items(0))
    objects = [item.objects for item in items]
    assert {len(each) for each in objects} == {1, 2}
    assert {drawn.size for each in objects for drawn in each} == {"small"}
    assert items[7].source == "scenes:seed=0,objects=2,words=no,sizes=small#7"
    whole = [item.objects for item in open_scenes("200", IngestOptions()).items(0)]
    assert any(drawn.category == "word" for each in whole for drawn in each)
    assert {len([drawn for drawn in each if drawn.category != "word"]) for each in whole} == {1, 2, 3, 4, 5}


def test_the_same_seed_gives_the_same_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert ingest("scenes:40,seed=2,human=5", tmp_path / name).counts == Counts(40, 40)
    images = [files(tmp_path / name / "images") for name in ("one", "two")]
    assert images[0] == images[1]
    rows = table(tmp_path / "one", "images")
    assert [row["human_long"] is None for row in rows] == [False] * 5 + [True] * 35
    assert all(row["objects"] for row in rows)
