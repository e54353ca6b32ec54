"""What a detector's answers are taken for: by hand."""

from math import inf, nan

import pytest

from audits.evidence import Observation
from audits.evidence.detections import Thresholds, class_name, cut_off, keep, suppress, valid, with_options
from audits.grounding.spatial import overlap
from recapdata.errors import OptionError


def found(category: str, score: float, x: float = 0, width: float = 10) -> Observation:
    return Observation(bbox=(x, 0, width, 10), category=category, score=score)


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
    kept = keep(answers, Thresholds())
    assert [(each.category, each.score) for each in kept.objects] == [("dog", 0.8), ("dog", 0.31)]
    # At or below the threshold, but not nothing; of a car there is no hint.
    assert [(each.category, each.score) for each in kept.doubtful] == [("dog", 0.3), ("cat", 0.2)]
    assert [each.score for each in keep(answers, Thresholds(doubt=0.25)).doubtful] == [0.3]


def test_boxes_that_overlap() -> None:
    # 10 wide, 2 apart: 8·10 of 2·100 − 80 is an IoU of 2/3.
    answers = [found("dog", 0.5, 2), found("dog", 0.9, 0), found("cat", 0.6, 1)]
    assert overlap((0, 0, 10, 10), (2, 0, 10, 10)) == pytest.approx(2 / 3)
    assert len(keep(answers, Thresholds()).objects) == 3  # GenEval takes none away
    kept = keep(answers, Thresholds(nms=0.5))
    assert [(each.category, each.score) for each in kept.objects] == [("dog", 0.9), ("cat", 0.6)]
    assert not kept.doubtful
    assert len(keep(answers, Thresholds(nms=0.7)).objects) == 3


def test_a_doubtful_box_on_a_sure_one_is_no_second_thing() -> None:
    answers = [found("dog", 0.2, 1), found("dog", 0.9, 0), found("dog", 0.15, 90)]
    assert [each.score for each in keep(answers, Thresholds(nms=0.7)).doubtful] == [0.15]


def test_sixteen_of_a_class_and_more_are_not_counted() -> None:
    boxes = [found("dog", 0.4 + place / 100, 20 * place) for place in range(20)]
    kept = keep(boxes, Thresholds())
    assert (len(kept.objects), kept.objects[-1].score) == (16, pytest.approx(0.44))
    assert kept.uncounted == {"dog"}
    assert keep(boxes[:16], Thresholds()).uncounted == frozenset()


def test_suppression_comes_before_the_most_of_a_class() -> None:
    # Twenty boxes of one thing do not push out another thing.
    boxes = [found("dog", 0.9 - place / 100) for place in range(20)] + [found("dog", 0.5, 90)]
    assert [each.score for each in keep(boxes, Thresholds(nms=0.7)).objects] == [0.9, 0.5]


def test_one_thing_has_one_name() -> None:
    boxes = [found("dog", 0.5), found("cat", 0.6), found("cat", 0.4, 50)]
    assert suppress(boxes, 0.9, across_classes=True) == [found("cat", 0.6), found("cat", 0.4, 50)]
    assert suppress(boxes, 0.9) == [found("cat", 0.6), found("dog", 0.5), found("cat", 0.4, 50)]


@pytest.mark.parametrize(
    ("box", "left"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((-5, -5, 10, 10), (0, 0, 5, 5)),
        ((90, 40, 20, 20), (90, 40, 10, 10)),
        ((100, 0, 5, 5), None),
        ((-9, 0, 9, 9), None),
        ((5, 5, 0, 9), None),
        ((5, 5, 9, -1), None),
        ((nan, 5, 9, 9), None),
        ((5, 5, inf, 9), None),
    ],
)
def test_boxes_are_cut_off_at_the_picture_and_invalid_ones_left_out(box, left) -> None:
    boxes = [
        cut_off(each, 100, 50) for each in valid([Observation(bbox=box, category="dog", score=0.5)], 100, 50)
    ]
    assert [(each.bbox, each.area) for each in boxes] == ([(left, left[2] * left[3])] if left else [])


def test_a_score_that_is_no_number_is_invalid() -> None:
    assert valid([Observation(bbox=(0, 0, 9, 9), category="dog", score=nan)], 100, 50) == []


@pytest.mark.parametrize(
    ("name", "class_"),
    [
        ("Traffic_Light", "traffic light"),
        (" N/A ", ""),
        ("__background__", ""),
        ("LABEL_3", ""),
        ("tv", "tv"),
    ],
)
def test_class_names(name: str, class_: str) -> None:
    assert class_name(name) == class_


def test_options() -> None:
    assert with_options(Thresholds(), ["threshold=0.5", "nms=0.7"]) == Thresholds(threshold=0.5, nms=0.7)
    for wrong in ("threshold=2", "threshold=x", "colour=0.1", "most=3"):
        with pytest.raises(OptionError, match="a detector takes threshold, counting, nms, doubt"):
            with_options(Thresholds(), [wrong])
