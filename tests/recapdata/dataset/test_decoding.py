"""What a person would see, whatever the file holds."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from recapdata.dataset.decoding import ImageUnreadable, browser_type, decode_image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gray(values: np.ndarray, kind: str = "TIFF", **options) -> bytes:
    return encoded(Image.fromarray(values), kind, **options)


def big_endian(values: np.ndarray) -> bytes:
    size = (values.shape[1], values.shape[0])
    return encoded(Image.frombytes("I;16B", size, values.astype(">u2").tobytes()), "TIFF")


def png16(color: int, values: list[int], transparent: list[int] | None = None) -> bytes:
    """A PNG of one row with sixteen bits a channel, which Pillow cannot write in color."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", len(values) // (3 if color else 1), 1, 16, color, 0, 0, 0))]
    if transparent:
        chunks.append((b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    chunks.append((b"IDAT", zlib.compress(b"\0" + struct.pack(f">{len(values)}H", *values))))
    chunks.append((b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


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


def row(image: bytes) -> list[int]:
    """The red channel of the first row."""
    return np.asarray(decode_image(image))[0, :, 0].tolist()


STEPS = np.array([[0, 100 * 257, 65535]], np.uint16)
"""Black, a gray of 100, and white, in sixteen bits."""


@pytest.mark.parametrize(
    "image",
    [
        gray(STEPS, "PNG"),
        gray(STEPS),
        gray(STEPS, compression="tiff_lzw"),
        gray(STEPS, "JPEG2000", irreversible=False),
        big_endian(STEPS),
        png16(0, STEPS[0].tolist()),
        png16(2, [0, 0, 0, 25700, 25700, 25700, 65535, 65535, 65535]),
        gray(STEPS.astype(np.int32)),
        b"P5 3 1 65535\n" + STEPS.astype(">u2").tobytes(),
        b"P5 3 1 510\n" + np.array([[0, 200, 510]], ">u2").tobytes(),
        gray((STEPS / 65535).astype(np.float32)),
        gray((STEPS / 257).astype(np.float32)),
        gray((STEPS / 257).astype(np.int32)),
        b"Pf\n3 1\n-1.0\n" + (STEPS / 65535).astype("<f4").tobytes(),
        gray((STEPS / 257).astype(np.int32) - 128),  # from the lowest to the highest value
        gray((STEPS / 65535 * 7.3 - 2).astype(np.float32)),
    ],
)
def test_more_than_eight_bits_are_scaled_by_their_range(image):
    assert row(image) == [0, 100, 255]


def test_twelve_bits_of_a_tiff():
    """Three pixels of twelve bits: 0, 0x800 and 0xfff; 2048 of 4095 are 127.5 of 255."""
    pixels = bytes.fromhex("000800fff0")
    tags = [
        (256, 3, 3), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8 + 2 + 9 * 12 + 4), (277, 3, 1),
        (278, 3, 1), (279, 4, len(pixels)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    image = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4 + pixels
    assert row(image) in ([0, 127, 255], [0, 128, 255])


def test_dark_pictures_of_sixteen_bits_stay_dark():
    assert row(gray(np.array([[0, 257, 514]], np.uint16), "PNG")) == [0, 1, 2]


def test_values_that_are_no_numbers():
    values = np.array([[0.0, 0.5, np.nan, np.inf, -np.inf, 1.0]], np.float32)
    assert row(gray(values)) == [0, 128, 0, 255, 0, 255]
    assert row(gray(np.full((1, 2), np.nan, np.float32))) == [0, 0]


def test_a_transparent_value_of_sixteen_bits_is_white():
    assert row(png16(0, [0, 300, 301 * 200], [300])) == [0, 255, 234]  # 60200 / 257
    assert row(png16(2, [0x1234] * 3 + [0x2234] * 3, [0x1234] * 3)) == [255, 0x22]


def test_picture_of_sixteen_bits_is_turned_upright_too():
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    assert row(gray(STEPS, "PNG", exif=exif)) == [255, 100, 0]
    assert row(gray(STEPS, exif=exif)) == [255, 100, 0]


def test_cmyk_as_adobe_writes_it_and_as_others_do():
    # Pillow writes the inverted CMYK of Adobe and reads it back.
    for kind, options in (("JPEG", {"quality": 100}), ("TIFF", {})):
        pixel = decode_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind, **options)).getpixel(
            (4, 4)
        )
        assert np.abs(np.subtract(pixel, (255, 0, 0))).max() <= 2


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


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_any_animation(kind):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode_image(image).getpixel((0, 0)) == (255, 0, 0)


def test_other_formats_are_not_opened():
    for kind in ("EPS", "ICO", "TGA", "PCX"):
        with pytest.raises(ImageUnreadable, match=r"^NotAnImage: "):
            decode_image(encoded(Image.new("RGB", (16, 16)), kind))


def test_what_browsers_show_as_it_is_decoded():
    plain = Image.new("RGB", (4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert [browser_type(encoded(plain, kind)) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "JPEG2000")] == [
        "image/png", "image/jpeg", "image/webp", None, None,
    ]  # fmt: skip
    for image in (
        encoded(plain, "JPEG", exif=exif),
        encoded(Image.new("CMYK", (4, 4)), "JPEG"),
        encoded(Image.new("RGBA", (4, 4))),
        palette(transparency=1),
        gray(STEPS, "PNG"),
        encoded(plain, "PNG", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]),
    ):
        assert browser_type(image) is None
    with pytest.raises(ImageUnreadable):
        browser_type(b"no picture")


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
    image = encoded(Image.new("RGB", (9, 9)))
    with pytest.raises(ImageUnreadable, match=r"^DecompressionBomb: "):
        decode_image(image, max_pixels=80)
    assert decode_image(image, max_pixels=81).size == (9, 9)
    assert Image.MAX_IMAGE_PIXELS == 10  # whoever decodes beside it has his own limit


def test_limits_in_threads_do_not_disturb_each_other():
    image = encoded(Image.new("L", (300, 300)))
    before = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        sizes = list(
            pool.map(lambda limit: decode_image(image, max_pixels=limit).size, [90_000, 200_000] * 100)
        )
    assert set(sizes) == {(300, 300)}
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(("most", "shown"), [(200, 200), (1023, 255), (4095, 255), (4000, 249), (65535, 255)])
def test_thirty_two_bits_are_scaled_by_the_fewest_bits_that_hold_the_values(most, shown):
    values = np.zeros((2, 2), np.int32)
    values[0, 0] = most
    assert decode_image(gray(values)).getpixel((0, 0)) == (shown,) * 3


def test_white_is_zero_in_sixteen_bits():
    values = np.array([[0, 65535]], np.uint16)
    assert [decode_image(gray(values, tiffinfo={262: 0})).getpixel((x, 0))[0] for x in (0, 1)] == [255, 0]
