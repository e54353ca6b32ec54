"""A plain folder: metadata files, texts beside images, and everything that can be wrong with them."""

import json
import os
import unicodedata
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
    assert source.notes() == [
        "left aside: 1 hidden images, first .hidden.png",
        "files that are no images by their extension were left aside (1 .md)",
    ]


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


def notes(path: Path) -> str:
    source = open_folder(str(path), IngestOptions())
    list(source.items(0))
    return "\n".join(source.notes())


def test_texts_that_belong_to_no_image_are_said(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    write(tmp_path / "b.png", png(1))
    for name in ("a.png.txt", "b..txt", "in/b.txt", "LICENSE.txt"):
        write(tmp_path / name, "a caption")
    write(tmp_path / "b.TXT", "found")
    assert [each.columns["caption"] for each in read(tmp_path)] == [None, "found"]
    assert (
        "4 texts belong to no image by their name and were left aside (LICENSE.txt, a.png.txt, b..txt, …); "
        "the caption of a.jpg is a.txt" in notes(tmp_path)
    )


@pytest.mark.parametrize(("on_disk", "named"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_match_whatever_their_composition(tmp_path: Path, on_disk: Any, named: Any) -> None:
    for index, name in enumerate(["naïve.png", "été/é.png"]):
        write(tmp_path / unicodedata.normalize(on_disk, name), png(index))
    write(tmp_path / unicodedata.normalize(named, "naïve.txt"), "of the text")
    write(
        tmp_path / "metadata.csv",
        "file_name,text\n" + unicodedata.normalize(named, "été/é.png") + ",a summer\n",
    )
    items = read(tmp_path)
    assert [(each.image, dict(each.columns)) for each in items] == [
        (png(1), {"text": "a summer", "caption": None}),
        (png(0), {"caption": "of the text"}),
    ]


def test_a_name_that_is_there_as_it_is_goes_before_one_composed_otherwise(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    write(tmp_path / f"{composed}.png", png(0))
    write(tmp_path / f"{decomposed}.png", png(1))
    write(tmp_path / "metadata.csv", f"file_name,text\n{composed}.png,first\n{decomposed}.png,second\n")
    assert [(each.image, each.columns["text"]) for each in read(tmp_path)] == [
        (png(0), "first"),
        (png(1), "second"),
    ]


def test_names_of_windows_and_with_invisible_marks(tmp_path: Path) -> None:
    for index, name in enumerate(["in/a.png", "in/deep/b.png", "c.png", "d\\e.png"]):
        write(tmp_path / "set" / name, png(index))
    rows = ["in\\a.png,1", ".\\in\\deep\\b.png,2", "\ufeffc.png\u200b,3", "d\\e.png,4", "..\\..\\own.png,5"]
    write(tmp_path / "own.png", png(9))
    write(tmp_path / "set/metadata.csv", "file_name,n\n" + "\n".join(rows))
    items = read(tmp_path / "set")
    assert [each.columns.get("n") for each in items[:4]] == [1, 2, 3, 4]
    assert [each.image for each in items] == [*map(png, range(4)), None]
    assert items[4].error.error == "MissingFile"


def test_rows_of_one_image_are_one_item_with_lists(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"{index}.png", png(index))
    write(
        tmp_path / "metadata.csv",
        "file_name,caption,writer,split,license\n"
        "0.png,one,ana,train,mit\n1.png,only,bo,train,mit\n./0.png,two,bo,train,cc0-1.0\nno.png,x,,,\nno.png,y,,,\n",
    )
    everything = read(tmp_path)
    assert outcome(everything) == ["0.png", "1.png", "MissingFile", "MissingFile", "2.png"]
    lists = pa.list_(pa.string())
    source = open_folder(str(tmp_path), IngestOptions())
    assert source.columns == {"caption": lists, "writer": lists, "split": pa.string()}
    assert source.total == 5
    assert [dict(each.columns) for each in everything if each.error is None] == [
        {"caption": ["one", "two"], "writer": ["ana", "bo"], "split": "train"},
        {"caption": ["only"], "writer": ["bo"], "split": "train"},
        {},
    ]
    assert [each.license for each in everything[:2]] == ["mit; cc0-1.0", "mit"]
    assert (
        "2 rows are of 1 images and were brought together; columns that became lists: caption, writer"
        in notes(tmp_path)
    )
    for start in range(6):
        assert read(tmp_path, start) == everything[start:]


def test_equal_rows_of_one_image_need_no_list(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    rows = [{"file_name": "a.png", "caption": "one", "tags": ["x"]}] * 2
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    [item] = read(tmp_path)
    assert dict(item.columns) == {"caption": "one", "tags": ["x"]}


def test_lists_in_rows_of_one_image_are_joined(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(0))
    rows = [{"file_name": "a.png", "captions": ["one", "two"]}, {"file_name": "a.png", "captions": ["three"]}]
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    [item] = read(tmp_path)
    assert dict(item.columns) == {"captions": ["one", "two", "three"]}


def test_lines_of_a_text_are_captions(tmp_path: Path) -> None:
    for index, text in enumerate(["one\r\n\r\n two \rthree", "only", "", None]):
        write(tmp_path / f"{index}.png", png(index))
        if text is not None:
            write(tmp_path / f"{index}.txt", text)
    source = open_folder(str(tmp_path), IngestOptions())
    assert source.columns == {"caption": pa.list_(pa.string())}
    assert [each.columns["caption"] for each in source.items(0)] == [
        ["one", "two", "three"],
        ["only"],
        [""],
        None,
    ]
    assert "1 texts beside images have several lines" in notes(tmp_path)


def test_a_text_beside_an_image_with_another_caption_in_its_metadata_is_noted(tmp_path: Path) -> None:
    for index in range(2):
        write(tmp_path / f"{index}.png", png(index))
        write(tmp_path / f"{index}.txt", "of the text")
    write(tmp_path / "metadata.csv", "file_name,caption\n0.png,of the row\n1.png,of the text\n")
    items = read(tmp_path)
    assert [each.columns["caption"] for each in items] == ["of the row", "of the text"]
    assert [[(note.note, note.message[:6]) for note in each.notes] for each in items] == [
        [("UnreadText", "0.txt ")],
        [],
    ]


def test_columns_named_twice_both_come_along(tmp_path: Path) -> None:
    write(tmp_path / "csv/a.png", png(0))
    write(tmp_path / "csv/metadata.csv", "file_name,text,text,text_2\na.png,one,two,three\n")
    assert dict(read(tmp_path / "csv")[0].columns) == {"text": "one", "text_3": "two", "text_2": "three"}
    assert "metadata.csv names column 'text' 2 times" in notes(tmp_path / "csv")
    write(tmp_path / "json/a.png", png(0))
    write(tmp_path / "json/metadata.jsonl", '{"file_name": "a.png", "text": "one", "text": "two"}')
    assert dict(read(tmp_path / "json")[0].columns) == {"text": "one", "text_2": "two"}
    write(tmp_path / "parquet/a.png", png(0))
    columns = [pa.array(["a.png"]), pa.array(["one"]), pa.array(["two"])]
    pq.write_table(
        pa.Table.from_arrays(columns, ["file_name", "text", "text"]), tmp_path / "parquet/metadata.parquet"
    )
    assert dict(read(tmp_path / "parquet")[0].columns) == {"text": "one", "text_2": "two"}


def test_what_a_walk_passes_by_is_counted_by_its_kind(tmp_path: Path) -> None:
    source = tmp_path / "pictures"
    write(source / "a.png", png(0))
    write(tmp_path / "other/b.png", png(1))
    (source / "linked").symlink_to(tmp_path / "other")
    (source / "dead.png").symlink_to("nowhere.png")
    (source / "dead.txt").symlink_to("nowhere.txt")
    (source / "round.png").symlink_to("round.png")
    os.mkfifo(source / "pipe.png")
    write(source / "ready/recapdata.yaml", "")
    write(source / "ready/c.png", png(2))
    write(source / "._a.png", b"a resource fork of macOS")
    said = notes(source)
    assert "1 symbolic links to folders, which are not followed, first linked" in said
    assert "3 symbolic links that lead nowhere, first" in said
    assert "1 entries that are no files (FIFOs, sockets, devices), first pipe.png" in said
    assert "1 folders that are datasets of this project, first ready" in said
    assert "hidden" not in said
    assert outcome(read(source)) == ["a.png"]
