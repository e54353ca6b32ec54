"""Votes → figures, on votes worked by hand and on votes of known strengths."""

import itertools
import math

import numpy as np
import pytest

from recaptrain.evaluation.humans.estimates import Estimate, estimate, majority_share, resample
from recaptrain.evaluation.humans.ratings import Vote
from recaptrain.evaluation.humans.study import Question
from recaptrain.evaluation.humans.tally import agreement, pairwise_figures, success_figures


def make_vote(
    answer: str,
    *,
    prompt: int = 0,
    a: int = 0,
    b: int | None = 1,
    number: int | None = None,
    rater: str = "Ada",
    left_is_b: bool = False,
) -> Vote:
    number = prompt if number is None else number
    question = Question(id=number, prompt=prompt, image=0, a=a, b=b, position=number, flipped=False)
    return Vote(question=question, rater=rater, answer=answer, left_is_b=left_is_b, seconds=None, at=0.0)


def test_krippendorffs_alpha_worked_by_hand() -> None:
    """Four questions with 2–3 ratings: aab, bb, aa, and one of a single rating, which is not shared.

    Coincidences, each pair of ratings of a question over its m − 1: aab gives aa 1 and ab 1, ba 1 (2/2 each); bb gives bb 2; aa gives aa 2.
    So o_aa = 3, o_bb = 2, o_ab = o_ba = 1, n_a = 4, n_b = 3, n = 7. Observed disagreement 2/7; expected 2·4·3 / (7·6) = 4/7; α = 1 − 1/2.
    """
    answers = {0: "aab", 1: "bb", 2: "aa", 3: "b"}
    votes = [make_vote(answer, prompt=number) for number, own in answers.items() for answer in own]
    assert agreement(votes) == (pytest.approx(0.5), 3)


def test_without_disagreement_of_any_kind_there_is_no_alpha() -> None:
    assert agreement([]) == (None, 0)
    assert agreement([make_vote("a"), make_vote("b", prompt=1)]) == (None, 0)
    assert agreement([make_vote("a"), make_vote("a", rater="Bo")]) == (None, 1)
    unanimous = [make_vote(answer, prompt=number) for number, answer in enumerate("ab") for _ in range(2)]
    assert agreement(unanimous) == (1.0, 2)


def test_win_rates_by_hand() -> None:
    """Against b: 2 wins, a tie and a loss are 2.5 of 4; the ratio of strengths is 2.5 / 1.5."""
    votes = [make_vote(answer, prompt=number) for number, answer in enumerate(["a", "a", "tie", "b"])]
    models, (pair,) = pairwise_figures(["x", "y"], votes, seed=0)
    assert [model.name for model in models] == ["x", "y"]
    assert [model.rate.value for model in models] == [0.625, 0.375]
    assert [model.ratings for model in models] == [4, 4]
    assert (pair.wins, pair.ties, pair.losses) == (2, 1, 1)
    assert pair.rate is not None
    assert pair.rate.value == 0.625
    strengths = [model.strength.value for model in models if model.strength]
    assert strengths[0] / strengths[1] == pytest.approx(5 / 3)
    elo = [model.elo.value for model in models if model.elo]
    assert elo[0] - elo[1] == pytest.approx(400 * math.log10(5 / 3))
    assert sum(elo) == pytest.approx(2000)


def test_success_rates_as_recap_counts_them() -> None:
    """The first has 1 success of 4 ratings, the second 3 of 4: three times as many, a change of +200 %.

    By majority, of the first one picture fails (no no yes) and one (no) too; of the second, one succeeds (yes yes no) and one (yes) too.
    """
    votes = []
    for model, answers in enumerate([["no no yes", "no"], ["yes yes no", "yes"]]):
        for prompt, own in enumerate(answers):
            votes += [
                make_vote(answer, prompt=prompt, a=model, b=None, number=2 * model + prompt)
                for answer in own.split()
            ]
    models, (pair,) = success_figures(["baseline", "recap"], votes, seed=0)
    assert [model.rate.value for model in models] == [0.25, 0.75]
    assert [(model.majority.value, model.pictures) for model in models if model.majority] == [(0, 2), (1, 2)]
    assert pair.change is not None
    assert (pair.a, pair.b, pair.change.value) == ("baseline", "recap", pytest.approx(2.0))


def test_a_share_by_majority_has_wilsons_interval() -> None:
    """3 of 4, one even split left out. Wilson with z = 1.95996: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)."""
    z, n, p = 1.959964, 4, 0.75
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    share = majority_share([3, 1, 1, -1, 0])
    assert share is not None
    assert share.value == 0.75
    assert (share.low, share.high) == (
        pytest.approx((middle - half) / (1 + z**2 / n), abs=1e-5),
        pytest.approx((middle + half) / (1 + z**2 / n), abs=1e-5),
    )
    assert majority_share([0, 0]) is None


