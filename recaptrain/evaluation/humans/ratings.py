"""The database of a study: who is asked what, and what was answered. A vote that was acknowledged is there after any crash.

SQLite with a write-ahead log that is flushed at every commit. Votes are never deleted: one that was undone says so. A question is reserved for the rater
who has it on the screen, and the next one too, so that two raters never hold the last rating of a question; the reservation of one who went away ends.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from recapdata.atomic import check_folder
from recapdata.errors import InputError, OptionError
from recaptrain.evaluation.humans.study import Question, Study

DATABASE = "ratings.sqlite"
FORMAT = "1"
HELD = 2
"""Questions that a rater holds: the one on the screen, and the next, whose pictures load meanwhile."""
HOLD_SECONDS = 1200.0
"""How long a question stays reserved for a rater who does not answer."""
BUSY_SECONDS = 60.0
ANSWERS = {"success": ("yes", "no")}
COMPARISONS = ("a", "b", "tie")
SKIP = "skip"

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE raters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE);
CREATE TABLE questions (id INTEGER PRIMARY KEY, prompt INTEGER NOT NULL, image INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER,
    place INTEGER NOT NULL, flipped INTEGER NOT NULL, unreadable TEXT);
CREATE TABLE reservations (question INTEGER NOT NULL REFERENCES questions, rating INTEGER NOT NULL,
    rater INTEGER NOT NULL REFERENCES raters, rank INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (question, rater), UNIQUE (question, rating));
CREATE TABLE votes (id INTEGER PRIMARY KEY AUTOINCREMENT, question INTEGER NOT NULL REFERENCES questions, rating INTEGER,
    rater INTEGER NOT NULL REFERENCES raters, answer TEXT NOT NULL, left_is_b INTEGER NOT NULL, seconds REAL, at REAL NOT NULL,
    undone REAL);
CREATE UNIQUE INDEX one_vote ON votes (question, rating) WHERE undone IS NULL;
CREATE INDEX of_rater ON votes (rater, question) WHERE undone IS NULL;
"""
"""`rating` counts the votes on a question; null is that of a question that was skipped."""

OPEN = """
SELECT q.id FROM questions q
LEFT JOIN (SELECT question, count(rating) AS n FROM votes WHERE undone IS NULL GROUP BY question) v ON v.question = q.id
LEFT JOIN (SELECT question, count(*) AS n FROM reservations WHERE rater != :rater GROUP BY question) r ON r.question = q.id
WHERE q.unreadable IS NULL AND coalesce(v.n, 0) + :with_reserved * coalesce(r.n, 0) < :ratings
AND NOT EXISTS (SELECT 1 FROM votes WHERE question = q.id AND rater = :rater AND undone IS NULL AND (rating IS NULL OR NOT :repeats))
AND NOT EXISTS (SELECT 1 FROM reservations WHERE question = q.id AND rater = :rater)
ORDER BY coalesce(v.n, 0) + coalesce(r.n, 0), q.place LIMIT 1
"""
"""Those with the fewest ratings first, so that every prompt has one before any has three."""


class VoteRefused(Exception):
    """The question is not, or no longer, reserved for the rater."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A question that is reserved for a rater, and which picture is on the left."""

    question: Question
    rating: int
    left_is_b: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a rater does next.

    Attributes:
        assignments: the question for the screen, and the next.
        waiting: whether others hold the last questions that are left.
        own: votes of this rater; `done` votes of all, of `wanted`.
        undoable: whether there is a vote, or a skipped question, to take back.
    """

    assignments: Sequence[Assignment]
    waiting: bool
    own: int
    done: int
    wanted: int
    undoable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One answer that counts.

    Attributes:
        answer: `a`, `b` or `tie`; `yes` or `no` of a picture by itself.
        seconds: from showing to answering; `at` in seconds since 1970.
    """

    question: Question
    rater: str
    answer: str
    left_is_b: bool
    seconds: float | None
    at: float


