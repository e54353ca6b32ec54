"""What a detector's answers are taken for: by hand."""

import pytest

from audits.evidence import Seen
from audits.evidence.detections import Thresholds, kept, once, with_options
from audits.places import overlap
from recapdata.errors import OptionError


def found(category: str, score: float, x: float = 0, width: float = 10) -> Seen:
    return Seen(bbox=(x, 0, width, 10), category=category, score=score)


def test_defaults_are_genevals() -> None:
    assert Thresholds() == Thresholds(threshold=0.3, counting=0.9, nms=1.0, most=16)


def test_what_scores_above_the_threshold_is_there_the_surest_first() -> None:
    answers = [
        found("dog", 0.31),
        found("dog", 0.8, 50),
        found("dog", 0.3, 90),
        found("cat", 0.2),
        found("car", 0.05),
    ]
    objects, doubtful = kept(answers, Thresholds())
    assert [(each.category, each.score) for each in objects] == [("dog", 0.8), ("dog", 0.31)]
    assert doubtful == {"cat"}  # below the threshold, but not nothing; of a car there is no hint


def test_boxes_that_overlap() -> None:
    # 10 wide, 2 apart: 8·10 of 2·100 − 80 is an IoU of 2/3.
    answers = [found("dog", 0.5, 2), found("dog", 0.9, 0), found("cat", 0.6, 1)]
    assert overlap((0, 0, 10, 10), (2, 0, 10, 10)) == pytest.approx(2 / 3)
    assert len(kept(answers, Thresholds())[0]) == 3  # GenEval takes none away
    objects, doubtful = kept(answers, Thresholds(nms=0.5))
    assert [(each.category, each.score) for each in objects] == [("dog", 0.9), ("cat", 0.6)]
    assert not doubtful
    assert len(kept(answers, Thresholds(nms=0.7))[0]) == 3


def test_sixteen_of_a_class() -> None:
    objects, _ = kept([found("dog", 0.4 + place / 100, 20 * place) for place in range(20)], Thresholds())
    assert (len(objects), objects[-1].score) == (16, pytest.approx(0.44))


def test_one_thing_has_one_name() -> None:
    assert once([found("dog", 0.5), found("cat", 0.6), found("cat", 0.4, 50)]) == [
        found("cat", 0.6),
        found("cat", 0.4, 50),
    ]


def test_options() -> None:
    assert with_options(Thresholds(), ["threshold=0.5", "nms=0.7"]) == Thresholds(threshold=0.5, nms=0.7)
    for wrong in ("threshold=2", "threshold=x", "colour=0.1", "most=3"):
        with pytest.raises(OptionError, match="a detector takes threshold, counting, nms, doubt"):
            with_options(Thresholds(), [wrong])
