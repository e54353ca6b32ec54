"""Rates by hand, and DALL·E 3's published verdicts on DrawBench from the judge's recorded answers."""

import csv
import json
import os
import re
from pathlib import Path

import pytest

from recaptrain.evaluation.judge.protocols import drawbench, rating
from recaptrain.evaluation.judge.scoring import Judgement, RateDifference, rate_differences, rates

SHARED = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[5] / "shared"))
PUBLISHED = SHARED / "metric-fixtures" / "drawbench-gptv"


def judged(
    prompt: str, verdict: str | None, category: str | None = None, number: int = 0, **changes
) -> Judgement:
    given = {"answer": "Hm.", **changes}
    return Judgement(
        id=f"{prompt}-{number}", prompt_id=prompt, prompt=prompt, category=category, verdict=verdict, **given
    )


def test_by_hand() -> None:
    """Of four verdicts three are correct. Resampled are prompts a and b: both a (100), both b (50), or one of each (75)."""
    found = rates(
        [
            judged("a", "correct", "x"),
            judged("a", "correct", "x", 1),
            judged("b", "correct", "y"),
            judged("b", "incorrect", "y", 1),
            judged("b", None, "y", 2),
            judged("c", None, "y", answer=None, error="Timeout: no answer"),
        ],
        drawbench(),
    )
    assert [each.name for each in found] == ["all", "x", "y"]
    everything, x, y = found
    assert (everything.value, everything.low, everything.high) == (75.0, 50.0, 100.0)
    assert (everything.n, everything.prompts, everything.unparsable, everything.failed) == (4, 2, 1, 1)
    assert everything.verdicts == {"correct": 3, "incorrect": 1}
    assert (x.value, x.n, x.low) == (100.0, 2, None)  # a single prompt has no interval
    assert (y.value, y.n, y.unparsable, y.failed) == (50.0, 2, 1, 1)


def test_without_a_verdict_there_is_no_rate() -> None:
    (found,) = rates([judged("a", None), judged("b", None)], drawbench())
    assert (found.value, found.low, found.n, found.unparsable) == (None, None, 0, 2)
    assert rates([], drawbench())[0].value is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_with_verdicts_on_one_prompt_alone_is_compared_without_an_interval(turned) -> None:
    """The only picture with a verdict in both is the same in both: without b's, which says incorrect, there is no difference."""
    runs = [[judged("a", "correct"), judged("b", each)] for each in ("incorrect", None)]
    a, b = runs[::-1] if turned else runs
    assert rate_differences(a, b, drawbench()) == {"all": RateDifference(value=0.0, low=None, high=None, n=1)}


def test_differences_rest_on_pictures_with_a_verdict_in_both() -> None:
    """Of a, b and c, of which c's second picture has none in one run and d none in the other, b and c change: 2 of 4 pictures."""
    a = [
        judged("a", "correct"),
        judged("b", "incorrect"),
        judged("c", "correct"),
        judged("c", "incorrect", number=1),
        judged("d", None),
    ]
    b = [
        judged("a", "correct"),
        judged("b", "correct"),
        judged("c", "incorrect"),
        judged("c", None, number=1),
        judged("d", "correct"),
    ]
    found = rate_differences(a, b, drawbench())["all"]
    assert (found.value, found.n) == (0.0, 3)  # +100, −100 and 0
    assert (found.low, found.high) == (
        -100.0,
        100.0,
    )  # all three drawn are b, or c, with a chance of 1 in 27 each
    assert rate_differences(a[:3], [*b[:2], judged("c", "correct")], drawbench())[
        "all"
    ].value == pytest.approx(100 / 3)


def test_pictures_of_other_names_are_paired_by_their_place() -> None:
    a = [judged("a", "correct"), judged("a", "incorrect", number=1)]
    b = [judged("a", None, number=7), judged("a", "correct", number=8)]
    assert rate_differences(a, b, drawbench())["all"] == RateDifference(value=100.0, low=None, high=None, n=1)


def test_ratings_are_averaged() -> None:
    (found,) = rates([judged("a", "5"), judged("b", "2"), judged("c", "2")], rating())
    assert (found.value, found.verdicts) == (3.0, {"1": 0, "2": 2, "3": 0, "4": 0, "5": 1})


DALLE3 = {
    "Colors": (81, 100), "Conflicting": (24, 40), "Counting": (50, 76), "DALL-E": (61, 80), "Descriptions": (57, 80),
    "Gary Marcus et al.": (26, 40), "Misspellings": (35, 40), "Positional": (51, 80), "Rare Words": (10, 28), "Reddit": (100, 152),
    "Text": (68, 84),
}  # fmt: skip
DALLE2 = {
    "Colors": (64, 100), "Conflicting": (20, 40), "Counting": (46, 76), "DALL-E": (43, 80), "Descriptions": (54, 80),
    "Gary Marcus et al.": (13, 40), "Misspellings": (33, 40), "Positional": (32, 80), "Rare Words": (10, 28), "Reddit": (74, 152),
    "Text": (3, 84),
}  # fmt: skip
SDXL = {
    "Colors": (65, 100), "Conflicting": (28, 40), "Counting": (43, 76), "DALL-E": (40, 80), "Descriptions": (59, 80),
    "Gary Marcus et al.": (5, 40), "Misspellings": (13, 40), "Positional": (22, 80), "Rare Words": (1, 28), "Reddit": (72, 152),
    "Text": (27, 84),
}  # fmt: skip
"""Correct and judged pictures by category: counts of the published truth values, `correct` in the files, by the prompt's category."""


@pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="DrawBench's published verdicts are not part of the repository"
)
@pytest.mark.parametrize(
    ("model", "first", "correct", "percent", "by_category"),
    [("3", 0, 563, 70.4, DALLE3), ("2", 1, 392, 49.0, DALLE2), ("sdxl", 0, 375, 46.9, SDXL)],
)
def test_published_verdicts(
    model: str, first: int, correct: int, percent: float, by_category: dict[str, tuple[int, int]]
) -> None:
    """The answers as they were recorded, read by the protocol; DALL·E 2's files are numbered from 1, the others' from 0."""
    with open(SHARED / "prompts" / "drawbench.csv", encoding="utf8", newline="") as file:
        prompts = list(csv.DictReader(file))
    recorded = json.loads((PUBLISHED / f"drawbench_results_{model}.json").read_text(encoding="utf8"))
    protocol, judgements = drawbench(), []
    for path, record in recorded.items():
        prompt, picture = map(int, re.findall(r"(\d+)_(\d+)\.png$", path)[0])
        row = prompts[prompt - first]
        verdict = protocol.read(record["response"])
        assert verdict == ("correct" if record["correct"] else "incorrect"), record["response"]
        judgements.append(
            judged(row["Prompts"], verdict, row["Category"], picture, answer=record["response"])
        )
    everything, *categories = rates(judgements, protocol)
    assert everything.verdicts == {"correct": correct, "incorrect": 800 - correct}
    assert (everything.n, everything.prompts, everything.unparsable) == (800, 200, 0)
    assert everything.value == pytest.approx(percent, abs=0.05)
    assert everything.low < everything.value < everything.high
    assert {each.name: (each.verdicts["correct"], each.n) for each in categories} == by_category