class Ratings:
    """The database of one study; its methods may be called on any thread.

    Args:
        folder: made if missing.
        ratings: of each question; `repeats` lets a rater answer again.

    Attributes:
        each: ratings of each question.
        questions: by number, as they were when the study began: another seed would order them otherwise.

    Raises:
        OptionError: the folder holds ratings of other folders or another protocol.
        InputError: the database is damaged.
    """

    def __init__(self, folder: Path, study: Study, *, ratings: int = 3, repeats: bool = False) -> None:
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / DATABASE
        self._study, self.each, self._repeats = study, ratings, repeats
        self._lock = Lock()
        self._database = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._database.execute(f"PRAGMA {pragma}")
            with self._changing():
                self._begin()
            self.questions: Mapping[int, Question] = {each.id: each for each in self._read_questions()}
        except sqlite3.OperationalError:
            raise  # a full disk is said by the console
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} is damaged ({error}); take it away, or name another folder with --out"
            ) from error

    def close(self) -> None:
        """Close the database; everything is on the disk before."""
        self._database.close()

    def secret(self) -> str:
        """A random text that belongs to this database, for addresses that cannot be guessed."""
        return self._meta()["secret"]

    # -- raters --------------------------------------------------------------------------------------------------------

    def enter(self, name: str) -> str:
        """The token of a rater, who is new where there is none of this name."""
        with self._changing() as database:
            database.execute(
                "INSERT INTO raters (name, token) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (name, secrets.token_urlsafe(24)),
            )
            (token,) = database.execute("SELECT token FROM raters WHERE name = ?", (name,)).fetchone()
        return str(token)

    def rater(self, token: str) -> tuple[int, str] | None:
        """Number and name of the rater with a token."""
        with self._lock:
            found = self._database.execute("SELECT id, name FROM raters WHERE token = ?", (token,)).fetchone()
        return found and (int(found[0]), str(found[1]))

    # -- questions and votes -------------------------------------------------------------------------------------------

    def turn(self, rater: int) -> Turn:
        """What is reserved for a rater, with as much reserved anew as a rater holds."""
        now = time.time()
        with self._changing() as database:
            database.execute("DELETE FROM reservations WHERE until < ? AND rater != ?", (now, rater))
            database.execute("UPDATE reservations SET until = ? WHERE rater = ?", (now + HOLD_SECONDS, rater))
            held = self._held(rater)
            while len(held) < HELD and (question := self._open(rater)) is not None:
                rank = held[-1][2] + 1 if held else 0
                self._reserve(question, rater, self._free_rating(question), rank)
                held = self._held(rater)
            waiting = not held and self._open(rater, reserved=False) is not None
            return self._turn(rater, held, waiting)

    def vote(self, rater: int, question: int, rating: int, answer: str, seconds: float | None = None) -> None:
        """Keep an answer to a question that is reserved for a rater; the same once more is the same vote.

        Raises:
            VoteRefused: it is not reserved, or the answer is none of the protocol.
        """
        if answer not in self.answers:
            raise VoteRefused("that is no answer to this question")
        with self._changing() as database:
            if database.execute(
                "SELECT 1 FROM votes WHERE question = ? AND rating = ? AND rater = ? AND undone IS NULL",
                (question, rating, rater),
            ).fetchone():
                return
            self._answer(rater, question, rating, answer, seconds)

    def skip(self, rater: int, question: int) -> None:
        """Do not ask a rater a question again; nothing where it is not reserved for them."""
        with self._changing() as database:
            found = database.execute(
                "SELECT rating FROM reservations WHERE question = ? AND rater = ?", (question, rater)
            ).fetchone()
            if found:
                self._answer(rater, question, found[0], SKIP, None)

    def undo(self, rater: int) -> bool:
        """Take a rater's last answer back and reserve its question again; False where there is none."""
        now = time.time()
        with self._changing() as database:
            last = database.execute(
                "SELECT id, question, rating FROM votes WHERE rater = ? AND undone IS NULL ORDER BY id DESC LIMIT 1",
                (rater,),
            ).fetchone()
            if last is None:
                return False
            vote, question, rating = last
            database.execute("UPDATE votes SET undone = ? WHERE id = ?", (now, vote))
            database.execute("DELETE FROM reservations WHERE question = ? AND rater = ?", (question, rater))
            held = self._held(rater)
            if rating is None:
                rating = self._free_rating(question)
            if rating < self.each:
                self._reserve(question, rater, rating, held[0][2] - 1 if held else 0)
            if len(held) >= HELD:  # the one that would have come next is free for others
                database.execute(
                    "DELETE FROM reservations WHERE question = ? AND rater = ?", (held[-1][0], rater)
                )
            return True

    def mark_unreadable(self, question: int, why: str) -> None:
        """Ask nobody a question whose picture cannot be shown."""
        with self._changing() as database:
            database.execute("UPDATE questions SET unreadable = ? WHERE id = ?", (why, question))
            database.execute("DELETE FROM reservations WHERE question = ?", (question,))

    def readable_again(self) -> None:
        """Ask again what could not be shown: somebody may have mended the pictures."""
        with self._changing() as database:
            database.execute("UPDATE questions SET unreadable = NULL")

    @property
    def answers(self) -> Sequence[str]:
        """What may be answered."""
        return ANSWERS.get(self._study.identity["protocol"], COMPARISONS)

    def unreadable(self) -> list[tuple[Question, str]]:
        """The questions that could not be asked, and why."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id, unreadable FROM questions WHERE unreadable IS NOT NULL ORDER BY id"
            ).fetchall()
        return [(self.questions[number], why) for number, why in rows]

    def skipped(self) -> int:
        """How often raters skipped a question."""
        with self._lock:
            row = self._database.execute(
                "SELECT count(*) FROM votes WHERE undone IS NULL AND rating IS NULL"
            ).fetchone()
        return int(row[0])

    def votes(self) -> list[Vote]:
        """All votes that count, in the order in which they came."""
        with self._lock:
            rows = self._database.execute(
                "SELECT question, name, answer, left_is_b, seconds, at FROM votes JOIN raters ON raters.id = rater "
                "WHERE undone IS NULL AND rating IS NOT NULL ORDER BY votes.id"
            ).fetchall()
        return [
            Vote(
                question=self.questions[question],
                rater=name,
                answer=answer,
                left_is_b=bool(left),
                seconds=seconds,
                at=at,
            )
            for question, name, answer, left, seconds, at in rows
        ]

    def add(self, votes: Sequence[Vote]) -> int:
        """Take in votes of elsewhere, all or none, those that are there already not again: how many were new.

        The same vote is one by the same rater on the same question at the same time.
        """
        new = 0
        with self._changing() as database:
            for vote in votes:
                database.execute(
                    "INSERT INTO raters (name, token) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (vote.rater, secrets.token_urlsafe(24)),
                )
                (rater,) = database.execute("SELECT id FROM raters WHERE name = ?", (vote.rater,)).fetchone()
                question = vote.question.id
                if database.execute(
                    "SELECT 1 FROM votes WHERE question = ? AND rater = ? AND at = ? AND rating IS NOT NULL",
                    (question, rater, vote.at),
                ).fetchone():
                    continue
                database.execute(
                    "DELETE FROM reservations WHERE question = ? AND rater = ?", (question, rater)
                )
                values = (question, self._free_rating(question), rater, vote.answer, vote.left_is_b)
                database.execute(
                    "INSERT INTO votes (question, rating, rater, answer, left_is_b, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*values, vote.seconds, vote.at),
                )
                new += 1
        return new

    # -- inside a change -----------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One change, which is on the disk when this ends, or has not happened."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        """Make the tables, or check that the votes there are of this study."""
        database = self._database
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            for statement in SCHEMA.split(";\n"):
                database.execute(statement)
            values = {
                "format": FORMAT,
                "secret": secrets.token_urlsafe(24),
                "identity": json.dumps(dict(self._study.identity)),
            }
            database.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            database.executemany(
                "INSERT INTO questions (id, prompt, image, a, b, place, flipped) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (each.id, each.prompt, each.image, each.a, each.b, each.place, each.flipped)
                    for each in self._study.questions
                ],
            )
            return
        meta = self._meta()
        if meta["format"] != FORMAT:
            raise OptionError(
                f"{self.path} was written by another version of recaptrain; name another folder with --out"
            )
        _check_same(json.loads(meta["identity"]), self._study.identity, self.path.parent)

    def _meta(self) -> dict[str, str]:
        return dict(self._database.execute("SELECT name, value FROM meta").fetchall())

    def _read_questions(self) -> Iterator[Question]:
        rows = self._database.execute("SELECT id, prompt, image, a, b, place, flipped FROM questions")
        for number, prompt, image, a, b, place, flipped in rows:
            yield Question(
                id=number, prompt=prompt, image=image, a=a, b=b, place=place, flipped=bool(flipped)
            )

    def _held(self, rater: int) -> list[tuple[int, int, int]]:
        """Question, rating and rank of what is reserved for a rater, in order."""
        return self._database.execute(
            "SELECT question, rating, rank FROM reservations WHERE rater = ? ORDER BY rank", (rater,)
        ).fetchall()

    def _open(self, rater: int, *, reserved: bool = True) -> int | None:
        """The next question for a rater; with `reserved` off, also one that others hold."""
        for repeats in (False, True) if self._repeats else (False,):
            given = {
                "rater": rater,
                "ratings": self.each,
                "with_reserved": reserved,
                "repeats": repeats,
            }
            if found := self._database.execute(OPEN, given).fetchone():
                return int(found[0])
        return None

    def _free_rating(self, question: int) -> int:
        """The least number that no vote on a question and no reservation has."""
        taken = {
            number
            for (number,) in self._database.execute(
                "SELECT rating FROM votes WHERE question = :question AND undone IS NULL AND rating IS NOT NULL "
                "UNION SELECT rating FROM reservations WHERE question = :question",
                {"question": question},
            )
        }
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def _reserve(self, question: int, rater: int, rating: int, rank: int) -> None:
        self._database.execute(
            "INSERT INTO reservations (question, rating, rater, rank, until) VALUES (?, ?, ?, ?, ?)",
            (question, rating, rater, rank, time.time() + HOLD_SECONDS),
        )

    def _answer(self, rater: int, question: int, rating: int, answer: str, seconds: float | None) -> None:
        gone = self._database.execute(
            "DELETE FROM reservations WHERE question = ? AND rater = ? AND rating = ?",
            (question, rater, rating),
        )
        if not gone.rowcount:
            raise VoteRefused(
                "this question was given to somebody else meanwhile, and the answer was not kept"
            )
        kept = None if answer == SKIP else rating
        left = self.questions[question].left_is_b(rating)
        self._database.execute(
            "INSERT INTO votes (question, rating, rater, answer, left_is_b, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (question, kept, rater, answer, left, seconds, time.time()),
        )

    def _turn(self, rater: int, held: Sequence[tuple[int, int, int]], waiting: bool) -> Turn:
        database = self._database
        own, answered = database.execute(
            "SELECT count(rating), count(*) FROM votes WHERE rater = ? AND undone IS NULL", (rater,)
        ).fetchone()
        (done,) = database.execute("SELECT count(rating) FROM votes WHERE undone IS NULL").fetchone()
        (asked,) = database.execute("SELECT count(*) FROM questions WHERE unreadable IS NULL").fetchone()
        return Turn(
            assignments=[
                Assignment(
                    question=self.questions[question],
                    rating=rating,
                    left_is_b=self.questions[question].left_is_b(rating),
                )
                for question, rating, _ in held[:HELD]
            ],
            waiting=waiting,
            own=own,
            done=done,
            wanted=asked * self.each,
            undoable=answered > 0,
        )


def _check_same(there: Mapping[str, object], now: Mapping[str, object], folder: Path) -> None:
    """Raises OptionError where votes are those of another study."""
    differing = "; ".join(
        f"{name.replace('_', ' ')}: {there.get(name)} there, {now.get(name)} now"
        for name in {**there, **now}
        if there.get(name) != now.get(name)
    )
    if differing:
        raise OptionError(
            f"{folder} holds ratings of another study ({differing}); name another folder with --out"
        )
