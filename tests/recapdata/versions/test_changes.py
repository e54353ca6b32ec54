"""What changed between two versions, and which number it calls for."""

import pyarrow as pa
import pytest

from recapdata.dataset.target import open_dataset
from recapdata.errors import VersionError
from recapdata.records import image_key
from recapdata.versions.changes import Changes, SetChange, check_version, compare, parse_version
from recapdata.versions.contents import read_contents
from tests.builders import build_dataset, png

PICTURES = [png(index) for index in range(9)]
CAPTIONS = [f"alt {index}" for index in range(9)]


def changes(tmp_path, before, after) -> Changes:
    targets = [
        open_dataset(build_dataset(tmp_path / name, **options).path)
        for name, options in (("a", before), ("b", after))
    ]
    return compare(*targets, *(read_contents(target) for target in targets))


def test_nothing_changed_however_the_shards_are_cut(tmp_path):
    found = changes(tmp_path, {"rows": 9, "shard_rows": 4}, {"rows": 9, "shard_rows": 3})
    assert (found.level, found.phrases()) == ("none", [])
    assert (found.added, found.removed, found.moved) == (0, 0, 0)


def test_appended_and_removed_rows(tmp_path):
    keep = [0, 1, 2, 3, 5, 6, 8]  # rows 4 and 7 are taken out; one row more than before at the end
    found = changes(
        tmp_path,
        {"images": PICTURES[:8], "sets": {"alt": CAPTIONS[:8]}},
        {"images": [PICTURES[i] for i in keep], "sets": {"alt": [CAPTIONS[i] for i in keep]}},
    )
    assert (found.added, found.removed, found.moved) == (1, 2, 0)
    assert (found.rows_before, found.rows_after, found.level) == (8, 7, "major")
    assert found.captions["alt"].changed == 0
    assert found.phrases() == ["2 rows removed", "1 row added"]


def test_another_order_is_noticed(tmp_path):
    turned = [1, 0, 2, 3, 4, 5]
    found = changes(
        tmp_path,
        {"images": PICTURES[:6], "sets": {"alt": CAPTIONS[:6]}},
        {"images": [PICTURES[i] for i in turned], "sets": {"alt": [CAPTIONS[i] for i in turned]}},
    )
    assert (found.added, found.removed, found.level) == (0, 0, "major")
    assert found.moved == 5  # row 1 is met first; rows 0 and 2 to 5 then do not follow on


def test_changed_captions_come_with_examples(tmp_path):
    after = ["alt 0", "new", None, "alt 3", "", "alt 5"]
    found = changes(tmp_path, {}, {"sets": {"alt": after}})
    assert found.captions["alt"].changed == 3
    keys = {image_key(PICTURES[row]): row for row in range(6)}
    examples = {keys[each.key]: (each.before, each.after) for each in found.captions["alt"].examples}
    assert examples == {1: ("alt 1", "new"), 2: ("alt 2", None), 4: ("alt 4", "")}
    assert (found.level, found.phrases()) == ("minor", ["3 captions of alt changed"])


def test_examples_are_those_of_the_smallest_keys(tmp_path):
    found = changes(tmp_path, {"rows": 9}, {"rows": 9, "sets": {"alt": ["x"] * 9}})
    smallest = sorted(image_key(picture) for picture in PICTURES)[:3]
    assert [example.key for example in found.captions["alt"].examples] == smallest


def test_sets_and_columns(tmp_path):
    found = changes(
        tmp_path,
        {
            "sets": ["alt", "old"],
            "columns": {"n": pa.array([1] * 6), "gone": pa.array([1] * 6), "none": pa.nulls(6)},
        },
        {
            "sets": ["alt", "new"],
            "columns": {"n": pa.array(["1"] * 6), "came": pa.array([1] * 6), "none": pa.array([1] * 6)},
        },
    )
    assert (found.sets_added, found.sets_removed) == (("new",), ("old",))
    assert (found.columns_added, found.columns_removed) == (("came",), ("gone",))
    assert found.columns_retyped == ("n retyped from int64 to string",)
    assert found.level == "major"


def test_changed_values_of_a_column_are_minor(tmp_path):
    found = changes(
        tmp_path, {"columns": {"n": pa.array([1] * 6)}}, {"columns": {"n": pa.array([1] * 5 + [2])}}
    )
    assert (found.level, found.values) == ("minor", True)


@pytest.mark.parametrize(
    ("change", "requested", "smallest"),
    [
        (Changes(removed=1), "1.3.0", "2.0.0"),
        (Changes(added=1), "1.2.4", "1.3.0"),
        (Changes(captions={"alt": SetChange(changed=1)}), "1.2.4", "1.3.0"),
        (Changes(other=("audit",)), "1.2.3", "1.2.4"),
        (Changes(other=("audit",)), "0.9.0", "1.2.4"),
    ],
)
def test_the_rule_names_the_smallest_right_version(change, requested, smallest):
    with pytest.raises(VersionError, match=f"smallest right one is {smallest}"):
        check_version(requested, "1.2.3", change)
    assert check_version(smallest, "1.2.3", change) == smallest


def test_larger_steps_and_first_versions_are_free():
    assert check_version("v3.0.0", "1.2.3", Changes(added=1)) == "3.0.0"
    assert check_version("0.1.0", None, Changes()) == "0.1.0"


@pytest.mark.parametrize("text", ["1.0", "latest", "1.0.0-rc1", "1.0.0+x", "01.0.0", ""])
def test_what_is_no_version_is_said(text):
    with pytest.raises(VersionError):
        parse_version(text)
