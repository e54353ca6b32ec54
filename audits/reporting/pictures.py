"""Thumbnails as data URLs, all together within a budget of bytes."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from recapdata.dataset.decoding import DECODED_PIXELS, ImageUnreadable, browser_type, decode_image

SIDES = (480, 360, 256, 160, 96)
"""Longest side in pixels, tried in this order until the picture fits into its share of the budget."""
QUALITY = 78
SMALL = 24_000
"""A picture of no more bytes and pixels than a thumbnail is taken as it is, if browsers show its format."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page.

    Attributes:
        url: the data URL; empty where it could not be decoded.
        width, height: of the upright original in pixels, in which boxes are given.
        error: why there is none.
    """

    url: str
    width: int
    height: int
    error: str = ""

    @property
    def drawn(self) -> bool:
        """Whether it is so small that it should be enlarged without smoothing."""
        return max(self.width, self.height) <= 160


def thumbnail(image: bytes | None, budget: int, *, max_pixels: int = DECODED_PIXELS) -> Picture:
    """A picture reduced until its data URL takes no more than `budget` bytes, or to the smallest size there is.

    Args:
        max_pixels: the dataset's limit of pixels (`Target.max_pixels`).
    """
    try:
        decoded = decode_image(image, max_pixels=max_pixels)
    except ImageUnreadable as error:
        return Picture(url="", width=4, height=3, error=str(error))
    if image is not None and len(image) <= min(SMALL, budget * 3 // 4) and max(decoded.size) <= SIDES[0]:
        mime = browser_type(image)
        if mime:
            return Picture(url=_url(mime, image), width=decoded.width, height=decoded.height)
    return reduce(decoded, budget)


def reduce(decoded: Image.Image, budget: int) -> Picture:
    """A decoded picture reduced until its data URL takes no more than `budget` bytes, or to the smallest size there is.

    One of no more pixels than the smallest size is kept without loss.
    """
    width, height = decoded.size
    lossless = max(width, height) <= SIDES[-1]
    for side in SIDES:
        reduced = decoded.copy()
        reduced.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        reduced.save(buffer, "WEBP", quality=QUALITY, method=4, lossless=lossless)
        url = _url("image/webp", buffer.getvalue())
        if len(url) <= budget:
            break
    return Picture(url=url, width=width, height=height)


def _url(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
