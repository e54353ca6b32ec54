"""Masks in COCO's forms, checked before pycocotools sees them: its C code trusts polygons and run lengths whatever they are."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_COMPRESSED = re.compile(r"(?:[P-o]{0,6}[0-O])*")
"""Numbers of compressed run lengths: six bits a character, of which one says whether more follow."""
_LONGEST = 2**22
"""Runs or characters of a mask, or numbers of a polygon."""


def is_number(value: Any) -> bool:
    """Whether a value is a finite number below 2³¹."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(_capped(value))
        and abs(value) < 2**31
    )


def _capped(value: float) -> float:
    return value if isinstance(value, float) else 0.0  # a whole number may be too long for a float


def run_lengths(value: Any, height: int, width: int) -> dict[str, Any] | None:
    """Polygons or run lengths as COCO's compressed run lengths of a picture; None where they are none of this picture, or empty.

    Polygons may reach beyond the picture by its own size at most.
    """
    if isinstance(value, list | tuple):
        return _of_polygons(value, height, width)
    if not isinstance(value, Mapping):
        return None
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list | tuple) or not all(map(is_number, size)) or list(size) != [height, width]:
        return None
    if isinstance(counts, list | tuple):
        return _of_counts(counts, height, width)
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if not isinstance(counts, str) or len(counts) > _LONGEST or not _COMPRESSED.fullmatch(counts):
        return None
    lengths = _decompressed(counts)
    if min(lengths, default=-1) < 0 or sum(lengths) != height * width or not any(lengths[1::2]):
        return None
    return {"size": [height, width], "counts": counts}


def is_readable(mask: Mapping[str, Any]) -> bool:
    """Whether pycocotools can be given a mask that was checked long ago, or by nobody: no more than its form is looked at."""
    size, counts = mask["size"], mask["counts"]
    return (
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(isinstance(each, int) and 0 < each < 2**31 for each in size)
        and isinstance(counts, str)
        and _COMPRESSED.fullmatch(counts) is not None
    )


def _decompressed(counts: str) -> list[int]:
    """The lengths of the runs, by turns outside and in the mask (`rleFrString` of pycocotools)."""
    lengths: list[int] = []
    number = shift = 0
    for character in counts:
        code = ord(character) - 48
        number |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                number -= 1 << shift
            if len(lengths) > 2:
                number += lengths[-2]
            lengths.append(number)
            number = shift = 0
    return lengths


def _of_polygons(value: Sequence[Any], height: int, width: int) -> dict[str, Any] | None:
    from pycocotools import mask

    polygons = [value] if value and not any(isinstance(each, list | tuple) for each in value) else value
    for polygon in polygons:
        if not isinstance(polygon, list | tuple) or not 6 <= len(polygon) <= _LONGEST or len(polygon) % 2:
            return None
        if not all(map(is_number, polygon)):
            return None
        if not all(-width <= x <= 2 * width for x in polygon[::2]):
            return None
        if not all(-height <= y <= 2 * height for y in polygon[1::2]):
            return None
    if not polygons:
        return None
    encoded = mask.merge(mask.frPyObjects([list(map(float, each)) for each in polygons], height, width))
    return _as_text(encoded) if mask.area(encoded) else None


def _of_counts(counts: Sequence[Any], height: int, width: int) -> dict[str, Any] | None:
    from pycocotools import mask

    if len(counts) > _LONGEST or not all(
        is_number(each) and each >= 0 and each == int(each) for each in counts
    ):
        return None
    if sum(counts) != height * width or not any(counts[1::2]):
        return None
    value = {"size": [height, width], "counts": [int(each) for each in counts]}
    return _as_text(mask.frPyObjects(value, height, width))


def _as_text(encoded: Mapping[str, Any]) -> dict[str, Any]:
    counts = encoded["counts"]
    return {
        "size": [int(each) for each in encoded["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }
