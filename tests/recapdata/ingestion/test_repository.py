"""Datasets of a Hub made to harm: rows and cards that name what is not in their repository."""

import http.server
import io
import json
import os
import threading
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image
from huggingface_hub import HfApi

from recapdata.errors import SourceError
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.hub import open_hub
from recapdata.ingestion.repository import RepositoryFiles
from recapdata.records import IMAGE_TYPE, Counts, image_key
from tests.builders import noise_jpeg, png
from tests.recapdata.ingestion.sources import table

COMMIT = "a" * 40
HERE = f"hf://datasets/me/birds@{COMMIT}/"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A picture of the user's own."""
    path = tmp_path / "private" / "private.png"
    path.parent.mkdir()
    path.write_bytes(png(77))
    return path


@pytest.fixture
def asked(private: Path) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that holds a picture, and what it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(private.read_bytes())

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def upload(repo_id: str, files: dict[str, bytes]) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset", exist_ok=True)
    for name, content in files.items():
        api.upload_file(
            path_or_fileobj=io.BytesIO(content), path_in_repo=name, repo_id=repo_id, repo_type="dataset"
        )


def parquet(paths: list[str | None]) -> bytes:
    """A data shard of images that are paths, between two that are held."""
    images = [
        {"bytes": png(0), "path": "0.png"},
        *({"bytes": None, "path": path} for path in paths),
        {"bytes": png(1), "path": "/etc/passwd"},
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array(images, IMAGE_TYPE)}), buffer)
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.png", ("a.png", None)),
        ("deep/b c.png", ("deep/b c.png", None)),
        ("deep/../a.png", ("a.png", None)),
        ("[1] a~b#c?.png", ("[1] a~b#c?.png", None)),
        (HERE + "a.png", ("a.png", None)),
        (HERE + "deep/b%20c.png", ("deep/b%20c.png", None)),
        (f"zip://in/a.png::{HERE}x.zip", ("x.zip", "in/a.png")),
        (f"zip:///in/a.png::{HERE}x.zip", ("x.zip", "in/a.png")),
    ],
)
def test_paths_inside_the_repository(path: str, found: tuple[str, str | None]) -> None:
    assert RepositoryFiles("me/birds", COMMIT).locate(path) == found


OUTSIDE = [
    "",
    ".",
    "/",
    "..",
    "/etc/passwd",
    "//etc/passwd",
    "../x.png",
    "a/../../x.png",
    "a.png\0",
    "a\ud800.png",
    "a" * 5000,
    "file:///etc/passwd",
    "file:/etc/passwd",
    "FILE:///etc/passwd",
    "local:///etc/passwd",
    "http://127.0.0.1/a.png",
    "https://example.com/a.png",
    "ftp://example.com/a.png",
    "s3://bucket/a.png",
    "data:image/png;base64,AAAA",
    "memory://a",
    "hf://datasets/me/other@main/a.png",
    f"hf://datasets/me/birds@{'b' * 40}/a.png",
    f"hf://datasets/me/birds@{COMMIT}/../other/a.png",
    f"hf://datasets/me/birds@{COMMIT}",
    f"hf://me/birds@{COMMIT}/a.png",
    "hf://buckets/me/birds/a.png",
    "zip://a.png::/etc/x.zip",
    "zip://a.png::x.zip",
    "zip://a.png::file:///tmp/x.zip",
    "zip://a.png::http://127.0.0.1/x.zip",
    f"zip://../a.png::{HERE}x.zip",
    f"zip://::{HERE}x.zip",
    f"zip://a::zip://b::{HERE}x.zip",
    f"/etc/passwd::{HERE}x.zip",
    f"file:///etc/passwd::{HERE}x.zip",
    f"filecache::{HERE}a.png",
    f"simplecache::{HERE}a.png",
    f"gzip://x::{HERE}a.gz",
    f"reference://a::{HERE}a.json",
    f"{HERE}a.png::file:///etc/passwd",
    "::",
    "zip://",
    "::a.png",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: ascii(path)[:40])
def test_paths_that_lead_out(path: str) -> None:
    files = RepositoryFiles("me/birds", COMMIT)
    assert files.locate(path) is None
    item = files.read(path, "row 1", 1000)
    assert not isinstance(item, bytes)
    assert item.error is not None
    assert item.error.error == "UnsafePath"


