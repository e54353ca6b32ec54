"""Image bytes → the RGB picture a person would see: upright, on white where it is transparent, eight bits a channel.

All that looks at pictures decodes them here, so that a captioner, the audit and a trainer see the same pixels.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps, PngImagePlugin

from recapdata.dataset.png import LARGEST, without_large_metadata
from recapdata.records import MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is taken for a picture. Others are left out because decoding them runs other programs or is not about pixels."""
IN_BROWSERS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Media types of formats that every browser shows."""
DECODED_PIXELS = 2 * MAX_PIXELS
"""Width × height up to which Pillow decodes a picture, and so any dataset's whose ingest was given no higher limit."""
ORIENTATION = 0x0112
BITS_PER_SAMPLE = 258
WHITE_IS_ZERO = (262, 0)
PLANES = 284
"""Tags of EXIF and TIFF, and a value of one."""
_ON_THEIR_SIDE = (5, 6, 7, 8)
"""Orientations of pictures stored with their rows as columns."""
_WHITES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)
"""What Pillow's decoders raise on bytes that are not what their header promised."""


class ImageUnreadable(Exception):
    """One picture cannot be decoded; becomes the error of its row. The text opens with the type: `Type: message`."""


def decode_image(
    image: bytes | None, detail: int | None = None, *, max_pixels: int = DECODED_PIXELS
) -> Image.Image:
    """Decode one picture to RGB.

    EXIF orientation is applied, transparency is laid on white, of an animation the first frame is taken. Sixteen bits and floating
    point are scaled to eight bits by their range: that of their type or file; for 32 bits the fewest of 8, 10, 12, 14 or 16 bits
    that hold the values; for floating point 0 to 1 where they lie in it; else from the lowest to the highest value.

    Args:
        detail: pixels that each side must keep, where the picture will be made smaller anyway: a JPEG is then decoded at a
            half, a quarter or an eighth of its size, if that suffices, which costs a fraction of the time.
        max_pixels: the limit that the dataset's pictures came in under (`Target.max_pixels`).

    Raises:
        ImageUnreadable: the bytes are no picture, are damaged, or unpack to an absurd size.
    """
    with pixel_limit(max_pixels), _opened(image) as opened:
        if detail is not None:
            opened.draft(None, (detail, detail))  # does nothing for other formats
        opened.load()
        flat = _flat(_upright(opened), _white(opened))
        return ImageOps.invert(flat) if _is_negative(opened) else flat


def browser_type(image: bytes) -> str | None:
    """The media type of bytes that any browser shows as `decode_image` decodes them; None where they have to be encoded anew.

    Raises:
        ImageUnreadable: see `decode_image`.
    """
    with _opened(image) as opened:
        plain = opened.mode in ("RGB", "L", "P") and not opened.has_transparency_data
        if plain and opened.getexif().get(ORIENTATION, 1) == 1 and getattr(opened, "n_frames", 1) == 1:
            return IN_BROWSERS.get("JPEG" if opened.format == "MPO" else opened.format or "")
    return None


def open_image(image: bytes) -> Image.Image:
    """A picture of which the header is read, without metadata that are too large to unpack.

    Raises:
        Image.DecompressionBombError: it has more than twice as many pixels as Pillow's limit (see `pixel_limit`).
        Image.UnidentifiedImageError: it is of none of the `FORMATS`.
        Exception: another one of `DAMAGE`.
    """
    opened = Image.open(io.BytesIO(without_large_metadata(image)), formats=FORMATS)
    tags = getattr(opened, "tag_v2", {})
    if tags.get(PLANES) == 2 and max(tags.get(BITS_PER_SAMPLE, (8,))) > 8:
        raise ValueError("more than 8 bits a channel in separate planes, which Pillow reads wrong")
    return opened


def is_on_its_side(loaded: Image.Image) -> bool:
    """Whether `decode_image` turns a picture by 90 degrees, so that its width is the height of what is stored.

    Args:
        loaded: pixels and all; Pillow would decode a PNG here to find its EXIF, and what is wrong with it would be lost.
    """
    if loaded.format == "TIFF":
        return False  # Pillow has turned it already
    try:
        return loaded.getexif().get(ORIENTATION) in _ON_THEIR_SIDE
    except DAMAGE:  # as in `_upright`
        return False


