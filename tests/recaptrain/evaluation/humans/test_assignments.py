"""Who is asked what: no vote is given twice, no two raters hold the last rating of a question, undo goes back as it was."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recaptrain.evaluation.humans import assignments as module
from recaptrain.evaluation.humans.assignments import VoteRefused, assign, skip, undo, vote
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.ratings import (
    Progress,
    forget_unreadable,
    mark_unreadable,
    read_progress,
    read_votes,
)
from recaptrain.evaluation.humans.study import Study
from tests.recaptrain.evaluation.humans.folders import answer, come, write_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, ["one", "two", "three"])


@pytest.fixture
def database(tmp_path: Path, study: Study) -> Iterator[Database]:
    with closing(Database(tmp_path / "out", study, ratings=1)) as database:
        yield database


def test_raters_answer_each_question_once_until_it_has_all_its_ratings(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "two", study, ratings=2)) as database:
        raters = [come(database, name) for name in ("Ada", "Bo", "Cy")]
        for rater in raters[:2]:
            assert {answer(database, rater) for _ in range(3)} == {0, 1, 2}
            assert answer(database, rater) is None
        last = assign(database, raters[2])
        assert (last.held, last.waiting, last.own, last.done, last.wanted) == ([], False, 0, 6, 6)
        votes = read_votes(database)
        assert Counter(each.question.id for each in votes) == {0: 2, 1: 2, 2: 2}
        for number in range(3):  # the second rating of a question has the sides exchanged
            sides = [each.left_is_b for each in votes if each.question.id == number]
            assert sorted(sides) == [False, True]


def test_every_question_has_one_rating_before_any_has_two(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "three", study, ratings=3)) as database:
        ada, bo = come(database, "Ada"), come(database, "Bo")
        assert {answer(database, rater) for rater in (ada, bo, ada)} == {0, 1, 2}


def test_the_last_rating_of_a_question_is_held_by_one_rater(database: Database) -> None:
    ada, bo = come(database, "Ada"), come(database, "Bo")
    held = [each.question.id for each in assign(database, ada).held]
    other = [each.question.id for each in assign(database, bo).held]
    assert (len(held), len(other), set(held) & set(other)) == (2, 1, set())
    assert answer(database, bo) == other[0]
    assert assign(database, bo).waiting
    with pytest.raises(VoteRefused, match="somebody else"):
        vote(database, bo, held[0], 0, "a")
    assert len(read_votes(database)) == 1


def test_what_a_rater_left_lying_is_asked_of_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bo = come(database, "Ada"), come(database, "Bo")
    monkeypatch.setattr(module, "HOLD_SECONDS", -1.0)
    held = assign(database, ada).held
    assert {answer(database, bo) for _ in range(3)} == {0, 1, 2}
    with pytest.raises(VoteRefused, match="somebody else"):
        vote(database, ada, held[0].question.id, held[0].rating, "a")


def test_a_rater_meets_the_same_questions_after_a_reload_and_a_restart(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "out", study)) as database:
        ada = come(database, "Ada")
        first = assign(database, ada).held
        assert len(first) == 2
        assert assign(database, ada).held == first
    with closing(Database(tmp_path / "out", study)) as database:
        assert assign(database, come(database, "Ada")).held == first


def test_answers_are_taken_back_one_by_one_and_asked_again_as_they_were(database: Database) -> None:
    ada = come(database, "Ada")
    assert not assign(database, ada).undoable
    assert not undo(database, ada)
    met = []
    for choice in ("a", "b", "tie"):
        met.append(assign(database, ada).held[0])
        answer(database, ada, choice)
    for number in (2, 1, 0):
        assert assign(database, ada).undoable
        assert undo(database, ada)
        assert assign(database, ada).held[0] == met[number]
        assert [each.answer for each in read_votes(database)] == ["a", "b", "tie"][:number]
    assert not undo(database, ada)
    assert answer(database, ada, "b") == met[0].question.id
    assert [each.answer for each in read_votes(database)] == ["b"]
    # Nothing is deleted: three undone votes stand beside the one that counts.
    assert len(database.rows("SELECT * FROM votes WHERE undone IS NOT NULL")) == 3


def test_nobody_undoes_for_another(database: Database) -> None:
    ada, bo = come(database, "Ada"), come(database, "Bo")
    answer(database, ada)
    assert not undo(database, bo)
    assert len(read_votes(database)) == 1


def test_what_undo_pushed_aside_is_free_for_others(database: Database) -> None:
    """Ada holds the second and third question after the first; with the first back, she gives up the third."""
    ada, bo = come(database, "Ada"), come(database, "Bo")
    first = answer(database, ada)
    second, third = (each.question.id for each in assign(database, ada).held)
    assert assign(database, bo).held == []
    undo(database, ada)
    assert [each.question.id for each in assign(database, ada).held] == [first, second]
    assert [each.question.id for each in assign(database, bo).held] == [third]


def test_the_same_vote_sent_twice_counts_once(database: Database) -> None:
    ada = come(database, "Ada")
    first = assign(database, ada).held[0]
    for _ in range(2):
        vote(database, ada, first.question.id, first.rating, "a")
    assert len(read_votes(database)) == 1
    with pytest.raises(VoteRefused, match="answered this question already"):
        vote(database, ada, first.question.id, first.rating, "b")
    with pytest.raises(VoteRefused, match="no answer"):
        vote(database, ada, first.question.id, first.rating, "yes")
    assert [each.answer for each in read_votes(database)] == ["a"]


def test_a_skipped_question_is_for_others_and_comes_back_by_undo(database: Database) -> None:
    ada, bo = come(database, "Ada"), come(database, "Bo")
    skipped = assign(database, ada).held[0].question.id
    skip(database, ada, skipped)
    skip(database, ada, skipped)  # once more is the same
    assert read_progress(database) == Progress(votes=0, wanted=3, skipped=1, unreadable=0)
    assert {answer(database, ada) for _ in range(2)} == {0, 1, 2} - {skipped}
    assert answer(database, ada) is None
    assert [each.question.id for each in assign(database, bo).held] == [skipped]
    for _ in range(3):
        undo(database, ada)
    assert read_progress(database) == Progress(votes=0, wanted=3, skipped=0, unreadable=0)


def test_what_cannot_be_shown_is_not_asked(database: Database) -> None:
    ada = come(database, "Ada")
    bad = assign(database, ada).held[0].question.id
    mark_unreadable(database, bad, "torn")
    assert {answer(database, ada) for _ in range(2)} == {0, 1, 2} - {bad}
    assert answer(database, ada) is None
    assert read_progress(database) == Progress(votes=2, wanted=2, skipped=0, unreadable=1)
    forget_unreadable(database)
    assert answer(database, ada) == bad


def test_raters_at_once_fill_a_study_exactly(tmp_path: Path) -> None:
    """Five raters, 12 questions, 3 ratings: 36 votes, no rater twice on a question, each side 18 times on the left."""
    study = write_study(tmp_path / "many", [str(number) for number in range(12)])
    with closing(Database(tmp_path / "out", study, ratings=3)) as database:
        failures: list[Exception] = []

        def rate(rater: int) -> None:
            try:
                while (now := assign(database, rater)).held or now.waiting:
                    for each in now.held[:1]:
                        vote(database, rater, each.question.id, each.rating, "tie")
            except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
                failures.append(error)

        raters = [come(database, f"rater {number}") for number in range(5)]
        threads = [threading.Thread(target=rate, args=(rater,)) for rater in raters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        votes = read_votes(database)
        assert Counter(each.question.id for each in votes) == dict.fromkeys(range(12), 3)
        assert len({(each.question.id, each.rater) for each in votes}) == 36
        assert sum(each.left_is_b for each in votes) == 18
