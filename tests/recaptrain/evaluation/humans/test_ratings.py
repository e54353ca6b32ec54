"""Raters by name, and what is read of a study's file."""

from contextlib import closing
from pathlib import Path

import pytest

from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.ratings import (
    Progress,
    enter,
    is_name,
    rater_of,
    read_progress,
    read_votes,
)
from tests.recaptrain.evaluation.humans.folders import answer, come, write_study


def test_a_name_is_one_rater(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "out", write_study(tmp_path, ["one"]))) as database:
        tokens = [enter(database, name) for name in ("Ada", "Bo", "Ada", "ada")]
        assert tokens[0] == tokens[2]
        assert len(set(tokens)) == 3
        assert [rater_of(database, token) for token in tokens[:2]] == [(1, "Ada"), (2, "Bo")]
        assert rater_of(database, "guessed") is None


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("Ada", True),
        ("Ada Lovelace", True),
        ("عائشة", True),
        ("x" * 60, True),
        ("x" * 61, False),
        ("", False),
        (" Ada", False),
        ("Ada  L", False),
        ("a\nb", False),
        ("a\u202eb", False),
    ],
)
def test_names(name: str, valid: bool) -> None:
    assert is_name(name) == valid


def test_progress_and_votes_in_their_order(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "out", write_study(tmp_path, ["one", "two"]), ratings=3)) as database:
        assert read_progress(database) == Progress(votes=0, wanted=6, skipped=0, unreadable=0)
        for name, choice in (("Ada", "a"), ("Bo", "b"), ("Ada", "tie")):
            answer(database, come(database, name), choice)
        assert [(vote.rater, vote.answer) for vote in read_votes(database)] == [
            ("Ada", "a"),
            ("Bo", "b"),
            ("Ada", "tie"),
        ]
        assert read_progress(database).votes == 3
