"""Whole caption sets leave with their audit; whole after any interruption; nothing else changes."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recapdata.caption_sets.edits import edit_caption
from recapdata.caption_sets.importing import import_captions
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.journal import Journal
from recapdata.dataset.removal import remove
from recapdata.dataset.writing import delete_captions, is_unfinished, writing
from recapdata.errors import CaptionSetNotFound, DatasetBusy, OptionError, PublishRefused
from recapdata.ingestion import IngestOptions, ingest
from recapdata.publishing.survey import look_at_folder
from recapdata.records import Caption, image_key
from tests.builders import add_set, build_dataset, png, write_audit
from tests.recapdata.ingestion.sources import Interrupted, files, leftovers

KEYS = [image_key(png(index)) for index in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in two shards; `alt` and `pilot` complete and audited, each with a correction; `pilot` with a journal."""
    folder = build_dataset(tmp_path / "birds", sets=("alt", "pilot"), license="cc0-1.0")
    write_audit(folder, ["alt", "pilot"])
    with Journal(folder.journal("pilot", 0)) as journal:
        journal.batch(KEYS[:1], [Caption(caption="a bird")])
    lines = [json.dumps({"key": KEYS[0], "set": name, "right": True}) + "\n" for name in ("alt", "pilot")]
    (folder.path / "audits" / "corrections.jsonl").write_text("".join(lines))
    return folder


def test_a_set_leaves_and_nothing_else_changes(folder: DatasetFolder) -> None:
    before = files(folder.path)
    summary = remove(folder.path, captions=["pilot"])
    after = files(folder.path)
    assert (summary.sets, summary.asked, summary.dataset.records) == (("pilot",), 0, 6)
    assert "Caption set pilot is taken out" in summary.text()
    assert "keys" not in summary.text()
    assert not (folder.path / "captions/pilot").exists()
    assert not (folder.path / "audits/pilot").exists()
    assert list(folder.manifest.sets) == ["alt"]
    audit = json.loads(after["audits/summary.json"])
    assert list(audit["sets"]) == ["alt"]
    assert audit["sets"]["alt"] == json.loads(before["audits/summary.json"])["sets"]["alt"]
    assert (
        after["audits/corrections.jsonl"].decode()
        == json.dumps({"key": KEYS[0], "set": "alt", "right": True}) + "\n"
    )
    told = ("recapdata.yaml", "audits/summary.json", "audits/corrections.jsonl", "removed/sets.json")
    kept = {name: each for name, each in before.items() if "/pilot/" not in name and name not in told}
    assert {name: each for name, each in after.items() if name not in told} == kept
    assert look_at_folder(folder).manifest.sets.keys() == {"alt"}


def test_a_set_that_is_out_is_out_when_the_command_is_given_again(folder: DatasetFolder) -> None:
    remove(folder.path, captions=["pilot"])  # and is killed before it can say so
    before = files(folder.path)
    summary = remove(folder.path, captions=["pilot"])
    assert (summary.sets, summary.sets_before) == (("pilot",), ("pilot",))
    assert "with its audit by an earlier removal: nothing to do" in summary.text()
    assert files(folder.path) == before
    with pytest.raises(CaptionSetNotFound, match=r"no caption set 'atl' \(did you mean alt\?\); it has alt"):
        remove(folder.path, captions=["pilot", "atl"])
    add_set(folder, "pilot", ["x"] * 6)  # made again, it can be taken out again
    assert remove(folder.path, captions=["pilot"]).sets_before == ()
    assert list(folder.manifest.sets) == ["alt"]


def test_the_last_audited_set_takes_the_summary_with_it(folder: DatasetFolder) -> None:
    remove(folder.path, captions=["pilot", "alt"])
    assert not (folder.path / "audits/summary.json").exists()
    assert (folder.path / "audits/corrections.jsonl").read_bytes() == b""
    assert folder.manifest.sets == {}


@pytest.fixture
def drawn(tmp_path: Path) -> DatasetFolder:
    """Six drawn scenes, with `alt` and `pilot` as above; the last key in the file `keys`."""
    ingest("scenes:6", tmp_path / "drawn", options=IngestOptions(shard_rows=4))
    folder = DatasetFolder.open(tmp_path / "drawn")
    for name in ("alt", "pilot"):
        import_captions(folder.path, name, "alt_text")
    write_audit(folder, ["alt", "pilot"])
    (tmp_path / "keys").write_text(folder.read_keys(1)[1])
    return folder


def test_records_and_a_set_in_one_call(drawn: DatasetFolder, tmp_path: Path) -> None:
    folder = drawn
    summary = remove(folder.path, tmp_path / "keys", captions=["pilot"])
    assert (summary.sets, summary.taken_out, summary.dataset.records) == (("pilot",), 1, 5)
    assert list(folder.manifest.sets) == ["alt"]
    assert summary.text().index("pilot") < summary.text().index("Of 1 keys, 1 are taken out")


def test_a_mistake_changes_nothing(folder: DatasetFolder, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEYS[5])
    before = files(folder.path)
    for wrong in ("recap", "../images", "."):
        with pytest.raises(CaptionSetNotFound, match="it has alt, pilot"):
            remove(folder.path, tmp_path / "keys", captions=["alt", wrong])
    with pytest.raises(OptionError, match="--keys FILE, or a caption set by --captions SET"):
        remove(folder.path)
    assert files(folder.path) == before
    assert not is_unfinished(folder)


