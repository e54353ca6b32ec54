"""SOA-C and SOA-I by hand, and the flaw of TISE's port."""

import pytest

from recaptrain.evaluation.soa import ObjectAccuracy
from tests.recaptrain.evaluation.scripted_models import box, detector, figures, measured, picture


def soa(answers, **changes):
    made, script = detector(answers, **changes)
    return ObjectAccuracy(detector=made, identity={}), script


PROMPTS = [
    "A dog on a chair.",  # dog, chair
    "A dog in the snow.",  # dog
    "A dog.",  # dog
    "A man with a hat.",  # person
]
ANSWERS = [
    [box("dog", 0.9), box("chair", 0.4)],  # the chair is below 0.5
    [box("cat", 0.8)],
    [box("dog", 0.49)],  # nothing from 0.5 on
    [box("person", 0.5)],
]


def test_by_hand():
    metric, _ = soa(ANSWERS)
    rows = measured(metric, [picture(each, number) for number, each in enumerate(PROMPTS)])
    assert rows.column("classes").to_pylist() == [["dog", "chair"], ["dog"], ["dog"], ["person"]]
    found = figures(metric, rows)
    # dog 1 of 3, chair 0 of 1, person 1 of 1; of five pairs two.
    assert found["soa-c"] == pytest.approx(100 * (1 / 3 + 0 + 1) / 3)
    assert found["soa-i"] == pytest.approx(100 * 2 / 5)


def test_the_port_leaves_out_a_picture_in_which_nothing_is_detected():
    metric, _ = soa(ANSWERS)
    rows = measured(metric, [picture(each, number) for number, each in enumerate(PROMPTS)])
    found = figures(metric, rows)
    # Without the third picture: dog 1 of 2, chair 0 of 1, person 1 of 1; of four pairs two.
    assert found["soa-c-tise_compat"] == pytest.approx(100 * (1 / 2 + 0 + 1) / 3)
    assert found["soa-i-tise_compat"] == pytest.approx(100 * 2 / 4)


def test_the_flaw_rewards_a_model_that_draws_nothing_recognizable():
    prompts = [picture("A dog.", number) for number in range(4)]
    metric, _ = soa([[box("dog")], [], [], []])
    found = figures(metric, measured(metric, prompts))
    assert (found["soa-i"], found["soa-i-tise_compat"]) == (25.0, 100.0)


def test_a_class_of_which_all_pictures_fall_out_counts_nothing_in_the_port():
    metric, _ = soa([[box("dog")], []])
    found = figures(metric, measured(metric, [picture("A dog.", 0), picture("A cat.", 1)]))
    # The port gives a class without pictures an accuracy of 0 and a weight of 0.
    assert (found["soa-c-tise_compat"], found["soa-i-tise_compat"]) == (50.0, 100.0)
    assert (found["soa-c"], found["soa-i"]) == (50.0, 50.0)


@pytest.mark.parametrize(
    ("prompt", "classes"),
    [
        ("A hot dog on a plate.", ["hot dog"]),  # no dog
        ("Two women and a boy.", ["person"]),
        ("A statue of a horse.", None),
        ("A wooden sheep.", None),
        ("Joy.", None),
        ("A puppy next to a sports car.", ["dog", "car"]),
        ("A carpet.", None),  # no car
        ("A mouse.", None),  # which of the two it is, nobody can tell
    ],
)
def test_what_a_caption_names_is_read_and_not_searched_for(prompt, classes):
    metric, script = soa([[]])
    rows = measured(metric, [picture(prompt)])
    assert rows.column("classes").to_pylist() == ([] if classes is None else [classes])
    assert script.asked == ([] if classes is None else [0])  # what does not apply is not looked at


def test_where_nothing_is_detected_at_all_the_port_has_no_figure():
    metric, _ = soa([[], []])
    rows = measured(metric, [picture("A dog.", 0), picture("A cat.", 1)])
    assert figures(metric, rows) == {"soa-c": 0.0, "soa-i": 0.0}


def test_weights_count_a_picture_as_often_as_they_say():
    metric, _ = soa([[box("dog")], [], [box("cat")]])
    rows = measured(metric, [picture("A dog.", 0), picture("A dog.", 1), picture("A cat.", 2)])
    found = figures(metric, rows, [3, 1, 0])  # dog 3 of 4; no picture of a cat
    assert (found["soa-c"], found["soa-i"]) == (75.0, 75.0)


def test_what_a_detector_saw_is_kept_for_the_next_metric(tmp_path):
    prompts = [picture(each, number) for number, each in enumerate(PROMPTS)]
    metric, script = soa(ANSWERS, root=tmp_path)
    first = measured(metric, prompts)
    assert measured(metric, prompts) == first
    assert script.asked == [0, 1, 2, 3]
    metric.detector.seen.store.save()
    again, script = soa(ANSWERS, root=tmp_path)
    assert measured(again, prompts) == first
    assert script.asked == []
