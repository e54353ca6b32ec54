"""Whatever looks at a picture sees the same pixels: CLIP, the sources of evidence, captioners, trainers, and people on a page."""

import ast
import base64
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from audits.clip.scorer import encode_ahead
from audits.evidence import Observation, ocr, open_evidence
from audits.evidence.collect import collect
from audits.evidence.colors import Pixels
from audits.reporting.pictures import thumbnail
from recapdata.dataset.decoding import decode_image
from recapdata.dataset.target import Target, open_dataset
from recapdata.recaptioning.batches import prepare_images
from recaptrain.captioner.data import Pictures
from recaptrain.diffusion import latents
from recaptrain.diffusion.fitting import Fitted, Fitting, fit_picture
from recaptrain.embedded.autoencoder import Autoencoder, build
from tests.audits.models import known_clip
from tests.builders import build_dataset

ROOT = Path(__file__).parent.parent
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str, left: Any, right: Any, size: tuple[int, int] = (32, 16)) -> Image.Image:
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def rotated() -> bytes:
    """Stored with white above red; turned by 90 degrees clockwise as its EXIF says, the red comes to the left."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (16, 32), WHITE)
    stored.paste(RED, (0, 16, 16, 32))
    return encoded(stored, "JPEG", exif=exif, quality=100, subsampling=0)


def animated(kind: str) -> bytes:
    frames = [halves("RGB", RED, WHITE), halves("RGB", (0, 0, 255), (0, 255, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)


def deep(kind: str, mode: str) -> bytes:
    """Sixteen bits: a gray of 100 beside white."""
    values = np.full((16, 32), 65535, np.uint16)
    values[:, :16] = 25700
    if mode == "I;16B":
        return encoded(Image.frombytes(mode, (32, 16), values.astype(">u2").tobytes()), kind)
    return encoded(Image.fromarray(values), kind)


FILES = {
    "plain": (encoded(halves("RGB", RED, WHITE), "PNG"), RED),
    "rotated": (rotated(), RED),
    "transparent": (encoded(halves("RGBA", (*RED, 255), (0, 0, 0, 0)), "PNG"), RED),
    "half transparent": (encoded(halves("LA", (0, 155), (0, 0)), "PNG"), (100, 100, 100)),
    "palette": (encoded(halves("RGBA", (*RED, 255), (0, 0, 0, 0)), "GIF"), RED),
    "16 bits": (deep("PNG", "I;16"), (100, 100, 100)),
    "big endian": (deep("TIFF", "I;16B"), (100, 100, 100)),
    "floating point": (
        encoded(
            Image.fromarray(np.repeat([[100 / 255] * 16 + [1.0] * 16], 16, 0).astype(np.float32)), "TIFF"
        ),
        (100, 100, 100),
    ),
    "CMYK": (
        encoded(halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 0)), "JPEG", quality=100, subsampling=0),
        RED,
    ),
    "animated GIF": (animated("GIF"), RED),
    "animated WebP": (animated("WEBP"), RED),
    "animated PNG": (animated("PNG"), RED),
}
"""Files that all show 32 × 16 pixels, white at the right, and the color that is at the left."""
IMAGES = [image for image, _ in FILES.values()]
NAMES = list(FILES)


def pixels(image: Image.Image) -> np.ndarray:
    assert (image.mode, image.size) == ("RGB", (32, 16))
    return np.asarray(image).copy()


@pytest.fixture(scope="module")
def expected() -> list[np.ndarray]:
    decoded = [pixels(decode_image(image)) for image in IMAGES]
    for name, (_, left), found in zip(NAMES, FILES.values(), decoded, strict=True):
        want = np.asarray(halves("RGB", left, WHITE), np.int16)
        apart = np.abs(want - found)
        # JPEG blurs nothing here but the eight columns around the edge, and rounds.
        assert apart[:, [*range(8), *range(24, 32)]].max() <= 3, name
    return decoded


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    folder = tmp_path_factory.mktemp("pixels") / "ds"
    build_dataset(folder, images=IMAGES, sets={"alt": ["a red thing"] * len(IMAGES)}, shard_rows=len(IMAGES))
    return open_dataset(folder)


def same(seen: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(seen) == len(expected)
    for name, one, other in zip(NAMES, seen, expected, strict=True):
        assert np.array_equal(one, other), name


def test_clip(expected: list[np.ndarray]) -> None:
    seen: list[np.ndarray] = []

    def preprocess(image: Image.Image) -> torch.Tensor:
        seen.append(pixels(image))
        return torch.zeros(3, 1, 1)

    ((_, found),) = encode_ahead(replace(known_clip(), pixels=preprocess), [(0, list(IMAGES))], workers=1)
    assert found.errors == [None] * len(IMAGES)
    same(seen, expected)


DETECTOR = """
class Spy:
    classes, revision, seen = ["thing"], "1", []

    def detect(self, images):
        self.seen.extend(image.copy() for image in images)
        return [[{"bbox": [0, 0, 8, 8], "category": "thing", "score": 1.0}] for _ in images]
