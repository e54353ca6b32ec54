"""Heads of Arrow's messages: what a batch of rows says of itself before any of it is unpacked.

Arrow unpacks a whole batch before anybody can look at it, and a compressed one takes more memory than its size says. So each message's head
is read first, wherever an Arrow file may be a stranger's.

    Message (flatbuffers): version, header_type, header, bodyLength, …
    RecordBatch: length, nodes, buffers, compression, …

Format: https://arrow.apache.org/docs/format/Columnar.html, `format/Message.fbs` there.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

FILE_START = b"ARROW1\0\0"
"""How a file begins; from there on it is the stream of its messages, and a footer."""
SCHEMA, BATCH = 1, 3
MOST_HEAD = 2**24
"""Bytes of a message's head: of a schema with its metadata, or of a batch's buffers."""

_CONTINUED = 0xFFFFFFFF
_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_COMPRESSION = 3


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one message.

    Attributes:
        place: where the message begins in its file, in bytes.
        kind: `SCHEMA`, `BATCH`, or another number of `MessageHeader`.
        content: the head's bytes.
        body: bytes of the body that follows it.
    """

    place: int
    kind: int
    content: bytes
    body: int


def heads(file: IO[bytes], size: int) -> Iterator[Head]:
    """The heads of a file's or a stream's messages, in their order; bodies are passed by.

    Args:
        file: one that can be sought; it may be moved between two heads.
        size: bytes of the file.

    Raises:
        ValueError: a message is damaged, or says that it is longer than the file.
    """
    place = 0
    file.seek(place)
    if file.read(len(FILE_START)) == FILE_START:
        place = len(FILE_START)
    while True:
        file.seek(place)
        prefix = file.read(8)
        continued = prefix[:4] == struct.pack("<I", _CONTINUED)
        number = prefix[4:] if continued else prefix[:4]
        if not prefix or number == bytes(4):
            return
        if len(number) < 4:
            raise ValueError("it ends inside a message")
        (length,) = struct.unpack("<i", number)
        start = place + (8 if continued else 4)
        if not 0 < length <= min(MOST_HEAD, size - start):
            raise ValueError("one of its messages is damaged")
        file.seek(start)
        head = _head(place, file.read(length))
        if not 0 <= head.body <= size - start - length:
            raise ValueError("one of its messages is longer than the file")
        yield head
        place = start + length + head.body


def is_compressed(content: bytes) -> bool:
    """Whether the head of a batch of rows says how its body is compressed.

    Raises:
        ValueError: it is damaged.
    """
    try:
        (root,) = struct.unpack_from("<I", content)
        header = _field(content, root, _HEADER)
        return header is None or _field(content, _followed(content, header), _COMPRESSION) is not None
    except struct.error as error:
        raise ValueError("one of its messages is damaged") from error


def _head(place: int, content: bytes) -> Head:
    try:
        (root,) = struct.unpack_from("<I", content)
        kind, body = _field(content, root, _TYPE), _field(content, root, _BODY_LENGTH)
        return Head(
            place,
            0 if kind is None else struct.unpack_from("<B", content, kind)[0],
            content,
            0 if body is None else struct.unpack_from("<q", content, body)[0],
        )
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
