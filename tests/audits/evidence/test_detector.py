"""Detection models by name: real formats with random weights, from a folder and from a Hub, and what is made of their answers."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from PIL import Image

from audits.evidence import Evidence, Observation, Record, open_evidence
from audits.evidence.detector import Detections, open_detector
from audits.evidence.detector_models import load_detector
from audits.grounding.verdicts import ground
from audits.runner.run import run
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import CaptionerNotFound, ModelNotSupported, OptionError
from recapdata.records import Claim
from tests.builders import build_dataset, noise_jpeg
from tests.detectors import FAMILIES, save_detector

SIZES = [(64, 48), (40, 80), (96, 96)]
NOUNS = [frozenset({"house", "dog"}), frozenset[str](), frozenset({"tree", "left of st. paul"})]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("detectors")
    for family in FAMILIES:
        save_detector(family, root / family)
    return root


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    root = tmp_path_factory.mktemp("target")
    build_dataset(
        root / "ds",
        images=[noise_jpeg(index) for index in range(3)],
        sets={"alt": ["a dog", None, "two people"]},
    )
    return open_dataset(root / "ds")


def pictures() -> list[Image.Image]:
    dice = np.random.default_rng(0)
    return [Image.fromarray(dice.integers(0, 256, (height, width, 3), np.uint8)) for width, height in SIZES]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_looks_at_pictures_of_any_size(models: Path, target: Target, family: str) -> None:
    source = open_detector(target, f"{models / family}:threshold=0:doubt=0")
    records = [
        Record(values={}, picture=each, nouns=nouns) for each, nouns in zip(pictures(), NOUNS, strict=True)
    ]
    found = source.collect([*records, Record(values={})])
    assert found[-1] is None
    seen = [each for each in found if each is not None]
    assert sum(len(each.objects) for each in seen) > 0
    for (width, height), nouns, each in zip(SIZES, NOUNS, seen, strict=True):
        assert (each.width, each.height, each.counting) == (width, height, 0.9)
        assert each.scope.prompted <= (nouns - {"dog"} if source.zero_shot else frozenset())
        for one in each.objects:
            assert one.bbox is not None
            x, y, w, h = one.bbox
            assert source.zero_shot is False or (
                0 <= x < x + w <= width + 1e-3 and 0 <= y < y + h <= height + 1e-3
            )
            assert one.category in {*source.classes, *nouns}
            assert 0 < (one.score or 0) <= 1


def test_classes_of_its_own_and_classes_asked_for(models: Path, target: Target) -> None:
    assert open_detector(target, str(models / "detr")).classes == (
        "person",
        "dog",
        "traffic light",
    )  # "N/A" is none
    owl = open_detector(target, str(models / "owlv2"))
    assert len(owl.classes) == 80
    assert (owl.thresholds.nms, open_detector(target, str(models / "yolos")).thresholds.nms) == (0.5, 1.0)


@pytest.mark.parametrize("family", ["owlv2", "grounding_dino"])
def test_answers_are_those_of_the_models_own_reading(models: Path, target: Target, family: str) -> None:
    picture, asked = pictures()[0], ["dog", "cat"]
    detector = load_detector(open_detector(target, str(models / family)).source, asked)
    mine = detector.detect([picture], [[]], 0.0)[0]
    texts = [[f"a photo of a {each}" if family == "owlv2" else each for each in asked]]
    inputs = detector.processor(images=[picture], text=texts, return_tensors="pt")
    outputs = detector.model(**inputs)
    more = {"input_ids": inputs["input_ids"], "text_threshold": 0.0} if family == "grounding_dino" else {}
    theirs = detector.processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[(picture.height, picture.width)], **more
    )[0]
    best = max(mine, key=lambda each: each.score or 0)
    assert best.bbox is not None
    x, y, w, h = best.bbox
    place = [
        number
        for number, (left, top, right, bottom) in enumerate(theirs["boxes"].clamp(min=0).tolist())
        if np.allclose((x, y, x + w, y + h), (left, top, min(right, 64), min(bottom, 48)), atol=0.05)
    ]
    assert place
    if family == "owlv2":  # GroundingDINO's own scores count the full stops in
        assert best.score == pytest.approx(theirs["scores"][place[0]].item(), abs=1e-4)
        assert best.category == asked[theirs["labels"][place[0]]]


def test_words_of_captions_do_not_change_what_is_found_of_the_classes(models: Path, target: Target) -> None:
    source = open_detector(target, f"{models / 'owlv2'}:threshold=0:doubt=0")
    bare, asked = (
        source.collect([Record(values={}, picture=pictures()[2], nouns=each)])[0]
        for each in (NOUNS[1], NOUNS[2])
    )
    assert bare is not None
    assert asked is not None
    mine = [each for each in asked.objects if each.category in source.classes]
    assert [each.category for each in mine] == [each.category for each in bare.objects]
    assert asked.scope.classes - bare.scope.classes == asked.scope.prompted


# --- what is made of the answers -----------------------------------------------------------------------------------------


def judged(
    source: Detections, found: list[Observation], asked: frozenset[str], *claims: Claim
) -> list[str | None]:
    known: Evidence = source.evidence(Image.new("RGB", (100, 100)), found, asked)
    return [each.verdict for each in ground(claims, [known]).claims]


def named(noun: str) -> Claim:
    return Claim(kind="object", span=(0, 1), object=noun)


def test_what_it_cannot_see_is_unknown(models: Path, target: Target) -> None:
    source = open_detector(target, str(models / "detr"))
    found = [
        Observation(bbox=(0, 0, 9, 9), category="dog", score=0.2),
        Observation(bbox=(0, 0, 9, 9), category="person", score=0.8),
    ]
    nouns = [named(each) for each in ("woman", "dog", "traffic light", "zebra", "sky")]
    # The person is there; of a dog there is a hint; a traffic light is not there; a zebra it does not know.
    assert judged(source, found, frozenset(), *nouns) == [
        "supported",
        "unknown",
        "contradicted",
        "unknown",
        "unknown",
    ]


def test_what_only_a_caption_asked_for_bears_it_out_and_no_more(models: Path, target: Target) -> None:
    source = open_detector(target, str(models / "owlv2"))
    found = [Observation(bbox=(0, 0, 9, 9), category="tree", score=0.8)]
    assert judged(source, found, frozenset({"tree", "sky"}), named("tree"), named("sky"), named("dog")) == [
        "supported",
        "unknown",
        "contradicted",
    ]


# --- by name -------------------------------------------------------------------------------------------------------------


def test_a_model_of_the_hub_is_pinned_and_asked(
    models: Path, target: Target, hub, repo_id: str, tmp_path: Path
) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.upload_folder(repo_id=repo_id, folder_path=models / "yolos")
    commit = api.model_info(repo_id).sha
    api.create_tag(repo_id, tag="v1")
    name = f"detector:{repo_id}@v1:threshold=0:doubt=0"
    source = open_evidence(name, target)
    assert source.identity(0).startswith(f"detector:{repo_id}@{commit}:threshold=0:doubt=0+")
    run(target, evidence=[name], out=tmp_path / "audit")
    rows = pq.read_table(tmp_path / "audit" / "alt" / "train-00000.parquet").to_pylist()
    assert [each["detections"] is None for each in rows] == [False, True, False]
    assert {one["source"] for each in rows for one in each["detections"] or ()} <= {"detector"}
    assert all(claim["verdict"] for each in rows for claim in each["claims"] or ())
    summary = json.loads((tmp_path / "audit" / "summary.json").read_text())
    assert summary["evidence"] == [f"detector:{repo_id}@{commit}:threshold=0:doubt=0"]


@pytest.mark.parametrize(
    ("argument", "error", "words"),
    [
        (None, OptionError, "which model"),
        ("nobody/nothing@main", CaptionerNotFound, "nobody/nothing"),
        ("{owlv2}:colour=1", OptionError, "a detector takes threshold"),
        ("{bare}", ModelNotSupported, "no names for its classes"),
        ("{text}", ModelNotSupported, "detects no objects"),
    ],
)
def test_mistakes(
    models: Path,
    target: Target,
    hub,
    tmp_path: Path,
    argument: str | None,
    error: type[Exception],
    words: str,
) -> None:
    for name, config in (
        ("bare", {"model_type": "yolos", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}),
        ("text", {"model_type": "bert"}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    filled = argument and argument.format(
        owlv2=models / "owlv2", bare=tmp_path / "bare", text=tmp_path / "text"
    )
    with pytest.raises(error, match=words):
        open_detector(target, filled)
