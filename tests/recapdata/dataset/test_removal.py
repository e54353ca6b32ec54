"""Removal: out of every part, out of later ingests, whole after any interruption."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.journal import Journal, replay
from recapdata.dataset.keys import KeyIndex
from recapdata.dataset.removal import remove
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.writing import is_unfinished
from recapdata.errors import InputError, NotADataset
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion import run as run_module
from recapdata.records import Caption, Counts, image_key
from tests.builders import png, write_captions
from tests.recapdata.ingestion.sources import Interrupted, Listed, files, item, leftovers, table

KEYS = [image_key(png(index)) for index in range(20)]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 records in shards of 8 with a caption set and an audit; pictures 2 and 9 a second time; 3 again with a blank caption."""
    items = [
        *(item(index, f"caption {index}") for index in range(20)),
        item(2, "again"),
        item(9, "again"),
        item(3, " "),
    ]
    monkeypatch.setattr(run_module, "open_source", lambda text, options: Listed(items))
    ingest("listed", tmp_path / "out", options=IngestOptions(shard_rows=8))
    folder = DatasetFolder.open(tmp_path / "out")
    schema = pa.schema([("key", pa.string()), ("set", pa.string())])
    for shard in folder.shards():
        keys = folder.read_keys(shard)
        write_captions(folder, "alt", shard, keys, [f"alt of {key[:8]}" for key in keys])
        with ShardWriter(folder.audit_shard("alt", shard), schema) as writer:
            writer.write(pa.table({"key": keys, "set": ["alt"] * len(keys)}, schema=schema))
            writer.commit({"recapdata.audit": "what it was made from"})
    (tmp_path / "out/audits/summary.json").write_text("{}")
    (tmp_path / "out/audits/corrections.jsonl").write_text(
        "".join(f'{{"key": "{key}", "right": true}}\n' for key in KEYS[1:5])
    )
    return tmp_path / "out"


def keys_file(path: Path, *keys: str) -> Path:
    path.write_text("\n".join(keys) + "\n\n")
    return path


def test_a_record_leaves_every_part(out: Path, tmp_path: Path) -> None:
    untouched = {
        name: content for name, content in files(out).items() if "train-00002" in name and "images" in name
    }
    with Journal(DatasetFolder(out).journal("alt", 0)) as journal:
        journal.batch(KEYS[:4], [Caption(caption=key) for key in KEYS[:4]])

    summary = remove(out, keys_file(tmp_path / "keys", KEYS[2], KEYS[3], KEYS[12]))

    assert (summary.asked, summary.taken_out, summary.never_seen) == (3, 3, 0)
    left = [key for index, key in enumerate(KEYS) if index not in (2, 3, 12)]
    for part in ("images", "captions/alt", "audits/alt"):
        assert [row["key"] for row in table(out, part)] == left, part
    assert [row["caption"] for row in table(out, "images")] == [f"caption {KEYS.index(key)}" for key in left]
    # Picture 2 also was a duplicate, picture 3 also a failure: these rows go too, and stay counted.
    assert [row["key"] for row in table(out, "duplicates")] == [KEYS[9]]
    assert table(out, "failures") == []
    assert sorted(row["key"] for row in table(out, "removed")) == sorted(
        [KEYS[2], KEYS[2], KEYS[3], KEYS[3], KEYS[12]]
    )
    assert {(row["source"], row["reason"]) for row in table(out, "removed")} == {(None, "request")}
    assert DatasetFolder.open(out).manifest.counts == summary.dataset == Counts(23, 17, 1, 0, 5)
    assert list(replay(DatasetFolder(out).journal("alt", 0)).captions) == KEYS[:2]
    assert {name: files(out)[name] for name in untouched} == untouched
    assert not (out / "audits/summary.json").exists()
    corrections = (out / "audits/corrections.jsonl").read_text()
    assert [key in corrections for key in KEYS[1:5]] == [True, False, False, True]
    footer = pq.read_metadata(out / "audits/alt/train-00000.parquet").metadata
    assert footer[b"recapdata.audit"] == b"what it was made from"


