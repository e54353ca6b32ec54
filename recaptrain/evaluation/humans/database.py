"""The database of a study: one SQLite file. A change that was acknowledged is there after any crash.

SQLite with a write-ahead log that is flushed at every commit. Votes are never deleted: one that was undone says when. A question is reserved for the rater
who has it on the screen, so that two raters never hold the last rating of a question.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from recapdata.atomic import check_folder
from recapdata.console import is_full_disk
from recapdata.errors import DatasetBusy, InputError, OptionError
from recaptrain.evaluation.humans.study import Question, Study

DATABASE = "ratings.sqlite"
FORMAT = "1"
BUSY_SECONDS = 60.0

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE raters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE);
CREATE TABLE questions (id INTEGER PRIMARY KEY, prompt INTEGER NOT NULL, image INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER,
    position INTEGER NOT NULL, flipped INTEGER NOT NULL, unreadable TEXT);
CREATE TABLE reservations (question INTEGER NOT NULL REFERENCES questions, rating INTEGER NOT NULL,
    rater INTEGER NOT NULL REFERENCES raters, rank INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (question, rater), UNIQUE (question, rating));
CREATE TABLE votes (id INTEGER PRIMARY KEY AUTOINCREMENT, question INTEGER NOT NULL REFERENCES questions, rating INTEGER,
    rater INTEGER NOT NULL REFERENCES raters, answer TEXT NOT NULL, left_is_b INTEGER NOT NULL, seconds REAL, at REAL NOT NULL,
    undone REAL);
CREATE UNIQUE INDEX one_rating ON votes (question, rating) WHERE undone IS NULL;
CREATE UNIQUE INDEX one_answer ON votes (rater, question) WHERE undone IS NULL;
"""
"""`rating` numbers the votes on a question from 0; null is that of a question that was skipped."""


class Database:
    """The database of one study; may be used on any thread.

    Args:
        folder: made if missing.
        ratings: of each question.

    Attributes:
        path: of the file.
        study, ratings: as given.
        questions: by number, as they were when the study began: another seed would order them otherwise.
        secret: a random text that belongs to this file, for addresses that cannot be guessed.

    Raises:
        OptionError: the folder holds ratings of other folders or another protocol.
        InputError: the file is damaged, or may not be written.
        DatasetBusy: another process holds it.
    """

    def __init__(self, folder: Path, study: Study, *, ratings: int = 3) -> None:
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / DATABASE
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise self.damaged("it is a link, or no file")  # votes would be written elsewhere
        self.study, self.ratings = study, ratings
        self._lock = Lock()
        self._connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare("synchronous = FULL", "foreign_keys = ON")
            self._check_whole()
            with self.changing():
                self._begin()
            self._prepare("journal_mode = WAL")  # changes the file, which is known to be a study's by now
            self.secret = self._meta()["secret"]
            self.questions: Mapping[int, Question] = {each.id: each for each in self._read_questions()}
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; everything is on the disk before."""
        self._connection.close()

    def _prepare(self, *pragmas: str) -> None:
        with self._damage_said():
            for pragma in pragmas:
                self._connection.execute(f"PRAGMA {pragma}")

    def _check_whole(self) -> None:
        """Raise InputError where pages, rows and indices contradict each other."""
        with self._damage_said():
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise self.damaged(" ".join(str(found).split())[:200])

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One change, which is on the disk when this ends, or has not happened.

        Raises:
            InputError: the file is damaged.
        """
        with self._damage_said(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query.

        Raises:
            InputError: the file is damaged.
        """
        with self._damage_said(), self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _damage_said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a mistake of this program
        except sqlite3.OperationalError as error:
            if is_full_disk(error):
                raise  # which the console says
            # Of a text that is no UTF-8 there is no code.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise DatasetBusy(
                    f"{self.path} is being written by another process; wait for it or stop it"
                ) from error
            raise self.damaged(str(error)) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise self.damaged(str(error)) from error

    def damaged(self, why: str) -> InputError:
        """The error that the file is no study's."""
        return InputError(f"{self.path} is damaged ({why}); take it away, or name another folder with --out")

    def _begin(self) -> None:
        """Make the tables, or check that the votes there are of this study."""
        connection = self._connection
        if not (there := _schema(connection)):
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            values = {
                "format": FORMAT,
                "secret": secrets.token_urlsafe(24),
                "identity": json.dumps(dict(self.study.identity)),
            }
            connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            connection.executemany(
                "INSERT INTO questions (id, prompt, image, a, b, position, flipped) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (each.id, each.prompt, each.image, each.a, each.b, each.position, each.flipped)
                    for each in self.study.questions
                ],
            )
            return
        meta = self._meta() if there.get("meta") == _own_schema()["meta"] else {}
        if meta.get("format", FORMAT) != FORMAT:
            raise OptionError(
                f"{self.path} was written by another version of recaptrain; name another folder with --out"
            )
        if there != _own_schema() or not {"format", "identity", "secret"} <= set(meta):
            raise self.damaged("its tables are not those of a study")
        identity = json.loads(meta["identity"])
        if not isinstance(identity, dict):
            raise self.damaged("it does not say what was compared")
        _check_same(identity, self.study.identity, self.path.parent)

    def _meta(self) -> dict[str, str]:
        rows = self._connection.execute("SELECT name, value FROM meta").fetchall()
        return {str(name): str(value) for name, value in rows}

    def _read_questions(self) -> Iterator[Question]:
        rows = self.rows("SELECT id, prompt, image, a, b, position, flipped FROM questions")
        asked = {(each.prompt, each.image, each.a, each.b) for each in self.study.questions}
        for number, prompt, image, a, b, position, flipped in rows:
            if (prompt, image, a, b) not in asked or not isinstance(position, int):
                raise self.damaged(f"question {number} is none of this study")
            yield Question(
                id=number, prompt=prompt, image=image, a=a, b=b, position=position, flipped=bool(flipped)
            )


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    """The statements that tables, indices, views and triggers were made with, by their names."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {str(name): " ".join(str(sql).split()) for name, sql in rows}


@cache
def _own_schema() -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _schema(connection)


def _check_same(there: Mapping[str, object], now: Mapping[str, object], folder: Path) -> None:
    """Raise OptionError where votes are those of another study."""
    differing = "; ".join(
        f"{name.replace('_', ' ')}: {there.get(name)} there, {now.get(name)} now"
        for name in {**there, **now}
        if there.get(name) != now.get(name)
    )
    if differing:
        raise OptionError(
            f"{folder} holds ratings of another study ({differing}); name another folder with --out"
        )
