"""Who is asked which question, and what happens with the answer: reservations, votes, skipping, undo.

A rater holds the question on the screen and the next one, whose pictures load meanwhile; the reservations of one who went away end.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.ratings import free_rating
from recaptrain.evaluation.humans.study import Question

HELD = 2
"""Questions that a rater holds."""
HOLD_SECONDS = 600.0
"""How long a question stays reserved for a rater who does not answer."""
SKIP = "skip"

UNANSWERED = """
SELECT questions.id FROM questions
LEFT JOIN (SELECT question, count(rating) AS n FROM votes WHERE undone IS NULL GROUP BY question) voted ON voted.question = questions.id
LEFT JOIN (SELECT question, count(*) AS n FROM reservations WHERE rater != :rater GROUP BY question) held ON held.question = questions.id
WHERE unreadable IS NULL AND coalesce(voted.n, 0) + :reserved * coalesce(held.n, 0) < :ratings
AND NOT EXISTS (SELECT 1 FROM votes WHERE question = questions.id AND rater = :rater AND undone IS NULL)
AND NOT EXISTS (SELECT 1 FROM reservations WHERE question = questions.id AND rater = :rater)
ORDER BY coalesce(voted.n, 0) + coalesce(held.n, 0), position LIMIT 1
"""
"""The next question for a rater. Those with the fewest ratings come first, so that every prompt has one before any has three."""


class VoteRefused(Exception):
    """The question is not, or no longer, reserved for the rater."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A question that is reserved for a rater, and which picture is on the left."""

    question: Question
    rating: int
    left_is_b: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """What a rater does next.

    Attributes:
        held: the question for the screen, and the next.
        waiting: whether others hold the last questions that are left.
        own: votes of this rater.
        done: votes of all, of `wanted`.
        undoable: whether there is a vote, or a skipped question, to take back.
    """

    held: Sequence[Assignment]
    waiting: bool
    own: int
    done: int
    wanted: int
    undoable: bool


def assign(database: Database, rater: int) -> Assignments:
    """What is reserved for a rater, with as much reserved anew as a rater holds."""
    now = time.time()
    with database.changing() as connection:
        connection.execute("DELETE FROM reservations WHERE until < ? AND rater != ?", (now, rater))
        connection.execute("UPDATE reservations SET until = ? WHERE rater = ?", (now + HOLD_SECONDS, rater))
        held = _held(connection, rater)
        while len(held) < HELD and (question := _unanswered(connection, rater, database.ratings)) is not None:
            rank = held[-1][2] + 1 if held else 0
            _reserve(connection, question, rater, free_rating(connection, question), rank)
            held = _held(connection, rater)
        waiting = not held and _unanswered(connection, rater, database.ratings, reserved=False) is not None
        own, answered = connection.execute(
            "SELECT count(rating), count(*) FROM votes WHERE rater = ? AND undone IS NULL", (rater,)
        ).fetchone()
        (done,) = connection.execute("SELECT count(rating) FROM votes WHERE undone IS NULL").fetchone()
        (readable,) = connection.execute("SELECT count(*) FROM questions WHERE unreadable IS NULL").fetchone()
    questions = database.questions
    return Assignments(
        held=[
            Assignment(
                question=questions[question],
                rating=rating,
                left_is_b=questions[question].left_is_b(rating),
            )
            for question, rating, _ in held
        ],
        waiting=waiting,
        own=own,
        done=done,
        wanted=readable * database.ratings,
        undoable=answered > 0,
    )


def vote(
    database: Database, rater: int, question: int, rating: int, answer: str, seconds: float | None = None
) -> None:
    """Keep an answer to a question that is reserved for a rater; the same once more is the same vote.

    Raises:
        VoteRefused: it is not reserved, or the answer is none of the protocol.
    """
    if answer not in PROTOCOLS[database.study.protocol].answers:
        raise VoteRefused("That is no answer to this question.")
    with database.changing() as connection:
        there = connection.execute(
            "SELECT answer FROM votes WHERE question = ? AND rater = ? AND undone IS NULL", (question, rater)
        ).fetchone()
        if there is None:
            _keep(database, connection, rater, question, rating, answer, seconds)
        elif there[0] != answer:  # the page is open twice
            raise VoteRefused(
                "You answered this question already, and the first answer counts. Undo it to change it."
            )


def skip(database: Database, rater: int, question: int) -> None:
    """Do not ask a rater a question again; nothing where it is not reserved for them."""
    with database.changing() as connection:
        reserved = connection.execute(
            "SELECT rating FROM reservations WHERE question = ? AND rater = ?", (question, rater)
        ).fetchone()
        if reserved:
            _keep(database, connection, rater, question, reserved[0], SKIP, None)


def undo(database: Database, rater: int) -> bool:
    """Take a rater's last answer back and reserve its question again; False where there is none."""
    with database.changing() as connection:
        last = connection.execute(
            "SELECT id, question, rating FROM votes WHERE rater = ? AND undone IS NULL ORDER BY id DESC LIMIT 1",
            (rater,),
        ).fetchone()
        if last is None:
            return False
        number, question, rating = last
        connection.execute("UPDATE votes SET undone = ? WHERE id = ?", (time.time(), number))
        held = _held(connection, rater)
        if rating is None:  # it was skipped, and others may have answered it since
            rating = free_rating(connection, question)
        if rating < database.ratings:
            _reserve(connection, question, rater, rating, held[0][2] - 1 if held else 0)
        if len(held) >= HELD:  # the one that would have come next is free for others
            connection.execute(
                "DELETE FROM reservations WHERE question = ? AND rater = ?", (held[-1][0], rater)
            )
        return True


def _held(connection: sqlite3.Connection, rater: int) -> list[tuple[int, int, int]]:
    """Question, rating and rank of what is reserved for a rater, in order."""
    return connection.execute(
        "SELECT question, rating, rank FROM reservations WHERE rater = ? ORDER BY rank", (rater,)
    ).fetchall()


def _unanswered(
    connection: sqlite3.Connection, rater: int, ratings: int, *, reserved: bool = True
) -> int | None:
    """The next question for a rater; with `reserved` off, also one that others hold."""
    values = {"rater": rater, "ratings": ratings, "reserved": reserved}
    row = connection.execute(UNANSWERED, values).fetchone()
    return None if row is None else int(row[0])


def _reserve(connection: sqlite3.Connection, question: int, rater: int, rating: int, rank: int) -> None:
    connection.execute(
        "INSERT INTO reservations (question, rating, rater, rank, until) VALUES (?, ?, ?, ?, ?)",
        (question, rating, rater, rank, time.time() + HOLD_SECONDS),
    )


def _keep(
    database: Database,
    connection: sqlite3.Connection,
    rater: int,
    question: int,
    rating: int,
    answer: str,
    seconds: float | None,
) -> None:
    """Turn a reservation into a vote."""
    ended = connection.execute(
        "DELETE FROM reservations WHERE question = ? AND rater = ? AND rating = ?", (question, rater, rating)
    )
    if not ended.rowcount:
        raise VoteRefused("This question was given to somebody else meanwhile, and the answer was not kept.")
    connection.execute(
        "INSERT INTO votes (question, rating, rater, answer, left_is_b, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            question,
            None if answer == SKIP else rating,
            rater,
            answer,
            database.questions[question].left_is_b(rating),
            seconds,
            time.time(),
        ),
    )
