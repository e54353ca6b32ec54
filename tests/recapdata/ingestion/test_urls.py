"""Parquet of image bytes or URLs: downloads over loopback HTTP, with every way in which a server can misbehave."""

import gzip
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion import IngestOptions, ingest
from recapdata.ingestion.download import is_public
from recapdata.ingestion.urls import Urls, open_urls
from recapdata.records import Counts, Item
from tests.builders import png
from tests.recapdata.ingestion.sources import files, table
from tests.waiting import HANGS

LIMITS = IngestOptions(allow_private=True, timeout=HANGS, retries=1, max_bytes=5000, connections=4)
PACKED = {
    "gzip": (gzip.compress(png(3)), "gzip"),
    "deflate": (zlib.compress(png(3)), "Deflate"),
    "identity": (png(3), "identity"),
    "cut": (gzip.compress(png(3))[:-20], "gzip"),
    "lies": (png(3), "gzip"),
    "bomb": (gzip.compress(bytes(2**26)), "gzip"),
    "twice": (gzip.compress(gzip.compress(bytes(2**20))), "gzip, gzip"),
    "brotli": (b"\x5b\xff\xff\x0f\x00", "br"),
    "zstd": (b"(\xb5/\xfd", "zstd"),
}
"""Answers in content encodings that nobody asked for: body and encoding."""


@dataclass
class Server:
    """A web server on loopback; `hits` counts its requests by path, `most` the largest number of them at once."""

    url: str = ""
    hits: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    closing: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("recapdata.ingestion.download.FIRST_WAIT", 0.01)
    state = Server()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            with lock:
                state.hits[self.path] += 1
                state.now += 1
                state.most = max(state.most, state.now)
            try:
                self.answer(self.path)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with lock:
                    state.now -= 1

        def send(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def answer(self, path: str) -> None:
            if path.startswith("/image/"):
                number = int(path.removeprefix("/image/").partition("?")[0])
                time.sleep(
                    0.05 if number % 2 else 0
                )  # so that they do not end in the order in which they began
                self.send(200, png(number))
            elif path.startswith("/status/"):
                self.send(int(path.removeprefix("/status/").partition("?")[0]))
            elif path == "/recovers":
                self.send(200, png(77)) if state.hits[path] > 1 else self.send(503, Retry_After="0")
            elif path == "/moved":
                self.send(302, Location="/image/78")
            elif path == "/round":
                self.send(302, Location="/round")
            elif path == "/to-file":
                self.send(302, Location="file:///etc/passwd")
            elif path == "/large":
                self.send(200, b"x" * 6000)
            elif path == "/endless":
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"x" * 1000)
                self.close_connection = True
            elif path == "/drips":
                self.send_response(200)
                self.send_header("Content-Length", "4000")
                self.end_headers()
                while not state.closing.is_set():
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
            elif path == "/drips-head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not state.closing.is_set():
                    self.wfile.write(b"y")
                    self.wfile.flush()
                    time.sleep(0.1)
            elif path == "/cut":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(png(1))
                self.close_connection = True
            elif path == "/refused":
                self.send(200, png(1), X_Robots_Tag="somebot: noindex, noai")
            elif path == "/page":
                self.send(200, b"<html>")
            elif path.startswith("/packed/"):
                state.asked.append(self.headers["Accept-Encoding"])
                body, encoding = PACKED[path.removeprefix("/packed/")]
                self.send(200, body, Content_Encoding=encoding)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    state.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    state.closing.set()
    running.shutdown()
    running.server_close()


def source_of(path: Path, columns: dict[str, Any], options: IngestOptions = LIMITS) -> Urls:
    pq.write_table(pa.table(columns), path / "rows.parquet")
    return open_urls(str(path / "rows.parquet"), options)


def outcome(items: list[Item]) -> list[str]:
    return [each.error.error if each.error else "image" for each in items]


def test_downloads_come_in_the_order_of_the_rows_several_at_once(tmp_path: Path, server: Server) -> None:
    urls = [f"{server.url}/image/{number}" for number in range(20)]
    source = source_of(
        tmp_path, {"URL": urls, "caption": [f"c{n}" for n in range(20)], "license": ["mit"] * 20}
    )
    items = list(source.items(0))
    assert [each.image for each in items] == [png(number) for number in range(20)]
    assert [(each.source, each.license, each.columns) for each in items] == [
        (url, "mit", {"caption": f"c{number}"}) for number, url in enumerate(urls)
    ]
    assert 1 < server.most <= LIMITS.connections
    server.hits.clear()
    assert list(source.items(15)) == items[15:]
    assert sum(server.hits.values()) == 5


