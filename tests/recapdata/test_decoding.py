"""What a person would see, whatever the file holds."""

import io

import numpy as np
import pytest
from PIL import Image

from recapdata.decoding import ImageUnreadable, decode_image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette(**options) -> bytes:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    return encoded(image, **options)


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (encoded(Image.new("RGB", (2, 2), (1, 2, 3))), (1, 2, 3)),
        (encoded(Image.new("L", (2, 2), 7)), (7, 7, 7)),
        (encoded(Image.new("1", (2, 2), 1)), (255, 255, 255)),
        (encoded(Image.fromarray(np.full((2, 2), 257 * 100, np.uint16))), (100, 100, 100)),
        (encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0))), (255, 255, 255)),
        (encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 255))), (0, 0, 0)),
        (encoded(Image.new("LA", (2, 2), (0, 0))), (255, 255, 255)),
        (palette(), (10, 20, 30)),
        (palette(transparency=1), (255, 255, 255)),
        (encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"), (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb_on_white(image, pixel):
    decoded = decode_image(image)
    assert decoded.mode == "RGB"
    assert decoded.getpixel((0, 0)) == pixel


def test_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode_image(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif)).size == (4, 8)


@pytest.mark.parametrize(
    ("kind", "detail", "size"),
    [
        ("JPEG", None, (640, 480)),
        ("JPEG", 240, (320, 240)),
        ("JPEG", 241, (640, 480)),
        ("JPEG", 100, (160, 120)),
        ("JPEG", 60, (80, 60)),
        ("JPEG", 1, (80, 60)),
        ("PNG", 60, (640, 480)),
    ],
)
def test_a_jpeg_is_decoded_no_larger_than_its_detail_needs(kind, detail, size):
    ramp = np.tile(np.linspace(0, 255, 640, dtype=np.uint8), (480, 1))
    picture = decode_image(encoded(Image.fromarray(ramp).convert("RGB"), kind), detail)
    assert picture.size == size
    assert np.abs(np.asarray(picture.resize((64, 48)))[..., 0] - np.linspace(2, 253, 64)).max() < 3


def test_a_small_picture_is_turned_upright_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(encoded(Image.new("RGB", (64, 32)), "JPEG", exif=exif), 16).size == (16, 32)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    image = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(image).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (None, "EmptyFile"),
        (b"", "EmptyFile"),
        (b"no picture", "NotAnImage"),
        (encoded(Image.new("RGB", (100, 100)), "JPEG")[:300], "DamagedImage"),
    ],
)
def test_unreadable_image_says_its_type_first(image, kind):
    with pytest.raises(ImageUnreadable, match=rf"^{kind}: "):
        decode_image(image)


def test_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageUnreadable, match=r"^DecompressionBomb: "):
        decode_image(encoded(Image.new("RGB", (9, 9))))