def test_a_later_ingest_does_not_bring_it_back(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = image_key(png(30))
    summary = remove(out, keys_file(tmp_path / "keys", KEYS[5], never))
    assert (summary.taken_out, summary.never_seen, summary.examples) == (1, 1, (never,))
    source = Listed([item(5), item(6), item(30), item(31)], name="more")
    monkeypatch.setattr(run_module, "open_source", lambda text, options: source)
    assert ingest("more", out, append=True).counts == Counts(4, 1, 1, 0, 2)
    met = [row for row in table(out, "removed") if row["reason"] == "met again"]
    assert [(row["key"], row["source"]) for row in met] == [(KEYS[5], "item 5"), (never, "item 30")]


def test_the_index_of_keys_follows_without_being_made_again(out: Path, tmp_path: Path) -> None:
    remove(out, keys_file(tmp_path / "keys", KEYS[0]))
    with KeyIndex(DatasetFolder(out)) as index:
        asked = [bytes.fromhex(key) for key in KEYS[:2]]
        assert (index.records(asked), index.removed(asked)) == ({asked[1]}, {asked[0]})


def test_a_shard_may_lose_all_its_records(out: Path, tmp_path: Path) -> None:
    summary = remove(out, keys_file(tmp_path / "keys", *KEYS[8:16]))
    assert [DatasetFolder(out).rows(shard) for shard in (0, 1, 2)] == [8, 0, 4]
    assert summary.dataset.records == 12


def test_twice_is_once(out: Path, tmp_path: Path) -> None:
    first = remove(out, keys_file(tmp_path / "keys", KEYS[4], KEYS[13]))
    before = files(out)
    again = remove(out, tmp_path / "keys")
    assert files(out) == before
    assert (again.taken_out, again.shards_rewritten, first.shards_rewritten) == (2, 0, 2)


def steps(monkeypatch: pytest.MonkeyPatch, stop: int) -> Iterator[None]:
    """Let the first `stop` renames and deletions happen and break off before the next."""
    done = 0

    def counted(act):  # type: ignore[no-untyped-def]
        def step(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal done
            done += 1
            if done > stop:
                raise Interrupted
            return act(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        yield


def test_broken_off_at_any_step_the_same_command_completes_it(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    keys = keys_file(tmp_path / "keys", KEYS[2], KEYS[3], KEYS[12], image_key(png(30)))
    shutil.copytree(out, tmp_path / "whole")
    summary = remove(tmp_path / "whole", keys)
    whole = {name: content for name, content in files(tmp_path / "whole").items() if name != "recapdata.yaml"}
    interrupted = 0
    for stop in range(1000):
        path = tmp_path / f"at-{stop}"
        shutil.copytree(out, path)
        try:
            for _ in steps(monkeypatch, stop):
                remove(path, keys)
            break
        except Interrupted:
            interrupted += 1
        unfinished = is_unfinished(DatasetFolder(path))
        again = remove(path, keys)
        assert {name: each for name, each in files(path).items() if name != "recapdata.yaml"} == whole, stop
        assert (again.taken_out, again.never_seen, again.dataset) == (3, 1, summary.dataset)
        assert leftovers(path) == []
        assert unfinished or stop < 2
        shutil.rmtree(path)
    assert interrupted > 20  # renames of two shards' files, ledgers, lists and markers


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no keys"),
        (b"abc\n", "line 1 is no key: 'abc'"),
        (b"\xff\xfe", "cannot be read as a list of keys"),
    ],
)
def test_a_bad_list_changes_nothing(out: Path, tmp_path: Path, content: bytes, reason: str) -> None:
    before = files(out)
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        remove(out, tmp_path / "keys")
    with pytest.raises(InputError, match="No such file"):
        remove(out, tmp_path / "nowhere")
    with pytest.raises(NotADataset):
        remove(tmp_path / "nowhere", tmp_path / "keys")
    assert files(out) == before


def test_a_removal_after_an_ingest_was_killed_between_a_ledger_and_its_shard(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*(item(index) for index in range(20, 24)), item(20), item(5, " ")]
    monkeypatch.setattr(run_module, "open_source", lambda text, options: Listed(more, name="more"))
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(target).parent.name == "images":
            raise Interrupted
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(Interrupted):
            ingest("more", out, append=True)
    folder = DatasetFolder.open(out)
    orphans = [folder.ledger("duplicates", 3), folder.ledger("failures", 3)]
    assert [path.is_file() for path in orphans] == [True, True]
    # 23 items: 20 records, 2 repeats, 1 failure; of 2 there were two.
    gone = remove(out, keys_file(tmp_path / "gone", KEYS[2]))
    assert gone.dataset == Counts(23, 19, 1, 1, 2)
    assert [path.exists() for path in orphans] == [False, False]
    assert ingest("more", out, append=True).dataset == Counts(29, 23, 2, 2, 2)