@pytest.mark.parametrize(
    ("path", "expected", "hits"),
    [
        ("/status/404", "HttpError", 1),
        ("/status/500", "HttpError", 2),
        ("/recovers", "image", 2),
        ("/moved", "image", 1),
        ("/round", "TooManyRedirects", 6),
        ("/to-file", "BadUrl", 1),
        ("/large", "TooLarge", 1),
        ("/endless", "TooLarge", 1),
        ("/cut", "ConnectionFailed", 2),
        ("/refused", "NotAllowed", 1),
    ],
)
def test_every_answer_has_its_name(
    tmp_path: Path, server: Server, path: str, expected: str, hits: int
) -> None:
    items = list(source_of(tmp_path, {"url": [server.url + path]}).items(0))
    assert outcome(items) == [expected]
    assert server.hits[path] == hits


@pytest.mark.parametrize("path", ["/drips", "/drips-head"])
def test_a_server_that_never_ends_is_left(tmp_path: Path, server: Server, path: str) -> None:
    options = IngestOptions(allow_private=True, timeout=0.5, retries=0)
    assert outcome(list(source_of(tmp_path, {"url": [server.url + path]}, options).items(0))) == ["Timeout"]


def test_urls_that_are_none(tmp_path: Path) -> None:
    urls = ["file:///etc/passwd", "ftp://example.org/a.jpg", "http://", "no url", "http://[::1", "", None]
    found = outcome(list(source_of(tmp_path, {"url": urls}).items(0)))
    assert found == ["BadUrl"] * 5 + ["MissingImage"] * 2


def test_private_addresses_are_refused_unless_allowed(tmp_path: Path, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "127.1",
    ]
    urls = [f"http://{host}:{port}/image/1" for host in hosts]
    items = list(source_of(tmp_path, {"url": urls}, IngestOptions(retries=0)).items(0))
    assert outcome(items) == ["PrivateAddress"] * len(hosts)
    assert "--allow-private" in items[0].error.message
    assert not server.hits


def test_a_name_is_judged_by_where_it_leads(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(server.url.rpartition(":")[2])))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    source = source_of(tmp_path, {"url": ["http://pictures.example.org/image/1"]}, IngestOptions(retries=0))
    assert outcome(list(source.items(0))) == ["PrivateAddress"]
    assert not server.hits


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) == public


