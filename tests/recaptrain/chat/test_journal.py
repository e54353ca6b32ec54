"""The journal of answers: what a kill leaves of it, and what no later run may stumble over."""

import json
import os
from pathlib import Path

import pytest

from recapdata.errors import OptionError
from recaptrain.chat import Reply
from recaptrain.chat.journal import AnswerJournal

ONE = Reply(text="café “one”\nCorrect", finish_reason="stop", tokens=3)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    with AnswerJournal(path) as journal:
        journal.add("a", ONE, {"id": "1", "prompt": "half \ud83d a pair"})
        journal.add("b", Reply(text=None, error="Timeout: none"), {})
        assert journal.reply("a") == ONE
        assert journal.reply("b").error == "Timeout: none"
        assert journal.reply("c").error == "NoAnswer: the model gave none"
    with AnswerJournal(path) as journal:
        assert journal.replies == {"a": ONE}
        assert journal.about["a"] == {"id": "1", "prompt": "half \ud83d a pair"}
        assert journal.failures == {"b": "Timeout: none"}
        journal.add("b", ONE, {})
    with AnswerJournal(path) as journal:
        assert (set(journal.replies), journal.failures) == ({"a", "b"}, {})
    assert len(path.read_text(encoding="utf8").splitlines()) == 3


@pytest.mark.parametrize("left", [1, 10, 40])
def test_a_line_that_a_kill_tore_is_asked_for_again_and_harms_no_other(tmp_path: Path, left: int) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerJournal(path) as journal:
        journal.add("a", ONE, {})
        whole = path.stat().st_size
        journal.add("b", ONE, {})
    path.write_bytes(path.read_bytes()[: whole + left])
    with AnswerJournal(path) as journal:
        assert set(journal.replies) == {"a"}
        journal.add("b", ONE, {})
    with AnswerJournal(path) as journal:
        assert set(journal.replies) == {"a", "b"}


NO_ANSWERS = [
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'"key"',
    b"{}",
    b'{"key": 7, "text": "Correct"}',
    b'{"key": "a", "text": "half \\ud83d"}',
    b'{"key": "a", "text": "  "}',
    b'{"key": "a", "text": "Correct", "tokens": 1e400}',
    b'{"key": "a", "text": "Correct", "tokens": 99999999999999999999999}',
    b'{"key": "a", "text": "Correct", "finish_reason": ["stop"]}',
]


@pytest.mark.parametrize("line", NO_ANSWERS, ids=lambda line: line[:40].decode("latin1"))
def test_what_somebody_else_wrote_is_no_answer(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(line + b"\n")
    with AnswerJournal(path) as journal:
        assert journal.replies == {}
        journal.add("a", ONE, {})
    with AnswerJournal(path) as journal:
        assert journal.replies == {"a": ONE}


UNFIT = [
    (Reply(text="half \ud83d"), "BadAnswer: the answer is no text that can be stored"),
    (Reply(text=" \n"), "EmptyAnswer: "),
    (Reply(text="Correct", tokens=2**70), "BadAnswer: its tokens"),
    (Reply(text="Correct", tokens=True), "BadAnswer: its tokens"),
    (Reply(text="Correct", finish_reason=["stop"]), "BadAnswer: its finish_reason"),  # type: ignore[arg-type]
    (Reply(text=["Correct"]), "BadAnswer: the answer is a list"),  # type: ignore[arg-type]
    (Reply(text=None), "NoAnswer: "),
    (Reply(text=None, error="odd \ud83d " + "e" * 5000), "odd "),
]


@pytest.mark.parametrize(("reply", "error"), UNFIT, ids=[error[:20] for _, error in UNFIT])
def test_a_reply_that_could_not_be_read_back_is_a_failure(tmp_path: Path, reply: Reply, error: str) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerJournal(path) as journal:
        journal.add("a", reply, {})
        assert str(journal.reply("a").error).startswith(error)
    (line,) = path.read_text(encoding="utf8").splitlines()
    assert json.loads(line).keys() == {"key", "error"}
    with AnswerJournal(path) as journal:
        assert journal.replies == {}
        assert journal.failures["a"].startswith(error)


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder"])
def test_answers_go_into_no_other_file(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "answers.jsonl", tmp_path / "other"
    if kind == "link":
        other.write_text("mine")
    if kind in ("link", "dangling"):
        path.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OptionError, match="is a link, or no file; move it away"), AnswerJournal(path):
        pass
    assert not other.exists() or other.read_text() == "mine"
