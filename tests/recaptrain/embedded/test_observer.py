"""The exact reader as a detector and as evidence, by its dotted paths."""

import io

import pytest
from PIL import Image

from audits.evidence import Record, open_evidence
from audits.evidence.detector import open_detector
from recapdata.errors import DetectorError, OptionError
from recapdata.scenes import draw_scene, encode_png, scene_objects

PATH = "recaptrain.embedded.observer"


def _picture(index):
    scene = draw_scene(seed=3, index=index)
    return scene, Image.open(io.BytesIO(encode_png(scene))).convert("RGB")


def test_the_detector_finds_what_was_drawn_where_it_was_drawn():
    detector = open_detector(None, f"{PATH}:open_detector")
    scenes, pictures = zip(*map(_picture, range(20)), strict=True)
    records = [Record(key=str(place), values={}, picture=each) for place, each in enumerate(pictures)]
    for scene, evidence in zip(scenes, detector.collect(records), strict=True):
        drawn = sorted((each["category"], tuple(map(float, each["bbox"]))) for each in scene_objects(scene))
        assert sorted((each.category, each.bbox) for each in evidence.objects) == drawn
        assert {each.score for each in evidence.objects} == {1.0}


def test_the_evidence_knows_colors_sizes_and_words_too():
    source = open_evidence(f"{PATH}:open_evidence", None)
    for index in range(20):
        scene, picture = _picture(index)
        (evidence,) = source.collect([Record(key="a", values={}, picture=picture)])
        seen = {(each.category, each.colors, each.size, each.text) for each in evidence.objects}
        assert seen == {
            (each["category"], (each["color"],), each["size"], each["text"]) for each in scene_objects(scene)
        }


def test_a_picture_of_another_size_is_refused_in_one_line():
    detector = open_detector(None, f"{PATH}:open_detector")
    large = Record(key="a", values={}, picture=Image.new("RGB", (512, 512)))
    with pytest.raises(DetectorError, match="64×64 pixels; this one has 512×512"):
        detector.collect([large])


def test_it_takes_no_argument():
    with pytest.raises(OptionError, match="takes no argument"):
        open_evidence(f"{PATH}:open_evidence:fast", None)
