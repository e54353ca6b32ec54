"""Figures of a set from rows made by hand: every value can be counted on the fingers."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from audits.figures import in_reading_order, title
from audits.summary import REPLICATES, SetSummary, summarize
from audits.sums import CAPTIONS, numbers
from recapdata.dataset.audit_files import AUDIT_SCHEMA, SCORES_TYPE
from recapdata.records import Claim


def claim(kind: str, verdict: str | None = None) -> dict[str, Any]:
    return Claim(kind=kind, span=(0, 1), object="dog", verdict=verdict).to_struct()


def row(claims: list[dict[str, Any]] | None, **scores: Any) -> dict[str, Any]:
    blank = {field.name: None for field in SCORES_TYPE} | {"words": 5, "clip_tokens": 7, "flags": []}
    return {
        "key": "k",
        "set": "alt",
        "claims": claims,
        "scores": None if claims is None else blank | scores,
    }


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=AUDIT_SCHEMA)


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return summarize([batch(rows)]).figures()


def test_coverage_is_the_share_of_captions_with_a_claim_of_the_kind() -> None:
    found = figures(
        [row([claim("object"), claim("object")]), row([claim("color")]), row([]), row([claim("object")])]
    )
    assert found["object coverage"].value == 0.5
    assert found["color coverage"].value == 0.25
    assert found["text coverage"].value == 0.0
    assert found["object coverage"].n == 4
    assert found["claims per caption"].value == 1.0
    assert found["claims per 100 words"].value == pytest.approx(100 * 4 / 20)


def test_missing_captions_are_counted_and_not_scored() -> None:
    summary = summarize([batch([row([claim("object")]), row(None), row(None)])])
    assert (summary.captions, summary.missing) == (1, 2)
    assert summary.figures()["object coverage"].value == 1.0


def test_a_set_without_a_caption_has_no_figures() -> None:
    summary = summarize([batch([row(None)])])
    assert (summary.captions, summary.missing) == (0, 1)
    assert summary.figures() == {}


def test_length_and_flags() -> None:
    found = figures(
        [
            row([], words=1),
            row([], words=3, clip_tokens=77),
            row([], words=9, clip_tokens=78, flags=["cut_off", "markup"]),
        ]
    )
    assert found["words (median)"].value == 3
    assert found["over 77 CLIP tokens"].value == pytest.approx(1 / 3)
    assert found["hygiene flags"].value == pytest.approx(1 / 3)


def test_precision_leaves_out_what_is_unknown() -> None:
    found = figures(
        [
            row([claim("object", "supported"), claim("object", "contradicted"), claim("object", "unknown")]),
            row([claim("object", "supported"), claim("color", "supported")]),
            row([claim("color", "unknown")]),
        ]
    )
    assert found["object precision"].value == pytest.approx(2 / 3)
    assert found["color precision"].value == 1.0
    assert found["hallucination rate"].value == 0.5  # of the two captions whose objects could be judged
    assert found["hallucinated mentions"].value == pytest.approx(1 / 3)
    assert found["claims judged"].value == pytest.approx(4 / 6)
    assert "count precision" not in found


def test_figures_of_the_literature_carry_its_names() -> None:
    assert title("hallucination rate") == "hallucination rate (CHAIR_s)"
    assert title("hallucinated mentions") == "hallucinated mentions (CHAIR_i)"
    assert title("object recall") == "object recall"


def test_recall_is_over_all_that_is_there() -> None:
    found = figures(
        [
            row([], objects_present=3, objects_said=1, texts_present=0, texts_said=0),
            row([], objects_present=1, objects_said=1, texts_present=1, texts_said=0),
        ]
    )
    assert found["object recall"].value == 0.5
    assert found["text recall"].value == 0.0


def test_recall_by_size_and_of_numbers_and_colors() -> None:
    found = figures(
        [
            row(
                [],
                objects_present_large=2,
                objects_said_large=2,
                objects_present_small=3,
                objects_said_small=0,
            ),
            row([], objects_present_large=2, objects_said_large=1, counts_present=2, counts_said=1),
            row([], colors_present=4, colors_said=1),
        ]
    )
    assert [found[f"object recall ({size})"].value for size in ("small", "large")] == [0.0, 0.75]
    assert (found["count recall"].value, found["color recall"].value) == (0.5, 0.25)
    assert "object recall (medium)" not in found


def test_clip_scores_are_averaged_over_the_scored() -> None:
    found = figures([row([], clip_score=30.0), row([], clip_score=20.0), row([])])
    assert found["CLIP score"].value == 25.0
    assert found["CLIP score"].n == 2
    assert "CLIP score (Hessel)" not in found


def test_figures_come_in_reading_order() -> None:
    found = list(figures([row([claim("object", "supported")], clip_score=1.0)]))
    assert found == in_reading_order(found)
    assert found[0] == "object coverage"


def test_the_interval_is_as_wide_as_the_theory_says() -> None:
    # The standard error of a share of one half over n rows is 1/(2√n); 95 % is 1.96 of them to either side.
    n = 2500
    found = figures([row([claim("object")] if place % 2 else []) for place in range(n)])["object coverage"]
    half = 1.96 / (2 * np.sqrt(n))
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.2)


def test_all_or_none_is_not_certainty() -> None:
    found = figures([row([claim("object")]) for _ in range(30)])
    assert (found["object coverage"].low, found["object coverage"].high) == (
        0.9,
        1.0,
    )  # the rule of three: 3/30
    assert (found["color coverage"].low, found["color coverage"].high) == (0.0, 0.1)


def test_the_batches_do_not_matter() -> None:
    rows = [
        row([claim("object")] * (place % 3), words=place % 7, clip_score=float(place)) for place in range(300)
    ]
    whole = summarize([batch(rows)]).figures()
    parts = summarize(batch(rows[start : start + 7]) for start in range(0, 300, 7)).figures()
    assert parts.keys() == whole.keys()
    for name, figure in whole.items():
        assert (parts[name].value, parts[name].low) == pytest.approx((figure.value, figure.low)), name


def test_a_record_weighs_the_same_in_every_set() -> None:
    # One set is the other with a caption missing at the front: the draws of the rows that both have are the same.
    rows = [row([claim("object")] * (place % 2)) for place in range(50)]
    one, other = summarize([batch(rows)]), summarize([batch([row(None), *rows[1:]])])
    claims = numbers("claims_total")
    assert np.array_equal(one.sums[claims], other.sums[claims])  # the first row has no claim


def test_a_repetition_draws_as_many_rows_as_there_are() -> None:
    summary = SetSummary()
    summary.add(batch([row([]) for _ in range(1000)]))
    drawn = summary.sums[CAPTIONS]
    assert drawn.shape == (REPLICATES + 1,)
    assert drawn[0] == 1000
    # Poisson(1) a row: mean 1000, deviation √1000 ≈ 32.
    assert drawn[1:].mean() == pytest.approx(1000, abs=8)
    assert drawn[1:].std() == pytest.approx(32, abs=5)


def test_margins_lies_names_and_copies() -> None:
    found = figures(
        [
            row(
                [],
                clip_margin=2.0,
                lied_about=["color"],
                low_margin=[],
                clip_over_context=False,
                entities_present=3,
                entities_kept=1,
            ),
            row(
                [],
                clip_margin=-1.0,
                lied_about=["color", "count"],
                low_margin=["color", "count"],
                clip_over_context=True,
            ),
            row([], entities_present=1, entities_kept=1, copies=7, flags=["many_images"]),
            row([], copies=7, flags=["cut_off", "many_images"]),
        ]
    )
    assert found["CLIP margin over the nearest lie"].value == 0.5
    assert found["captions no better than their lie"].value == 0.5
    assert found["captions no better than their lie"].better is None
    assert found["no better than a lie: color"].better == "lower"
    assert found["no better than a lie: color"].value == 0.5
    assert found["no better than a lie: count"].value == 1.0
    assert "no better than a lie: object" not in found
    assert found["captions longer than the scorer reads"].value == 0.5
    assert found["named entities kept from alt text"].value == pytest.approx(2 / 4)
    assert found["captions on many images"].value == 0.5
    assert found["hygiene flags"].value == 0.25  # only the one that is cut off
