"""A folder of caches that a stranger made to harm: nothing outside it is read, waited for or deleted, and its files are checked."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from recapdata.errors import OptionError
from recaptrain.arrow_files import read_mapped
from recaptrain.caches import Cache, list_caches, open_cache, tidy_caches

ID = "0123456789abcdef"


@pytest.fixture
def precious(tmp_path):
    folder = tmp_path / "precious"
    for name in (ID, "about"):
        (folder / name).mkdir(parents=True)
        (folder / name / "about.json").write_text("{}", encoding="utf8")
    (folder / ID / "key").write_text("mine", encoding="utf8")
    yield folder
    assert sorted(path.name for path in folder.rglob("*")) == [ID, "about", "about.json", "about.json", "key"]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "latents").mkdir(parents=True)
    return tmp_path / "root"


@pytest.mark.parametrize("clear", ["all", "orphans"])
def test_links_are_never_cleared_through(root, precious, clear):
    """A link for a kind, for a cache, and for a file of one; and a kind of the root's own."""
    (root / "kind").symlink_to(precious)
    (root / "latents" / ID).symlink_to(precious / ID)
    other = root / "latents" / ID[::-1]
    other.mkdir()
    (other / "about.json").write_text("{}", encoding="utf8")
    (other / "0.arrow").symlink_to(precious / ID / "key")
    assert [each.id for each in tidy_caches(root, [clear]).cleared] == [other.name]
    assert not other.exists()
    assert (root / "kind").is_symlink()


def test_what_is_no_cache_stays(root):
    """Folders of other programs that have an `about.json` too, and what others put into a cache's folder."""
    (root / "me" / "project").mkdir(parents=True)
    (root / "me" / "project" / "about.json").write_text("{}", encoding="utf8")
    cache = root / "latents" / ID
    cache.mkdir()
    for name in ("about.json", "used.json", "1.arrow", ".1.arrow.tmp", "diary.txt"):
        (cache / name).write_text("{}", encoding="utf8")
    assert [each.id for each in tidy_caches(root, ["all"]).cleared] == [ID]
    assert sorted(path.name for path in cache.iterdir()) == ["diary.txt"]
    assert (root / "me" / "project" / "about.json").is_file()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"[" * 10**5, b"\xff", b'{"a": [1], "_model": {"b": 1}}', b"9" * 5000]
)
def test_what_a_cache_says_of_itself_is_data(root, content):
    for name in ("about.json", "used.json"):
        (root / "latents" / ID).mkdir(exist_ok=True)
        (root / "latents" / ID / name).write_bytes(content)
    assert [each.id for each in list_caches(root)] == [ID]
    assert tidy_caches(root, []).text()


def test_a_listing_is_a_line_a_cache(root):
    (root / "latents" / ID).mkdir()
    (root / "latents" / ID / "about.json").write_text(json.dumps({"_model": "a\nb\x1b[2J"}), encoding="utf8")
    (root / "latents" / ID / "used.json").write_text(json.dumps({"x\ny": "2\n3"}), encoding="utf8")
    assert len(tidy_caches(root, []).text().splitlines()) == 2  # the cache, and the sum
    assert "\x1b" not in tidy_caches(root, []).text()


def test_a_fifo_is_not_waited_for(root):
    (root / "latents" / ID).mkdir()
    for name in ("used.json", "0.arrow"):
        os.mkfifo(root / "latents" / ID / name)
    (root / "latents" / ID / "about.json").write_text("{}", encoding="utf8")
    assert [each.files for each in list_caches(root)] == [1]
    assert list(Cache(root / "latents" / ID).tables()) == []


def write(path, table, **options):
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer,
    ):
        writer.write_table(table)


def test_damaged_files_are_deleted_and_made_again(root, precious):
    """Cut, of another kind, with offsets that lead elsewhere, compressed to a fraction of what they take, or a link."""
    folder = root / "latents" / ID
    folder.mkdir()
    table = pa.table({"name": ["a", "b"], "x": pa.array([0.0] * 2)})
    write(folder / "0.arrow", table)
    content = (folder / "0.arrow").read_bytes()
    (folder / "1.arrow").write_bytes(content[: len(content) // 2])
    (folder / "2.arrow").write_bytes(b"ARROW1\0\0" + b"\xff" * 100)
    (folder / "3.arrow").write_bytes(
        content.replace(b"\0\0\0\0\1\0\0\0\2\0\0\0", b"\0\0\0\0\xff\xff\xff\x7f\2\0\0\0")
    )
    (folder / "4.arrow").symlink_to(precious / ID / "key")
    write(folder / "5.arrow", pa.table({"name": ["a" * 10**6] * 4}), compression="zstd")
    assert [each.num_rows for each in Cache(folder).tables()] == [2]
    assert sorted(path.name for path in folder.iterdir()) == ["0.arrow"]


BOMB = """
import resource, sys
from pathlib import Path
from recaptrain.arrow_files import read_mapped
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_mapped(Path(sys.argv[1]))
except ValueError as error:
    print(error, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("end", [True, False])
def test_what_is_compressed_is_never_unpacked(tmp_path, compression, end):
    """64 MB of zeros; with an end that says that there are no batches, too."""
    path = tmp_path / "0.arrow"
    write(path, pa.table({"x": pa.array([0.0] * 2**23)}), compression=compression)
    if not end:
        empty = tmp_path / "empty.arrow"
        write(empty, pa.table({"x": pa.array([], pa.float64())}))
        content, footer = path.read_bytes(), empty.read_bytes()
        size = int.from_bytes(footer[-10:-6], "little") + 10
        path.write_bytes(content[: -int.from_bytes(content[-10:-6], "little") - 10] + footer[-size:])
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    *said, grown = done.stdout.split()
    assert " ".join(said) == "it is compressed, which no file of a run is"
    assert int(grown) < 2**15  # KiB: half of what it unpacks to


def test_rows_that_take_no_room_are_not_counted_for_ever(tmp_path):
    path = tmp_path / "0.arrow"
    write(path, pa.table({"x": pa.nulls(10**9)}))
    with pytest.raises(ValueError, match="more than its size"):
        read_mapped(path)


def test_nothing_is_written_through_a_link(tmp_path, root, precious):
    (root / "kind").symlink_to(precious)
    with pytest.raises(OptionError, match="a symbolic link, or lies behind one"):
        open_cache(root, "kind", {"a": 1})
