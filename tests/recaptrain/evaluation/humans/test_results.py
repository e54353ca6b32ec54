"""Results as tables, JSON and a page: figures with their intervals, what is infinite, names that are HTML."""

import json
import math
from dataclasses import replace

from recaptrain.evaluation.humans.estimates import Estimate
from recaptrain.evaluation.humans.page import results_page
from recaptrain.evaluation.humans.results import HumansResults, ModelResult, PairResult, RaterResult


def some(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def made(name: str, elo: Estimate) -> ModelResult:
    return ModelResult(
        name=name, ratings=6, rate=some(0.625, 0.25, 0.875), strength=some(1.5, 0.5, 2.5), elo=elo
    )


RESULTS = HumansResults(
    protocol="prompt-following",
    caption="original",
    out="ratings",
    ratings=6,
    wanted=12,
    prompts=2,
    all_prompts=4,
    skipped=1,
    unreadable=2,
    models=[made("<b>x</b>", some(1040, 990, 1090)), made("y", some(960, 910, 1010))],
    pairs=[PairResult(a="<b>x</b>", b="y", wins=3, ties=1, losses=2, rate=some(0.625, 0.25, 0.875))],
    agreement=0.5,
    shared=2,
    left=0.6,
    raters=[RaterResult(name="Ada", ratings=6, seconds=2.25)],
)


def test_the_text_has_every_figure_with_its_interval() -> None:
    assert RESULTS.text().splitlines() == [
        "           Elo                strength            win rate                  ratings",
        "<b>x</b>   1040 [990, 1090]   1.50 [0.50, 2.50]   62.5 % [25.0 %, 87.5 %]   6",
        "y          960 [910, 1010]    1.50 [0.50, 2.50]   62.5 % [25.0 %, 87.5 %]   6",
        "",
        "                     wins   ties   losses   win rate",
        "<b>x</b> against y   3      1      2        62.5 % [25.0 %, 87.5 %]",
        "",
        "95 % intervals: by a bootstrap over prompts; a tie is half a win of either",
        "6 of 12 ratings, on 2 of 4 prompts, by 1 rater",
        "agreement: Krippendorff's α 0.500, over 2 questions with several raters",
        "the left picture was chosen in 60.0 % of the decided comparisons",
        "questions that a rater skipped: 1",
        "questions not asked, since a picture cannot be shown: 2",
    ]


def test_the_page_draws_intervals_to_scale_and_names_are_text() -> None:
    """The scale runs from 900 to 1100 by 50 over 560 px from 230 on: 990 lies at 230 + 0.45·560 = 482, 1090 at 762."""
    page = results_page(RESULTS)
    assert "<b>x</b>" not in page
    assert page.count("&lt;b&gt;x&lt;/b&gt;") == 3  # in the drawing, in both tables
    assert '<line class="interval" x1="482.0" x2="762.0"' in page
    assert '<circle cx="622.0"' in page
    assert ">950</text>" in page
    assert "2.2 s" in page


def test_models_without_ends_of_their_intervals_lie_in_the_middle_of_the_scale() -> None:
    """Both at 1000, from −∞ to ∞: on a scale of 900 to 1100, 560 wide from 230 on, the middle is 510."""
    even = Estimate(value=1000, low=-math.inf, high=math.inf)
    models = [replace(each, elo=even) for each in RESULTS.models]
    page = results_page(replace(RESULTS, models=models))
    assert page.count('<line class="interval" x1="230.0" x2="790.0"') == len(models)
    assert page.count('cx="510.0"') == len(models)
    assert ">900<" in page
    assert ">1100<" in page


def test_what_is_infinite_is_said_and_not_drawn() -> None:
    never_lost = made("x", Estimate(value=math.inf, low=1050.0, high=math.inf))
    results = replace(RESULTS, models=[never_lost, RESULTS.models[1]])
    assert "∞ [1050, ∞]" in results.text()
    assert "∞: a model won, or lost, all comparisons with another" in results.text()
    page = results_page(results)
    assert "<svg" not in page
    assert "∞ [1050, ∞]" in page
    values = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert values["models"][0]["elo"] == {"value": None, "low": 1050.0, "high": None}


def test_without_ratings_there_is_nothing_but_that() -> None:
    nothing = replace(RESULTS, ratings=0, models=[], pairs=[], raters=[], agreement=None, left=None)
    assert nothing.text() == "no ratings yet in ratings, of 12"
    assert "There are no ratings yet, of 12." in results_page(nothing)
