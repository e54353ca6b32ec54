"""Votes → win rates, Elo, success rates and agreement, with 95 % intervals by a bootstrap over prompts.

Votes on one prompt are alike, so prompts are drawn, and all votes on a prompt with it (see `recaptrain.evaluation.intervals`); drawing votes singly, as
packages of pairwise comparison do, gives intervals that are too narrow.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recapdata.display import one_line, shown_as_text
from recaptrain.evaluation.humans.ratings import Ratings, Vote
from recaptrain.evaluation.humans.strengths import bradley_terry, elo
from recaptrain.evaluation.humans.study import Study
from recaptrain.evaluation.intervals import CONFIDENCE, draws

REPLICATES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval: infinite bounds where some repetitions have no finite value, None where there is no interval."""

    value: float
    low: float | None
    high: float | None

    def text(self, form: str = "{:.0f}", scale: float = 1.0) -> str:
        """`1043 [1012, 1075]`."""
        if math.isnan(self.value):
            return "–"
        shown = _number(self.value, form, scale)
        if self.low is None or self.high is None:
            return shown
        return f"{shown} [{_number(self.low, form, scale)}, {_number(self.high, form, scale)}]"


def _number(value: float, form: str, scale: float) -> str:
    return form.format(value * scale) if math.isfinite(value) else ("∞" if value > 0 else "−∞")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """One model.

    Attributes:
        ratings: how many it rests on.
        rate: share of comparisons won, a tie as half; share of ratings that say success.
        strength: Bradley–Terry's, with a geometric mean of 1; None where pictures are judged by themselves, as `elo`.
        majority: of the pictures, those that most of their raters call a success (Wilson's interval); None where pictures are compared.
        pictures: how many that rests on: even splits are left out.
    """

    name: str
    ratings: int
    rate: Estimate
    strength: Estimate | None = None
    elo: Estimate | None = None
    majority: Estimate | None = None
    pictures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """Two models.

    Attributes:
        wins: of a; `ties`, and `losses`, wins of b. Zero where pictures are judged by themselves.
        rate: share of comparisons that a won, a tie as half; None where pictures are judged by themselves.
        change: how much larger the success rate of b is, as a share of a's; None where pictures are compared.
    """

    a: str
    b: str
    wins: int = 0
    ties: int = 0
    losses: int = 0
    rate: Estimate | None = None
    change: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterResult:
    """One rater; `seconds` is the median from showing to answering."""

    name: str
    ratings: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class HumansResults:
    """What the votes say.

    Attributes:
        ratings: votes that count, of `wanted`; `prompts` that have one, of `all_prompts`.
        skipped: how often a rater skipped a question; `unreadable` questions whose pictures cannot be shown.
        agreement: Krippendorff's α, nominal, over the `shared` questions that two raters or more answered; None where there is none.
        left: share of the left side among decided comparisons: far from a half, raters favor a side.
    """

    protocol: str
    caption: str
    out: str
    ratings: int
    wanted: int
    prompts: int
    all_prompts: int
    skipped: int
    unreadable: int
    models: Sequence[ModelResult]
    pairs: Sequence[PairResult]
    agreement: float | None
    shared: int
    left: float | None
    raters: Sequence[RaterResult]

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON takes them: null where a figure is not finite."""
        found = _finite(asdict(self))
        assert isinstance(found, dict)
        return found

    def text(self) -> str:
        """The tables for a terminal."""
        return "\n".join(_lines(self))


def results_of(study: Study, ratings: Ratings, *, seed: int = 0) -> HumansResults:
    """Sum up the votes of a study.

    Args:
        seed: of the bootstrap.
    """
    votes = ratings.votes()
    unreadable = len(ratings.unreadable())
    alone = study.identity["protocol"] == "success"
    models, pairs = (_judged if alone else _compared)(study.models, votes, seed) if votes else ([], [])
    alpha, shared = agreement(votes)
    decided = [vote for vote in votes if vote.answer in ("a", "b")]
    by_rater: dict[str, list[Vote]] = {}
    for vote in votes:
        by_rater.setdefault(vote.rater, []).append(vote)
    return HumansResults(
        protocol=study.identity["protocol"],
        caption=study.identity["prompts"],
        out=str(ratings.path.parent),
        ratings=len(votes),
        wanted=(len(study.questions) - unreadable) * ratings.each,
        prompts=len({vote.question.prompt for vote in votes}),
        all_prompts=len(study.prompts),
        skipped=ratings.skipped(),
        unreadable=unreadable,
        models=models,
        pairs=pairs,
        agreement=alpha,
        shared=shared,
        left=(
            sum((vote.answer == "b") == vote.left_is_b for vote in decided) / len(decided)
            if decided
            else None
        ),
        raters=[_rater(name, own) for name, own in sorted(by_rater.items())],
    )


def _rater(name: str, votes: Sequence[Vote]) -> RaterResult:
    seconds = [vote.seconds for vote in votes if vote.seconds is not None]
    return RaterResult(name=name, ratings=len(votes), seconds=median(seconds) if seconds else None)


def agreement(votes: Sequence[Vote]) -> tuple[float | None, int]:
    """Krippendorff's α over nominal answers, and how many questions it rests on; None where no answers differ or none are shared.

    Of a rater who answered a question again, the first answer counts.
    """
    answers: dict[int, dict[str, str]] = {}
    for vote in votes:
        answers.setdefault(vote.question.id, {}).setdefault(vote.rater, vote.answer)
    shared = [list(own.values()) for own in answers.values() if len(own) > 1]
    if len({answer for own in shared for answer in own}) < 2:
        return None, len(shared)
    import evalica
    import pandas as pd

    # A row per rating: α asks nothing of who gave it.
    return float(evalica.alpha(pd.DataFrame(shared).T, "nominal").alpha), len(shared)


def wins_by_prompt(votes: Sequence[Vote], models: int) -> NDArray[np.float64]:
    """How often the row's model won from the column's, (prompts that have votes, models, models); a tie is half a win of either."""
    numbers = {name: number for number, name in enumerate(sorted({vote.question.prompt for vote in votes}))}
    wins = np.zeros((len(numbers), models, models))
    for vote in votes:
        prompt, a, b = numbers[vote.question.prompt], vote.question.a, vote.question.b
        share = {"a": 1.0, "tie": 0.5, "b": 0.0}[vote.answer]
        wins[prompt, a, b] += share
        wins[prompt, b, a] += 1 - share
    return wins


def resampled(by_prompt: NDArray[np.float64], seed: int, replicates: int = REPLICATES) -> NDArray[np.float64]:
    """Sums over prompts in every repetition of the bootstrap, (replicates, …) of (prompts, …)."""
    counts = np.stack(list(draws(len(by_prompt), replicates, seed))).astype(float)
    return np.tensordot(counts, by_prompt, axes=1)


def estimate(value: float, replicates: NDArray[np.float64], prompts: int) -> Estimate:
    """A figure with its percentile interval; none of a single prompt, or where most repetitions have no value."""
    known = replicates[~np.isnan(replicates)]
    if prompts < 2 or len(known) < len(replicates) / 2:
        return Estimate(value=float(value), low=None, high=None)
    # Not between two repetitions: one of them may be infinite.
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf")
    return Estimate(value=float(value), low=float(low), high=float(high))


def _compared(
    names: Sequence[str], votes: Sequence[Vote], seed: int
) -> tuple[list[ModelResult], list[PairResult]]:
    """Win rates and Elo of pictures that were compared."""
    by_prompt = wins_by_prompt(votes, len(names))
    prompts, wins = len(by_prompt), by_prompt.sum(0)
    drawn = resampled(by_prompt, seed)
    strength, strengths = bradley_terry(wins[None])[0], bradley_terry(drawn)
    rating, ratings = elo(strength), elo(strengths)
    with np.errstate(invalid="ignore"):
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


def _judged(
    names: Sequence[str], votes: Sequence[Vote], seed: int
) -> tuple[list[ModelResult], list[PairResult]]:
    """Success rates of pictures that were judged by themselves; the others' change against the first, as RECAP has it."""
    numbers = {name: number for number, name in enumerate(sorted({vote.question.prompt for vote in votes}))}
    by_prompt = np.zeros((len(numbers), len(names), 2))
    pictures: list[dict[int, int]] = [{} for _ in names]
    for vote in votes:
        model, success = vote.question.a, vote.answer == "yes"
        by_prompt[numbers[vote.question.prompt], model] += (success, 1)
        own = pictures[model]
        own[vote.question.id] = own.get(vote.question.id, 0) + (1 if success else -1)
    total, drawn = by_prompt.sum(0), resampled(by_prompt, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, rates = total[:, 0] / total[:, 1], drawn[..., 0] / drawn[..., 1]
        change, changes = rate / rate[0] - 1, rates / rates[:, :1] - 1
    models = [
        ModelResult(
            name=name,
            ratings=int(total[model, 1]),
            rate=estimate(rate[model], rates[:, model], len(numbers)),
            majority=_majority(list(pictures[model].values())),
            pictures=sum(balance != 0 for balance in pictures[model].values()),
        )
        for model, name in enumerate(names)
    ]
    pairs = [
        PairResult(a=names[0], b=names[b], change=estimate(change[b], changes[:, b], len(numbers)))
        for b in range(1, len(names))
    ]
    return models, pairs


def _majority(balances: Sequence[int]) -> Estimate | None:
    """Share of pictures with more successes than failures, with Wilson's interval; None without pictures."""
    from scipy.stats import binomtest

    decided = [balance > 0 for balance in balances if balance]
    if not decided:
        return None
    found = binomtest(sum(decided), len(decided)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(value=sum(decided) / len(decided), low=float(found.low), high=float(found.high))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(results: HumansResults) -> list[list[str]]:
    """Rows of the table of models, the header first."""
    if results.protocol == "success":
        rows = [["", "success", "by majority", "ratings"]]
        for each in results.models:
            majority = each.majority.text("{:.1f} %", 100.0) if each.majority else "–"
            rows.append([each.name, each.rate.text("{:.1f} %", 100.0), majority, f"{each.ratings:,}"])
        return rows
    rows = [["", "Elo", "strength", "win rate", "ratings"]]
    for each in results.models:
        assert each.elo is not None
        assert each.strength is not None
        cells = [each.elo.text(), each.strength.text("{:.2f}"), each.rate.text("{:.1f} %", 100.0)]
        rows.append([each.name, *cells, f"{each.ratings:,}"])
    return rows


def pair_table(results: HumansResults) -> list[list[str]]:
    """Rows of the table of two models each, the header first; no rows where there are none."""
    if results.protocol == "success":
        rows = [
            [f"{each.b} against {each.a}", each.change.text("{:+.1f} %", 100.0)]
            for each in results.pairs
            if each.change
        ]
        return [["", "change of the success rate"], *rows] if rows else []
    rows = [["", "wins", "ties", "losses", "win rate"]]
    for each in results.pairs:
        if each.rate is not None:
            counts = [f"{number:,}" for number in (each.wins, each.ties, each.losses)]
            rows.append([f"{each.a} against {each.b}", *counts, each.rate.text("{:.1f} %", 100.0)])
    return rows if len(rows) > 1 else []


def rater_table(results: HumansResults) -> list[list[str]]:
    """Rows of the table of raters, the header first."""
    rows = [
        [each.name, f"{each.ratings:,}", "–" if each.seconds is None else f"{each.seconds:.1f} s"]
        for each in results.raters
    ]
    return [["", "ratings", "median time"], *rows] if rows else []


def intervals(results: HumansResults) -> str:
    """Which intervals the tables have."""
    if results.protocol == "success":
        return "95 % intervals: by a bootstrap over prompts; of the share by majority, Wilson's"
    return "95 % intervals: by a bootstrap over prompts; a tie is half a win of either"


def notes(results: HumansResults) -> Iterator[str]:
    """What is to be said beside the tables, a sentence each."""
    yield (
        f"{results.ratings:,} of {results.wanted:,} ratings, on {results.prompts:,} of {results.all_prompts:,} prompts, by "
        f"{len(results.raters):,} {'rater' if len(results.raters) == 1 else 'raters'}"
    )
    if results.agreement is not None:
        yield f"agreement: Krippendorff's α {results.agreement:.3f}, over {results.shared:,} questions with several raters"
    elif results.ratings:
        yield "agreement: none to state, as long as no two raters answered the same questions, or all answers are the same"
    if results.left is not None:
        yield f"the left picture was chosen in {100 * results.left:.1f} % of the decided comparisons"
    if results.skipped:
        yield f"{results.skipped:,} questions were skipped by a rater"
    if results.unreadable:
        yield f"{results.unreadable:,} questions were not asked, since a picture cannot be shown"
    if any(each.elo is not None and not math.isfinite(each.elo.value) for each in results.models):
        yield "Elo is infinite where a model won, or lost, all comparisons with another"


def _lines(results: HumansResults) -> Iterator[str]:
    if not results.ratings:
        yield f"no ratings yet in {results.out}, of {results.wanted:,}"
        return
    for rows in (table(results), pair_table(results)):
        if rows:
            cells = [[one_line(cell) for cell in row] for row in rows]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            for row in cells:
                yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            yield ""
    yield intervals(results)
    yield from notes(results)
