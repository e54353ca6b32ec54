"""Image bytes → the RGB picture a person would see: upright, on white where it is transparent, eight bits a channel.

All that looks at pictures decodes them here, so that a captioner, the audit and a trainer see the same pixels.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is taken for a picture. Others are left out because decoding them runs other programs or is not about pixels."""
IN_BROWSERS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Media types of formats that every browser shows."""
ORIENTATION = 0x0112
BITS_PER_SAMPLE = 258
"""Tags of EXIF and TIFF."""
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


def decode_image(image: bytes | None, detail: int | None = None) -> Image.Image:
    """Decode one picture to RGB.

    EXIF orientation is applied, transparency is laid on white, of an animation the first frame is taken. Sixteen bits and floating
    point are scaled to eight bits by their range: that of their type or file, for floating point 0 to 1 where the values lie in it,
    else from the lowest to the highest value.

    Args:
        detail: pixels that each side must keep, where the picture will be made smaller anyway: a JPEG is then decoded at a
            half, a quarter or an eighth of its size, if that suffices, which costs a fraction of the time.

    Raises:
        ImageUnreadable: the bytes are no picture, are damaged, or unpack to an absurd size.
    """
    with _opened(image) as opened:
        if detail is not None:
            opened.draft(None, (detail, detail))  # does nothing for other formats
        opened.load()
        return _flat(_upright(opened), _white(opened))


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


@contextmanager
def _opened(image: bytes | None) -> Iterator[Image.Image]:
    """A picture whose header is read; what is wrong with it, then or later, becomes `ImageUnreadable`."""
    if not image:
        raise ImageUnreadable("EmptyFile: no bytes at all")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata concern nobody here
            with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
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


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    """Gray of more than eight bits → of eight, with an alpha channel where a value stands for transparent."""
    import numpy as np

    values = np.asarray(image)
    low, high = 0.0, white
    if high is None:
        finite = values[np.isfinite(values)]
        low, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        whole = not (finite % 1).any()
        whites = (255.0, 65535.0) if image.mode == "I" or (whole and most > 1) else (1.0,)
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
