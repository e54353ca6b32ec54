"""Is this really a picture: of a known format, whole, of a sane size, and what its name says it is.

The header is read first and the picture is decoded only when its size is sane, so that a decompression bomb costs nothing.
JPEGs are decoded at an eighth of their size: every byte of the stream is still read, which finds a truncated one.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from recapdata.dataset.decoding import DAMAGE, is_deep, is_on_its_side, open_image
from recapdata.records import Note

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
    """What the header says.

    Attributes:
        width, height: in pixels, of the picture as it is decoded: upright, its EXIF orientation applied.
        deep: whether it has more than eight bits a channel, which are scaled to eight wherever it is decoded.
    """

    width: int
    height: int
    format: str
    deep: bool = False


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
        opened = open_image(image)
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
                f"{width} × {height} pixels in {len(image):,} bytes of {kind}; the limit is {max_pixels:,} pixels (--max-pixels)",
            )
        if not width or not height:
            return Problem("DamagedImage", f"a {kind} of {width} × {height} pixels")
        deep = is_deep(opened)
        try:
            if kind == "JPEG":
                opened.draft(None, (1, 1))
            opened.load()
        except Image.DecompressionBombError as error:
            return Problem("DecompressionBomb", str(error).split(",")[0])
        except DAMAGE as error:
            return _undecodable(image, kind, error)
        size = (height, width) if is_on_its_side(opened) else (width, height)
    if kind == "PNG" and image.rfind(_PNG_END) < 0:
        return Problem("TruncatedImage", "the PNG ends before its last chunk")
    return Picture(*size, kind, deep)


def remarks(name: str | None, picture: Picture) -> list[Note]:
    """What should be known of a picture that comes in.

    Args:
        name: that of its file, where its extension says what the picture is; one without a known extension says nothing.
    """
    notes = []
    said = EXTENSIONS.get(PurePosixPath(name or "").suffix.lower())
    if said is not None and said != picture.format:
        notes.append(
            Note("MislabelledImage", f"the name says {said}, the bytes are {picture.format}, and are read so")
        )
    if picture.deep:
        notes.append(
            Note(
                "DeepPixels",
                f"a {picture.format} of more than 8 bits a channel: its range is scaled to 8 bits wherever it is shown or trained on",
            )
        )
    return notes


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of a picture."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


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
    return Problem(
        "DamagedImage",
        f"begins like {kind}, but its header cannot be read ({len(image):,} bytes): {_reason(error)}",
    )


def _reason(error: BaseException) -> str:
    # Of bytes that no decoder knows, Pillow says where they lie in memory.
    unknown = isinstance(error, Image.UnidentifiedImageError)
    return "no such picture can be decoded" if unknown else str(error)[:200] or type(error).__name__


def _undecodable(image: bytes, kind: str, error: BaseException) -> Problem:
    text = str(error) or type(error).__name__
    short = kind == "WEBP" and len(image) < 8 + int.from_bytes(image[4:8], "little")
    if (
        short
        or isinstance(error, EOFError)
        or any(word in text.lower() for word in ("truncat", "eof", "premature"))
    ):
        return Problem("TruncatedImage", f"the {kind} ends too early ({len(image):,} bytes are there)")
    return Problem("DamagedImage", f"the {kind} cannot be decoded: {text}")
