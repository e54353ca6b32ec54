"""A plain folder: metadata files, texts beside images, and everything that can be wrong with them."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion import IngestOptions
from recapdata.ingestion.folder import open_folder
from recapdata.records import Item
from tests.builders import noise_jpeg, png


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def read(path: Path, start: int = 0, **options: Any) -> list[Item]:
    return list(open_folder(str(path), IngestOptions(**options)).items(start))


def outcome(items: list[Item]) -> list[str]:
    """Each item as its source's file name, or its error."""
    return [each.error.error if each.error else each.source.rpartition("/")[2] for each in items]


def test_images_alone_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for index, name in enumerate(["b.png", "a/z.PNG", "a/c/d.png", "c.png", ".hidden.png", ".git/e.png"]):
        write(tmp_path / "photos" / name, png(index))
    write(tmp_path / "photos/readme.md", "no image")
    source = open_folder(str(tmp_path / "photos"), IngestOptions())
    items = list(source.items(0))
    assert [each.source for each in items] == [
        "photos/a/c/d.png",
        "photos/a/z.PNG",
        "photos/b.png",
        "photos/c.png",
    ]
    assert [each.image for each in items] == [png(2), png(1), png(0), png(3)]
    assert (source.name, source.total, source.columns) == ("folder:photos", 4, {})
    assert source.notes() == ["files that are no images by their extension were left aside (1 .md)"]


def test_a_text_beside_an_image_is_its_caption(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"{index}.png", png(index))
    write(tmp_path / "0.txt", "\ufeffa caption, ünd more\r\n")
    write(tmp_path / "1.txt", b"caf\xe9")
    source = open_folder(str(tmp_path), IngestOptions())
    captions = [each.columns["caption"] for each in source.items(0)]
    assert captions == ["a caption, ünd more", "caf\udce9", None]
    assert source.columns == {"caption": pa.string()}
    assert source.captions == {"caption"}


def test_metadata_names_images_in_any_folder_and_the_rest_follows(tmp_path: Path) -> None:
    for index, name in enumerate(["z.png", "in/a.png", "in/deep/b.png", "unlisted.png", "beside.png"]):
        write(tmp_path / "set" / name, png(index))
    write(tmp_path / "set/beside.txt", "from the text")
    write(
        tmp_path / "set/metadata.csv",
        "file_name,text,likes,license\nz.png,a zed,3,CC0-1.0\nin/a.png,an a,,\n",
    )
    write(
        tmp_path / "set/in/deep/metadata.jsonl",
        json.dumps({"file_name": "b.png", "tags": ["x", "y"]}) + "\n\n",
    )
    source = open_folder(str(tmp_path / "set"), IngestOptions())
    items = list(source.items(0))
    assert outcome(items) == ["b.png", "z.png", "a.png", "beside.png", "unlisted.png"]
    assert source.total == 5
    assert source.columns == {
        "tags": pa.list_(pa.string()),
        "text": pa.string(),
        "likes": pa.int64(),
        "caption": pa.string(),
    }
    assert dict(items[0].columns) == {"tags": ["x", "y"], "caption": None}
    assert dict(items[1].columns) == {"text": "a zed", "likes": 3, "caption": None}
    assert [each.license for each in items[:3]] == [None, "CC0-1.0", None]
    assert items[2].columns["likes"] is None
    assert items[3].columns == {"caption": "from the text"}


def test_any_start_gives_the_rest(tmp_path: Path) -> None:
    for index in range(6):
        write(tmp_path / f"{index}.png", png(index))
    rows = [{"file_name": f"{index}.png", "text": str(index)} for index in (4, 1)] + [{"file_name": "no.png"}]
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    everything = read(tmp_path)
    assert outcome(everything) == ["4.png", "1.png", "MissingFile", "0.png", "2.png", "3.png", "5.png"]
    for start in range(9):
        assert read(tmp_path, start) == everything[start:]


def test_every_bad_row_is_an_item_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "good.png", png(0))
    write(tmp_path / "large.jpg", noise_jpeg(0))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere")
    rows = [
        b'{"file_name": "good.png", "text": "a \xff"}',
        b'{"file_name": "missing.png"}',
        b'{"file_name": "dead.png"}',
        b'{"file_name": "folder.png"}',
        b'{"file_name": "../../../etc/passwd"}',
        b'{"file_name": "/etc/passwd"}',
        b'{"file_name": "large.jpg"}',
        b'{"text": "no name"}',
        b'{"file_name": 7}',
        b"{broken",
        b'["a list"]',
    ]
    write(tmp_path / "metadata.jsonl", b"\n".join(rows))
    items = read(tmp_path, max_bytes=2000)
    assert outcome(items) == [
        "good.png",
        "MissingFile",
        "MissingFile",
        "MissingFile",
        "UnsafePath",
        "UnsafePath",
        "TooLarge",
        "MissingColumn",
        "MissingColumn",
        "BadMetadata",
        "BadMetadata",
    ]
    assert items[0].columns["text"] == "a \udcff"
    assert items[7].source == f"{tmp_path.name}/metadata.jsonl row 8"


def test_csv_rows_that_do_not_fit_their_header(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    write(tmp_path / "b.png", png(1))
    write(tmp_path / "metadata.csv", b"file_name,text\na.png,one,surplus\nb.png\n,\n\xff.png,x\n")
    items = read(tmp_path)
    assert outcome(items) == ["BadMetadata", "b.png", "MissingColumn", "MissingFile", "a.png"]
    assert items[1].columns["text"] is None


def test_a_blank_caption_stays_blank_and_other_blanks_are_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    write(tmp_path / "metadata.csv", "file_name,text,place\na.png,,\n")
    assert dict(read(tmp_path)[0].columns) == {"text": "", "place": None}


def test_metadata_without_file_names_is_one_failure_and_the_images_come(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    write(tmp_path / "metadata.csv", "image,text\na.png,one\n")
    items = read(tmp_path)
    assert outcome(items) == ["MissingColumn", "a.png"]
    assert "columns: image, text" in items[0].error.message


def test_metadata_in_parquet(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    table = pa.table({"file_name": ["a.png"], "text": pa.array(["one"]).dictionary_encode(), "n": [1.5]})
    pq.write_table(table, tmp_path / "metadata.parquet")
    source = open_folder(str(tmp_path), IngestOptions())
    assert source.columns == {"text": pa.string(), "n": pa.float64()}
    assert [dict(each.columns) for each in source.items(0)] == [{"text": "one", "n": 1.5}]


def test_columns_with_a_fixed_name_are_renamed(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    write(tmp_path / "metadata.csv", "file_name,key,width,source\na.png,k,9,web\n")
    assert dict(read(tmp_path)[0].columns) == {
        "key_in_source": "k",
        "width_in_source": 9,
        "source_in_source": "web",
    }


def test_the_stamp_follows_names_and_sizes(tmp_path: Path) -> None:
    def stamp() -> str:
        return open_folder(str(tmp_path), IngestOptions()).stamp

    write(tmp_path / "a.png", png(0))
    first = stamp()
    assert stamp() == first
    write(tmp_path / "b.png", png(1))
    second = stamp()
    assert second != first
    write(tmp_path / "b.png", png(1) + b"x")
    assert stamp() not in (first, second)


def test_what_is_no_source_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="does not exist"):
        open_folder(str(tmp_path / "nowhere"), IngestOptions())
    write(tmp_path / "file.png", png(0))
    with pytest.raises(SourceNotFound, match="is a file"):
        open_folder(str(tmp_path / "file.png"), IngestOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no images"):
        open_folder(str(tmp_path / "empty"), IngestOptions())
    write(tmp_path / "metadata.csv", "file_name\n")
    write(tmp_path / "metadata.jsonl", "")
    with pytest.raises(SourceError, match=r"both metadata.csv and metadata.jsonl"):
        open_folder(str(tmp_path), IngestOptions())


def test_nothing_outside_is_read_through_links(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "own.png").write_bytes(png(7))
    (private / "secret").write_text("a secret")
    source = tmp_path / "pictures"
    source.mkdir()
    for index, name in enumerate(["a", "b", "c", "d"]):
        (source / f"{name}.png").write_bytes(png(index))
    (source / "a.txt").symlink_to(private / "secret")
    (source / "b.txt").symlink_to("../private/secret")
    os.mkfifo(source / "c.txt")
    (source / "d.txt").write_text("a caption")
    (source / "e.png").symlink_to(private / "own.png")
    (source / "f.png").symlink_to("a.png")  # inside: followed, as the same picture
    items = {each.source.rpartition("/")[2]: each for each in read(source)}
    errors = {name: each.error.error for name, each in items.items() if each.error is not None}
    assert errors == {
        "a.png": "UnsafePath",
        "b.png": "UnsafePath",
        "c.png": "UnreadableFile",  # and nobody waits for it
        "e.png": "UnsafePath",
    }
    assert items["d.png"].columns == {"caption": "a caption"}
    assert items["f.png"].image == png(0)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_a_table_that_is_a_link_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("file_name,password\na.png,x\n")
    source = tmp_path / "pictures"
    source.mkdir()
    (source / "a.png").write_bytes(png(0))
    (source / name).symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match="is a link that leads out"):
        read(source)