def test_the_base_of_edits_stays_while_they_do(folder: DatasetFolder) -> None:
    edit_caption(folder.path, KEYS[5], "a bird", of="alt")
    with pytest.raises(
        OptionError, match=r"'edited' .* is 'alt' with people's edits .* add --captions edited"
    ):
        remove(folder.path, captions=["alt"])
    assert list(folder.manifest.sets) == ["alt", "pilot", "edited"]
    remove(folder.path, captions=["alt", "edited"])
    assert list(folder.manifest.sets) == ["pilot"]


def test_it_waits_for_nobody(folder: DatasetFolder) -> None:
    before = files(folder.path)
    with writing(folder), pytest.raises(DatasetBusy):
        remove(folder.path, captions=["pilot"])
    assert files(folder.path) == before
    with open(folder.path / "audits" / ".lock", "w") as audit:
        fcntl.flock(audit, fcntl.LOCK_EX)
        with pytest.raises(DatasetBusy, match="audits is being written"):
            remove(folder.path, captions=["pilot"])
    assert files(folder.path) == before
    assert not is_unfinished(folder)


@contextmanager
def breaking_off(patch: pytest.MonkeyPatch, stop: int) -> Iterator[None]:
    """Let the first `stop` renames and deletions happen and break off before the next."""
    done = 0

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done > stop:
                raise Interrupted
            return act(*args, **kwargs)

        return step

    with patch.context() as here:
        for name in ("replace", "unlink", "rmdir"):
            here.setattr(os, name, counted(getattr(os, name)))
        yield


def test_broken_off_at_any_step_the_same_command_completes_records_and_set(
    drawn: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(drawn.path, tmp_path / "whole")
    summary = remove(tmp_path / "whole", tmp_path / "keys", captions=["pilot"])
    whole = files(tmp_path / "whole")
    for stop in range(100):
        path = tmp_path / f"at-{stop}"
        shutil.copytree(drawn.path, path)
        try:
            with breaking_off(monkeypatch, stop):
                remove(path, tmp_path / "keys", captions=["pilot"])
            break
        except Interrupted:
            again = remove(path, tmp_path / "keys", captions=["pilot"])
        assert files(path) == whole, stop
        assert leftovers(path) == []
        assert (again.sets, again.dataset) == (("pilot",), summary.dataset)
    assert stop > 20


@pytest.mark.parametrize("by", ["the same command", "an edit"])
def test_broken_off_at_any_step_the_next_command_completes_it(
    folder: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    shutil.copytree(folder.path, tmp_path / "whole")
    remove(tmp_path / "whole", captions=["pilot"])
    whole = files(tmp_path / "whole")
    for stop in range(100):
        path = tmp_path / f"at-{stop}"
        shutil.copytree(folder.path, path)
        try:
            with breaking_off(monkeypatch, stop):
                remove(path, captions=["pilot"])
            break
        except Interrupted:
            broken = DatasetFolder(path)
        assert is_unfinished(broken) == (stop > 0)  # the first rename notes what is to go
        if stop:
            with pytest.raises(PublishRefused, match=r"a removal .* was interrupted"):
                look_at_folder(broken)
        if by == "the same command":
            assert remove(path, captions=["pilot"]).sets == ("pilot",)
        elif stop:
            with pytest.raises(CaptionSetNotFound, match="has no caption set 'pilot'"):
                edit_caption(path, KEYS[0], "words", of="pilot")
        if stop or by == "the same command":
            assert files(path) == whole, stop
            assert leftovers(path) == []
    assert (
        stop > 10
    )  # the note, manifest, summary, four shards, a journal, two folders, corrections, the note


def test_replaced_captions_take_their_audit_with_them(folder: DatasetFolder) -> None:
    """What `--overwrite` does before the first new caption; people's words on the audit stay."""
    corrections = (folder.path / "audits/corrections.jsonl").read_bytes()
    delete_captions(folder, "pilot")
    assert not (folder.path / "captions/pilot").exists()
    assert not (folder.path / "audits/pilot").exists()
    assert list(json.loads((folder.path / "audits/summary.json").read_bytes())["sets"]) == ["alt"]
    assert (folder.path / "audits/alt/train-00001.parquet").is_file()
    assert (folder.path / "audits/corrections.jsonl").read_bytes() == corrections


def test_an_unfinished_set_is_refused_with_both_ways_out(folder: DatasetFolder) -> None:
    both = (
        "finish it by running its command again, without --limit, --keys or --where, or take it out: "
        f"recapdata remove {folder.path} --captions pilot"
    )
    with pytest.raises(PublishRefused) as refusal:
        look_at_folder(folder)
    assert both in str(refusal.value)
    folder.journal("pilot", 0).unlink()
    folder.caption_shard("pilot", 1).unlink()
    with pytest.raises(CaptionSetNotFound) as refusal_of_shard:
        look_at_folder(folder)
    assert both in str(refusal_of_shard.value)
    remove(folder.path, captions=["pilot"])
    assert look_at_folder(folder).contents.rows == 6
