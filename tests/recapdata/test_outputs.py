"""A command replaces, under the name that it is given, a file of its own kind and none other; a folder of its own and none other."""

import json
import os
from pathlib import Path

import pytest

from audits.contradicted import COLUMNS, TABLE
from audits.extraction.stream import CLAIMS
from audits.reporting.page import GENERATOR as REPORT_GENERATOR
from audits.reporting.page import PAGE as REPORT
from recapdata.errors import OptionError
from recapdata.outputs import FileKind, check_own_folder, check_replaceable
from recaptrain.evaluation.humans.jsonl import FIELDS, VOTES
from recaptrain.evaluation.reporting import PAGE
from recaptrain.evaluation.reporting.page import GENERATOR
from recaptrain.generation.upsampling.run import REWRITTEN

OWN: dict[str, tuple[FileKind, str]] = {
    "report": (REPORT, f'<html><meta name="generator" content="{REPORT_GENERATOR}">'),
    "evaluation": (PAGE, f'<html><meta name="generator" content="{GENERATOR}">'),
    "wrong": (TABLE, ",".join(COLUMNS) + "\r\nkey,…"),
    "claims": (CLAIMS, json.dumps({"id": 1, "claims": []}) + "\n"),
    "votes": (VOTES, json.dumps(dict.fromkeys(FIELDS)) + "\n"),
    "upsampled": (REWRITTEN, json.dumps({"id": "1", "prompt": "a", "upsampled": {}, "more": 1}) + "\n"),
}
OTHERS = {
    "photograph": b"\xff\xd8\xff\xe0 a photograph",
    "manifest": b"name: birds\nsets: {}\n",
    "captions": json.dumps({"id": 1, "caption": "a dog"}).encode(),
    "captions with claims": json.dumps({"id": 1, "caption": "a dog", "claims": []}).encode(),
    "page": b"<!doctype html><title>mine</title>",
    "table": b"key,caption\r\n",
    "deep": b"[" * 200_000,
    "list": b"[1]",
    "blank": b" ",
}


@pytest.mark.parametrize("kind", OWN)
def test_only_files_of_the_kind_are_replaced(tmp_path: Path, kind: str) -> None:
    own, content = OWN[kind]
    path = tmp_path / "file"
    check_replaceable(path, own)
    path.write_bytes(b"")
    check_replaceable(path, own)
    path.write_text(content, encoding="utf8")
    check_replaceable(path, own)
    foreign = {**OTHERS, **{name: text.encode() for name, (_, text) in OWN.items() if name != kind}}
    for name, there in foreign.items():
        path.write_bytes(there)
        with pytest.raises(OptionError, match=f"is there already and is no {own.noun}"):
            check_replaceable(path, own)
        assert path.read_bytes() == there, name


def test_devices_folders_and_links_to_them_are_no_files(tmp_path: Path) -> None:
    """As root, `/dev/null` would be replaced by a page; nobody waits for what writes to a FIFO."""
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine", encoding="utf8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name, message in (
        ("null", "no regular file"),
        ("pipe", "no regular file"),
        ("", "is a folder; name the file in it"),
        ("file/page.html", "file is a file"),
        ("link", "is there already"),
    ):
        with pytest.raises(OptionError, match=message):
            check_replaceable(tmp_path / name, PAGE)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    check_replaceable(tmp_path / "dangling", PAGE)


def test_a_folder_is_new_empty_or_ones_own(tmp_path: Path) -> None:
    check_own_folder(tmp_path / "new", {"mark.json"}, "thing")
    (tmp_path / ".git").mkdir()
    check_own_folder(tmp_path, {"mark.json"}, "thing")
    (tmp_path / "README.md").write_text("mine", encoding="utf8")
    with pytest.raises(OptionError, match=r"holds other files \(README.md\) and no thing; name a new or"):
        check_own_folder(tmp_path, {"mark.json"}, "thing")
    (tmp_path / "mark.json").write_text("{}", encoding="utf8")
    check_own_folder(tmp_path, {"mark.json"}, "thing")
