"""The drawn world: 64×64 pictures of colored shapes and words, whose truth is known exactly.

A proving ground that runs everywhere: what a scene holds (`world`), how it looks (`drawing`, `font`, `png`), and what the web,
a hurried and a careful person would write about it (`captions`). A scene is a pure function of (seed, index), so any slice of a
set can be made by itself, on any machine, with the same bytes.

    from recapdata.scenes import draw_scene, encode_png, human_long
    scene = draw_scene(seed=0, index=7)
    encode_png(scene), scene_objects(scene), alt_text(scene), human_short(scene), human_long(scene)
"""

from recapdata.scenes.captions import alt_text, human_long, human_short
from recapdata.scenes.drawing import encode_png, render
from recapdata.scenes.world import (
    BACKGROUNDS,
    COLORS,
    SHAPES,
    SIDE,
    SIZES,
    Drawn,
    Scene,
    Word,
    World,
    draw_scene,
    scene_objects,
)

__all__ = [
    "BACKGROUNDS",
    "COLORS",
    "SHAPES",
    "SIDE",
    "SIZES",
    "Drawn",
    "Scene",
    "Word",
    "World",
    "alt_text",
    "draw_scene",
    "encode_png",
    "human_long",
    "human_short",
    "render",
    "scene_objects",
]
