"""How pictures come to their sizes: a part cut out, the whole squeezed, or the whole with bars; mirrored or not."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from recaptrain.diffusion.buckets import Size
from recaptrain.diffusion.settings import Fit


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a picture comes to its size.

    Attributes:
        crop: number of a random crop; None for the middle. Of `stretch` and `pad` there is but one.
        flip: whether it is mirrored, left to right.
    """

    fit: Fit = "crop"
    crop: int | None = None
    flip: bool = False

    def name(self, size: Size) -> str:
        """Its name in the cache, behind the picture's key."""
        crop = "" if self.crop is None else f"-{self.crop}"
        return f"{size[0]}x{size[1]}-{self.fit}{crop}{'-flip' * self.flip}"


def fittings(fit: Fit, *, crops: int, flip: bool) -> list[Fitting]:
    """The ways in which each picture is encoded; those that are mirrored behind the others, in the same order.

    Args:
        crops: random ones; 0 for the middle alone.
    """
    numbers: list[int | None] = [*range(crops)] if crops and fit == "crop" else [None]
    return [
        Fitting(fit, number, mirrored)
        for mirrored in ([False, True] if flip else [False])
        for number in numbers
    ]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture at its size, (height, width, 3), and its corner (top, left) in the scaled picture that it was cut from."""

    pixels: NDArray[np.uint8]
    corner: tuple[int, int] = (0, 0)


def fit_picture(image: Image.Image, size: Size, fitting: Fitting, key: str = "") -> Fitted:
    """A picture of a size: a part cut out, the whole squeezed, or the whole with white bars.

    Args:
        key: decides where random crops are.
    """
    corner = (0, 0)
    if fitting.flip:
        image = ImageOps.mirror(image)
    if fitting.fit == "stretch":
        image = image.resize(size, Image.Resampling.LANCZOS)
    elif fitting.fit == "pad":
        image = ImageOps.pad(image, size, Image.Resampling.LANCZOS, color="white")
    else:
        image, corner = _crop(image, size, fitting.crop, key)
    return Fitted(np.asarray(image), corner)


def _crop(
    image: Image.Image, size: Size, number: int | None, key: str
) -> tuple[Image.Image, tuple[int, int]]:
    """A picture scaled until it just covers a size, and what stands out cut off: evenly, or by chance."""
    scale = max(size[0] / image.width, size[1] / image.height)
    spare = (image.width * scale - size[0], image.height * scale - size[1])
    across, down = (0.5, 0.5) if number is None else _chances(key, number)
    left, top = spare[0] * across, spare[1] * down
    box = (left / scale, top / scale, (left + size[0]) / scale, (top + size[1]) / scale)
    clipped = (
        max(0.0, box[0]),
        max(0.0, box[1]),
        min(float(image.width), box[2]),
        min(float(image.height), box[3]),
    )
    return image.resize(size, Image.Resampling.LANCZOS, box=clipped), (round(top), round(left))


def _chances(key: str, number: int) -> tuple[float, float]:
    """Two numbers in [0, 1) that are a function of a picture and the number of a crop."""
    digest = hashlib.blake2b(f"{key}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big") / 2**32, int.from_bytes(digest[4:], "big") / 2**32
