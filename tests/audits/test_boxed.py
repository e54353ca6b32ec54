"""One thing, one label: a color that was seen of an annotated dog is that dog's."""

from typing import Any

from audits.boxed import seen_once
from audits.fiftyone.fields import values
from audits.reporting.boxes import boxes

BOX = [10.0, 20.0, 30.0, 40.0]


def annotated(category: str | None, bbox: list[float] | None = BOX, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(("color", "size", "text", "mask")) | {"bbox": bbox, "category": category} | more


def detected(
    source: str, category: str | None, bbox: list[float] | None = BOX, **more: Any
) -> dict[str, Any]:
    return {
        "source": source,
        "bbox": bbox,
        "category": category,
        "colors": [],
        "text": None,
        "score": None,
    } | more


def test_colors_go_to_the_annotated_object() -> None:
    seen = [detected("colors", "dog", colors=["gray", "white"]), detected("ocr", None, text="STOP")]
    objects, others = seen_once([annotated("Dog"), annotated("cat")], seen)
    assert objects == [annotated("Dog", color="gray, white"), annotated("cat")]
    assert others == [seen[1]]
    shown = boxes([annotated("Dog")], [{"detections": seen, "scores": {"missed": ["dog"]}}], (100, 100))
    assert [(box.told, box.source, box.missed) for box in shown] == [
        ("gray, white Dog", "annotations", True),
        ("“STOP”", "ocr", False),
    ]


def test_what_a_person_said_of_its_color_stays() -> None:
    seen = [detected("colors", "dog", colors=["gray"])]
    assert seen_once([annotated("dog", color="white")], seen) == ([annotated("dog", color="white")], [])


def test_colors_go_to_the_detection_that_they_are_of() -> None:
    seen = [
        detected("detector", "dog", score=0.8),
        detected("detector", "dog", [0.0, 0.0, 5.0, 5.0], score=0.7),
        detected("colors", "dog", colors=["black"]),
    ]
    assert seen_once([], seen) == ([], [detected("detector", "dog", score=0.8, colors=["black"]), seen[1]])


def test_other_things_stay_apart() -> None:
    """Another class in the same box, another box of the class, no box, and a word on the dog."""
    seen = [
        detected("detector", "cat"),
        detected("detector", "dog", [10.0, 20.0, 30.0, 41.0]),
        detected("detector", "dog", None),
        detected("ocr", None, text="dog"),
    ]
    objects = [annotated("dog"), annotated("dog", None), annotated(None)]
    assert seen_once(objects, seen) == (objects, seen)
    assert seen_once(None, None) == (None, None)
    assert seen_once(None, seen[:1]) == (None, seen[:1])


def test_the_app_has_one_label_for_it() -> None:
    record = {
        "key": "0",
        "source": "a.jpg",
        "license": None,
        "width": 100,
        "height": 100,
        "objects": [annotated("dog")],
        "alt": "A dog.",
    }
    scores: dict[str, Any] = {"words": 2}
    row = {
        "claims": [],
        "scores": scores,
        "detections": [detected("colors", "dog", colors=["gray", "white"])],
    }
    found = values(record, {"alt": row}, {"alt": "alt"})
    assert [(each["label"], each["color"]) for each in found["annotations"]["detections"]] == [
        ("dog", "gray, white")
    ]
    assert found["detections"]["detections"] == []
