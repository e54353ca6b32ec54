"""One caption set of several."""

import pytest
from datasets import load_dataset

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.removal import remove
from recapdata.errors import AuditNotFound, CaptionSetExists, CaptionSetNotFound, OptionError
from recapdata.publishing import plan_publication, publish
from recapdata.publishing.card import who
from recapdata.recaptioning.merging import merge_captions
from recapdata.records import Manifest
from tests.builders import add_set, write_captions
from tests.recapdata.recaptioning import test_where
from tests.recapdata.recaptioning.test_filling import WRONG, fix, rows_of
from tests.recapdata.recaptioning.test_where import ALT, _scripted, folder  # noqa: F401


def test_of_each_record_the_first_set_that_has_one(folder: DatasetFolder):  # noqa: F811
    fix(folder, where=WRONG, fill="none")  # rows 0 and 3
    summary = merge_captions(folder.path, "best", ["fixed", "alt"])
    assert [row["origin"] for row in rows_of(folder, "best")] == ["fixed", "alt", None, "fixed", "alt", "alt"]
    assert [row["caption"] for row in rows_of(folder, "best")][:2] == ["look: 0 0 0", ALT[1]]
    assert rows_of(folder, "best")[2]["error"] == "Refused: built to fail"
    assert (summary.records, summary.captions, summary.failures) == (6, 5, 1)
    assert summary.origins == {"fixed": 2, "alt": 3}
    merged = folder.manifest.sets["best"]
    assert (merged.writer, merged.sources, merged.choice) == ("merge", ("fixed", "alt"), "first")
    assert merged.parts["fixed"] == folder.manifest.sets["fixed"]
    assert who(merged) == "2 captions of fixed, 3 captions of alt"
    assert Manifest.from_dict(folder.manifest.to_dict()) == folder.manifest
    remove(folder.path, None, captions=["fixed"])  # the merged set stands alone
    assert folder.manifest.sets["best"].parts["fixed"].model == "scripted"


def test_words_of_merged_and_recaptioned_sets_stay_those_of_their_writers(folder: DatasetFolder):  # noqa: F811
    add_set(folder, "long", [None, None, "a long one", None, None, None])
    fix(folder, where=WRONG)
    merge_captions(folder.path, "best", ["fixed"])
    merge_captions(folder.path, "better", ["best", "long"])
    assert [row["origin"] for row in rows_of(folder, "better")] == [
        "fixed",
        "alt",
        "long",
        "fixed",
        "alt",
        "alt",
    ]
    assert set(folder.manifest.sets["better"].parts) == {"fixed", "alt", "long"}


def test_the_same_command_follows_its_sources(folder: DatasetFolder):  # noqa: F811
    add_set(folder, "long", ["a"] * 6)
    merge_captions(folder.path, "best", ["long", "alt"])
    write_captions(folder, "long", 0, folder.read_keys(0), ["b", None, "b", "b"])
    assert merge_captions(folder.path, "best", ["long", "alt"]).origins == {"long": 5, "alt": 1}
    assert rows_of(folder, "best")[0]["caption"] == "b"
    with pytest.raises(CaptionSetExists, match="made of long, alt by first"):
        merge_captions(folder.path, "best", ["alt", "long"])
    assert merge_captions(folder.path, "best", ["alt", "long"], overwrite=True).origins == {
        "alt": 5,
        "long": 1,
    }
    with pytest.raises(CaptionSetExists, match="made otherwise"):
        merge_captions(folder.path, "alt", ["long"])


def test_the_caption_that_is_contradicted_least(folder: DatasetFolder, monkeypatch):  # noqa: F811
    """Of `alt` a claim of rows 0 and 3 is contradicted, and there is no caption of row 2; of `other` none is."""
    add_set(folder, "other", ["o"] * 6)
    with pytest.raises(AuditNotFound, match="other is not audited"):
        merge_captions(folder.path, "best", ["alt", "other"], fewest_contradictions=True)
    monkeypatch.setattr(test_where, "VERDICTS", [["supported"]] * 6)
    test_where.audit(folder, "other")
    merge_captions(folder.path, "best", ["alt", "other"], fewest_contradictions=True)
    origins = [row["origin"] for row in rows_of(folder, "best")]
    assert origins == ["other", "alt", "other", "other", "alt", "alt"]
    write_captions(folder, "other", 0, folder.read_keys(0), ["p"] * 4)
    with pytest.raises(AuditNotFound, match="changed since"):
        merge_captions(folder.path, "best", ["alt", "other"], fewest_contradictions=True)


@pytest.mark.parametrize("sources", [[], ["alt", "alt"], ["best", "alt"]])
def test_sets_are_named_once_and_are_others(folder: DatasetFolder, sources):  # noqa: F811
    with pytest.raises((OptionError, CaptionSetNotFound), match="merge-captions"):
        merge_captions(folder.path, "best", sources)


def test_a_merged_set_is_published_with_whose_words_it_holds(folder: DatasetFolder, hub, repo_id):  # noqa: F811
    fix(folder, where=WRONG)
    merge_captions(folder.path, "best", ["fixed", "alt"])
    publish(plan_publication(folder.path, repo_id, version="1.0.0", license="cc0-1.0"))
    rows = load_dataset(repo_id, "captions", revision="v1.0.0", split="train").to_list()
    origins = [row["origin"] for row in rows if row["set"] == "best"]
    assert origins == ["fixed", "alt", None, "fixed", "alt", "alt"]
