"""`--where` on audits whose rows are written by hand, in the form that `audits run` writes."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from recapdata import captioners
from recapdata.dataset.audit_files import AUDIT_SCHEMA, Identity
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.journal import replay
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.target import open_dataset
from recapdata.errors import AuditNotFound, CaptionSetNotFound, ColumnNotFound, OptionError
from recapdata.recaptioning import RunOptions, recaption
from recapdata.recaptioning.where import open_where
from recapdata.records import Claim, image_key
from tests.builders import build_dataset, png, write_captions

ALT = ["a red dog", "a dog", None, "two cats", "<b>cat</b>", "sky"]
VERDICTS = [["contradicted", "supported"], ["supported"], None, ["contradicted"], [], ["unknown"]]
CLIP = [15.0, 25.0, None, 30.0, 18.0, None]
FLAGS = [[], [], None, ["repetition"], ["markup", "short"], []]


@pytest.fixture(autouse=True)
def _scripted(monkeypatch):
    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_scripted")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in shards of four and two; `alt` is audited, of row 2 there is no caption."""
    folder = build_dataset(tmp_path / "set", sets={"alt": ALT})
    audit(folder, "alt")
    return folder


def audit(folder: DatasetFolder, name: str, *, evidence: str | None = "annotations") -> None:
    for shard, first in ((0, 0), (1, 4)):
        rows = []
        for row, key in enumerate(folder.read_keys(shard), first):
            found = VERDICTS[row]
            if found is None:
                rows.append({"key": key, "set": name, "claims": None, "scores": None})
                continue
            claims = [
                Claim(
                    kind="color" if place else "object",
                    span=(0, 1),
                    object="dog",
                    color="red" if place else None,
                    verdict=each if evidence else None,
                ).to_struct()
                for place, each in enumerate(found)
            ]
            scores = {
                "words": len(str(ALT[row]).split()),
                "flags": FLAGS[row],
                "clip_score": CLIP[row],
                "error": None,
            }
            rows.append({"key": key, "set": name, "claims": claims, "scores": scores})
        captions = rows_hash(open_dataset(folder.path).read(shard, ["key", name]))
        with ShardWriter(folder.audit_shard(name, shard), AUDIT_SCHEMA) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
            writer.commit(Identity(captions=captions, claims="x", evidence=evidence).to_footer())


def chosen(folder: DatasetFolder, text: str) -> list[int]:
    where = open_where(folder, text)
    found = where.keys(0) | where.keys(1)
    assert where.images == len(found)
    return [row for row in range(6) if image_key(png(row)) in found]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("contradicted > 0", [0, 3]),
        ("alt: contradicted > 0", [0, 3]),
        ("contradicted_object > 0", [0, 3]),
        ("supported_color > 0", [0]),
        (
            "contradicted == 0",
            [1, 4, 5],
        ),  # a caption without claims contradicts nothing; one without a caption is not there
        ("unknown > 0 or flags > 0", [3, 4, 5]),
        ("clip_score < 20", [0, 4]),
        ("claims == 0", [4]),
        ("'markup' in flags", [4]),
        ("'DOG' in caption and words > 2", [0]),
        ("words == 1 and caption == 'sky'", [5]),
    ],
)
def test_rows_that_the_audit_singles_out(folder, text, rows):
    assert chosen(folder, text) == rows


def caption(folder: DatasetFolder, **run):
    return recaption(folder.path, "recap", captioner="scripted", run=RunOptions(workers=0, **run))


def captioned(folder: DatasetFolder) -> list[int]:
    found: set[str] = set()
    for shard in (0, 1):
        found |= replay(folder.journal("recap", shard)).captions.keys()
    return [row for row in range(6) if image_key(png(row)) in found]


def test_only_those_are_captioned_and_the_rest_is_left_to_do(folder):
    summary = caption(folder, where="contradicted > 0", fill="none")
    assert captioned(folder) == [0, 3]
    assert (summary.done, summary.lacking, summary.complete) == (2, 4, True)
    assert "2   --where contradicted > 0" in summary.text()
    assert "publishing needs the set whole" in summary.text()
    assert caption(folder, where="contradicted > 0").done == 0
    assert caption(folder).done == 4


