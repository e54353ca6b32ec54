"""Is this really a picture: of a known format, whole, of a sane size, and what its name says it is.

The header is read first and the picture is decoded only when its size is sane, so that a decompression bomb costs nothing.
JPEGs are decoded at an eighth of their size: every byte of the stream is still read, which finds a truncated one.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from recapdata.dataset.decoding import DAMAGE, FORMATS

EXTENSIONS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG",
    ".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".dib": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF",
    ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".jpx": "JPEG2000",
    ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM",
}  # fmt: skip

_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class Picture:
    """What the header says; width and height in pixels as stored, before any EXIF orientation is applied."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why bytes are no picture that can be used: a type to count by, and what was wrong with this one."""

    error: str
    message: str


def check_image(image: bytes, max_pixels: int) -> Picture | Problem:
    """Read a picture's header and decode it once; whatever is wrong with it comes back as a `Problem`."""
    if not image:
        return Problem("EmptyFile", "no bytes at all")
    try:
        opened = Image.open(io.BytesIO(image), formats=FORMATS)
    except Image.DecompressionBombError as error:
        return Problem("DecompressionBomb", str(error).split(",")[0])
    except DAMAGE as error:
        return _unreadable(image, error)
    with opened:
        width, height = opened.size
        kind = "JPEG" if opened.format == "MPO" else str(opened.format)
        if width * height > max_pixels:
            return Problem(
                "DecompressionBomb",
                f"{width} × {height} pixels in {len(image):,} bytes of {kind}; the limit is {max_pixels:,} pixels",
            )
        if not width or not height:
            return Problem("DamagedImage", f"a {kind} of {width} × {height} pixels")
        try:
            if kind == "JPEG":
                opened.draft(None, (1, 1))
            opened.load()
        except Image.DecompressionBombError as error:
            return Problem("DecompressionBomb", str(error).split(",")[0])
        except DAMAGE as error:
            return _undecodable(image, kind, error)
    if kind == "PNG" and image.rfind(_PNG_END) < 0:
        return Problem("TruncatedImage", "the PNG ends before its last chunk")
    return Picture(width, height, kind)


def mislabelled(name: str, picture: Picture) -> Problem | None:
    """Whether a file's name says another format than its bytes are; a name without a known extension says nothing."""
    said = EXTENSIONS.get(PurePosixPath(name).suffix.lower())
    if said is None or said == picture.format:
        return None
    return Problem("MislabelledImage", f"the name says {said}, the bytes are {picture.format}")


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of a picture."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


@contextmanager
def pixel_limit(max_pixels: int) -> Iterator[None]:
    """Let Pillow's own guard, which also watches frames and tiles, agree with the limit while a run lasts."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max(1, max_pixels // 2)  # Pillow refuses from twice its value on
    with warnings.catch_warnings():
        # `check_image` judges the size itself, and Pillow's remarks on odd metadata concern nobody here.
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module="PIL")
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def sniff(image: bytes) -> str | None:
    """The format that the first bytes announce, whether or not the rest keeps the promise."""
    if image[:4] == b"RIFF":
        return "WEBP" if image[8:12] in (b"WEBP", b"") else None
    if image[4:8] == b"ftyp":
        return "AVIF" if image[8:11] == b"avi" else None
    starts = {
        b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF",
        b"\0\0\0\x0cjP": "JPEG2000", b"\xff\x4f\xff\x51": "JPEG2000",
    }  # fmt: skip
    return next((kind for start, kind in starts.items() if image.startswith(start)), None)


def _unreadable(image: bytes, error: BaseException) -> Problem:
    kind = sniff(image)
    if kind is None:
        return Problem("NotAnImage", f"{len(image):,} bytes that begin with {image[:16]!r}")
    if "MAX_TEXT_CHUNK" in str(error) or "MAX_TEXT_MEMORY" in str(error):
        return Problem("DecompressionBomb", f"the {kind} unpacks a huge text: {error}")
    return Problem(
        "DamagedImage", f"begins like {kind}, but its header cannot be read ({len(image):,} bytes)"
    )


def _undecodable(image: bytes, kind: str, error: BaseException) -> Problem:
    text = str(error) or type(error).__name__
    if "MAX_TEXT_CHUNK" in text or "MAX_TEXT_MEMORY" in text:
        return Problem("DecompressionBomb", f"the {kind} unpacks a huge text: {text}")
    short = kind == "WEBP" and len(image) < 8 + int.from_bytes(image[4:8], "little")
    if (
        short
        or isinstance(error, EOFError)
        or any(word in text.lower() for word in ("truncat", "eof", "premature"))
    ):
        return Problem("TruncatedImage", f"the {kind} ends too early ({len(image):,} bytes are there)")
    return Problem("DamagedImage", f"the {kind} cannot be decoded: {text}")
