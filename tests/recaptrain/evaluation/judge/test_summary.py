"""The table for a terminal, whatever the categories of a prompts' file are called."""

from recaptrain.evaluation.evaluations import Difference
from recaptrain.evaluation.judge.scoring import Rate
from recaptrain.evaluation.judge.summary import SHUFFLED, JudgedRun, JudgeSummary


def rate(name: str, value: float) -> Rate:
    return Rate(
        name=name,
        value=value,
        low=None,
        high=None,
        n=4,
        prompts=4,
        verdicts={},
        unparsable=0,
        cut=0,
        failed=0,
    )


def run(name: str, unit: str, *rates: Rate) -> JudgedRun:
    return JudgedRun(
        name=name, source=name, pictures=4, prompts=4, prompts_digest="", made_with={}, judge={"model": "m"}, protocol={"name": "p"},
        unit=unit, asked=4, rates=rates, shuffled=rate(SHUFFLED, 3.0), folder="f",
    )  # fmt: skip


def test_a_category_called_as_the_floor_is_stands_beside_it() -> None:
    runs = [run("a", "%", rate("all", 70.0), rate(SHUFFLED, 80.0), rate("two\nlines", 60.0))]
    text = JudgeSummary(out="o", runs=runs, differences=[], seconds=0).text()
    lines = text.splitlines()
    assert lines[0].split() == ["a"]
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["all", "70.0", "%,"], [SHUFFLED, "80.0", "%,"], ["two\\nlines", "60.0", "%,"], [SHUFFLED, "3.0", "%,"],
    ]  # fmt: skip


def test_differences_of_ratings_have_the_digits_of_ratings() -> None:
    change = Difference(
        figure="rating, all", a="a", b="b", value=0.04, low=0.01, high=0.07, better="higher", n=700
    )
    runs = [run(name, "", rate("all", 3.0)) for name in ("a", "b")]
    text = JudgeSummary(out="o", runs=runs, differences=[change], seconds=0).text()
    assert "rating, all: b − a +0.04 [+0.01, +0.07] (n 700, with a verdict in both), b is better" in text
