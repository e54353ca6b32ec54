"""PNGs whose metadata unpack to more than a decoder takes: the same picture without them.

Whole workflows and color profiles travel in PNGs. Pillow refuses to unpack more than a megabyte of a text or a profile, which no
pixel depends on; a chunk that unpacks to more is left out here, after no more than that much of it was unpacked.
"""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 2**20
"""Bytes that one text or profile may unpack to (Pillow's `MAX_TEXT_CHUNK`)."""
MOST = 32 * 2**20
"""Bytes that all of them together may unpack to; Pillow takes twice as much."""
RATIO = 1032
"""Bytes that a byte unpacks to at most (deflate)."""
_METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_HEAD = 12
"""Bytes of a chunk beside its content: length, type, checksum."""


def without_large_metadata(png: bytes) -> bytes:
    """The PNG without texts and color profiles that unpack to more than a megabyte each, or 32 all together.

    What is no PNG stays as it is.
    """
    if not png.startswith(SIGNATURE):
        return png
    chunks = [(start, end) for kind, start, end in _chunks(png) if kind in _METADATA]
    if RATIO * sum(end - start for start, end in chunks) <= LARGEST:
        return png
    kept, place, left = [], 0, MOST
    for start, end in chunks:
        size = _unpacked(png[start + 4 : start + 8], png[start + 8 : end - 4])
        if size <= min(LARGEST, left):
            left -= size
        else:
            kept.append(png[place:start])
            place = end
    return b"".join([*kept, png[place:]]) if kept else png


def _chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each chunk that is whole."""
    place = len(SIGNATURE)
    while place + _HEAD <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + _HEAD + length
        if end > len(png):
            return
        yield kind, place, end
        place = end


def _unpacked(kind: bytes, content: bytes) -> int:
    """Bytes that a chunk of text, or a profile, unpacks to, or one more than `LARGEST`."""
    keyword, _, rest = content.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    elif kind in (b"zTXt", b"iCCP"):
        packed = rest[1:]
    else:
        return len(content)
    try:
        return len(keyword) + len(zlib.decompressobj().decompress(packed, LARGEST + 1))
    except zlib.error:
        return len(content)  # for the decoder to judge
