"""Votes as JSON lines: out of one study and into another, each once, or an error that names the line."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recapdata.errors import InputError, OptionError
from recaptrain.evaluation.humans.assignments import assign, skip, undo, vote
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.jsonl import export_votes, import_votes
from recaptrain.evaluation.humans.ratings import read_votes
from recaptrain.evaluation.humans.study import Study
from tests.recaptrain.evaluation.humans.folders import ARABIC, HOSTILE, LONG, answer, come, write_study

HALF_PAIR = "half of a \ud83d pair"
PROMPTS = ["one", HOSTILE, ARABIC, LONG, "line\u2028break\nand another", HALF_PAIR]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, PROMPTS)


@pytest.fixture
def database(tmp_path: Path, study: Study) -> Iterator[Database]:
    with closing(Database(tmp_path / "out", study)) as database:
        yield database


def fill(database: Database, name: str = "Ada Ω") -> None:
    rater = come(database, name)
    for choice in ("a", "b", "tie", "a", "b", "tie"):
        answer(database, rater, choice)


def test_votes_come_back_as_they_were(tmp_path: Path, study: Study, database: Database) -> None:
    fill(database)
    path, again = tmp_path / "votes.jsonl", tmp_path / "again.jsonl"
    assert export_votes(database, path) == 6
    with closing(Database(tmp_path / "elsewhere", study)) as other:
        assert import_votes(other, path) == {"new": 6, "known": 0, "other": 0}
        assert import_votes(other, path) == {"new": 0, "known": 6, "other": 0}
        assert read_votes(other) == read_votes(database)
        export_votes(other, again)
        assert again.read_bytes() == path.read_bytes()
        # The rater goes on there: nothing is asked a second time.
        assert assign(other, come(other, "Ada Ω")).held == []


def test_a_line_says_models_and_sides_by_name(tmp_path: Path, database: Database) -> None:
    ada = come(database, "Ada")
    held = assign(database, ada).held[0]
    vote(database, ada, held.question.id, held.rating, "b", seconds=1.5)
    export_votes(database, tmp_path / "votes.jsonl")
    row = json.loads((tmp_path / "votes.jsonl").read_text(encoding="utf8"))
    at = row.pop("at")
    assert at == read_votes(database)[0].at
    assert row == {
        "protocol": "prompt-following",
        "caption": "original",
        "prompt": PROMPTS[held.question.prompt],
        "image": 0,
        "a": "model-baseline",
        "b": "model-recap",
        "left": "model-recap" if held.left_is_b else "model-baseline",
        "winner": "model-recap",
        "success": None,
        "rater": "Ada",
        "seconds": 1.5,
    }


def test_pictures_judged_by_themselves_come_back_too(tmp_path: Path) -> None:
    study = write_study(tmp_path / "alone", ["one", "two"], models=1, protocol="success")
    with (
        closing(Database(tmp_path / "here", study)) as database,
        closing(Database(tmp_path / "there", study)) as other,
    ):
        ada = come(database, "Ada")
        answer(database, ada, "yes")
        answer(database, ada, "no")
        export_votes(database, tmp_path / "votes.jsonl")
        rows = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
        assert [(row["success"], row["winner"], row["b"]) for row in rows] == [
            (True, None, None),
            (False, None, None),
        ]
        assert import_votes(other, tmp_path / "votes.jsonl")["new"] == 2
        assert read_votes(other) == read_votes(database)


def test_two_machines_are_put_together(tmp_path: Path, study: Study, database: Database) -> None:
    fill(database, "Ada")
    with closing(Database(tmp_path / "elsewhere", study)) as other:
        fill(other, "Bo")
        export_votes(other, tmp_path / "votes.jsonl")
    assert import_votes(database, tmp_path / "votes.jsonl")["new"] == 6
    assert [each.rater for each in read_votes(database)] == ["Ada"] * 6 + ["Bo"] * 6
    # Cy's are the third ratings, and those of all three are numbered apart.
    fill(database, "Cy")
    assert sorted(database.rows("SELECT question, rating FROM votes")) == [
        (question, rating) for question in range(6) for rating in range(3)
    ]


def test_models_in_the_other_order_are_the_same_pair(tmp_path: Path, database: Database) -> None:
    fill(database)
    before = read_votes(database)
    export_votes(database, tmp_path / "votes.jsonl")
    rows = [
        json.loads(line) for line in (tmp_path / "votes.jsonl").read_text(encoding="utf8").split("\n")[:-1]
    ]
    turned = [json.dumps({**row, "a": row["b"], "b": row["a"]}) for row in rows]
    (tmp_path / "turned.jsonl").write_text("\n".join(turned))
    with closing(Database(tmp_path / "elsewhere", database.study)) as other:
        assert import_votes(other, tmp_path / "turned.jsonl")["new"] == 6
        assert read_votes(other) == before


def test_what_was_undone_does_not_come_back_and_another_answer_is_counted(
    tmp_path: Path, study: Study, database: Database
) -> None:
    ada = come(database, "Ada")
    answer(database, ada, "a")
    answer(database, ada, "a")
    export_votes(database, tmp_path / "votes.jsonl")
    undo(database, ada)
    assert import_votes(database, tmp_path / "votes.jsonl") == {"new": 0, "known": 2, "other": 0}
    assert len(read_votes(database)) == 1
    with closing(Database(tmp_path / "elsewhere", study)) as other:
        rater = come(other, "Ada")
        answer(other, rater, "b")
        skip(other, rater, assign(other, rater).held[0].question.id)
        assert import_votes(other, tmp_path / "votes.jsonl") == {"new": 0, "known": 0, "other": 2}
        assert [each.answer for each in read_votes(other)] == ["b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "style"}, "protocol is 'style', and that of this study 'prompt-following'"),
        ({"caption": "read"}, "caption is 'read', and that of this study 'original'"),
        ({"a": "other"}, "'other' is no model of this study (model-baseline, model-recap)"),
        ({"b": "model-baseline", "left": "model-baseline"}, "no such question"),
        ({"prompt": "another"}, "no such question"),
        ({"image": 1}, "no such question"),
        ({"image": False}, "no such question"),
        ({"prompt": ["one"]}, "unhashable"),
        ({"left": "model-third"}, "left is 'model-third', which is neither a nor b"),
        ({"winner": "model-third"}, "winner is 'model-third', which is neither a nor b"),
        ({"rater": ""}, "rater is '', no name"),
        ({"rater": "x" * 61}, "no name of at most 60 characters"),
        ({"rater": "a\u202eb"}, "no name of at most 60 characters"),
        ({"seconds": -1}, "seconds is -1, no number of seconds"),
        ({"at": True}, "at is True, no number of seconds"),
        ({"at": 10**400}, "at is 1000"),
        ({"at": float("nan")}, "at is nan"),
    ],
)
def test_a_line_that_is_no_vote_stops_the_import(
    tmp_path: Path, database: Database, change: dict[str, Any], message: str
) -> None:
    fill(database)
    path = tmp_path / "votes.jsonl"
    export_votes(database, path)
    lines = path.read_text(encoding="utf8").split("\n")
    wrong = json.dumps({**json.loads(lines[0]), "rater": "Bo", "prompt": "one", **change})
    path.write_text("\n".join([lines[0], "", wrong, *lines[1:]]), encoding="utf8")
    with pytest.raises(InputError, match="nothing was imported, since line 3: ") as error:
        import_votes(database, path)
    assert message in str(error.value)
    assert len(read_votes(database)) == 6


def test_other_files_are_said(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "file"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        import_votes(database, path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        import_votes(database, path)
    path.write_text("[]\n{}\nnothing\n" + "[" * 100_000 + "\n1\n")
    with pytest.raises(InputError) as error:
        import_votes(database, path)
    assert "line 1: no JSON object; line 2: protocol is missing; line 3: " in str(error.value)
    assert str(error.value).endswith("; and 2 more")
    path.write_text("")
    assert import_votes(database, path) == {"new": 0, "known": 0, "other": 0}


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_votes_are_not_exported_over_themselves(database: Database, ending: str) -> None:
    fill(database)
    with pytest.raises(OptionError, match="is where the votes are kept"):
        export_votes(database, database.path.with_name(database.path.name + ending))
    assert len(read_votes(database)) == 6
