"""The drawn world: the same bytes everywhere, truth that equals the pixels."""

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from recapdata.scenes import (
    BACKGROUNDS,
    COLORS,
    SHAPES,
    SIDE,
    SIZES,
    draw_scene,
    encode_png,
    png,
    render,
    scene_objects,
)

MANY = 400


def test_a_seed_gives_the_same_bytes_on_every_machine():
    digest = hashlib.sha256(b"".join(encode_png(draw_scene(7, index)) for index in range(50))).hexdigest()
    assert digest == "11d63849540364e7ae64721b8719fd925fa2eb83f891b8b5d9ab62b40706520b"
    assert encode_png(draw_scene(8, 3)) != encode_png(draw_scene(7, 3))


def test_the_png_holds_exactly_the_pixels():
    for index in range(100):
        scene = draw_scene(1, index)
        image = Image.open(io.BytesIO(encode_png(scene)))
        assert (image.format, image.mode, image.size) == ("PNG", "P", (SIDE, SIDE))
        assert np.array_equal(np.asarray(image.convert("RGB")), render(scene))


def test_png_refuses_what_a_palette_cannot_hold():
    colors = np.arange(17, dtype=np.uint8).reshape(1, 17)
    pixels = np.stack([np.tile(colors, (2, 2))] * 3, axis=-1)
    with pytest.raises(ValueError, match="this one has 17"):
        png.encode(pixels)
    with pytest.raises(ValueError, match="even"):
        png.encode(np.zeros((2, 3, 3), np.uint8))


def test_boxes_are_tight_and_nothing_overlaps():
    """Away from the boxes everything is background; inside each, the pixels of its color touch all four sides."""
    for index in range(MANY):
        scene = draw_scene(2, index)
        pixels = render(scene)
        free = np.ones((SIDE, SIDE), bool)
        for entry, rgb in zip(scene_objects(scene), _colors(scene), strict=True):
            x, y, width, height = (int(side) for side in entry["bbox"])
            inside = (slice(y, y + height), slice(x, x + width))
            assert free[inside].all(), "boxes overlap"
            free[inside] = False
            own = (pixels[inside] == rgb).all(-1)
            assert own.shape == (height, width), "the box leaves the picture"
            assert all(side.any() for side in (own[0], own[-1], own[:, 0], own[:, -1])), "the box is too wide"
            assert (own | (pixels[inside] == scene.background_rgb).all(-1)).all()
        assert (pixels[free] == scene.background_rgb).all()


def test_every_pixel_is_nearest_to_the_color_it_is_called():
    palette = {**COLORS, **BACKGROUNDS}
    names, values = list(palette), np.array(list(palette.values()))
    for index in range(MANY):
        scene = draw_scene(3, index)
        for entry, rgb in zip(scene_objects(scene), _colors(scene), strict=True):
            assert names[np.abs(values - rgb).sum(1).argmin()] == entry["color"]
        assert names[np.abs(values - scene.background_rgb).sum(1).argmin()] == scene.background


def test_a_world_has_everything_in_it():
    scenes = [draw_scene(4, index) for index in range(MANY)]
    drawn = [entry for scene in scenes for entry in scene.objects]
    assert {entry.shape for entry in drawn} == set(SHAPES)
    assert {entry.color for entry in drawn} == set(COLORS)
    assert {entry.size for entry in drawn} == set(SIZES)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert Counter(len(scene.objects) for scene in scenes).keys() == {1, 2, 3, 4, 5}
    assert 0.25 < np.mean([scene.word is not None for scene in scenes]) < 0.45
    alike = [max(Counter((o.shape, o.color) for o in scene.objects).values()) for scene in scenes]
    assert {1, 2, 3, 4} == set(alike)


def test_objects_go_left_to_right_and_alike_ones_share_their_size():
    for index in range(MANY):
        scene = draw_scene(5, index)
        columns = [entry.cell[0] for entry in scene.objects]
        assert columns == sorted(columns)
        looks = {(entry.shape, entry.color, entry.size) for entry in scene.objects}
        assert len(looks) == len({look[:2] for look in looks})


def _colors(scene):
    return [entry.rgb for entry in scene.objects] + ([scene.word.rgb] if scene.word else [])