def test_prompts_are_drawn_and_not_votes() -> None:
    """Ten prompts, each all for one side, with 1 or with 100 votes: more votes on the same prompts make no figure surer."""
    once = np.array([[1.0, 0.0], [0.0, 1.0]] * 5)
    few, many = resample(once, 0), resample(100 * once, 0)
    rates = [sums[:, 0] / sums.sum(-1) for sums in (few, many)]
    assert rates[0] == pytest.approx(rates[1])
    assert few.sum(-1) == pytest.approx(10)  # as many prompts as there are
    assert estimate(0.5, rates[0], 10).low == estimate(0.5, rates[1], 10).low == pytest.approx(0.2)


def test_intervals_where_repetitions_are_infinite_or_have_no_value() -> None:
    values = np.concatenate([np.full(90, 1.0), np.full(10, np.inf)])
    assert estimate(1.0, values, 5) == Estimate(value=1.0, low=1.0, high=math.inf)
    assert estimate(1.0, values, 5).infinite
    assert estimate(1.0, values, 1) == Estimate(value=1.0, low=None, high=None)
    assert estimate(1.0, np.where(np.arange(100) < 51, np.nan, 1.0), 5).low is None
    assert estimate(1.0, values, 5).text() == "1 [1, ∞]"
    assert estimate(math.nan, np.full(9, np.nan), 5).text() == "–"


ELO = (1060.0, 1000.0, 940.0)
"""Known strengths: a difference of 60 is a ratio of 10^0.15 = 1.41."""


def simulate(seed: int, prompts: int = 170, *, pairs: int = 3) -> list[Vote]:
    """Votes of known strengths: 170 prompts, one vote on each of three pairs, 510 in all; one in five is a tie.

    A model wins with p_i / (p_i + p_j), and a tie is half a win of either, which pulls p to 1/2 by a fifth; so wins are drawn such that with ties the
    expected share is p_i / (p_i + p_j) exactly.
    """
    random = np.random.default_rng(seed)
    votes = []
    for prompt in range(prompts):
        for number, (a, b) in enumerate(itertools.islice(itertools.combinations(range(3), 2), pairs)):
            share = 1 / (1 + 10 ** ((ELO[b] - ELO[a]) / 400))
            tie = random.random() < 0.2
            won = random.random() < (share - 0.1) / 0.8
            votes.append(
                make_vote(
                    "tie" if tie else "a" if won else "b", prompt=prompt, a=a, b=b, number=3 * prompt + number
                )
            )
    return votes


def test_510_votes_give_known_strengths_back() -> None:
    votes = simulate(seed=1)
    assert len(votes) == 510
    models, _ = pairwise_figures(["x", "y", "z"], votes, seed=0)
    for model, known in zip(models, ELO, strict=True):
        assert model.elo is not None
        assert model.elo.low is not None
        assert model.elo.high is not None
        assert model.elo.low < known < model.elo.high
        assert 20 < model.elo.high - model.elo.low < 80
    assert [model.name for model in sorted(models, key=lambda each: -each.rate.value)] == ["x", "y", "z"]


@pytest.mark.slow
def test_95_percent_intervals_cover_known_strengths() -> None:
    covered = np.zeros(3, int)
    for seed in range(100):
        models, _ = pairwise_figures(["x", "y", "z"], simulate(seed), seed=0)
        for number, (model, known) in enumerate(zip(models, ELO, strict=True)):
            assert model.elo is not None
            assert model.elo.low is not None
            assert model.elo.high is not None
            covered[number] += model.elo.low < known < model.elo.high
    assert all(90 <= count <= 99 for count in covered), covered


@pytest.mark.slow
def test_votes_of_a_prompt_that_go_together_are_covered_too() -> None:
    """Three raters of one mind: all three votes of a prompt are the same. Intervals that drew votes singly would be √3 too narrow."""
    covered = 0
    share = 1 / (1 + 10 ** (-60 / 400))
    for seed in range(100):
        random = np.random.default_rng(seed)
        votes = [
            make_vote(answer, prompt=prompt, rater=rater)
            for prompt in range(170)
            for answer in ["a" if random.random() < share else "b"]
            for rater in ("Ada", "Bo", "Cy")
        ]
        _, (pair,) = pairwise_figures(["x", "y"], votes, seed=0)
        assert pair.rate is not None
        assert pair.rate.low is not None
        assert pair.rate.high is not None
        covered += pair.rate.low < share < pair.rate.high
    assert 90 <= covered <= 99