def is_deep(opened: Image.Image) -> bool:
    """Whether a picture has more than eight bits a channel in its file."""
    if opened.mode in ("I", "F") or opened.mode.startswith("I;16"):
        return True
    tile = next(iter(getattr(opened, "tile", None) or ()), None)
    if tile is None:
        return False
    if opened.format == "PPM":
        return tile.codec_name == "ppm" and isinstance(tile.args, tuple) and tile.args[-1] > 255
    return ";16" in str(tile.args)


_limits: list[int] = []
_limits_lock = threading.Lock()
_pillows_limit = Image.MAX_IMAGE_PIXELS


@contextmanager
def pixel_limit(max_pixels: int) -> Iterator[None]:
    """Let Pillow's own guard against decompression bombs, one for the process, agree with the highest of the limits in force."""
    global _pillows_limit
    with _limits_lock:
        if not _limits:
            _pillows_limit = Image.MAX_IMAGE_PIXELS
        _limits.append(max_pixels)
        _set_limit()
    try:
        yield
    finally:
        with _limits_lock:
            _limits.remove(max_pixels)
            _set_limit()


def let_pillow_decode(max_pixels: int) -> None:
    """Raise Pillow's own limits for the rest of the process, where other code than this decodes a dataset's pictures.

    Args:
        max_pixels: the dataset's limit (`Target.max_pixels`); one that is not above Pillow's changes nothing.
    """
    global _pillows_limit
    PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 32 * LARGEST)
    with _limits_lock:
        before = _pillows_limit if _limits else Image.MAX_IMAGE_PIXELS
        if before is not None and max_pixels > DECODED_PIXELS:
            _pillows_limit = max(before, max_pixels)
            if not _limits:
                Image.MAX_IMAGE_PIXELS = _pillows_limit


def _set_limit() -> None:
    # Pillow refuses from twice its value on. Pictures came in under the limit exactly, by `check_image`.
    Image.MAX_IMAGE_PIXELS = max(1, -(-max(_limits) // 2)) if _limits else _pillows_limit


@contextmanager
def _opened(image: bytes | None) -> Iterator[Image.Image]:
    """A picture whose header is read; what is wrong with it, then or later, becomes `ImageUnreadable`."""
    if not image:
        raise ImageUnreadable("EmptyFile: no bytes at all")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata concern nobody here
            with open_image(image) as opened:
                yield opened
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(f"DecompressionBomb: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise ImageUnreadable(f"NotAnImage: {len(image):,} bytes that begin with {image[:16]!r}") from error
    except DAMAGE as error:
        raise ImageUnreadable(f"DamagedImage: {error or type(error).__name__}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:  # broken EXIF says nothing about the pixels, and they were decoded
        return image


def _flat(image: Image.Image, white: float | None) -> Image.Image:
    """RGB without transparency.

    Args:
        white: the value of white in a picture of more than eight bits, None where its values have to tell.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image, white)
    transparent = image.info.get("transparency")
    if isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(
            value >> 8 for value in transparent
        )  # of sixteen bits, as the pixels were
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _white(opened: Image.Image) -> float | None:
    """The value of white by the file; None where it does not say."""
    if opened.mode.startswith("I;16"):
        # TIFFs may have ten or twelve bits; in other formats sixteen are filled.
        bits = getattr(opened, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
        return float(2 ** min(bits, 16) - 1)
    return 65535.0 if opened.mode == "I" and opened.format == "PPM" else None


def _is_negative(opened: Image.Image) -> bool:
    """Whether zero stands for white, which Pillow heeds only in pictures of eight bits."""
    tag, value = WHITE_IS_ZERO
    deep = opened.mode in ("I", "F") or opened.mode.startswith("I;16")
    return deep and getattr(opened, "tag_v2", {}).get(tag) == value


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    """Gray of more than eight bits → of eight, with an alpha channel where a value stands for transparent."""
    import numpy as np

    values = np.asarray(image)
    low, high = 0.0, white
    if high is None:
        finite = values[np.isfinite(values)]
        low, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        whole = not (finite % 1).any()
        whites = _WHITES if image.mode == "I" or (whole and most > 1) else (1.0,)
        known = next((each for each in whites if low >= 0 and most <= each), None)
        low, high = (low, most) if known is None else (0.0, known)
    with np.errstate(invalid="ignore"):
        scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / ((high - low) or 1.0))
    scaled = np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    gray = Image.fromarray(np.rint(scaled.clip(0, 255, out=scaled), out=scaled).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray
