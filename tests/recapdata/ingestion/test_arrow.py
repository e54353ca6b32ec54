"""Arrow files of strangers: a batch is looked at before it is unpacked; and repositories on a Hub that hold such files."""

import io
import struct

import pyarrow as pa
import pytest

from recapdata.errors import SourceError
from recapdata.ingestion import IngestOptions
from recapdata.ingestion.arrow import arrow_rows, arrow_schema
from recapdata.ingestion.hub import open_hub
from tests.builders import png
from tests.recapdata.ingestion.test_repository import upload

COMPRESSED = "a batch of it is compressed; save it without compression, or as Parquet"


def written(*batches: pa.RecordBatch, compression: str | None = None, stream: bool = True) -> bytes:
    sink = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def texts(*values: str) -> pa.RecordBatch:
    return pa.record_batch({"text": list(values), "number": list(range(len(values)))})


def read(content: bytes) -> list[tuple[int, object, str | None]]:
    return [
        (row.number, row.values.get("text"), row.problem)
        for row in arrow_rows(io.BytesIO(content), len(content))
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_files_and_streams_are_read(stream: bool) -> None:
    content = written(texts("a", "b"), texts("c"), stream=stream)
    assert arrow_schema(io.BytesIO(content), len(content)).names == ["text", "number"]
    assert read(content) == [(1, "a", None), (2, "b", None), (3, "c", None)]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_compressed_is_never_unpacked(compression: str, stream: bool) -> None:
    """16 MB of zeros, of which not a twentieth is ever Arrow's."""
    content = written(pa.record_batch({"x": pa.array([0.0] * 2**21)}), compression=compression, stream=stream)
    before = pa.default_memory_pool().bytes_allocated()
    most = pa.default_memory_pool().max_memory()
    with pytest.raises(ValueError, match=COMPRESSED):
        arrow_schema(io.BytesIO(content), len(content))
    (row,) = arrow_rows(io.BytesIO(content), len(content))
    assert row.problem == f"and the rest of its Arrow file cannot be read: {COMPRESSED}"
    assert pa.default_memory_pool().max_memory() <= max(most, before + 2**19)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a" * 1000, "b"]).dictionary_encode(),
        pa.array(["a" * 1000, "b"], pa.string_view()),
        pa.array([[1], [2]], pa.list_view(pa.int64())),
        pa.RunEndEncodedArray.from_arrays([10**9], ["a"]),
        pa.array([[["a"]]], pa.list_(pa.list_view(pa.string()))),
    ],
)
def test_values_that_rows_share_are_refused(column: pa.Array) -> None:
    (row,) = arrow_rows(io.BytesIO(content := written(pa.record_batch({"x": column}))), len(content))
    assert row.problem is not None
    assert "shared by any number of rows" in row.problem


def test_rows_and_values_that_take_no_room_are_not_gone_through() -> None:
    """A billion rows of nothing; a row with a billion of nothings in it, which is that row's failure as in Parquet."""
    content = written(pa.record_batch({"x": pa.nulls(10**9)}))
    (row,) = arrow_rows(io.BytesIO(content), len(content))
    assert row.problem is not None
    assert "says that it has 1,000,000,000 rows" in row.problem
    lists = pa.ListArray.from_arrays(pa.array([0, 10**9, 10**9], pa.int32()), pa.nulls(10**9))
    content = written(pa.record_batch({"text": lists}))
    assert read(content) == [(1, "cannot be read: it holds 1,000,000,000 values", None), (2, [], None)]


def test_damaged_messages_are_one_line() -> None:
    """The first batch is read, and of the second the length of its head or body is another."""
    one, both = written(texts("a")), written(texts("a"), texts("b"))
    place = len(one) - 8  # the end of the stream takes 8 bytes
    assert both[place : place + 4] == b"\xff" * 4
    for length in (-1, 0x7FFFFFFF, 3):
        wrong = both[: place + 4] + struct.pack("<i", length) + both[place + 8 :]
        first, second = read(wrong)
        assert first == (1, "a", None)
        assert second[2] is not None
        assert "damaged" in second[2]
    first, second = read(both[:-20])
    assert first == (1, "a", None)
    assert second[2] is not None
    assert "longer than the file" in second[2]
    for content in (b"", b"ARROW1\0\0", b"ARROW1\0\0" + b"\xff" * 100, b"\x10\0\0\0" + b"\xff" * 16, one[:5]):
        with pytest.raises(ValueError, match=r"message|schema|damaged"):
            arrow_schema(io.BytesIO(content), len(content))
        (row,) = read(content)
        assert row[2] is not None


@pytest.mark.usefixtures("hub")
def test_a_repository_of_arrow_files(repo_id: str) -> None:
    """As `save_to_disk` writes one, in two files; then its second file, and then its first one, is compressed."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

    def batch(*numbers: int) -> pa.RecordBatch:
        images = [{"bytes": png(number), "path": None} for number in numbers]
        return pa.record_batch(
            {"image": pa.array(images, kind), "text": [f"text {each}" for each in numbers]}
        )

    names = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
    upload(repo_id, {names[0]: written(batch(0, 1)), names[1]: written(batch(2))})
    source = open_hub(repo_id, IngestOptions())
    items = list(source.items(0))
    assert [(each.image, each.columns["text"]) for each in items] == [
        (png(number), f"text {number}") for number in range(3)
    ]
    assert list(source.items(2)) == items[2:]
    upload(repo_id, {names[1]: written(batch(2), compression="zstd")})
    found = list(open_hub(repo_id, IngestOptions()).items(0))
    assert found[0].image == png(0)
    assert found[2].error is not None
    assert COMPRESSED in found[2].error.message
    upload(repo_id, {names[0]: written(batch(0, 1), compression="zstd")})
    with pytest.raises(SourceError, match=f"{names[0]} cannot be read as Arrow: {COMPRESSED}"):
        open_hub(repo_id, IngestOptions())
