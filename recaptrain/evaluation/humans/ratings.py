"""Raters and their votes, as the database of a study keeps them."""

import math
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.study import Question

NAME_MAX = 60
"""Characters of a rater's name."""

TAKEN = """
SELECT rating FROM votes WHERE question = :question AND undone IS NULL AND rating IS NOT NULL
UNION SELECT rating FROM reservations WHERE question = :question
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One answer that counts.

    Attributes:
        answer: `a`, `b` or `tie`; `yes` or `no` of a picture by itself.
        left_is_b: whether b stood on the left.
        seconds: from showing to answering.
        at: seconds since 1970.
    """

    question: Question
    rater: str
    answer: str
    left_is_b: bool
    seconds: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a study is.

    Attributes:
        votes: that count, of `wanted`: `ratings` of each question that can be shown.
        skipped: how often a rater skipped a question.
        unreadable: questions of which a picture cannot be shown.
    """

    votes: int
    wanted: int
    skipped: int
    unreadable: int


def is_name(name: str) -> bool:
    """Whether a rater may be called that."""
    return 0 < len(name) <= NAME_MAX and name.isprintable() and name == " ".join(name.split())


def enter(database: Database, name: str) -> str:
    """The token of a rater, who is new where there is none of this name."""
    with database.changing() as connection:
        rater = _rater_number(connection, name)
        (token,) = connection.execute("SELECT token FROM raters WHERE id = ?", (rater,)).fetchone()
    return str(token)


def rater_of(database: Database, token: str) -> tuple[int, str] | None:
    """Number and name of the rater with a token."""
    rows = database.rows("SELECT id, name FROM raters WHERE token = ?", token)
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def read_votes(database: Database) -> list[Vote]:
    """All votes that count, in the order in which they came.

    Raises:
        InputError: one is no answer to a question of the study.
    """
    answers = PROTOCOLS[database.study.protocol].answers
    rows = database.rows(
        "SELECT question, name, answer, left_is_b, seconds, at FROM votes JOIN raters ON raters.id = rater "
        "WHERE undone IS NULL AND rating IS NOT NULL ORDER BY votes.id"
    )
    votes = []
    for question, rater, answer, left_is_b, seconds, at in rows:
        numbers = (at,) if seconds is None else (at, seconds)
        if question not in database.questions or answer not in answers or not all(map(_is_time, numbers)):
            raise database.damaged(
                f"a vote of {str(rater)[:NAME_MAX]} is no answer to a question of this study"
            )
        votes.append(
            Vote(
                question=database.questions[question],
                rater=str(rater),
                answer=answer,
                left_is_b=bool(left_is_b),
                seconds=seconds,
                at=at,
            )
        )
    return votes


def _is_time(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def read_progress(database: Database) -> Progress:
    """How far a study is."""
    (votes, skipped, unreadable), *_ = database.rows(
        "SELECT (SELECT count(rating) FROM votes WHERE undone IS NULL), "
        "(SELECT count(*) FROM votes WHERE undone IS NULL AND rating IS NULL), "
        "(SELECT count(*) FROM questions WHERE unreadable IS NOT NULL)"
    )
    wanted = (len(database.questions) - unreadable) * database.ratings
    return Progress(votes=votes, wanted=wanted, skipped=skipped, unreadable=unreadable)


def mark_unreadable(database: Database, question: int, why: str) -> None:
    """Ask nobody a question of which a picture cannot be shown."""
    with database.changing() as connection:
        connection.execute("UPDATE questions SET unreadable = ? WHERE id = ?", (why, question))
        connection.execute("DELETE FROM reservations WHERE question = ?", (question,))


def forget_unreadable(database: Database) -> None:
    """Ask again what could not be shown: somebody may have mended the pictures."""
    with database.changing() as connection:
        connection.execute("UPDATE questions SET unreadable = NULL")


Added = Literal["new", "known", "other"]


def add_votes(database: Database, votes: Sequence[Vote]) -> dict[Added, int]:
    """Take in votes from elsewhere, all or none.

    Returns:
        How many were `new`; `known`, the same vote being there, or undone here; and `other`, left out, since this rater answered or skipped the
        question here already.
    """
    counts: dict[Added, int] = {"new": 0, "known": 0, "other": 0}
    with database.changing() as connection:
        for vote in votes:
            counts[_add(connection, vote)] += 1
    return counts


def _add(connection: sqlite3.Connection, vote: Vote) -> Added:
    rater, question = _rater_number(connection, vote.rater), vote.question.id
    there = connection.execute(
        "SELECT at, undone FROM votes WHERE question = ? AND rater = ?", (question, rater)
    ).fetchall()
    if any(at == vote.at for at, _ in there):
        return "known"
    if any(undone is None for _, undone in there):
        return "other"
    connection.execute("DELETE FROM reservations WHERE question = ? AND rater = ?", (question, rater))
    connection.execute(
        "INSERT INTO votes (question, rating, rater, answer, left_is_b, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            question,
            free_rating(connection, question),
            rater,
            vote.answer,
            vote.left_is_b,
            vote.seconds,
            vote.at,
        ),
    )
    return "new"


def free_rating(connection: sqlite3.Connection, question: int) -> int:
    """The least number that no vote on a question and no reservation has."""
    taken = {number for (number,) in connection.execute(TAKEN, {"question": question})}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def _rater_number(connection: sqlite3.Connection, name: str) -> int:
    connection.execute(
        "INSERT INTO raters (name, token) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (name, secrets.token_urlsafe(24)),
    )
    (number,) = connection.execute("SELECT id FROM raters WHERE name = ?", (name,)).fetchone()
    return int(number)