"""


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "spying_detector.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    import spying_detector

    yield spying_detector.Spy
    del sys.modules["spying_detector"]


def test_detectors_colors_and_ocr(
    target: Target, expected: list[np.ndarray], detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[np.ndarray]] = {"colors": [], "ocr": []}

    def name(self: Pixels, picture: Image.Image, objects: list[Observation]) -> list[Observation]:
        seen["colors"].append(pixels(picture))
        return objects

    def read(picture: Image.Image) -> list[Observation]:
        seen["ocr"].append(pixels(picture))
        return []

    monkeypatch.setattr(Pixels, "name", name)
    monkeypatch.setattr(ocr, "read", read)
    sources = [open_evidence(each, target) for each in ("detector:spying_detector:Spy", "colors", "ocr")]
    columns = list(dict.fromkeys(column for source in sources for column in source.columns))
    (batch,) = target.read(0, columns, batch_rows=len(IMAGES))
    found = collect(sources, batch, [frozenset()] * len(IMAGES), decoders=2)
    assert [each.error for each in found] == [None] * len(IMAGES)
    same([pixels(each) for each in detector.seen], expected)
    same(seen["colors"], expected)
    same(seen["ocr"], expected)


def test_captioners(expected: list[np.ndarray]) -> None:
    seen: list[np.ndarray] = []
    prepared = prepare_images(lambda images: seen.extend(map(pixels, images)), IMAGES, 4)
    assert prepared.errors == {}
    same(seen, expected)


def test_trainer_of_diffusion(
    target: Target, expected: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, np.ndarray] = {}

    def fit(image: Image.Image, size: tuple[int, int], way: Fitting, key: str) -> Fitted:
        seen[key] = pixels(image)  # on several threads, in any order
        return fit_picture(image, size, way, key)

    monkeypatch.setattr(latents, "fit_picture", fit)
    vae = build(Autoencoder(channels=(8, 8, 8)), 0).eval()
    encoded = latents.encode_dataset(target, latents.Encoder(vae=vae), tmp_path, [(32, 32)] * len(IMAGES))
    assert len(encoded.missing()) == 0  # every picture can be decoded
    keys = [key for batch in target.read(0, ["key"]) for key in batch.column("key").to_pylist()]
    same([seen[key] for key in keys], expected)


def test_trainer_of_captioners(expected: list[np.ndarray]) -> None:
    table = pa.table({"image": pa.array(IMAGES, pa.large_binary())})
    same([pixels(each) for each in Pictures(table).decode(np.arange(len(IMAGES)))], expected)


@pytest.mark.parametrize("place", range(len(IMAGES)), ids=NAMES)
def test_pages_show_them(expected: list[np.ndarray], place: int) -> None:
    url = thumbnail(IMAGES[place], 1_000_000).url
    kind, _, content = url.removeprefix("data:").partition(";base64,")
    assert kind in ("image/png", "image/jpeg", "image/webp")
    # A browser turns upright by EXIF and knows none of the rest.
    with Image.open(io.BytesIO(base64.b64decode(content))) as opened:
        apart = np.abs(np.asarray(opened.convert("RGB"), np.int16) - expected[place])
    assert apart[:, [*range(8), *range(24, 32)]].max() <= 8


OPENERS = {
    "recapdata/dataset/decoding.py": "where all pictures are decoded",
    "recaptrain/training/recorders.py": "a grid that the run has drawn itself, for a tracker",
}


def test_no_module_decodes_pictures_by_itself() -> None:
    found = set()
    for package in ("recapdata", "audits", "recaptrain"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called.endswith(("Image.open", "imread", "load_image", "decode_jpeg", "read_file")):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == set(OPENERS), json.dumps(OPENERS)
