"""Each saved view holds what its name says, by the audit's own rows; wrong claims stand on the boxes they concern."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.fiftyone.dataset import build
from audits.fiftyone.fields import disagreement
from audits.fiftyone.views import DISAGREEING, SAMPLE_VIEW, sampled
from audits.runner.run import run
from recapdata.dataset.audit_files import AUDIT_SCHEMA
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.records import Object, image_key
from tests.builders import build_dataset, png

KEYS = [image_key(png(index)) for index in range(6)]
DOG = Object(bbox=(0, 4, 2, 4), category="dog", color="brown")
CAT = Object(bbox=(6, 4, 2, 4), category="cat", color="black")
SIGN = Object(bbox=(2, 0, 4, 2), category="stop sign", text="STOP")
OBJECTS = [[DOG], [DOG, CAT], [DOG, SIGN], [CAT], [DOG], []]
ALT = [
    "a red dog and a cat",  # invents the cat, and the color
    "a cat to the left of a dog",
    "three dogs",
    None,
    "dog " * 100,
    "<b>bold</b>",
]
SHORT = ["A brown dog.", "A dog and a cat.", 'A sign that says "STOP".', "A cat.", "A dog.", "Nothing."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = build_dataset(
        tmp_path_factory.mktemp("views") / "pets", sets={"alt": ALT, "recap-short": SHORT}, objects=OBJECTS
    )
    run(folder.path, evidence=["annotations"])
    _give_margins(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(fo: ModuleType, folder: DatasetFolder) -> Any:
    return fo.load_dataset(build(folder.path).name)


def _give_margins(folder: DatasetFolder) -> None:
    """Low margins for the last caption of `alt`, as a run with CLIP would write them."""
    path = folder.audit_shard("alt", 1)
    rows = pq.read_table(path).to_pylist()
    rows[-1]["scores"] |= {"low_margin": ["color", "object"], "clip_margin": -1.5}
    footer = {
        key.decode(): value.decode()
        for key, value in pq.read_metadata(path).metadata.items()
        if key.startswith(b"recapdata")
    }
    with ShardWriter(path, AUDIT_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
        writer.commit(footer)


def audit_rows(folder: DatasetFolder) -> list[list[dict[str, Any]]]:
    """Per record the audit rows of its captions."""
    sets = [
        [
            row
            for shard in folder.shards()
            for row in pq.read_table(folder.audit_shard(name, shard)).to_pylist()
        ]
        for name in folder.manifest.sets
    ]
    return [[row for row in rows if row["claims"] is not None] for rows in zip(*sets, strict=True)]


def wrong(kind: str) -> Callable[[dict[str, Any]], int]:
    return lambda row: sum(
        claim["kind"] == kind and claim["verdict"] == "contradicted" for claim in row["claims"]
    )


BADNESS: dict[str, Callable[[dict[str, Any]], int]] = {
    "Invented objects": wrong("object"),
    "Wrong counts": wrong("count"),
    "Wrong colors": wrong("color"),
    "Wrong positions": wrong("position"),
    "Text not read": lambda row: (row["scores"]["texts_present"] or 0) - (row["scores"]["texts_said"] or 0),
    "Low CLIP margin": lambda row: len(row["scores"]["low_margin"] or ()),
    "Over 77 tokens": lambda row: max(row["scores"]["clip_tokens"] - 77, 0),
    "Hygiene flags": lambda row: len(row["scores"]["flags"]),
}


@pytest.mark.parametrize("name", BADNESS)
def test_a_view_holds_what_its_name_says_the_worst_first(
    dataset: Any, folder: DatasetFolder, name: str
) -> None:
    bad = [sum(map(BADNESS[name], rows)) for rows in audit_rows(folder)]
    shown = dataset.load_saved_view(name).values("key")
    assert set(shown) == {key for key, badness in zip(KEYS, bad, strict=True) if badness}
    assert shown, "the test data has none of these"
    ordered = [bad[KEYS.index(key)] for key in shown]
    assert ordered == sorted(ordered, reverse=True)


def test_the_views_about_all_sets(dataset: Any) -> None:
    differing = dataset.load_saved_view(DISAGREEING)
    assert KEYS[3] not in differing.values("key")  # one of its captions is missing
    found = [value for value in dataset.values("disagreement") if value]
    assert differing.values("disagreement") == sorted(found, reverse=True)
    hundred = dataset.load_saved_view(SAMPLE_VIEW).values("key")
    assert hundred == sorted(hundred)
    first = dataset.match({"key": hundred[0]}).first()
    assert sampled(dataset, first.id)
    nothing = dataset.match({"key": KEYS[5]}).first()  # of which nothing could be judged
    assert not sampled(dataset, nothing.id)


def test_a_click_shows_the_captions_that_it_is_about(dataset: Any) -> None:
    from audits.fiftyone.plugin.panel import _opened

    asked: list[list[str]] = []
    shown: list[Any] = []
    ops = SimpleNamespace(
        set_active_fields=asked.append,
        set_view=lambda view: shown.append(view),
        notify=lambda words, variant: None,
    )
    context = SimpleNamespace(dataset=dataset, ops=ops)
    assert _opened(context, dataset.limit(1), "alt", "alt")
    assert asked == [["alt", "alt_wrong", "annotations"]]
    assert len(shown) == 1
    assert not _opened(
        context, dataset.limit(1).skip(1), "alt", "recap_short"
    )  # nothing to show: the grid stays
    assert len(asked) == len(shown) == 1


def test_every_view_explains_itself(dataset: Any) -> None:
    assert dataset.list_saved_views() == [*BADNESS, DISAGREEING, SAMPLE_VIEW]
    for name in dataset.list_saved_views():
        assert len(dataset.get_saved_view_info(name)["description"]) > 20


def test_disagreement_is_what_is_not_shared() -> None:
    assert disagreement([["dog", "cat"], ["dog"]]) == 0.5
    assert disagreement([["dog"], ["dog", "dog"], ["dog"]]) == 0
    assert disagreement([["dog"], ["cat"], ["dog"]]) == pytest.approx(2 / 3)
    assert disagreement([[], []]) == 0
    assert disagreement([["dog"]]) is None


def test_wrong_claims_stand_on_the_boxes_they_concern(dataset: Any) -> None:
    def boxes(index: int) -> list[tuple[str, list[float]]]:
        sample = dataset.match({"key": KEYS[index]}).first()
        return [(each.label, each.bounding_box) for each in sample.alt_wrong.detections]

    dog, cat = [0, 0.5, 0.25, 0.5], [0.75, 0.5, 0.25, 0.5]
    assert boxes(0) == [("red dog", dog)]  # the invented cat is nowhere
    assert boxes(1) == [("cat left of dog", dog), ("cat left of dog", cat)]
    assert boxes(2) == [("3 dogs", dog)]
    assert dataset.match({"key": KEYS[3]}).first().alt_wrong is None


def test_without_an_audit_there_are_no_views(fo: ModuleType, tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "bare")
    assert build(folder.path).views == []
    run(folder.path)
    assert len(build(folder.path).views) == len(BADNESS) + 2
