"""WebDataset tars: samples, columns, members that point outside, and tars that break off."""

import gzip
import io
import json
import tarfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recapdata.errors import SourceNotFound
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.webdataset import WebDataset, open_webdataset
from recapdata.records import Counts, Item
from tests.builders import png
from tests.recapdata.ingestion.sources import table

Member = tuple[str, bytes] | tarfile.TarInfo


def tar_bytes(members: Sequence[Member], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def pictures(*numbers: int) -> list[Member]:
    return [(f"{number:04d}.png", png(number)) for number in numbers]


def read(root: Path, start: int = 0) -> tuple[WebDataset, list[Item]]:
    source = open_webdataset(str(root / "*.tar*"), IngestOptions())
    return source, list(source.items(start))


def outcome(items: list[Item]) -> list[Any]:
    """Each item as the number of its picture, or its error."""
    numbers = {png(number): number for number in range(60)}
    return [each.error.error if each.error else numbers[each.image] for each in items]


def test_members_of_one_base_name_belong_together(tmp_path: Path) -> None:
    values = {
        "caption": "from json",
        "url": "http://x/1",
        "score": 0.5,
        "width": 99,
        "txt": "clash",
        "license": "mit",
    }
    members: list[Member] = [
        ("d/1.png", png(1)),
        ("d/1.txt", "ä caption\n".encode()),
        ("d/1.cls", b"3\n"),
        ("d/1.json", json.dumps(values).encode()),
        ("d/2.5/x.seg.png", png(50)),
        ("d/2.5/x.npy", b"numbers"),
        ("d/2.5/x.PNG", png(2)),
        ("__meta__", b"{}"),
        ("3.json", json.dumps({"score": 2, "extra": [1]}).encode()),
        ("3.png", png(3)),
    ]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    source, items = read(tmp_path)
    assert outcome(items) == [1, 2, 3]
    assert [each.source for each in items] == ["a.tar/d/1.png", "a.tar/d/2.5/x.png", "a.tar/3.png"]
    assert source.columns == {
        "txt": pa.string(),
        "cls": pa.int64(),
        "caption": pa.string(),
        "url": pa.string(),
        "score": pa.float64(),
        "width_in_source": pa.int64(),
        "json_txt": pa.string(),
        "extra": pa.list_(pa.int64()),
    }
    assert source.captions == {"txt", "caption"}
    assert dict(items[0].columns) == {
        "txt": "ä caption",
        "cls": 3,
        "caption": "from json",
        "url": "http://x/1",
        "score": 0.5,
        "width_in_source": 99,
        "json_txt": "clash",
    }
    assert [each.license for each in items] == ["mit", None, None]
    assert source.notes() == [
        "members of other kinds, and second images, were left aside (1 .seg.png, 1 .npy); a key ends at the first dot of a "
        "file's name (WebDataset's rule); with --last-dot it ends at the last"
    ]


def test_tars_in_the_order_of_their_names_from_any_start(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(tar_bytes(pictures(3, 4)))
    (tmp_path / "a.tar").write_bytes(tar_bytes([*pictures(0, 1), ("only.txt", b"x"), *pictures(2)]))
    (tmp_path / "c.tar").write_bytes(tar_bytes([]))
    (tmp_path / "d.tar.gz").write_bytes(tar_bytes(pictures(5), "w:gz"))
    source, everything = read(tmp_path)
    assert outcome(everything) == [0, 1, "NoImage", 2, 3, 4, 5]
    assert source.total == 7
    for start in range(8):
        assert list(source.items(start)) == everything[start:]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("../evil.png", {}),
        ("a/../../evil.png", {}),
        ("/etc/evil.png", {}),
        ("link.png", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("hard.png", {"type": tarfile.LNKTYPE, "linkname": "0000.png"}),
        ("device.png", {"type": tarfile.CHRTYPE}),
        ("pipe.png", {"type": tarfile.FIFOTYPE}),
    ],
)
def test_a_member_that_points_outside_spoils_its_sample_only(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    member = tarfile.TarInfo(name)
    for attribute, value in options.items():
        setattr(member, attribute, value)
    beside = (name.removesuffix("png") + "txt", b"its caption")
    (tmp_path / "a.tar").write_bytes(tar_bytes([*pictures(0), member, beside, *pictures(1)]))
    assert outcome(read(tmp_path)[1]) == [0, "UnsafeMember", 1]


def test_two_members_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes([("1.png", png(1)), ("1.png", png(2)), *pictures(3)]))
    assert outcome(read(tmp_path)[1]) == ["RepeatedMember", 3]


@pytest.mark.parametrize("compress", [False, True])
def test_a_tar_cut_anywhere_gives_what_stands_before_and_one_failure(tmp_path: Path, compress: bool) -> None:
    whole = tar_bytes(pictures(0, 1, 2))
    content = gzip.compress(whole) if compress else whole
    # A tar is three times 512 bytes of header and 512 of picture, two blocks of zeros, and more zeros.
    for cut in [0, 1, 100, 511, 512, 700, 1024, 1500, 2048, 2600, 3071, 3072]:
        end = len(content) * cut // 3200 if compress else cut
        (tmp_path / "a.tar").write_bytes(content[:end])
        (tmp_path / "b.tar").write_bytes(tar_bytes(pictures(3)))
        source, items = read(tmp_path)
        found = outcome(items)
        assert found[-2:] == ["BrokenTar", 3], cut
        assert found[:-2] == list(range(len(found) - 2)), cut
        assert source.total == len(items)
    if not compress:
        assert found[:-2] == [0, 1, 2]  # only the end mark was missing


@pytest.mark.parametrize("block", [0, 2, 4])
def test_garbage_instead_of_a_header_is_no_end(tmp_path: Path, block: int) -> None:
    content = bytearray(tar_bytes(pictures(0, 1, 2)))
    content[block * 512 : block * 512 + 512] = b"\xa5" * 512
    (tmp_path / "a.tar").write_bytes(content)
    (tmp_path / "b.tar").write_bytes(tar_bytes(pictures(3)))
    # The sample before the garbage may have lost members in it, so it is not taken either.
    assert outcome(read(tmp_path)[1]) == [*range(max(0, block // 2 - 1)), "BrokenTar", 3]


def test_more_behind_the_end_mark_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(pictures(0)) + tar_bytes(pictures(1)))
    found = outcome(read(tmp_path)[1])
    assert found[-1] == "BrokenTar"


def test_bad_members_are_failures_of_an_ingest(tmp_path: Path) -> None:
    members: list[Member] = [
        ("1.png", png(1)), ("1.txt", b"caf\xe9"),
        ("2.png", png(2)), ("2.json", b"{broken"),
        ("3.png", png(3)), ("3.json", b"[]"),
        ("4.png", png(4)), ("4.txt", b" \n"),
        ("5.jpg", png(5)), ("5.txt", b"a PNG"),
        ("6.png", png(6)[:60]), ("6.txt", b"cut"),
        ("7.png", png(7)), ("7.txt", b"good"), ("7.json", b'{"text": "caf\xe9"}'),
        ("8.png", png(8)), ("8.txt", b"good"),
    ]  # fmt: skip
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    summary = ingest(f"wds:{tmp_path}/*.tar", tmp_path / "out")
    assert summary.counts == Counts(8, 2, 0, 6)
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == [
        "NotUtf8", "BadMetadata", "BadMetadata", "EmptyCaption", "TruncatedImage", "NotUtf8",
    ]  # fmt: skip
    assert [(each.note, each.count, each.source) for each in summary.noted] == [
        ("MislabelledImage", 1, "a.tar/5.jpg")
    ]


def test_no_tar_at_all_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no file matches"):
        open_webdataset(str(tmp_path / "*.tar"), IngestOptions())


def test_keys_with_dots_end_at_the_first_dot_or_if_asked_at_the_last(tmp_path: Path) -> None:
    members: list[Member] = []
    for number in range(3):
        members += [
            (f"d.1/v1.0.{number}.png", png(number)),
            (f"d.1/v1.0.{number}.txt", b"caption %d" % number),
        ]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    _, items = read(tmp_path)
    assert outcome(items) == ["NoImage"]
    assert (
        "ends at the first dot of a file's name (WebDataset's rule); with --last-dot"
        in items[0].error.message
    )
    source = open_webdataset(str(tmp_path / "a.tar"), IngestOptions(last_dot=True))
    items = list(source.items(0))
    assert outcome(items) == [0, 1, 2]
    assert [each.source for each in items] == [f"a.tar/d.1/v1.0.{number}.png" for number in range(3)]
    assert [each.columns["txt"] for each in items] == ["caption 0", "caption 1", "caption 2"]
    assert source.stamp != open_webdataset(str(tmp_path / "a.tar"), IngestOptions()).stamp


def test_the_rule_of_the_first_dot_is_said_where_an_image_was_left_aside(tmp_path: Path) -> None:
    members = [("photo.png", png(1)), ("photo.v2.png", png(2)), ("photo.txt", b"x")]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    source, items = read(tmp_path)
    assert outcome(items) == [1]
    assert source.notes() == [
        "members of other kinds, and second images, were left aside (1 .v2.png); a key ends at the first dot of a file's "
        "name (WebDataset's rule); with --last-dot it ends at the last"
    ]


def test_members_of_one_key_whatever_its_spelling(tmp_path: Path) -> None:
    members = [
        (unicodedata.normalize("NFD", "in/é.png"), png(1)),
        (unicodedata.normalize("NFC", "in\\é.txt"), b"x"),
    ]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    _, items = read(tmp_path)
    assert [(each.image, each.columns["txt"]) for each in items] == [(png(1), "x")]


def test_lines_of_a_text_are_captions(tmp_path: Path) -> None:
    members: list[Member] = [
        ("1.png", png(1)),
        ("1.txt", b"one\r\ntwo\n"),
        ("2.png", png(2)),
        ("2.txt", b"only"),
        ("3.png", png(3)),
    ]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    source, items = read(tmp_path)
    assert source.columns == {"txt": pa.list_(pa.string())}
    assert [each.columns.get("txt") for each in items] == [["one", "two"], ["only"], None]
    assert source.notes() == ["1 texts have several lines: column 'txt' is a list with a caption a line"]


def test_a_key_that_a_json_has_twice_comes_along_twice(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes([("1.png", png(1)), ("1.json", b'{"a": "one", "a": "two"}')]))
    assert dict(read(tmp_path)[1][0].columns) == {"a": "one", "a_2": "two"}
