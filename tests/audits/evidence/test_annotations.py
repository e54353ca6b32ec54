"""The `objects` column as evidence: what was looked for, what was seen, and when old verdicts no longer hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from audits.evidence import Observation, Record, open_evidence
from audits.evidence.annotations import annotated, open_annotations
from audits.evidence.collect import collect
from audits.grounding.verdicts import ground
from audits.lexicon import load_lexicon
from audits.runner.run import run
from recapdata.dataset.target import open_dataset
from recapdata.errors import OptionError
from recapdata.ingestion import ingest
from recapdata.records import Claim, Object
from tests.builders import build_dataset, png


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


# --- what could not be read when it came in ---------------------------------------------------------------------------------


BOX = [1, 1, 4, 4]
CAT, DOG = {"category_id": 1, "bbox": BOX}, {"category_id": 2, "bbox": BOX}
CLAIMS = {
    "a dog": Claim(kind="object", span=(0, 5), object="dog"),
    "a cat": Claim(kind="object", span=(0, 5), object="cat"),
    "three cats": Claim(kind="count", span=(0, 10), object="cat", count=3),
    "three dogs": Claim(kind="count", span=(0, 10), object="dog", count=3),
    "a cat at the right": Claim(kind="position", span=(0, 18), subject="cat", region="right"),
}


def judged(tmp_path: Path, annotations: list[dict[str, Any]]) -> dict[str, str]:
    """The verdicts on `CLAIMS` for a picture of 64 × 48 pixels that came in with these annotations, by `audits run`'s own parts."""
    root = tmp_path / "in"
    (root / "annotations").mkdir(parents=True)
    images = []
    for number, objects in enumerate([annotations, [CAT], [DOG]]):
        (root / f"{number}.png").write_bytes(png(number, (64, 48)))
        images += [{"image_id": number, **each} for each in objects]
    content = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": images,
    }
    (root / "annotations/instances.json").write_text(json.dumps(content))
    ingest(f"coco:{root}", tmp_path / "out")
    target = open_dataset(tmp_path / "out")
    source = open_annotations(target)
    row = next(row for batch in target.read(0, source.columns) for row in batch.to_pylist())
    (evidence,) = source.collect([Record(values=row)])
    assert evidence is not None
    return {text: str(ground([claim], [evidence], text).claims[0].verdict) for text, claim in CLAIMS.items()}


def test_sound_annotations_contradict(tmp_path: Path) -> None:
    assert judged(tmp_path, [CAT]) == {
        "a dog": "contradicted",
        "a cat": "supported",
        "three cats": "contradicted",
        "three dogs": "contradicted",
        "a cat at the right": "contradicted",
    }


@pytest.mark.parametrize(
    "bad", [[5, float("nan"), 9, 9], [None] * 4, [5, 5, -1, 9], "x", [900, 900, 9, 9]], ids=str
)
def test_nothing_about_a_class_of_a_bad_box_is_contradicted(tmp_path: Path, bad: Any) -> None:
    # Of the dog nothing is known but that there is one; the cat's own claims are judged as ever.
    assert judged(tmp_path, [CAT, {"category_id": 2, "bbox": bad}]) == {
        "a dog": "supported",
        "a cat": "supported",
        "three cats": "contradicted",
        "three dogs": "unknown",
        "a cat at the right": "contradicted",
    }


@pytest.mark.parametrize("bad", [90, None, "1", [1], float("nan")], ids=str)
def test_beside_an_object_of_unknown_class_nothing_is_contradicted(tmp_path: Path, bad: Any) -> None:
    assert judged(tmp_path, [CAT, {"category_id": bad, "bbox": BOX}]) == {
        "a dog": "unknown",
        "a cat": "supported",
        "three cats": "unknown",
        "three dogs": "unknown",
        "a cat at the right": "unknown",
    }


