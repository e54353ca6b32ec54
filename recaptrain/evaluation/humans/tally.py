"""Votes → win rates, Bradley–Terry strengths and Elo, success rates, agreement."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.estimates import estimate, majority_share, resample
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.ratings import Vote, read_progress, read_votes
from recaptrain.evaluation.humans.results import HumansResults, ModelResult, PairResult, RaterResult
from recaptrain.evaluation.humans.strengths import bradley_terry, elo

WON = {"a": 1.0, "tie": 0.5, "b": 0.0}
"""Share of a win that a vote gives to a."""


def results_of(database: Database, *, seed: int = 0) -> HumansResults:
    """Sum up the votes of a study.

    Args:
        seed: of the bootstrap.
    """
    study, votes, progress = database.study, read_votes(database), read_progress(database)
    sum_up = pairwise_figures if PROTOCOLS[study.protocol].pairwise else success_figures
    models, pairs = sum_up(study.models, votes, seed) if votes else ([], [])
    alpha, shared = agreement(votes)
    return HumansResults(
        protocol=study.protocol,
        caption=study.identity["prompts"],
        out=str(database.path.parent),
        ratings=len(votes),
        wanted=progress.wanted,
        prompts=len({vote.question.prompt for vote in votes}),
        all_prompts=len(study.prompts),
        skipped=progress.skipped,
        unreadable=progress.unreadable,
        models=models,
        pairs=pairs,
        agreement=alpha,
        shared=shared,
        left=_left(votes),
        raters=_raters(votes),
    )


def agreement(votes: Sequence[Vote]) -> tuple[float | None, int]:
    """Krippendorff's α over nominal answers, and how many questions it rests on; None where no answers differ or none are shared."""
    answers: dict[int, list[str]] = {}
    for vote in votes:
        answers.setdefault(vote.question.id, []).append(vote.answer)
    shared = [own for own in answers.values() if len(own) > 1]
    if len({answer for own in shared for answer in own}) < 2:
        return None, len(shared)
    import evalica
    import pandas as pd

    # A row per rating and not per rater: α asks nothing of who gave it.
    return float(evalica.alpha(pd.DataFrame(shared).T, "nominal").alpha), len(shared)


def wins_by_prompt(votes: Sequence[Vote], models: int) -> NDArray[np.float64]:
    """How often the row's model won from the column's, (prompts that have votes, models, models); a tie is half a win of either."""
    numbers = _prompt_numbers(votes)
    wins = np.zeros((len(numbers), models, models))
    for vote in votes:
        prompt, a, b = numbers[vote.question.prompt], vote.question.a, vote.question.b
        wins[prompt, a, b] += WON[vote.answer]
        wins[prompt, b, a] += 1 - WON[vote.answer]
    return wins


def pairwise_figures(
    names: Sequence[str], votes: Sequence[Vote], seed: int
) -> tuple[list[ModelResult], list[PairResult]]:
    """Win rates and Elo of models whose pictures were compared."""
    by_prompt = wins_by_prompt(votes, len(names))
    prompts, wins, drawn = len(by_prompt), by_prompt.sum(0), resample(by_prompt, seed)
    strength, strengths = bradley_terry(wins[None])[0], bradley_terry(drawn)
    rating, ratings = elo(strength), elo(strengths)
    with np.errstate(invalid="ignore"):  # models that nobody compared have no rate
        rate = wins.sum(-1) / (wins + wins.T).sum(-1)
        rates = drawn.sum(-1) / (drawn + drawn.swapaxes(-2, -1)).sum(-1)
        pair_rate = wins / (wins + wins.T)
        pair_rates = drawn / (drawn + drawn.swapaxes(-2, -1))
    models = [
        ModelResult(
            name=name,
            ratings=sum(model in (vote.question.a, vote.question.b) for vote in votes),
            rate=estimate(rate[model], rates[:, model], prompts),
            strength=estimate(strength[model], strengths[:, model], prompts),
            elo=estimate(rating[model], ratings[:, model], prompts),
        )
        for model, name in enumerate(names)
    ]
    pairs = []
    for a, b in combinations(range(len(names)), 2):
        answers = [vote.answer for vote in votes if (vote.question.a, vote.question.b) == (a, b)]
        pairs.append(
            PairResult(
                a=names[a],
                b=names[b],
                wins=answers.count("a"),
                ties=answers.count("tie"),
                losses=answers.count("b"),
                rate=estimate(pair_rate[a, b], pair_rates[:, a, b], prompts),
            )
        )
    return models, pairs


def success_figures(
    names: Sequence[str], votes: Sequence[Vote], seed: int
) -> tuple[list[ModelResult], list[PairResult]]:
    """Success rates of models whose pictures were judged by themselves, and the others' change against the first, as RECAP has it."""
    numbers = _prompt_numbers(votes)
    by_prompt = np.zeros((len(numbers), len(names), 2))  # successes, ratings
    balances: list[dict[int, int]] = [{} for _ in names]
    for vote in votes:
        model, success = vote.question.a, vote.answer == "yes"
        by_prompt[numbers[vote.question.prompt], model] += (success, 1)
        balance = balances[model].get(vote.question.id, 0)
        balances[model][vote.question.id] = balance + (1 if success else -1)
    total, drawn = by_prompt.sum(0), resample(by_prompt, seed)
    with np.errstate(invalid="ignore", divide="ignore"):  # no ratings, or no success of the first
        rate, rates = total[:, 0] / total[:, 1], drawn[..., 0] / drawn[..., 1]
        change, changes = rate / rate[0] - 1, rates / rates[:, :1] - 1
    models = [
        ModelResult(
            name=name,
            ratings=int(total[model, 1]),
            rate=estimate(rate[model], rates[:, model], len(numbers)),
            majority=majority_share(list(balances[model].values())),
            pictures=sum(balance != 0 for balance in balances[model].values()),
        )
        for model, name in enumerate(names)
    ]
    pairs = [
        PairResult(a=names[0], b=names[b], change=estimate(change[b], changes[:, b], len(numbers)))
        for b in range(1, len(names))
    ]
    return models, pairs


def _prompt_numbers(votes: Sequence[Vote]) -> dict[int, int]:
    """Place of each prompt that has votes."""
    prompts = sorted({vote.question.prompt for vote in votes})
    return {prompt: number for number, prompt in enumerate(prompts)}


def _left(votes: Sequence[Vote]) -> float | None:
    """Share of the left side among decided comparisons."""
    decided = [vote for vote in votes if vote.answer in ("a", "b")]
    if not decided:
        return None
    return sum((vote.answer == "b") == vote.left_is_b for vote in decided) / len(decided)


def _raters(votes: Sequence[Vote]) -> list[RaterResult]:
    by_name: dict[str, list[Vote]] = {}
    for vote in votes:
        by_name.setdefault(vote.rater, []).append(vote)
    results = []
    for name, own in sorted(by_name.items()):
        seconds = [vote.seconds for vote in own if vote.seconds is not None]
        results.append(RaterResult(name=name, ratings=len(own), seconds=median(seconds) if seconds else None))
    return results
