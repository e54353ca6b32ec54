"""A file is the old one or the new one, and a failure leaves nothing beside it."""

from pathlib import Path

import pytest

from recapdata.atomic import replacing, write_atomic


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
