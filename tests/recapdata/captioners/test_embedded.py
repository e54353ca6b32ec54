"""The captioner of the drawn world: words about the picture, the same in any batch."""

import io

import pytest
from PIL import Image

from recapdata.captioners import CaptionerOptions, open_captioner
from recapdata.scenes import draw_scene, encode_png
from recapdata.weights import content_revision, embedded_path

SCENES = 20


@pytest.fixture(scope="module")
def images():
    return [
        Image.open(io.BytesIO(encode_png(draw_scene(4321, index)))).convert("RGB") for index in range(SCENES)
    ]


@pytest.fixture(scope="module")
def captioner():
    opened = open_captioner("embedded", CaptionerOptions(style="long"))
    opened.load()
    return opened


def captions_in(captioner, images, size):
    found = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        found += captioner.caption(captioner.prepare(part), [f"{start + n:064x}" for n in range(len(part))])
    return found


def test_captions_do_not_depend_on_the_batch_size(captioner, images):
    whole = captions_in(captioner, images, SCENES)
    assert captions_in(captioner, images, 7) == whole
    assert captions_in(captioner, images[:3], 1) == whole[:3]


def test_captions_speak_of_what_is_drawn(captioner, images):
    """Not how well (its card says that), but that words and pictures belong together."""
    named = 0
    for index, caption in enumerate(captions_in(captioner, images, SCENES)):
        assert caption.finish_reason == "stop"
        shapes = {drawn.shape for drawn in draw_scene(4321, index).objects}
        named += any(shape in str(caption.caption) for shape in shapes)
    assert named >= SCENES * 0.8


def test_it_is_pinned_by_its_content_and_has_styles_of_its_own(captioner):
    provenance = captioner.provenance
    assert provenance.revision == content_revision(embedded_path("captioner"))
    assert (provenance.captioner, provenance.model, provenance.dtype) == ("embedded", "embedded", "float32")
    assert provenance.prompt == "caption long"
    short = open_captioner("embedded", CaptionerOptions(style="short"))
    assert short.provenance.prompt == "caption short"