def test_keys_and_limit_choose_among_them(folder, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{image_key(png(1))}\n{image_key(png(3))}\n")
    assert caption(folder, where="contradicted > 0", keys=keys, fill="none").done == 1
    assert captioned(folder) == [3]
    pilot = caption(folder, where="words > 0", limit=3)
    assert pilot.among == 5
    assert "--where 'words > 0'   # captions the rest of those chosen" in pilot.text()
    assert set(captioned(folder)) <= {0, 1, 3, 4, 5}
    assert caption(folder, where="words > 0").lacking == 1


def test_where_nothing_is_chosen_there_is_no_set_either(folder):
    summary = caption(folder, where="words > 100")
    assert (summary.done, summary.among) == (0, 0)
    assert "there is no caption of which --where is true" in summary.text()
    assert "Next" not in summary.text()
    assert list(folder.manifest.sets) == ["alt"]


def test_it_does_not_go_with_a_retry():
    with pytest.raises(OptionError, match="--where and --retry-failed"):
        RunOptions(where="words > 3", retry_failed=True)


def test_a_column_that_no_audit_has_names_those_there_are(folder):
    with pytest.raises(
        ColumnNotFound,
        match=r"no 'wrods' \(did you mean words\?\); it has caption, words, .*contradicted_color",
    ):
        open_where(folder, "wrods > 3")


def test_an_audit_of_other_captions_is_refused_with_the_command(folder):
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a cat", "sky"])
    with pytest.raises(
        AuditNotFound, match=r"changed since \(train-00001.*run: audits run .* --captions alt"
    ):
        open_where(folder, "words > 0")
    folder.audit_shard("alt", 1).unlink()
    with pytest.raises(AuditNotFound, match=r"alt is not audited in train-00001.*run: audits run"):
        open_where(folder, "words > 0")


def test_what_the_audit_did_not_take_is_said(folder):
    with pytest.raises(AuditNotFound, match=r"no values of clip_margin.*--clip"):
        open_where(folder, "clip_margin < 0")
    with pytest.raises(AuditNotFound, match=r"no values of objects_present.*--evidence"):
        open_where(folder, "objects_present > 0")
    audit(folder, "alt", evidence=None)
    with pytest.raises(AuditNotFound, match=r"no values of contradicted.*--evidence"):
        open_where(folder, "contradicted > 0")


def test_whose_audit_must_be_clear(folder, tmp_path):
    with pytest.raises(CaptionSetNotFound, match="no caption set 'recap'; it has alt"):
        open_where(folder, "recap: words > 1")
    bare = build_dataset(tmp_path / "bare")
    with pytest.raises(AuditNotFound, match=r"nothing of .* is audited; run: audits run"):
        open_where(bare, "words > 1")
    two = build_dataset(tmp_path / "two", sets={"alt": ALT, "long": ALT})
    audit(two, "alt")
    assert chosen(two, "words > 2") == [0]
    audit(two, "long")
    with pytest.raises(CaptionSetNotFound, match=r"alt, long are audited.*--where 'alt: words > 2'"):
        open_where(two, "words > 2")
    assert chosen(two, "long: words > 2") == [0]


def test_a_pilot_s_audit_chooses_among_what_it_saw(folder):
    """Of a set under way the audit is of what was there; when more has come, it is not trusted any more."""
    caption(folder, limit=2)
    first = captioned(folder)
    for shard in folder.shards():
        target = open_dataset(folder.path).so_far()
        if shard not in target.captioned_shards("recap"):
            continue
        rows = [
            {
                "key": row["key"],
                "set": "recap",
                "claims": [] if row["recap"] else None,
                "scores": {"words": 4} if row["recap"] else None,
            }
            for batch in target.read(shard, ["key", "recap"])
            for row in batch.to_pylist()
        ]
        noted = json.dumps(
            {"captions": rows_hash(target.read(shard, ["key", "recap"])), "claims": "claims:1"}
        )
        with ShardWriter(folder.audit_shard("recap", shard), AUDIT_SCHEMA) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
            writer.commit({"recapdata.audit": noted})
    assert chosen(folder, "recap: words == 4") == first
    caption(folder, limit=4)
    with pytest.raises(AuditNotFound, match=r"run: audits run .* --captions recap"):
        open_where(folder, "recap: words == 4")
