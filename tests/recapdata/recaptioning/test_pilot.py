"""A pilot as a person does it, at the console: caption a sample, audit it, then the rest, and again what the audit found wrong."""

import json
import shlex

import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from tests.console import succeed


def type_in(line: str) -> str:
    return succeed(*shlex.split(line))


def line_of(text: str, opening: str) -> str:
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith(opening)]
    return line.partition("   # ")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> DatasetFolder:
    path = tmp_path_factory.mktemp("pilot") / "birds"
    type_in(f"recapdata ingest scenes:24,seed=5 {path} --shard-rows 10")
    return DatasetFolder(path)


@pytest.fixture(scope="module")
def pilot(folder) -> str:
    """What the pilot says at its end."""
    return type_in(f"recapdata recaption {folder.path} recap --captioner embedded --limit 6 --batch-size 4")


def test_the_sample_is_audited(folder, pilot):
    assert "Captioned a pilot of 6 images" in pilot
    assert "images/s over" in pilot
    assert "the other 18 images would take about" in pilot
    assert folder.finished_captions("recap") == []

    audited = type_in(line_of(pilot, "audits run"))
    assert "recap is under way: a sample, 6 captions of 24 records" in audited
    assert line_of(audited, "captions  ").split() == ["captions", "6"]
    assert float(line_of(audited, "words (median)").split()[2]) > 2


def test_the_rest_keeps_the_sample_and_is_audited_too(folder, pilot):
    full = json.loads(type_in(line_of(pilot, "recapdata recaption") + " --json"))
    assert (full["done"], full["captions"]) == (18, 24)
    again = type_in(f"audits run {folder.path} --captions recap --evidence annotations --json")
    assert json.loads(again)["sets"]["recap"]["captions"] == 24
    assert json.loads(again)["unfinished"] == []


def test_what_the_audit_says_chooses_what_is_captioned_again(folder):
    """Goes on with the set and its audit of the tests before."""
    tables = [pq.read_table(folder.audit_shard("recap", shard)) for shard in folder.shards()]
    words = [row["scores"]["words"] for table in tables for row in table.to_pylist()]
    middle = sorted(words)[12]
    wordy = sum(each >= middle for each in words)
    assert 0 < wordy < 24
    command = (
        f"recapdata recaption {folder.path} again --captioner embedded --style long --max-tokens 8 --where"
    )
    done = json.loads(type_in(f"{command} 'recap: words >= {middle} and contradicted >= 0' --json"))
    assert (done["done"], done["among"], done["lacking"]) == (wordy, wordy, 0)
    assert done["captions"] - done["filled"] == wordy  # the others are those of recap
