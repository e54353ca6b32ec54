"""A PNG writer whose bytes do not depend on the zlib that is installed.

A record's key is the hash of its image bytes, and zlib, zlib-ng and their versions compress the same pixels to different
bytes. Flat drawings have few colors, so sixteen palette entries at four bits a pixel, stored uncompressed, are small enough.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

PALETTE = 3
COLORS = 16


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _stored(stream: bytes) -> bytes:
    """A zlib stream of one stored block (RFC 1951, 3.2.4), at most 65,535 bytes."""
    size = struct.pack("<HH", len(stream), 0xFFFF - len(stream))
    return b"\x78\x01\x01" + size + stream + struct.pack(">I", zlib.adler32(stream))


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture of at most 16 colors, uint8 (height, even width, 3), as PNG bytes.

    Raises:
        ValueError: it has more colors, an odd width, or more than 65,535 bytes at four bits a pixel.
    """
    height, width, _ = pixels.shape
    if width % 2:
        raise ValueError(f"the width must be even, this one is {width}")
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    colors, indices = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    if len(colors) > COLORS:
        raise ValueError(f"a palette picture holds {COLORS} colors, this one has {len(colors)}")
    indices = indices.reshape(height, width).astype(np.uint8)
    rows = np.zeros((height, 1 + width // 2), np.uint8)  # the first byte of a row says: unfiltered
    rows[:, 1:] = indices[:, ::2] << 4 | indices[:, 1::2]
    if rows.size > 0xFFFF:
        raise ValueError(f"{width}×{height} pixels do not fit one stored block")
    palette = np.stack([colors >> 16, colors >> 8, colors], axis=1).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 4, PALETTE, 0, 0, 0)
    chunks = (
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", palette),
        _chunk(b"IDAT", _stored(rows.tobytes())),
        _chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
