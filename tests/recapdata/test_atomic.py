"""A file is the old one or the new one, and a failure leaves nothing beside it."""

import os
from pathlib import Path

import pytest

from recapdata.atomic import open_to_append, replacing, write_atomic
from recapdata.dataset.folder import hold
from recapdata.errors import OptionError


def test_the_whole_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.yaml"
    write_atomic(path, b"a long old text")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("shared", [False, True])
def test_an_error_keeps_the_old_file_and_nothing_else(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path, shared=shared) as temporary:
            temporary.write_bytes(b"half")
            assert (temporary.parent, path.read_bytes()) == (tmp_path, b"old")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / ".file.tmp").symlink_to(precious)
    write_atomic(tmp_path / "file", b"new")
    assert precious.read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"new"


def test_writers_at_once_have_a_temporary_name_each(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path, shared=True) as one, replacing(path, shared=True) as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"  # renamed last


def test_what_is_left_under_the_temporary_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".file.tmp")
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_appending_makes_a_file_and_keeps_what_is_there(tmp_path: Path) -> None:
    for part in (b"one", b"two"):
        with open_to_append(tmp_path / "file") as file:
            file.write(part)
    assert (tmp_path / "file").read_bytes() == b"onetwo"


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_lock_empties_no_other_file(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    if kind == "link":
        (tmp_path / ".lock").symlink_to(other)
    else:
        os.mkfifo(tmp_path / ".lock")
    with pytest.raises(OptionError, match="is a link, or no file"), hold(tmp_path):
        pass
    assert other.read_bytes() == b"mine"
