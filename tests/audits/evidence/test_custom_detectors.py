"""Detectors of the user's own, by the path of a function: found, asked, checked."""

import pickle
import secrets
import sys
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audits.evidence import Evidence, Record
from audits.evidence.detector import Detections, open_detector
from audits.runner.run import run
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import DetectorError, OptionError
from tests.builders import build_dataset, noise_jpeg

MODULE = '''
"""A detector with weights of its own, written as a user would."""

ANSWERS = [{"bbox": [1, 2, 3, 4], "category": "dog", "score": 0.95}]
REVISION = "v1"
CALLS = []


class Detector:
    classes = ["Person", "dog", "traffic_light", "N/A"]

    def __init__(self):
        self.revision = REVISION

    def detect(self, images):
        CALLS.append([(image.mode, image.size) for image in images])
        answers = ANSWERS() if callable(ANSWERS) else [list(ANSWERS) for _ in images]
        for image in images:
            image.paste((0, 0, 0), (0, 0, *image.size))
        return answers


def make():
    return Detector()


def needs(argument):
    return Detector()


def broken():
    raise FileNotFoundError("weights.pt")


class Bare:
    classes = ["dog"]
    revision = "1"
    detect = print

    def __init__(self, **changes):
        for name, value in changes.items():
            setattr(self, name, value)


def no_detect(): return Bare(detect=None)
def no_classes(): return Bare(classes="dog")
def no_names(): return Bare(classes=["N/A"])
def no_revision(): return Bare(revision=3)
def blank_revision(): return Bare(revision=" ")
def blanks(): return Bare(revision="sha256:ab c,d")
a_list = [1]
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, in a package in the working directory, which is on no path."""
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    (tmp_path / "mypackage" / "mine.py").write_text(MODULE)
    (tmp_path / "mypackage" / "lacking.py").write_text("import a_package_that_nobody_has\n")
    (tmp_path / "mypackage" / "wrong.py").write_text("from mypackage.mine import nothing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    from recapdata.registry import load_dotted

    load_dotted("mypackage.mine:make")
    yield sys.modules["mypackage.mine"]
    for name in [each for each in sys.modules if each.partition(".")[0] == "mypackage"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    root = tmp_path_factory.mktemp("target")
    build_dataset(
        root / "ds",
        images=[noise_jpeg(index) for index in range(3)],
        sets={"alt": ["a dog", None, "a person"]},
    )
    return open_dataset(root / "ds")


def look(source: Detections, count: int = 1) -> list[Evidence]:
    pictures = [Image.new("RGB", (64, 48), "white") for _ in range(count)]
    found = source.collect([Record(values={}, picture=each) for each in pictures])
    assert all(np.asarray(each).min() == 255 for each in pictures)  # the detector paints copies
    return [each for each in found if each is not None]


def test_what_it_sees_is_evidence(mine: Any, target: Target) -> None:
    mine.ANSWERS = (
        {"bbox": [1, 2, 3, 4], "category": "DOG", "score": 0.95, "label": 3},
        {"bbox": np.array([0, 0, 9, 9], np.float32), "category": "dog", "score": np.float32(0.25)},
        {"bbox": (50, 40, 30, 30), "category": "traffic light", "score": 1.0004},
        {"bbox": [0, 0, 9, 9], "category": "Person", "score": 0.05},
    )
    source = open_detector(target, "mypackage.mine:make")
    assert source.classes == ("person", "dog", "traffic light")
    (evidence,) = look(source)
    assert [(each.category, each.bbox, each.score) for each in evidence.objects] == [
        ("dog", (1, 2, 3, 4), 0.95),
        ("traffic light", (50, 40, 14, 8), 1.0),  # cut off at the edges of 64 × 48
    ]
    assert [(each.category, each.bbox, each.score) for each in evidence.doubtful] == [
        ("dog", (0, 0, 9, 9), 0.25)
    ]
    assert evidence.scope.classes == {"person", "dog", "traffic light"}
    assert (evidence.width, evidence.height, evidence.counting, evidence.invalid) == (64, 48, 0.9, 0)


def test_boxes_are_compared_before_they_are_cut_off(mine: Any, target: Target) -> None:
    # An IoU of 100 / 1,100; what is left of both inside the picture is the same.
    mine.ANSWERS = (
        {"bbox": [-100, 0, 110, 10], "category": "dog", "score": 0.9},
        {"bbox": [0, 0, 10, 10], "category": "dog", "score": 0.8},
    )
    (evidence,) = look(open_detector(target, "mypackage.mine:make:nms=0.5"))
    assert [(each.bbox, each.area) for each in evidence.objects] == [((0, 0, 10, 10), 100)] * 2


def test_thresholds_and_identity(mine: Any, target: Target) -> None:
    source = open_detector(target, "mypackage.mine:make:threshold=0.96:doubt=0.5")
    (evidence,) = look(source)
    assert (len(evidence.objects), len(evidence.doubtful)) == (0, 1)
    assert evidence.scope.classes == {"person", "dog", "traffic light"}
    assert source.identity(0) == "detector:mypackage.mine:make@v1:threshold=0.96:doubt=0.5+v1"
    assert open_detector(target, "mypackage.mine:make@v1").identity(0) == "detector:mypackage.mine:make@v1+v1"
    with pytest.raises(OptionError, match="its revision is v1"):
        open_detector(target, "mypackage.mine:make@v2")
    mine.REVISION = "v2"
    assert open_detector(target, "mypackage.mine:make").identity(0) == "detector:mypackage.mine:make@v2+v1"
    assert "sha256:ab_c_d" in open_detector(target, "mypackage.mine:blanks").identity(0)


def test_it_is_made_once_and_shown_pictures_in_rgb(mine: Any, target: Target) -> None:
    source = open_detector(target, "mypackage.mine:make")
    look(source, 10)
    look(source, 1)
    assert [len(each) for each in mine.CALLS] == [8, 2, 1]
    assert {one for each in mine.CALLS for one in each} == {("RGB", (64, 48))}


def test_another_revision_in_another_process_ends_the_run(mine: Any, target: Target) -> None:
    source = open_detector(target, "mypackage.mine:make")
    sent = pickle.loads(pickle.dumps(source.source))  # as a worker process gets it
    assert sent.load().revision == "v1"
    mine.REVISION = "v2"
    with pytest.raises(OptionError, match="its revision is v2 here and was v1 when the run began"):
        sent.load()


@pytest.mark.parametrize(
    "bad",
    [
        {"bbox": [nan, 0, 9, 9]},
        {"bbox": [0, 0, inf, 9]},
        {"bbox": [0, 0, -9, 9]},
        {"bbox": [0, 0, 0, 9]},
        {"bbox": [64, 0, 9, 9]},
        {"score": nan},
    ],
)
def test_invalid_boxes_are_left_out_and_counted(
    mine: Any, target: Target, capsys: pytest.CaptureFixture[str], bad: dict[str, Any]
) -> None:
    good = {"bbox": [1, 2, 3, 4], "category": "dog", "score": 0.95}
    mine.ANSWERS = (good, {**good, **bad})
    mine.REVISION = secrets.token_hex(8)  # boxes are counted by revision, from nought
    source = open_detector(target, "mypackage.mine:make")
    found = look(source, 12)
    assert [(len(each.objects), each.invalid) for each in found] == [(1, 1)] * 12
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert [line.partition(" of its boxes")[0] for line in lines] == [
        f"detector:mypackage.mine:make: {count}" for count in (1, 10)
    ]


DOG = {"bbox": [1, 2, 3, 4], "category": "dog", "score": 0.95}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (None, "a NoneType for 2 pictures"),
        ([[]], "1 lists for 2 pictures"),
        ([[], [], []], "3 lists for 2 pictures"),
        ([DOG, DOG], "a dict for a picture"),
        ([[], [("dog", 0.5)]], 'dictionaries with "bbox", "category" and "score"'),
        ([[], [{"bbox": [1, 2, 3, 4], "score": 0.5}]], 'dictionaries with "bbox", "category" and "score"'),
        (
            [[], [{**DOG, "category": "cat"}]],
            r"the category 'cat'; .* names of its `classes` \(person, dog, traffic",
        ),
        ([[], [{**DOG, "category": 1}]], "the category 1"),
        ([[], [{**DOG, "category": "N/A"}]], "the category 'N/A'"),
        ([[], [{**DOG, "bbox": [1, 2, 3]}]], "four numbers"),
        ([[], [{**DOG, "bbox": None}]], "four numbers"),
        ([[], [{**DOG, "bbox": [1, 2, 3, "wide"]}]], "four numbers"),
        ([[], [{**DOG, "score": 95}]], "a score of 95; .* scores from 0 to 1"),
        ([[], [{**DOG, "score": -0.5}]], "a score of -0.5"),
        ([[], [{**DOG, "score": None}]], "score None"),
    ],
)
def test_answers_of_another_form_end_the_run(mine: Any, target: Target, answers: Any, words: str) -> None:
    mine.ANSWERS = lambda: answers
    with pytest.raises(DetectorError, match=words) as raised:
        look(open_detector(target, "mypackage.mine:make"), 2)
    assert str(raised.value).startswith("detector:mypackage.mine:make returned ")


def test_a_detector_that_fails_says_which_it_was(mine: Any, target: Target) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by nought")

    mine.ANSWERS = fail
    with pytest.raises(
        DetectorError,
        match=r"detector:mypackage\.mine:make failed on 2 pictures: ZeroDivisionError: by nought",
    ):
        look(open_detector(target, "mypackage.mine:make"), 2)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mypackage.other:make", r"there is no module mypackage\.other"),
        ("nopackage.mine:make", "there is no module nopackage"),
        (
            "mypackage.lacking:make",
            "mypackage.lacking imports a_package_that_nobody_has, which is not installed",
        ),
        ("mypackage.wrong:make", r"mypackage\.wrong cannot be imported: ImportError"),
        ("mypackage.mine:other", r"mypackage\.mine has no other"),
        ("mypackage.mine:a_list", "is a list and no function"),
        ("mypackage.mine:needs", "cannot be made: TypeError: .* called without arguments"),
        ("mypackage.mine:broken", r"cannot be made: FileNotFoundError: weights\.pt"),
        ("mypackage.mine:no_detect", "no function `detect`"),
        ("mypackage.mine:no_classes", "no `classes`, a list of names"),
        ("mypackage.mine:no_names", "`classes` without a name in it"),
        ("mypackage.mine:no_revision", "no `revision`"),
        ("mypackage.mine:blank_revision", "no `revision`"),
        ("mypackage.mine:make:sure=0.5", "a detector takes threshold, counting, nms, doubt"),
        ("mypackage.mine:make:NMS=0.5", "a detector takes threshold, counting, nms, doubt"),
    ],
)
def test_mistakes(mine: Any, target: Target, path: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        open_detector(target, path)


def test_an_audit_by_it(mine: Any, target: Target, tmp_path: Path) -> None:
    run(target, evidence=["detector:mypackage.mine:make:counting=0.9"], out=tmp_path / "audit")
    rows = pq.read_table(tmp_path / "audit" / "alt" / "train-00000.parquet").to_pylist()
    verdicts = [[claim["verdict"] for claim in row["claims"] or ()] for row in rows]
    assert verdicts == [["supported"], [], ["contradicted"]]
    assert [each["category"] for each in rows[0]["detections"]] == ["dog"]
