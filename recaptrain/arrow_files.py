"""Arrow files that runs keep for themselves: memory-mapped as they are, and never unpacked.

Whoever gives away a run's folder or a cache may have put other files there. A compressed one, which nothing here writes, takes more memory than
its size says, and Arrow unpacks a whole batch before anybody can look at it; so each message's head is read first.

    Message (flatbuffers): version, header_type, header, bodyLength, …
    RecordBatch: length, nodes, buffers, compression, …

Format: https://arrow.apache.org/docs/format/Columnar.html, `format/Message.fbs` there.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC_BYTES = 8
"""`ARROW1` and padding; from there on a file is the stream of its messages, and a footer."""
_HEADER, _COMPRESSION = 2, 3


def read_mapped(path: Path) -> "pa.Table":
    """A file's table, memory-mapped and checked.

    Raises:
        OSError, ValueError, ArrowException: it is damaged, is a link or no file, is compressed, or says that it has more rows or bytes than fit
            into it.
    """
    import pyarrow as pa

    if path.is_symlink() or not path.is_file():
        raise OSError("no file of this run")
    source = pa.memory_map(str(path))
    batches = pa.ipc.open_file(source).num_record_batches
    source.seek(_MAGIC_BYTES)
    # In their order in the file, and not where its footer says, which may be elsewhere.
    found = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type == "record batch":
            found += 1
            if _is_compressed(message.metadata.to_pybytes()):
                raise ValueError("it is compressed, which no file of a run is")
        elif message.type != "schema":
            raise ValueError(f"it holds a {message.type}, which no file of a run does")
    if found != batches:
        raise ValueError(f"it holds {found} batches, and its end says {batches}")
    source.seek(_MAGIC_BYTES)
    table = pa.ipc.open_stream(source).read_all()
    if max(table.nbytes, table.num_rows) > path.stat().st_size:
        raise ValueError("it says that it holds more than its size")
    table.validate(full=True)
    return table


def _is_compressed(message: bytes) -> bool:
    """Whether a message with a batch of rows says how its body is compressed."""
    try:
        (root,) = struct.unpack_from("<I", message)
        header = _field(message, root, _HEADER)
        return header is None or _field(message, _followed(message, header), _COMPRESSION) is not None
    except struct.error as error:
        raise ValueError("one of its messages is damaged") from error


def _followed(message: bytes, place: int) -> int:
    (offset,) = struct.unpack_from("<I", message, place)
    return place + int(offset)


def _field(message: bytes, table: int, number: int) -> int | None:
    """Where a field of a flatbuffers table lies; None where the table leaves it out."""
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    entry = 4 + 2 * number
    if entry >= size:
        return None
    (offset,) = struct.unpack_from("<H", message, table - back + entry)
    return table + int(offset) if offset else None
