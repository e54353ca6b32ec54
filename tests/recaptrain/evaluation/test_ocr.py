"""OCR accuracy by hand."""

import pytest

from audits.evidence import Evidence, Observation, Scope
from recaptrain.evaluation.ocr import OcrAccuracy, compare
from recaptrain.evaluation.seen import SeenEvidence, Store
from tests.recaptrain.evaluation.scripted_models import figures, measured, picture


class Read:
    """Reads the given words, with confidences, by the number of a picture."""

    name, columns = "read", ("image",)

    def __init__(self, answers):
        self.answers = answers

    def identity(self, shard):
        return "read+v1"

    def collect(self, records):
        return [
            Evidence(
                source="read",
                scope=Scope(),
                objects=tuple(
                    Observation(text=text, score=score)
                    for text, score in self.answers[record.picture.getpixel((0, 0))[0]]
                ),
                width=100,
                height=100,
            )
            for record in records
        ]


@pytest.mark.parametrize(
    ("text", "read", "exact", "similarity", "words"),
    [
        ("STOP", ["stop!"], True, 1.0, (1, 1)),
        ("Open now", ["WE", "ARE", "OPEN", "NOW"], True, 1.0, (2, 2)),
        ("Open now", ["OPENNOW"], True, 1.0, (2, 2)),
        ("STOP", ["ST0P"], False, 0.75, (1, 0)),  # one of four letters
        ("Open now", ["OPEN", "MOW"], False, 6 / 7, (2, 1)),
        ("go go", ["GO"], False, 0.5, (2, 1)),  # each reading is used once
        ("STOP", [], False, 0.0, (1, 0)),
        ("Café", ["CAFE"], True, 1.0, (1, 1)),
    ],
)
def test_a_text_against_what_was_read(text, read, exact, similarity, words):
    found = compare(text, read)
    assert (found.exact, found.words, found.words_read) == (exact, *words)
    assert found.similarity == pytest.approx(similarity)


def test_by_hand():
    reader = Read([[("STOP", 0.9)], [("ST0P", 0.9)], [("STOP", 0.4)], [("OPEN", 0.9)]])
    metric = OcrAccuracy(reader=SeenEvidence((reader,), Store()), identity={})
    prompts = ['A sign that says "STOP".'] * 3 + ['A sign that says "open late".']
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    # The third is read with too little confidence; "openlate" and "open" differ by four letters of eight.
    assert figures(metric, rows) == pytest.approx(
        {"ocr": 25.0, "ocr-similarity": 100 * (1 + 0.75 + 0 + 0.5) / 4, "ocr-words": 100 * 2 / 5}
    )
    assert rows.column("readings").to_pylist() == [["STOP"], ["ST0P"], [], ["OPEN"]]


def test_a_prompt_without_a_text_does_not_apply():
    metric = OcrAccuracy(reader=SeenEvidence((Read([[]]),), Store()), identity={})
    assert measured(metric, [picture("A sign.")]).num_rows == 0
