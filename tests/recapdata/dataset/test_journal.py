"""The journal survives what a crash does to it."""

import pytest

from recapdata.dataset.journal import Journal, forget, replay
from recapdata.errors import DatasetDamaged
from recapdata.records import Caption

ONE = Caption(caption="café “one”\nline", seed=7, finish_reason="stop", tokens=3)
FAILED = Caption(caption=None, error="DamagedImage: no")


def test_missing_journal_is_empty(tmp_path):
    assert replay(tmp_path / "none").captions == {}


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "captions" / ".00000.journal"
    with Journal(path) as journal:
        journal.batch(["a", "b"], [ONE, FAILED])
    with Journal(path) as journal:
        journal.batch(["c"], [ONE])
    assert replay(path).captions == {"a": ONE, "b": FAILED, "c": ONE}


@pytest.mark.parametrize("left", [1, 10, 40])
def test_torn_last_line_is_ignored_and_cut_off(tmp_path, left):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.batch(["a"], [ONE])
        whole = path.stat().st_size
        journal.batch(["b"], [ONE])
    with open(path, "r+b") as file:
        file.truncate(whole + left)
    assert set(replay(path).captions) == {"a"}
    with Journal(path) as journal:
        journal.batch(["c"], [ONE])
    assert set(replay(path).captions) == {"a", "c"}


def test_last_line_without_its_end_is_torn_even_when_it_parses(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.batch(["a"], [ONE])
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert replay(path).captions == {}


def test_retry_forgets_until_the_key_comes_again(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.batch(["a", "b"], [FAILED, FAILED])
        journal.retry(["a", "b", "elsewhere"])
        journal.batch(["b"], [ONE])
    said = replay(path)
    assert said.captions == {"b": ONE}
    assert said.wanted == {"a", "elsewhere"}


def test_forgotten_keys_leave_no_trace(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.batch(["a", "b"], [ONE, ONE])
        journal.retry(["b", "c"])
    forget(path, ["b", "x"])
    assert set(replay(path).captions) == {"a"}
    assert replay(path).wanted == {"c"}
    assert b'"b"' not in path.read_bytes()
    forget(tmp_path / "none", ["b"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"keys":["a"],"captions":[]}\n'])
def test_foreign_line_is_named_with_its_place(tmp_path, line):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.batch(["a"], [ONE])
    with open(path, "ab") as file:
        file.write(line)
    with pytest.raises(DatasetDamaged, match=r"journal: line 2 .*delete the file"):
        replay(path)