@pytest.mark.parametrize(
    "hidden", [{"category_id": 2, "bbox": None}, {"category_id": 90, "bbox": BOX}], ids=str
)
@pytest.mark.parametrize("evidence", [["annotations", "colors"], ["colors"]], ids=str)
def test_no_other_source_judges_a_color_that_an_unread_object_may_have(
    tmp_path: Path, hidden: dict[str, Any], evidence: list[str]
) -> None:
    # The picture is blue, and so is the dog whose box is sound; of the other thing nobody knows the place, or the class.
    box = {"category_id": 2, "bbox": [8, 8, 40, 30]}
    for name, things in (("sound", [box]), ("unread", [box, hidden])):
        root = tmp_path / name
        (root / "annotations").mkdir(parents=True)
        picture = Image.new("RGB", (64, 48), "white")
        picture.paste((0, 0, 255), (8, 8, 48, 38))
        picture.save(root / "0.png")
        content = {
            "images": [{"id": 0, "file_name": "0.png"}],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
            "annotations": [{"image_id": 0, **each} for each in things],
        }
        (root / "annotations/instances.json").write_text(json.dumps(content))
        ingest(f"coco:{root}", tmp_path / f"{name}-out")
    claim = Claim(kind="color", span=(0, 9), object="dog", color="red")
    assert _color(tmp_path / "sound-out", evidence, claim) == "contradicted"
    assert _color(tmp_path / "unread-out", evidence, claim) == "unknown"


def _color(folder: Path, names: list[str], claim: Claim) -> str:
    target = open_dataset(folder)
    sources = [open_evidence(name, target) for name in names]
    columns = list(dict.fromkeys(["key", *(column for source in sources for column in source.columns)]))
    (batch,) = target.read(0, columns)
    (found,) = collect(sources, batch, [frozenset({"dog"})])
    return str(ground([claim], found.evidence, "a red dog").claims[0].verdict)


def test_a_bad_mask_costs_no_verdict(tmp_path: Path) -> None:
    bad = {"size": [48, 64], "counts": [10, 20, 5000]}
    assert judged(tmp_path, [{**CAT, "segmentation": bad}])["a dog"] == "contradicted"


@pytest.mark.parametrize(
    ("bbox", "mask"),
    [([5.0, float("nan"), 9.0, 9.0], None), (BOX, {"size": [48, 64], "counts": "zzzz"}), (BOX, {"size": [48, 64], "counts": "é"}),
     (BOX, {"size": [48, 64], "counts": "0100"}), ([1.0], {"size": [-1, 2**31 - 1], "counts": "o" * 9})],
    ids=str,
)  # fmt: skip
def test_a_folder_from_before_annotations_were_checked_is_audited(
    tmp_path: Path, bbox: Any, mask: Any
) -> None:
    thing = Object(bbox=tuple(bbox), category="cat", mask=mask)
    folder = build_dataset(
        tmp_path / "ds", rows=1, objects=[[thing]], images=[png(1, (64, 48))], sets={"alt": ["A red dog."]}
    )
    summary = run(folder.path, evidence=["annotations", "colors"])
    assert summary.sets["alt"]["captions"] == 1


def test_objects_listed_without_boxes_are_counted_and_tags_are_not(tmp_path: Path) -> None:
    def listed(*names: str) -> list[Object]:
        return [Object(category=name) for name in names]

    two = Claim(kind="count", span=(0, 8), object="dog", count=2)
    apart = [Object(bbox=box, category="dog") for box in ((0, 0, 3, 3), (4, 0, 3, 3), (0, 4, 3, 3))]
    for name, objects, verdict in (
        ("lists", [listed("dog", "dog", "dog"), listed("cat")], "contradicted"),
        ("tags", [listed("dog", "cat"), listed("cat")], "unknown"),
        ("some-boxes", [listed("dog", "dog", "dog"), [dog()]], "unknown"),
        ("at-least-three", [[*apart, *listed("dog")]], "contradicted"),
    ):
        build_dataset(tmp_path / name, rows=len(objects), objects=objects)
        target = open_dataset(tmp_path / name)
        source = open_evidence("annotations", target)
        row = next(iter(target.read(0, source.columns))).to_pylist()[0]
        evidence = [each for each in source.collect([Record(values=row)]) if each is not None]
        (claim,) = ground([two], evidence).claims
        assert claim.verdict == verdict, name
