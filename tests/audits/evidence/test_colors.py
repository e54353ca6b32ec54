"""Colors of objects from their pixels: by name, apart from the background, in any light; and by a CLIP model."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from audits.evidence import Evidence, Observation, Record, Scope, open_evidence
from audits.evidence.color_clip import crop, with_likely_colors
from audits.evidence.color_names import NAMES, names_of, neutral_light, relit, to_lab
from audits.evidence.colors import Pixels, own
from audits.grounding.verdicts import ground
from recapdata.dataset.target import open_dataset
from recapdata.records import Claim, Object
from recapdata.scenes import COLORS, draw_scene, render, scene_objects
from tests.audits.models import save_small_clip
from tests.builders import build_dataset


def test_lab_of_known_colors() -> None:
    # White is L 100; sRGB red is (53.24, 80.09, 67.20) and blue (32.30, 79.19, -107.86) in CIELAB (Lindbloom's calculator).
    lab = to_lab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8))
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert np.allclose(lab, expected, atol=0.05)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [(rgb, name) for name, rgb in COLORS.items()]
    + [((250, 250, 250), "white"), ((128, 128, 128), "gray"), ((10, 10, 10), "black"), ((90, 55, 30), "brown"),
       ((135, 206, 235), "blue"), ((60, 90, 50), "green"), ((255, 105, 180), "pink")],
)  # fmt: skip
def test_names(rgb: tuple[int, int, int], name: str) -> None:
    best, possible = names_of(np.array([rgb], np.uint8))
    assert NAMES[best[0]] == name
    assert possible[0, best[0]]


def test_between_two_colors_both_are_possible() -> None:
    _, possible = names_of(np.array([[0, 140, 145]], np.uint8))  # teal
    assert {NAMES[place] for place in np.flatnonzero(possible[0])} >= {"green", "blue"}


def picture(ground: str = "white", size: int = 60) -> Image.Image:
    return Image.new("RGB", (size, size), ground)


def colors_of(image: Image.Image, seen: Observation) -> Observation:
    return Pixels().name(image, [seen])[0]


def test_the_background_inside_a_box_is_left_out() -> None:
    image = picture("green")
    ImageDraw.Draw(image).line((15, 15, 45, 45), "red", width=6)  # most of the box is background
    assert colors_of(image, Observation(bbox=(15, 15, 30, 30), category="car")).colors == ("red",)
    assert {tuple(pixel) for pixel in own(np.asarray(image), Observation(bbox=(15, 15, 30, 30)))} == {
        (255, 0, 0)
    }


def test_what_looks_like_its_background_has_no_color() -> None:
    assert colors_of(picture("red"), Observation(bbox=(15, 15, 30, 30), category="car")).colors == ()
    assert colors_of(picture(), Observation(bbox=(15, 15, 3, 3), category="car")).colors == ()  # nine pixels


def test_an_object_that_fills_the_picture_has_no_background() -> None:
    assert colors_of(picture("red"), Observation(bbox=(0, 0, 60, 60), category="car")).colors == ("red",)


def test_several_colors_and_traces() -> None:
    image = picture("white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 49, 27), "red")  # 18 of 40 rows
    draw.rectangle((10, 28, 49, 47), "blue")  # 20 of 40
    draw.rectangle((10, 48, 49, 49), "yellow")  # 2 of 40
    seen = colors_of(image, Observation(bbox=(10, 10, 40, 40), category="bus"))
    assert seen.colors == ("blue", "red")
    assert "yellow" in seen.near_colors
    assert "green" not in seen.near_colors


def test_a_mask_is_the_object() -> None:
    from pycocotools import mask

    image = picture("white")
    ImageDraw.Draw(image).rectangle((10, 10, 49, 49), "red")
    covered = np.zeros((60, 60), np.uint8, order="F")
    covered[0:8, 0:60] = 1  # the white above the red
    encoded = mask.encode(covered)
    lengths = {"size": [60, 60], "counts": encoded["counts"].decode()}
    seen = colors_of(image, Observation(bbox=(0, 0, 60, 50), category="bus", mask=lengths))
    assert seen.colors == ("white",)
    assert "gray" in seen.near_colors  # what is white in the light is gray in the shade
    assert crop(image, Observation(bbox=(0, 0, 60, 50), mask=lengths)).getpixel((30, 30)) == (
        0x99,
        0x99,
        0x99,
    )
    # A mask of another picture's size is none.
    other = {"size": [30, 60], "counts": lengths["counts"]}
    assert colors_of(image, Observation(bbox=(10, 10, 40, 40), category="bus", mask=other)).colors == ("red",)


def test_the_light_is_taken_out() -> None:
    lamp = np.array([1.3, 1.0, 0.6])  # what a lamp makes of each channel
    gray = np.full((10, 3), 128, np.uint8)
    lit = relit(gray, lamp)
    assert NAMES[names_of(lit)[0][0]] != "gray"
    assert np.allclose(relit(lit, neutral_light(lit)), lit.mean(), atol=12)
    assert (
        neutral_light(np.full((10, 3), (222, 32, 38), np.uint8)) == 1
    ).all()  # nothing gray, nothing to judge by


LIGHTS = {"as drawn": (1, 1, 1), "warm": (1.2, 1, 0.75), "cool": (0.8, 1, 1.2), "dim": (0.5, 0.5, 0.5)}


@pytest.mark.parametrize("light", LIGHTS)
def test_colors_of_the_drawn_world(light: str) -> None:
    right = total = 0
    for index in range(150):
        scene = draw_scene(77, index)
        pixels = relit(render(scene).reshape(-1, 3), np.array(LIGHTS[light])).reshape(64, 64, 3)
        drawn = [each for each in scene_objects(scene) if each["text"] is None]
        seen = [Observation(bbox=tuple(each["bbox"]), category=each["category"]) for each in drawn]
        found = Pixels().name(Image.fromarray(pixels), seen)
        right += sum(one.colors[:1] == (each["color"],) for one, each in zip(found, drawn, strict=True))
        total += len(drawn)
    assert total > 300
    assert right / total >= 0.97


# --- as a source ---------------------------------------------------------------------------------------------------------


def square(color: str) -> bytes:
    image = picture()
    ImageDraw.Draw(image).rectangle((10, 10, 49, 49), color)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def verdicts(known: Evidence | None, noun: str, *stated: str) -> list[str | None]:
    assert known is not None
    claims = [
        Claim(kind="color", span=(5 * i, 5 * i + 4), object=noun, color=each) for i, each in enumerate(stated)
    ]
    return [claim.verdict for claim in ground(claims, [known]).claims]


def test_annotated_objects_without_a_color_get_one(tmp_path: Path) -> None:
    boxed = {"bbox": (10.0, 10.0, 40.0, 40.0)}
    objects = [
        [Object(category="Bus", **boxed), Object(category="person", **boxed)],
        [Object(category="car", color="red", **boxed)],
    ]
    build_dataset(tmp_path / "ds", images=[square("blue"), square("green")], objects=objects)
    target = open_dataset(tmp_path / "ds")
    source = open_evidence("colors", target)
    rows = [row for batch in target.read(0, source.columns) for row in batch.to_pylist()]
    records = [
        Record(values=row, picture=Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"))
        for row in rows
    ]
    bus, car = source.collect(records)
    assert verdicts(bus, "bus", "blue", "red") == ["supported", "contradicted"]
    assert verdicts(bus, "person", "white") == ["unknown"]  # that is no statement on pixels
    assert car is None  # people said its color
    assert source.collect([Record(values=rows[0])]) == [None]  # a picture that cannot be decoded


def test_it_looks_at_what_other_sources_saw() -> None:
    saw = Evidence(
        source="detector",
        scope=Scope(classes=frozenset({"bus"})),
        objects=(Observation(bbox=(10, 10, 40, 40), category="bus", score=0.5),),
        width=60,
        height=60,
    )
    from audits.evidence.colors import Colors

    image = Image.open(io.BytesIO(square("purple")))
    found = Colors(Pixels(), {}).collect([Record(values={"objects": []}, picture=image, evidence=(saw,))])[0]
    assert verdicts(found, "bus", "purple") == ["supported"]


def test_identity_follows_annotations_and_model(tmp_path: Path) -> None:
    build_dataset(tmp_path / "a", rows=1, objects=[[Object(category="car", bbox=(0, 0, 4, 4))]])
    build_dataset(tmp_path / "b", rows=1, objects=[[Object(category="car", bbox=(0, 0, 5, 4))]])
    model = save_small_clip(tmp_path / "clip")
    identities = [
        open_evidence(name, open_dataset(tmp_path / folder)).identity(0)
        for name, folder in (("colors", "a"), ("colors", "b"), (f"colors:{model}", "a"))
    ]
    assert len(set(identities)) == 3
    assert [each.rpartition("+")[0].partition("@")[0] for each in identities] == [
        "colors",
        "colors",
        "colors:clip",
    ]


# --- by CLIP -------------------------------------------------------------------------------------------------------------


def test_a_model_names_the_colors_of_the_drawn_world(tmp_path: Path) -> None:
    build_dataset(tmp_path / "ds", rows=1)
    torch.manual_seed(0)
    namer = open_evidence("colors:embedded", open_dataset(tmp_path / "ds")).namer  # type: ignore[attr-defined]
    right = total = 0
    for index in range(30):
        scene = draw_scene(77, index)
        drawn = [each for each in scene_objects(scene) if each["text"] is None]
        seen = [Observation(bbox=tuple(each["bbox"]), category=each["category"]) for each in drawn]
        found = namer.name(Image.fromarray(render(scene)), seen)
        right += sum(one.colors[:1] == (each["color"],) for one, each in zip(found, drawn, strict=True))
        total += len(drawn)
    assert right / total >= 0.9


def test_likely_colors() -> None:
    chance = np.zeros(len(NAMES))
    chance[[NAMES.index("red"), NAMES.index("orange"), NAMES.index("pink")]] = 0.6, 0.35, 0.05
    seen = with_likely_colors(Observation(category="car"), chance)
    assert (seen.colors, seen.near_colors) == (("red",), {"orange"})
    assert with_likely_colors(Observation(category="car"), np.full(len(NAMES), 1 / len(NAMES))).colors == ()
