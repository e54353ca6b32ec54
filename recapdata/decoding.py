"""Image bytes → the RGB picture a person would see: upright, on white where it is transparent, eight bits a channel."""

import io
import struct
import warnings
import zlib

from PIL import Image, ImageOps

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

    EXIF orientation is applied, transparency is laid on white, of an animation the first frame is taken.

    Args:
        detail: pixels that each side must keep, where the picture will be made smaller anyway: a JPEG is then decoded at a
            half, a quarter or an eighth of its size, if that suffices, which costs a fraction of the time.

    Raises:
        ImageUnreadable: the bytes are no picture, are damaged, or unpack to an absurd size.
    """
    if not image:
        raise ImageUnreadable("EmptyFile: no bytes at all")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata concern nobody here
            with Image.open(io.BytesIO(image)) as opened:
                if detail is not None:
                    opened.draft(None, (detail, detail))  # does nothing for other formats
                opened.load()
                return _flat(_upright(opened))
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


def _flat(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit gray at 255 when it converts; scaling keeps what is in the picture.
        image = image.point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
