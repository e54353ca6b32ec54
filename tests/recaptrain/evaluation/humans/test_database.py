"""The file of a study: commits wait for the disk, other studies are not mixed with it, damage is said."""

import random
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from recapdata.errors import InputError, OptionError
from recaptrain.evaluation.humans.assignments import assign
from recaptrain.evaluation.humans.database import DATABASE, Database
from recaptrain.evaluation.humans.study import Study
from recaptrain.evaluation.humans.tally import results_of
from tests.recaptrain.evaluation.humans.folders import answer, come, write_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, ["one", "two", "three"])


def test_commits_wait_for_the_disk(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "out", study)) as database:
        assert database.rows("PRAGMA journal_mode") == [("wal",)]
        assert database.rows("PRAGMA synchronous") == [(2,)]  # FULL


def test_a_change_that_fails_has_not_happened(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "out", study)) as database:
        insert = "INSERT INTO raters (name, token) VALUES (?, ?)"
        with pytest.raises(sqlite3.IntegrityError), database.changing() as connection:
            connection.executemany(insert, [("Ada", "x"), ("Bo", "x")])
        assert database.rows("SELECT * FROM raters") == []


def test_the_questions_are_those_that_the_study_began_with(tmp_path: Path, study: Study) -> None:
    """Another seed would order and flip them otherwise, and votes rest on both."""
    with closing(Database(tmp_path / "out", study)) as database:
        first = assign(database, come(database, "Ada")).held
        questions, secret = database.questions, database.secret
    other = replace(study, questions=[replace(each, flipped=not each.flipped) for each in study.questions])
    with closing(Database(tmp_path / "out", other)) as database:
        assert (database.questions, database.secret) == (questions, secret)
        assert assign(database, come(database, "Ada")).held == first


def test_ratings_of_another_study_are_not_mixed(tmp_path: Path, study: Study) -> None:
    Database(tmp_path / "out", study).close()
    for name, value, message in (
        ("protocol", "style", "protocol: prompt-following there, style now"),
        ("folders", "b, a", "folders: model-baseline, model-recap there, b, a now"),
        ("pictures", "0", "pictures: "),
    ):
        other = replace(study, identity={**study.identity, name: value})
        with pytest.raises(OptionError, match=f"holds ratings of another study.*{message}"):
            Database(tmp_path / "out", other)


def test_another_versions_file_is_refused(tmp_path: Path, study: Study) -> None:
    with closing(Database(tmp_path / "out", study)) as database, database.changing() as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    with pytest.raises(OptionError, match="written by another version of recaptrain"):
        Database(tmp_path / "out", study)


@pytest.mark.parametrize("damage", ["other", "cut", "text"])
def test_a_damaged_file_is_said(tmp_path: Path, study: Study, damage: str) -> None:
    path = tmp_path / "out" / DATABASE
    with closing(Database(tmp_path / "out", study)) as database:
        come(database, "Ada Lovelace")
    content = path.read_bytes()
    changed = {
        "other": b"no database at all" * 100,
        "cut": content[: len(content) // 2],
        "text": content.replace(b"Ada Lovelace", b"Ada \xff\xfe\xfdlace"),
    }
    path.write_bytes(changed[damage])

    def read() -> None:
        with closing(Database(tmp_path / "out", study)) as database:
            database.rows("SELECT name FROM raters")

    with pytest.raises(InputError, match=r"ratings\.sqlite is damaged .*; take it away, or name another"):
        read()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE meta",
        "DELETE FROM meta WHERE name = 'secret'",
        "UPDATE meta SET value = '[]' WHERE name = 'identity'",
        "UPDATE meta SET value = x'00' WHERE name = 'identity'",
        "ALTER TABLE votes DROP COLUMN at",
        "CREATE TRIGGER t AFTER INSERT ON raters BEGIN DELETE FROM votes; END",
        "UPDATE questions SET prompt = 99",
        "UPDATE questions SET prompt = 'x'",
        "UPDATE questions SET b = NULL",
        "UPDATE questions SET position = 'x'",
        "UPDATE votes SET answer = 'yes'",
        "UPDATE votes SET question = 99",
        "UPDATE votes SET seconds = 'x', at = 9e999",
    ],
)
def test_what_is_no_study_is_said(tmp_path: Path, study: Study, change: str) -> None:
    with closing(Database(tmp_path / "out", study)) as database:
        answer(database, come(database, "Ada"))
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as connection:
        connection.execute(change)
        connection.commit()

    def read() -> None:
        with closing(Database(tmp_path / "out", study)) as database:
            results_of(database)

    with pytest.raises(InputError, match=r"ratings\.sqlite is damaged .*; take it away, or name another"):
        read()


def test_a_file_of_another_program_gets_no_tables(tmp_path: Path, study: Study) -> None:
    path = tmp_path / "out" / DATABASE
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    content = path.read_bytes()
    with pytest.raises(InputError, match="its tables are not those of a study"):
        Database(path.parent, study)
    assert path.read_bytes() == content  # not even that it has a write-ahead log
    assert [each.name for each in path.parent.iterdir()] == [DATABASE]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link, or no file"):
        Database(path.parent, study)


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path, study: Study) -> None:
    (tmp_path / "out").write_text("a note")
    with pytest.raises(OptionError, match="is a file; name a folder"):
        Database(tmp_path / "out", study)


def test_bytes_that_changed_are_said_or_do_not_matter(tmp_path: Path, study: Study) -> None:
    """Headers that say a file is of a later format, or may be read only; texts; half pages; random bits."""
    with closing(Database(tmp_path / "out", study)) as database:
        answer(database, come(database, "Ada"))
    path, dice = tmp_path / "out" / DATABASE, random.Random(0)
    content = path.read_bytes()
    for trial in range(40):
        changed = bytearray(content)
        if trial < 10:
            changed[(18, 19, 47, 45, 21, 24, 56, 59, 96, 100)[trial]] ^= 0x55
        else:
            for _ in range(dice.choice((1, 8, 64))):
                changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        with suppress(InputError, OptionError), closing(Database(tmp_path / "out", study)) as database:
            answer(database, come(database, "Bo"))
            results_of(database)
        for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
            path.with_name(name).unlink(missing_ok=True)
