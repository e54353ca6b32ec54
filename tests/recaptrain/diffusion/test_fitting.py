"""How pictures come to their sizes."""

import numpy as np
from PIL import Image

from recaptrain.diffusion.fitting import Fitting, fit_picture, fittings


def flag():
    """4×2: black, red, green, white columns."""
    picture = Image.new("RGB", (4, 2))
    for x, color in enumerate(((0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255))):
        for y in range(2):
            picture.putpixel((x, y), color)
    return picture


def test_crop_keeps_the_middle():
    fitted = fit_picture(flag(), (2, 2), Fitting())
    assert fitted.pixels[0].tolist() == [[255, 0, 0], [0, 255, 0]]
    assert fitted.corner == (0, 1)


def test_pad_adds_white_bars_and_stretch_none():
    padded = fit_picture(flag(), (4, 4), Fitting("pad")).pixels
    assert padded[0].tolist() == [[255] * 3] * 4
    assert padded[1, 1].tolist() == [255, 0, 0]
    assert fit_picture(flag(), (4, 4), Fitting("stretch")).pixels[0, 0].tolist() == [0, 0, 0]


def test_random_crops_lie_elsewhere_and_always_there():
    """A picture of 100×10 at 10×10: a gray ramp, whose value is where the crop lies."""
    ramp = Image.fromarray(np.tile(np.arange(100, dtype=np.uint8) * 2, (10, 1))).convert("RGB")
    corners = set()
    for number in range(20):
        fitted = fit_picture(ramp, (10, 10), Fitting(crop=number), "k")
        top, left = fitted.corner
        assert top == 0
        assert abs(int(fitted.pixels[0, 0, 0]) - 2 * left) <= 3
        assert fitted.corner == fit_picture(ramp, (10, 10), Fitting(crop=number), "k").corner
        corners.add(left)
    assert len(corners) > 10
    assert max(corners) > 60
    assert min(corners) < 30


def test_a_mirrored_picture_is_mirrored():
    assert fit_picture(flag(), (4, 2), Fitting(flip=True)).pixels[0, 0].tolist() == [255, 255, 255]


def test_the_ways_of_encoding_stand_in_pairs():
    names = [way.name((8, 4)) for way in fittings("crop", crops=2, flip=True)]
    assert names == ["8x4-crop-0", "8x4-crop-1", "8x4-crop-0-flip", "8x4-crop-1-flip"]
    assert [way.name((8, 4)) for way in fittings("pad", crops=2, flip=False)] == ["8x4-pad"]
