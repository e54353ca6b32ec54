"""A hundred captions in somebody else's style move the captions the way they say, and what the captioner knew stays."""

import pytest
from PIL import Image

from recapdata.captioners import CaptionerOptions, open_captioner
from recapdata.scenes import draw_scene, encode_png, human_short, render
from recapdata.weights import embedded_path
from recaptrain.captioner.run import tune_captioner
from recaptrain.captioner.settings import CaptionerSettings
from recaptrain.embedded.accuracy import measure
from tests.builders import build_dataset


def house_style(caption):
    """All lower case but for quoted words, "picture:" in front, and circles are discs."""
    parts = caption.replace("circle", "disc").rstrip(".").split('"')
    parts[::2] = [part.lower() for part in parts[::2]]
    return "picture: " + '"'.join(parts)


def plain_style(caption):
    """Back again, for a reader who knows only the world's own style."""
    return caption.removeprefix("picture: ").replace("disc", "circle") + "."


def captions(model, scenes):
    captioner = open_captioner("vlm", CaptionerOptions(model=str(model), style="short"))
    captioner.load()
    pictures = [Image.fromarray(render(scene)) for scene in scenes]
    return [str(each.caption) for each in captioner.caption(captioner.prepare(pictures), ["k"] * len(scenes))]


@pytest.mark.slow
def test_a_hundred_captions_in_another_style_are_followed(tmp_path):
    learned = [draw_scene(41, row) for row in range(100)]
    folder = build_dataset(
        tmp_path / "ds",
        images=[encode_png(scene) for scene in learned],
        shard_rows=64,
        sets={"house": [house_style(human_short(scene)) for scene in learned]},
    )
    settings = CaptionerSettings(
        dataset=str(folder.path),
        captions={"short": "house"},
        base=str(embedded_path("captioner")),
        steps=150,
        lr=1e-3,
        validate_every=50,
        patience=None,
        freeze="vision",
        lr_warmup_steps=5,
        samples=0,
        mixed_precision="no",  # what every machine computes alike, but for rounding
    )
    summary = tune_captioner(settings, tmp_path / "out")
    assert summary.loss < 0.5 * summary.loss_before

    scenes = [draw_scene(42, row) for row in range(60)]
    before, after = captions(embedded_path("captioner"), scenes), captions(tmp_path / "out", scenes)
    assert not [caption for caption in before if caption.startswith("picture") or "disc" in caption]
    assert sum(caption.startswith("picture: ") for caption in after) >= 58
    assert sum(caption == house_style(caption.removeprefix("picture: ")) for caption in after) >= 55
    discs = [
        caption
        for scene, caption in zip(scenes, after, strict=True)
        if any(drawn.shape == "circle" for drawn in scene.objects)
    ]
    assert len(discs) > 10
    # Rounding decides whether a circle is overlooked, but hardly what it is called.
    called = sum("disc" in caption for caption in discs)
    assert called >= 0.5 * len(discs), called
    assert sum("circle" in caption for caption in after) <= 0.2 * called
    told = measure(scenes, [plain_style(caption) for caption in after])
    assert told.objects_recall > 0.8
    assert told.objects_precision > 0.85
