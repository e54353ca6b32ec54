"""Licenses of rows held against the dataset's."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.publishing import plan_publication
from recapdata.publishing.row_licenses import LicenseCount, forbidden, license_notes
from tests.builders import build_dataset


@pytest.mark.parametrize(
    ("license", "signs"),
    [
        ("cc-by-nc-sa-4.0", {"nc", "sa"}),
        ("CC BY-NC-ND 2.0", {"nc", "nd"}),
        ("http://creativecommons.org/licenses/by-nc/2.0/", {"nc"}),
        ("Attribution-NonCommercial-ShareAlike License", {"nc", "sa"}),
        ("Attribution-NoDerivs License", {"nd"}),
        ("All rights reserved", {"none"}),
        ("© Ann", {"none"}),
        ("research only", {"nc"}),
        ("gpl-3.0", {"sa"}),
        ("odbl", {"sa"}),
        ("cc-by-4.0", set()),
        ("cc0-1.0", set()),
        ("No known copyright restrictions", set()),
        ("Public Domain", set()),
        ("mit", set()),
        ("https://creativecommons.org/publicdomain/zero/1.0/", set()),
        ("unknown", None),
        ("other:lab-1.0", None),
        ("", None),
    ],
)
def test_what_a_license_forbids(license, signs):
    assert forbidden(license) == signs


def test_rows_that_forbid_what_the_dataset_allows_are_named():
    count = LicenseCount()
    count.add(
        [letter * 64 for letter in "abcdef"],
        ["cc-by-nc-4.0", "cc-by-4.0", "cc-by-nc-4.0", None, "All rights reserved", "unknown"],
    )
    first, second = license_notes("cc-by-4.0", count.rows, count.examples)
    assert first.startswith(
        "2 rows are licensed 'cc-by-nc-4.0' (key aaaaaaaaaaaa…), which forbids commercial use;"
    )
    assert second.startswith("1 row is licensed 'All rights reserved' (key eeeeeeeeeeee…)")
    (left,) = license_notes("cc-by-nc-4.0", count.rows, count.examples)
    assert "All rights reserved" in left
    assert license_notes("other:lab", count.rows, count.examples) == []


def test_the_plan_names_them(hub, repo_id, tmp_path):
    folder = build_dataset(tmp_path / "birds", sets={"alt": ["a bird"] * 6}, license="cc-by-4.0")
    path = folder.image_shard(0)
    table = pq.read_table(path)
    licenses = pa.array(["cc-by-nc-4.0"] * 3 + [None] * (table.num_rows - 3), pa.string())
    place = table.schema.get_field_index("license")
    pq.write_table(table.set_column(place, table.schema.field(place), licenses), path)
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    assert "Note: 3 rows are licensed 'cc-by-nc-4.0' (key" in plan.text()
    plan = plan_publication(folder.path, repo_id, version="1.0.0", license="cc-by-nc-4.0")
    assert "are licensed" not in plan.text()