def test_bytes_in_the_file(tmp_path: Path) -> None:
    images = [{"bytes": png(0), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None]
    source = source_of(
        tmp_path, {"picture": images, "text": ["zero", "one", "two"], "url": ["http://x/0", None, ""]}
    )
    items = list(source.items(0))
    assert outcome(items) == ["image", "MissingImage", "MissingImage"]
    assert (items[0].image, items[0].source) == (png(0), "http://x/0")
    assert items[0].columns == {"text": "zero", "url": "http://x/0"}
    assert items[1].source == "rows.parquet#2"


def test_bytes_first_and_the_url_where_there_are_none(tmp_path: Path, server: Server) -> None:
    columns = {"jpg": [png(3), None], "url": [f"{server.url}/image/4"] * 2}
    assert [each.image for each in source_of(tmp_path, columns).items(0)] == [png(3), png(4)]
    assert sum(server.hits.values()) == 1


def test_no_such_column_is_one_failure(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture_id": [1, 2], "text": ["a", "b"]}), tmp_path / "rows.parquet")
    summary = ingest(f"urls:{tmp_path}/rows.parquet", tmp_path / "out")
    assert summary.counts == Counts(1, 0, 0, 1)
    assert not summary.complete
    failure = table(tmp_path / "out", "failures")[0]
    assert failure["error"] == "MissingColumn"
    assert failure["message"].endswith("its columns are: picture_id, text")


def test_an_ingest_of_bytes_twice_is_the_same(tmp_path: Path) -> None:
    rows = {"image": [png(index % 30) for index in range(40)], "text": [f"t{index}" for index in range(40)]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet", row_group_size=7)
    for name in ("one", "two"):
        summary = ingest(
            f"urls:{tmp_path}/rows.parquet", tmp_path / name, options=IngestOptions(shard_rows=11)
        )
        assert summary.counts == Counts(40, 30, 10)
    one, two = (files(tmp_path / name) for name in ("one", "two"))
    assert {name: content for name, content in one.items() if name != "recapdata.yaml"} == {
        name: content for name, content in two.items() if name != "recapdata.yaml"
    }


def test_what_is_no_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="there is no such file"):
        open_urls(str(tmp_path / "nowhere.parquet"), LIMITS)
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        open_urls(str(tmp_path / "text.parquet"), LIMITS)
    with pytest.raises(SourceError, match="has no rows"):
        source_of(tmp_path, {"url": pa.array([], pa.string())})


def test_packed_answers_are_unpacked_under_the_limits_or_refused(tmp_path: Path, server: Server) -> None:
    source = source_of(tmp_path, {"url": [f"{server.url}/packed/{name}" for name in PACKED]})
    items = list(source.items(0))
    assert outcome(items) == [
        *["image"] * 3,
        *["ConnectionFailed"] * 2,
        "TooLarge",  # 64 MB of zeros, of which no more than the limit and a chunk is ever in memory
        *["UnsupportedEncoding"] * 3,
    ]
    assert {each.image for each in items[:3]} == {png(3)}
    assert set(server.asked) == {"identity"}
    assert "packed as 'br'" in items[7].error.message


def test_no_secret_of_an_address_is_written_down(tmp_path: Path, server: Server) -> None:
    host = server.url.removeprefix("http://")
    urls = [
        f"http://ana:hunter2@{host}/image/1?token=hunter3",
        f"http://ana:hunter2@{host}/status/404?sig=hunter3",
    ]
    pq.write_table(pa.table({"url": urls}), tmp_path / "rows.parquet")
    summary = ingest(f"urls:{tmp_path / 'rows.parquet'}", tmp_path / "out", options=LIMITS)
    assert (summary.counts.records, summary.counts.failures) == (1, 1)
    assert table(tmp_path / "out", "images")[0]["source"] == f"{server.url}/image/1?token=REDACTED"
    written = b"".join(files(tmp_path / "out").values()) + summary.text().encode()
    assert b"hunter" not in written


def test_an_address_of_several_rows_is_fetched_once(tmp_path: Path, server: Server) -> None:
    urls = [f"{server.url}/image/{number}" for number in (1, 2, 1, 3, 1)]
    columns = {
        "url": urls,
        "caption": list("abcde"),
        "lang": ["en"] * 5,
        "license": ["mit", None, "cc0-1.0", None, "mit"],
    }
    source = source_of(tmp_path, columns)
    everything = list(source.items(0))
    assert source.columns == {"caption": pa.list_(pa.string()), "lang": pa.string()}
    assert [(each.image, each.columns["caption"], each.license) for each in everything] == [
        (png(1), ["a", "c", "e"], "mit; cc0-1.0"),
        (png(2), ["b"], None),
        (png(3), ["d"], None),
    ]
    assert source.total == 3
    assert server.hits["/image/1"] == 1
    assert source.notes() == [
        "3 rows are of 1 addresses and were brought together; columns that became lists: caption"
    ]
    for start in range(4):
        assert list(source.items(start)) == everything[start:]


def test_columns_of_one_name_both_come_along(tmp_path: Path) -> None:
    arrays = [pa.array([png(1)]), pa.array(["one"]), pa.array(["two"])]
    pq.write_table(pa.Table.from_arrays(arrays, ["jpg", "text", "text"]), tmp_path / "rows.parquet")
    source = open_urls(str(tmp_path / "rows.parquet"), LIMITS)
    assert [dict(each.columns) for each in source.items(0)] == [{"text": "one", "text_2": "two"}]
    assert "column 'text' 2 times" in source.notes()[0]


def test_another_image_that_is_only_a_path_is_noted_and_never_opened(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    edited = pa.array(
        [{"bytes": png(2), "path": "b.png"}, {"bytes": None, "path": "/etc/passwd"}, None], kind
    )
    source = pa.table({"jpg": [png(0), png(1), png(3)], "edited": edited})
    pq.write_table(source, tmp_path / "rows.parquet")
    ingest(f"urls:{tmp_path / 'rows.parquet'}", tmp_path / "out")
    rows = table(tmp_path / "out", "images")
    assert [row["edited"] and row["edited"]["bytes"] for row in rows] == [png(2), None, None]
    assert [(row["note"], "'/etc/passwd'" in row["message"]) for row in table(tmp_path / "out", "notes")] == [
        ("MissingImage", True)
    ]
