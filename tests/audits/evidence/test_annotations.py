"""The `objects` column as evidence: what was looked for, what was seen, and when old verdicts no longer hold."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from audits.evidence import Observation, Record, open_evidence
from audits.evidence.annotations import annotated, open_annotations
from audits.lexicon import load_lexicon
from recapdata.dataset.target import open_dataset
from recapdata.errors import OptionError
from recapdata.records import Object
from tests.builders import build_dataset


def dog(**known: str) -> Object:
    return Object(bbox=(1, 2, 3, 4), category="Dog", **known)


def test_classes_and_attributes_are_those_of_the_whole_dataset(tmp_path: Path) -> None:
    glorp = Object(bbox=(0, 0, 1, 1), category="glorp", color="red")
    build_dataset(tmp_path / "ds", rows=3, shard_rows=2, objects=[[dog()], [], [glorp]])
    source = open_annotations(open_dataset(tmp_path / "ds"))
    assert source.scope.classes == {"dog", "glorp"}
    assert source.scope.attributes == {"color"}


def test_a_part_of_cocos_classes_means_that_all_were_looked_for(tmp_path: Path) -> None:
    build_dataset(tmp_path / "ds", rows=1, objects=[[dog()]])
    assert open_annotations(open_dataset(tmp_path / "ds")).scope.classes == load_lexicon().vocabularies[0]


def test_no_annotations_at_all_is_said(tmp_path: Path, capsys) -> None:
    build_dataset(tmp_path / "ds", rows=1, objects=[[]])
    assert open_annotations(open_dataset(tmp_path / "ds")).scope.classes == frozenset()
    assert "no annotated objects" in capsys.readouterr().err


def test_collect(tmp_path: Path) -> None:
    build_dataset(
        tmp_path / "ds",
        rows=2,
        objects=[[dog(color="red")], []],
        columns={"crowds": pa.array([["Dog"], None])},
    )
    source = open_evidence("annotations", open_dataset(tmp_path / "ds"))
    rows = [
        row for batch in open_dataset(tmp_path / "ds").read(0, source.columns) for row in batch.to_pylist()
    ]
    first, second = source.collect([Record(values=row) for row in rows])
    assert first is not None
    assert first.objects == (Observation(bbox=(1, 2, 3, 4), category="dog", colors=("red",), area=12.0),)
    assert (first.width, first.height, first.uncounted) == (8, 8, {"dog"})
    assert second is not None
    assert (second.objects, second.uncounted) == ((), frozenset())
    assert source.collect([Record(values={**rows[0], "objects": None})]) == [None]


def test_a_mask_says_how_much_of_its_box_a_thing_covers() -> None:
    from pycocotools import mask as coco

    pixels = np.zeros((8, 8), np.uint8, order="F")
    pixels[1:3, 1:4] = 1  # 2×3 of a box of 4×4
    encoded = coco.encode(pixels)
    run_lengths = {"size": [8, 8], "counts": encoded["counts"].decode()}
    bare = {"category": "Dog", "color": None, "size": None, "text": None}
    assert annotated({**bare, "bbox": [1, 1, 4, 4], "mask": run_lengths}).area == 6
    assert annotated({**bare, "bbox": [1, 1, 4, 4], "mask": None}).area == 16
    assert annotated({**bare, "bbox": None, "mask": None}).area is None


def test_what_follows_the_name_is_of_no_use_to_it(tmp_path: Path) -> None:
    build_dataset(tmp_path / "ds", rows=1)
    with pytest.raises(OptionError, match="annotations:more"):
        open_evidence("annotations:more", open_dataset(tmp_path / "ds"))
    with pytest.raises(OptionError, match="no evidence source 'nothing'; there are annotations"):
        open_evidence("nothing", open_dataset(tmp_path / "ds"))


def test_identity_follows_what_was_seen(tmp_path: Path) -> None:
    def identities(*objects: list[Object]) -> list[str]:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        build_dataset(path, rows=2, shard_rows=1, objects=objects)
        source = open_annotations(open_dataset(path))
        return [source.identity(shard) for shard in (0, 1)]

    before = identities([dog()], [dog()])
    assert identities([dog()], [dog()]) == before
    moved = identities([dog()], [Object(bbox=(9, 2, 3, 4), category="dog")])
    assert (moved[0] == before[0], moved[1] == before[1]) == (True, False)
    # A class nobody looked for before changes what can be said of every image.
    wider = identities([dog()], [dog(), Object(bbox=(0, 0, 1, 1), category="glorp")])
    assert (wider[0] == before[0], wider[1] == before[1]) == (False, False)
