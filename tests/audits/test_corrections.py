"""Corrections: durable, replaced by later ones, and the agreement counted on the random sample alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audits.corrections import (
    Correction,
    add_correction,
    agreement,
    claim_fields,
    corrections_of,
    read_corrections,
)
from recapdata.dataset.folder import CORRECTIONS, DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import writing
from recapdata.errors import DatasetDamaged, NotADataset
from tests.builders import build_dataset

WRONG = Correction(
    key="a" * 64,
    set_name="recap-short",
    kind="color",
    span=(2, 9),
    claim={"object": "dög", "color": "red"},
    verdict="contradicted",
    right=False,
    date="2026-01-01T00:00:00+00:00",
)


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(tmp_path / "birds")


def test_a_correction_comes_back_as_it_was(folder: DatasetFolder) -> None:
    assert read_corrections(folder.path) == []
    add_correction(folder.path, WRONG)
    assert read_corrections(folder.path) == [WRONG]
    assert corrections_of(open_dataset(folder.path)) == [WRONG]
    line = json.loads((folder.path / CORRECTIONS).read_text(encoding="utf8"))
    assert line == {
        "key": "a" * 64,
        "set": "recap-short",
        "kind": "color",
        "span": [2, 9],
        "claim": {"object": "dög", "color": "red"},
        "verdict": "contradicted",
        "right": False,
        "sample": False,
        "date": "2026-01-01T00:00:00+00:00",
    }


def test_a_later_word_on_the_same_claim_replaces_the_earlier(folder: DatasetFolder) -> None:
    other = replace(WRONG, claim={"object": "dog", "color": "blue"})  # two colors may stand on one span
    for each in (WRONG, other, replace(WRONG, right=True)):
        add_correction(folder.path, each)
    assert read_corrections(folder.path) == [replace(WRONG, right=True), other]


def test_a_torn_last_line_is_no_loss(folder: DatasetFolder) -> None:
    add_correction(folder.path, WRONG)
    with open(folder.path / CORRECTIONS, "ab") as file:
        file.write(b'{"key": "bb')
    assert read_corrections(folder.path) == [WRONG]
    other = replace(WRONG, key="b" * 64)
    add_correction(folder.path, other)
    assert read_corrections(folder.path) == [WRONG, other]


def test_it_is_said_what_is_damaged_or_missing(folder: DatasetFolder, tmp_path: Path) -> None:
    (folder.path / "audits").mkdir()
    (folder.path / CORRECTIONS).write_text('{"key": 1}\n')
    with pytest.raises(DatasetDamaged, match=r"line 1 is no correction.*take the line out"):
        read_corrections(folder.path)
    with pytest.raises(NotADataset):
        add_correction(tmp_path, WRONG)


def test_it_needs_no_other_writer_to_end(folder: DatasetFolder) -> None:
    with writing(folder):
        add_correction(folder.path, WRONG)
    assert read_corrections(folder.path) == [WRONG]


def test_agreement_counts_decided_verdicts_of_the_sample() -> None:
    sampled = replace(WRONG, sample=True)
    found = agreement(
        [
            *(replace(sampled, right=True) for _ in range(9)),
            sampled,
            WRONG,  # sought out
            replace(sampled, verdict="unknown"),  # claims nothing
        ]
    )
    assert (found.right, found.judged, found.share) == (9, 10, 0.9)
    # Wilson's interval of 9 of 10, as Newcombe (1998) and R's prop.test(9, 10, correct=FALSE) give it
    assert (found.low, found.high) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))
    assert found.text() == "90.0 % (59.6–98.2) of 10 verdicts"


def test_agreement_of_none_and_of_all() -> None:
    assert agreement([]).share is None
    assert "nobody" in agreement([WRONG]).text()
    all_right = agreement([replace(WRONG, sample=True, right=True)] * 3)
    assert (all_right.share, all_right.high) == (1.0, pytest.approx(1.0))
    assert all_right.low == pytest.approx(3 / (3 + 1.959964**2))  # Wilson at the edge


def test_the_fields_of_a_kind() -> None:
    row = {"kind": "count", "object": "dog", "count": 2, "color": None, "verdict": "supported"}
    assert claim_fields("count", row) == {"object": "dog", "count": 2}
