"""Reading a scene back from its pixels: exact on real renders, silent about what it cannot tell."""

import numpy as np

from recapdata.scenes import draw_scene, render, scene_objects
from recaptrain.embedded.reading import read_background, read_scene


def _sorted(entries):
    return sorted(entries, key=lambda entry: (entry["category"], entry["bbox"]))


def test_every_render_is_read_exactly():
    for index in range(300):
        scene = draw_scene(21, index)
        pixels = render(scene)
        assert read_background(pixels) == scene.background
        assert _sorted(read_scene(pixels)) == _sorted(scene_objects(scene))


def test_slightly_noisy_pictures_are_read_the_same():
    random = np.random.default_rng(0)
    for index in range(60):
        scene = draw_scene(22, index)
        noisy = np.clip(render(scene) + random.normal(0, 6, (64, 64, 3)), 0, 255).astype(np.uint8)
        assert _sorted(read_scene(noisy)) == _sorted(scene_objects(scene))


def test_nothing_is_read_into_an_empty_or_a_random_picture():
    assert read_scene(np.full((64, 64, 3), 150, np.uint8)) == []
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(read_scene(noise)) <= 1
