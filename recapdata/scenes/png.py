"""A PNG writer whose bytes do not depend on the zlib that is installed.

A record's key is the hash of its image bytes, and zlib, zlib-ng and their versions compress the same pixels to
different bytes. This writer does the little that flat drawings need: every row as its difference from the row above (PNG's
filter "up"), runs of one byte as a literal and back-references of distance 1, in deflate's fixed Huffman code (RFC 1951, 3.2.6).
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

UP = 2
LONGEST = 258


def _reverse(code: int, bits: int) -> int:
    """Huffman codes go into the stream highest bit first, everything else lowest bit first."""
    return int(f"{code:0{bits}b}"[::-1], 2)


def _fixed_codes() -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Bits and their number for: literals 0–255, end of block at 256, runs of n more bytes at 256 + n (3 ≤ n ≤ 258)."""
    bits, lengths = np.zeros(256 + LONGEST + 1, np.uint32), np.zeros(256 + LONGEST + 1, np.int64)
    for byte in range(256):
        lengths[byte] = 8 if byte < 144 else 9
        bits[byte] = _reverse(0x30 + byte, 8) if byte < 144 else _reverse(0x190 + byte - 144, 9)
    lengths[256] = 7
    for run in range(3, LONGEST + 1):
        symbol, extra, extra_bits = _length_symbol(run)
        width = 7 if symbol < 280 else 8
        code = _reverse(symbol - 256 if symbol < 280 else 0xC0 + symbol - 280, width)
        bits[256 + run] = code | extra << width  # the distance code of 1 is five zero bits
        lengths[256 + run] = width + extra_bits + 5
    return bits, lengths


def _length_symbol(run: int) -> tuple[int, int, int]:
    """Deflate's symbol for a length, the value of its extra bits and how many they are."""
    if run == LONGEST:
        return 285, 0, 0
    if run < 11:
        return 254 + run, 0, 0
    extra_bits = (run - 3).bit_length() - 3
    base = run - 3 - (4 << extra_bits)
    return 261 + 4 * extra_bits + (base >> extra_bits), base & ((1 << extra_bits) - 1), extra_bits


_BITS, _LENGTHS = _fixed_codes()


def _symbols(stream: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Runs of equal bytes as a literal and back-references; a rest of one or two bytes as literals."""
    starts = np.flatnonzero(np.concatenate(([True], stream[1:] != stream[:-1])))
    rests = np.diff(starts, append=len(stream)) - 1
    values = stream[starts].astype(np.int64)
    whole, last = np.divmod(rests, LONGEST)
    short = last < 3
    counts = 1 + whole + np.where(short, last, 1)
    symbols = np.repeat(values, counts)
    ends = np.cumsum(counts)
    for place in np.flatnonzero(whole):  # few: runs longer than a whole row
        first = ends[place] - counts[place] + 1
        symbols[first : first + whole[place]] = 256 + LONGEST
    symbols[ends[~short] - 1] = 256 + last[~short]
    return symbols


def deflate(stream: NDArray[np.uint8]) -> bytes:
    """One final block in the fixed code, without zlib's header and checksum."""
    symbols = np.append(_symbols(stream), 256)
    lengths = _LENGTHS[symbols]
    firsts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    offsets = np.arange(total) - np.repeat(firsts, lengths)
    body = (np.repeat(_BITS[symbols], lengths) >> offsets) & 1
    return np.packbits(np.concatenate(([1, 1, 0], body)).astype(np.uint8), bitorder="little").tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture, uint8 (height, width, 3), as PNG bytes."""
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, width * 3)
    filtered = np.empty((height, width * 3 + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as the filter wants
    stream = filtered.ravel()
    packed = b"\x78\x01" + deflate(stream) + struct.pack(">I", zlib.adler32(stream.tobytes()))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