@pytest.mark.usefixtures("hub")
def test_rows_that_name_what_is_not_theirs_are_failures(
    repo_id: str, private: Path, asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "link.png").symlink_to(private)
    os.mkfifo(tmp_path / "fifo")
    archive = tmp_path / "x.zip"
    archive.write_bytes(zipped({"a.png": png(78)}))
    address, requests = asked
    paths: list[str | None] = [
        str(private),
        f"file://{private}",
        os.path.relpath(private),
        f"../../../../../../../../..{private}",
        str(tmp_path / "link.png"),
        str(tmp_path / "fifo"),
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/environ",
        f"{address}/a.png",
        f"zip://a.png::{archive}",
        f"zip://a.png::{address}/x.zip",
        f"simplecache::{address}/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        f"local://{private}",
        f"hf://datasets/{repo_id}@main/own.png",
    ]
    upload(repo_id, {"train.parquet": parquet(paths), "own.png": png(9)})
    assert ingest(f"hf:{repo_id}", tmp_path / "out").counts == Counts(len(paths) + 2, 2, 0, len(paths))
    failures = table(tmp_path / "out", "failures")
    assert [row["error"] for row in failures] == ["UnsafePath"] * len(paths)
    assert [row["source"].rpartition("#")[2] for row in failures] == [
        str(n) for n in range(2, len(paths) + 2)
    ]
    assert [row["key"] for row in table(tmp_path / "out", "images")] == [image_key(png(0)), image_key(png(1))]
    assert requests == []


@pytest.mark.usefixtures("hub")
def test_images_of_the_repository_are_read_and_bounded(repo_id: str, tmp_path: Path) -> None:
    bomb = zipped({"a.png": png(5), "zeros": bytes(40 * 2**20)})
    paths: list[str | None] = ["pictures/a.png", "none.png", "pictures", "large.jpg", None]
    upload(repo_id, {"pictures/a.png": png(3), "large.jpg": noise_jpeg(1), "train.parquet": parquet(paths)})
    options = IngestOptions(max_bytes=1000)
    assert len(png(3)) < 1000 < len(noise_jpeg(1))
    ingest(f"hf:{repo_id}", tmp_path / "out", options=options)
    assert [row["error"] for row in table(tmp_path / "out", "failures")] == [
        "MissingFile",
        "EmptyFile",
        "TooLarge",
        "MissingImage",
    ]
    assert image_key(png(3)) in [row["key"] for row in table(tmp_path / "out", "images")]
    upload(repo_id, {"x.zip": bomb, "broken.zip": b"PK" + bytes(100)})
    commit = str(HfApi().dataset_info(repo_id).sha)
    files = RepositoryFiles(repo_id, commit)
    chains = [
        f"zip://{member}::hf://datasets/{repo_id}@{commit}/x.zip" for member in ("a.png", "zeros", "no")
    ]
    chains.append(f"zip://a.png::hf://datasets/{repo_id}@{commit}/broken.zip")
    found = [files.read(chain, "row", 1000) for chain in chains]
    assert found[0] == png(5)
    assert [each.error.error for each in found[1:] if not isinstance(each, bytes) and each.error] == [
        "TooLarge",
        "MissingFile",
        "UnreadableFile",
    ]


@pytest.mark.usefixtures("hub")
def test_paths_in_csv_and_json_are_paths_too(repo_id: str, private: Path, tmp_path: Path) -> None:
    card = b"---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n---\n"
    rows = b"".join(json.dumps({"image": path}).encode() + b"\n" for path in ("a.png", str(private)))
    upload(repo_id, {"README.md": card, "train.jsonl": rows, "a.png": png(4)})
    assert ingest(f"hf:{repo_id}", tmp_path / "out").counts == Counts(2, 1, 0, 1)
    assert table(tmp_path / "out", "failures")[0]["error"] == "UnsafePath"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["../../../private.png", "/etc/passwd", "file:///etc/passwd"])
def test_a_table_of_pictures_that_names_others_aborts_nothing(
    repo_id: str, tmp_path: Path, name: str
) -> None:
    metadata = f"file_name,text\n0.png,one\n{name},two\n1.png,three\n".encode()
    upload(repo_id, {"metadata.csv": metadata, "0.png": png(0), "1.png": png(1)})
    summary = ingest(f"hf:{repo_id}", tmp_path / "out")
    assert summary.counts.balanced
    assert summary.counts.failures > 0
    assert {row["key"] for row in table(tmp_path / "out", "images")} <= {image_key(png(0)), image_key(png(1))}


