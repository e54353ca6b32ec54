"""Short everyday captions with honest boxes: what is true is not contradicted, and a plain lie is.

Each line of the fixture is a caption, the annotations of its picture as [class, number] or [class, number, "crowd"], and the nouns
that the audit must contradict: none where the caption is true. The captions are written around words that mislead: food of an
animal's name, homonyms, compounds, kin of animals, crowds, what is depicted or is for somebody. The boxes of a picture are alike
in size, side by side.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from audits.evidence import Evidence, Observation, Scope
from audits.extraction import claims as extract
from audits.grounding.verdicts import ground
from audits.lexicon import load_lexicon
from recapdata.records import Claim

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "fixtures" / "true_captions.jsonl").read_text().splitlines()
]
SCOPE = Scope(classes=load_lexicon().vocabularies[0])
TRUE_SHARE = 0.97
CLAIMED_SHARE = 0.8
"""Of the nouns that lie, so many are to be claims at all; the others are lost before anything is judged."""


def annotations(case: dict[str, Any]) -> Evidence:
    boxes = [category for category, number, *_ in case["objects"] for _ in range(number)]
    return Evidence(
        source="annotations",
        scope=SCOPE,
        objects=tuple(
            Observation(bbox=(10 + 60 * place, 100, 50, 60), category=category)
            for place, category in enumerate(boxes)
        ),
        width=1200,
        height=240,
        uncounted=frozenset(category for category, _, *crowd in case["objects"] if crowd),
    )


@pytest.fixture(scope="module")
def judged() -> list[tuple[dict[str, Any], list[Claim], list[Claim]]]:
    """Every case with its claims, and those of them that are contradicted."""
    extracted = extract(case["caption"] for case in CASES)
    grounded = [
        (case, list(ground(claims, [annotations(case)], case["caption"]).claims))
        for case, claims in zip(CASES, extracted, strict=True)
    ]
    return [
        (case, claims, [each for each in claims if each.verdict == "contradicted"])
        for case, claims in grounded
    ]


def test_the_fixture_is_large_enough() -> None:
    assert sum(not case["contradicted"] for case in CASES) >= 500
    assert sum(bool(case["contradicted"]) for case in CASES) >= 70


def test_true_captions_are_not_contradicted(
    judged: list[tuple[dict[str, Any], list[Claim], list[Claim]]], record_property: Any
) -> None:
    true = [(case["caption"], wrong) for case, _, wrong in judged if not case["contradicted"]]
    faults = [(caption, [(each.object, each.evidence) for each in wrong]) for caption, wrong in true if wrong]
    record_property("true captions contradicted", f"{len(faults)} of {len(true)}")
    assert len(faults) <= (1 - TRUE_SHARE) * len(true), faults


def test_lies_are_contradicted(judged: list[tuple[dict[str, Any], list[Claim], list[Claim]]]) -> None:
    lies = [
        (
            case["caption"],
            set(case["contradicted"]),
            {each.object for each in claims},
            {each.object for each in wrong},
        )
        for case, claims, wrong in judged
        if case["contradicted"]
    ]
    claimed = [(caption, nouns, wrong) for caption, nouns, objects, wrong in lies if nouns <= objects]
    assert [caption for caption, nouns, wrong in claimed if not nouns <= wrong] == []
    assert len(claimed) >= CLAIMED_SHARE * len(lies), "too many of the nouns are not claimed at all"
