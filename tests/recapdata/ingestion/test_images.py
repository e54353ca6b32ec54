"""What is taken for a picture: every format, every way to be broken."""

import io
import struct
import zlib

import pytest
from PIL import Image

from recapdata.dataset.decoding import FORMATS, decode_image, pixel_limit
from recapdata.ingestion.images import Picture, Problem, check_image, remarks
from recapdata.scenes import draw_scene, encode_png

LIMIT = 10_000


def encode(format: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_read_with_its_size(format: str) -> None:
    assert check_image(encode(format), LIMIT) == Picture(40, 30, format)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
def test_a_picture_cut_anywhere_is_found(format: str) -> None:
    image = encode(format)
    for cut in range(1, len(image), max(1, len(image) // 60)):
        problem = check_image(image[:cut], LIMIT)
        assert isinstance(problem, Problem), f"{cut} of {len(image)} bytes were taken for a whole {format}"
        assert problem.error in ("TruncatedImage", "DamagedImage", "NotAnImage")


def test_a_progressive_jpeg_cut_in_a_late_scan_is_found() -> None:
    image = encode("JPEG", progressive=True)
    assert check_image(image[:-200], LIMIT).error == "TruncatedImage"


@pytest.mark.parametrize("missing", [1, 4, 12, 13])
def test_a_png_without_its_last_chunk_is_truncated(missing: int) -> None:
    image = encode_png(draw_scene(0, 0))
    assert isinstance(check_image(image, LIMIT), Picture)
    assert check_image(image[:-missing], LIMIT).error == "TruncatedImage"


def test_bytes_after_the_end_do_no_harm() -> None:
    assert isinstance(check_image(encode("JPEG") + b"more", LIMIT), Picture)


def test_nothing_is_not_an_image() -> None:
    assert check_image(b"", LIMIT).error == "EmptyFile"
    assert check_image(b"<html><body>404</body></html>", LIMIT).error == "NotAnImage"
    assert check_image(b"%PDF-1.7", LIMIT).error == "NotAnImage"


def test_postscript_is_not_run() -> None:
    assert check_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", LIMIT).error == "NotAnImage"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_bomb_is_told_by_its_header_alone() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"never unpacked")
    with pixel_limit(LIMIT):
        assert check_image(image, LIMIT).error == "DecompressionBomb"


def test_the_pixel_limit_is_a_limit() -> None:
    image = encode("PNG", (100, 100))
    with pixel_limit(LIMIT):
        assert isinstance(check_image(image, 100 * 100), Picture)
        assert check_image(image, 100 * 100 - 1).error == "DecompressionBomb"


@pytest.mark.parametrize(
    "metadata",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * (70 * 2**20))),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"a" * 1_500_000)),
        chunk(b"tEXt", b"workflow\0" + b"a" * 1_500_000),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_500_000))),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 1_000_000)) * 70,
    ],
    ids=["bomb", "international text", "plain text", "profile", "many"],
)
@pytest.mark.parametrize("before", [33, -12], ids=["before the pixels", "after them"])
def test_large_metadata_of_a_png_are_left_out_and_its_pixels_are_read(metadata: bytes, before: int) -> None:
    image = encode("PNG")
    heavy = image[:before] + metadata + image[before:]
    assert check_image(heavy, LIMIT) == Picture(40, 30, "PNG")
    assert decode_image(heavy).tobytes() == decode_image(image).tobytes()


@pytest.mark.parametrize(("mode", "deep"), [("RGB", False), ("I;16", True), ("F", True)])
def test_more_than_eight_bits_are_said(mode: str, deep: bool) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (4, 3)).save(buffer, "TIFF")
    picture = check_image(buffer.getvalue(), LIMIT)
    assert isinstance(picture, Picture)
    assert [note.note for note in remarks("a.tif", picture)] == ["DeepPixels"] * deep


def test_damage_inside_a_png_is_found() -> None:
    image = bytearray(encode("PNG"))
    image[len(image) // 2] ^= 0xFF
    assert isinstance(check_image(bytes(image), LIMIT), Problem)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_width_and_height_are_those_of_the_upright_picture(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = (
        orientation  # from 5 on to be turned by 90°, but for AVIF, which keeps its pixels upright by itself
    )
    image = encode(format, exif=exif)
    expected = (30, 40) if orientation > 4 else (40, 30)
    assert decode_image(image).size == expected
    assert check_image(image, LIMIT) == Picture(*expected, format)


def test_an_animation_is_its_first_frame() -> None:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert check_image(buffer.getvalue(), LIMIT) == Picture(8, 6, "GIF")


@pytest.mark.parametrize(
    ("name", "format", "wrong"),
    [
        ("a.jpg", "JPEG", False),
        ("a.JPEG", "JPEG", False),
        ("a.png", "JPEG", True),
        ("a.jpg", "WEBP", True),
        ("a", "PNG", False),
        ("a.unknown", "PNG", False),
        ("folder.png/a", "JPEG", False),
    ],
)
def test_a_name_may_lie(name: str, format: str, wrong: bool) -> None:
    assert [each.note for each in remarks(name, Picture(1, 1, format))] == ["MislabelledImage"] * wrong