@pytest.mark.usefixtures("hub")
def test_archives_of_pictures_are_read(repo_id: str) -> None:
    upload(repo_id, {"train.zip": zipped({"a/0.png": png(0), "a/1.png": png(1)})})
    items = list(open_hub(repo_id, IngestOptions()).items(0))
    assert [each.image for each in items] == [png(0), png(1)]


DATA_FILES: list[Any] = [
    "{private}/*.csv",
    "file://{private}/secret.csv",
    ["data.csv", "{private}/secret.csv"],
    [{"split": "train", "path": "{private}/secret.csv"}],
    [{"split": "train", "path": ["data.csv", "../../../{private}/secret.csv"]}],
    "{address}/secret.csv",
    "zip://secret.csv::{address}/x.zip",
    "hf://datasets/me/other/secret.csv",
]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("where", ["README.md", "README.md after blank lines", ".huggingface.yaml"])
@pytest.mark.parametrize("value", DATA_FILES, ids=lambda value: str(value)[:30])
def test_a_card_names_no_data_outside(
    repo_id: str, private: Path, asked: tuple[str, list[str]], value: Any, where: str
) -> None:
    (private.parent / "secret.csv").write_text("image,password\na,b\n")
    address, requests = asked
    text = json.dumps(value).replace("{private}", str(private.parent)).replace("{address}", address)
    body = f"configs:\n- config_name: default\n  data_files: {text}\n"
    files = {"data.csv": b"image\na\n"}
    if where.startswith("README.md"):
        files["README.md"] = f"{'' if where == 'README.md' else chr(10) * 2}---\n{body}---\n".encode()
    else:
        files[where] = body.encode()
    upload(repo_id, files)
    with pytest.raises(SourceError, match="outside of the repository"):
        open_hub(repo_id, IngestOptions())
    assert requests == []


@pytest.mark.usefixtures("hub")
def test_a_card_may_name_its_own_files(repo_id: str) -> None:
    card = b'---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: "part*/x-*.parquet"\n---\n'
    image = Features({"image": Image()})
    rows = Dataset.from_list([{"image": {"bytes": png(0), "path": None}}], features=image)
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    upload(repo_id, {"README.md": card, "part1/x-0.parquet": buffer.getvalue()})
    assert [each.image for each in open_hub(repo_id, IngestOptions()).items(0)] == [png(0)]


@pytest.mark.usefixtures("hub")
def test_layouts_that_open_files_of_their_own_are_not_read(repo_id: str) -> None:
    upload(repo_id, {"data.h5": b"\x89HDF\r\n\x1a\n" + bytes(100)})
    with pytest.raises(SourceError, match=r"layout 'hdf5'; read are arrow, csv, imagefolder"):
        open_hub(repo_id, IngestOptions())


@pytest.mark.usefixtures("hub")
def test_paths_of_other_systems_and_images_of_other_columns(repo_id: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    images = [
        {"bytes": None, "path": unicodedata.normalize("NFC", "in\\é.png")},
        {"bytes": png(1), "path": None},
    ]
    edited = [{"bytes": None, "path": "edited.png"}, {"bytes": None, "path": "nowhere.png"}]
    table_ = pa.table({"image": pa.array(images, IMAGE_TYPE), "edited": pa.array(edited, IMAGE_TYPE)})
    pq.write_table(table_, buffer)
    name = unicodedata.normalize("NFD", "in/é.png")
    upload(repo_id, {"data/train.parquet": buffer.getvalue(), name: png(5), "edited.png": png(6)})
    ingest(f"hf:{repo_id}", tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/images/train-00000.parquet").to_pylist()
    assert [(row["image"]["bytes"], row["edited"]) for row in rows] == [
        (png(5), {"bytes": png(6), "path": None})
    ]
    failures = pq.read_table(tmp_path / "out/failures/train-00000.parquet").to_pylist()
    assert [(row["error"], row["message"]) for row in failures] == [
        ("MissingFile", "the repository has no 'nowhere.png'")
    ]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("{name}.py", b"raise SystemExit"),
        ("README.md", b"---\ndataset_info:\n  features:\n  - name: x\n    list: [a]\n---\n"),
    ],
)
def test_what_datasets_cannot_make_sense_of_is_one_line(repo_id: str, name: str, content: bytes) -> None:
    name = name.format(name=repo_id.partition("/")[2])
    upload(repo_id, {"0.parquet": parquet([]), name: content})
    with pytest.raises(SourceError, match=r"`datasets` cannot read its card"):
        open_hub(repo_id, IngestOptions())
