"""Words in pictures: read from a street as a camera would give it, from real photographs, and what they say of a caption."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from audits.evidence import Evidence, Record, open_evidence
from audits.evidence.ocr import Reader
from audits.grounding.quoted_text import letters
from audits.grounding.verdicts import ground
from recapdata.dataset.decoding import decode_image
from recapdata.dataset.target import open_dataset
from recapdata.errors import OptionError
from recapdata.records import Claim
from tests.builders import build_dataset

SHARED = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[4] / "shared"))


def board(lines: str, ground_color: str, ink: str) -> Image.Image:
    """A sign of 400×260 pixels."""
    sign = Image.new("RGB", (400, 260), ground_color)
    font = ImageFont.load_default(64)
    ImageDraw.Draw(sign).multiline_text(
        (200, 130), lines, ink, font, anchor="mm", align="center", spacing=24, stroke_width=2
    )
    return sign


def street(*signs: tuple[Image.Image, tuple[tuple[int, int], ...]]) -> bytes:
    """A JPEG of 1024×768: sky over ground, signs hung askew (corners clockwise from top left), blur, noise, compression."""
    random = np.random.default_rng(3)
    shade = np.linspace(200, 90, 768)[:, None, None] * np.array([0.8, 0.95, 1.1])
    photo = Image.fromarray(np.broadcast_to(shade.clip(0, 255), (768, 1024, 3)).astype(np.uint8))
    for sign, corners in signs:
        frame = [(0, 0), (sign.width, 0), (sign.width, sign.height), (0, sign.height)]
        rows, goal = [], []
        for (x, y), (u, v) in zip(corners, frame, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            goal += [u, v]
        bend = np.linalg.solve(np.array(rows, float), np.array(goal, float))
        shape = (photo.size, Image.Transform.PERSPECTIVE, bend.tolist(), Image.Resampling.BICUBIC)
        photo.paste(sign.transform(*shape), mask=Image.new("L", sign.size, 255).transform(*shape))
    photo = photo.filter(ImageFilter.GaussianBlur(1.2))
    noisy = np.asarray(photo, float) + random.normal(0, 8, (768, 1024, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def known() -> Evidence:
    picture = decode_image(
        street(
            (
                board("NO PARKING\nANY TIME", "white", "darkred"),
                ((90, 120), (400, 170), (390, 400), (80, 380)),
            ),
            (board("BAKERY", "darkgreen", "white"), ((560, 300), (930, 250), (950, 480), (570, 520))),
        )
    )
    found = Reader().collect([Record(values={}, picture=picture)])[0]
    assert found is not None
    return found


def verdict(text: str, known: Evidence) -> str | None:
    return ground([Claim(kind="text", span=(0, 1), text=text)], [known]).claims[0].verdict


def test_words_of_a_street_are_read_with_their_boxes(known: Evidence) -> None:
    sure = {letters(seen.text or ""): seen for seen in known.objects if (seen.score or 0) >= known.counting}
    assert {"parking", "anytime", "bakery"} <= set(sure)  # words run together are one word to the reader
    x, y, width, height = sure["bakery"].bbox or (0, 0, 0, 0)
    # The sign's corners span 560–950 and 250–520, and the word stands in its middle.
    assert 560 <= x < x + width <= 950
    assert 250 <= y < y + height <= 520


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No Parking any time", "supported"),
        ("any time no parking", "supported"),
        ("bakery", "supported"),
        ("bakary", "supported"),
        ("COFFEE SHOP", "contradicted"),
        ("BURGERS", "contradicted"),
        ("parking lot", "unknown"),
    ],
)
def test_what_a_caption_quotes_is_matched(known: Evidence, text: str, expected: str) -> None:
    assert verdict(text, known) == expected


def test_a_picture_without_words_contradicts_nothing() -> None:
    picture = decode_image(street())
    found = Reader().collect([Record(values={}, picture=picture), Record(values={})])
    assert found[0] is not None
    assert verdict("STOP", found[0]) == "unknown"
    assert found[1] is None


@pytest.mark.skipif(
    not (SHARED / "coco-mini").is_dir(), reason="needs the photographs of ../shared/coco-mini"
)
@pytest.mark.parametrize(
    ("photo", "words", "lie"),
    [
        ("000000460229", ["Stop"], "YIELD"),
        ("000000034417", ["danger", "hot"], "YIELD"),
        ("000000475678", ["the hotel is being"], None),
        ("000000092660", ["Ambrosian gold"], "PEPSI"),
        ("000000530836", ["food kitchens", "guardian service"], "PEPSI"),
    ],
)
def test_words_of_photographs_are_read_and_matched(photo: str, words: list[str], lie: str | None) -> None:
    picture = decode_image((SHARED / "coco-mini" / "images" / f"{photo}.jpg").read_bytes())
    found = Reader().collect([Record(values={}, picture=picture)])[0]
    assert found is not None
    assert [verdict(text, found) for text in words] == ["supported"] * len(words)
    # A lie is found where all that was read is sure; elsewhere it stays unknown.
    assert verdict(lie or "YIELD", found) == ("contradicted" if lie else "unknown")


def test_there_is_one_reader(tmp_path: Path) -> None:
    build_dataset(tmp_path / "ds", rows=1)
    target = open_dataset(tmp_path / "ds")
    source = open_evidence("ocr", target)
    assert source.identity(0).startswith("ocr:rapidocr-")
    with pytest.raises(OptionError, match="one reader"):
        open_evidence("ocr:tesseract", target)
