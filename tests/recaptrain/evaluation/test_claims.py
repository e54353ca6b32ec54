"""Claims accuracy by hand: supported, contradicted, and unknown that counts neither way."""

import pytest

from audits.evidence import Evidence, Observation, Scope
from recaptrain.evaluation.claims import ClaimsAccuracy
from recaptrain.evaluation.seen import SeenEvidence, Store
from tests.recaptrain.evaluation.scripted_models import figures, measured, picture


class Told:
    """Knows of every picture a red circle left of two blue squares, and nothing of dogs."""

    name, columns = "told", ("image",)

    def identity(self, shard):
        return "told+v1"

    def collect(self, records):
        objects = (
            Observation(category="circle", colors=("red",), bbox=(0.0, 40.0, 20.0, 20.0)),
            Observation(category="square", colors=("blue",), bbox=(80.0, 10.0, 10.0, 10.0)),
            Observation(category="square", colors=("blue",), bbox=(80.0, 60.0, 10.0, 10.0)),
        )
        scope = Scope(classes=frozenset({"circle", "square", "star"}), attributes=frozenset({"color"}))
        return [Evidence(source="told", scope=scope, objects=objects, width=100, height=100) for _ in records]


def claims():
    return ClaimsAccuracy(seen=SeenEvidence((Told(),), Store()), identity={})


def test_by_hand():
    prompts = [
        "A red circle left of two blue squares.",  # circle, square, red, blue, 2, left of: all true
        "A green circle and three stars.",  # circle is there, green is not, star is not, and they are not three
        "A dog.",  # unknown
    ]
    metric = claims()
    rows = measured(metric, [picture(each, number) for number, each in enumerate(prompts)])
    verdicts = [dict(zip(row["texts"], row["verdicts"], strict=True)) for row in rows.to_pylist()]
    assert set(verdicts[0].values()) == {"supported"}
    assert verdicts[1]["green circle"] == "contradicted"
    assert verdicts[1]["stars"] == "contradicted"
    assert verdicts[2] == {"dog": "unknown"}
    assert figures(metric, rows) == pytest.approx(
        {
            "claims": 100 * 7 / 10,
            "claims-object": 100 * 3 / 4,  # circle, square, circle; not star
            "claims-count": 50.0,
            "claims-color": 100 * 2 / 3,
            "claims-position": 100.0,
            "claims-known": 100 * 10 / 11,
        }
    )


def test_what_nobody_can_judge_has_no_figure():
    metric = claims()
    rows = measured(metric, [picture("A dog.")])
    assert figures(metric, rows) == {"claims-known": 0.0}
    assert metric.figures(rows)[0].note == "0 supported, 0 contradicted, 1 unknown"


def test_a_prompt_that_claims_nothing_does_not_apply():
    assert measured(claims(), [picture("Joyful!")]).num_rows == 0
