"""Verdicts → rates with intervals: in all, by category, and of pictures under another picture's prompt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recaptrain.evaluation.intervals import Mean, percentile_interval, replicate, weighted_mean
from recaptrain.evaluation.judge.protocols import JudgingProtocol
from recaptrain.evaluation.metrics import Statistic

ALL = "all"
"""Name of the rate over all pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A picture and what the judge said of it.

    Attributes:
        id, prompt_id, category: see `Picture`.
        prompt: what the picture was judged against.
        verdict: one of the protocol's words; None where there is none.
        answer: the judge's words, whole; None where it gave none.
        error: why it gave none, which opens with the type of the failure.
    """

    id: str
    prompt_id: str
    prompt: str
    category: str | None = None
    verdict: str | None = None
    answer: str | None = None
    finish_reason: str | None = None
    tokens: int | None = None
    error: str | None = None

    @property
    def unparsable(self) -> bool:
        """Whether there is an answer without a verdict."""
        return self.answer is not None and self.verdict is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The mean value of verdicts.

    Attributes:
        name: `all`, or a category.
        value: mean over the pictures with a verdict, in the protocol's unit; None where there is no verdict.
        low, high: 95 % interval by a bootstrap over prompts; None where there is none, as of a single prompt.
        n: pictures with a verdict; `prompts` how many prompts they are of.
        verdicts: how often each verdict was given.
        unparsable: answers without a verdict, `cut` of them cut off by the limit of tokens; `failed` pictures without an answer. None
            of them counts in the value.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    prompts: int
    verdicts: Mapping[str, int]
    unparsable: int
    cut: int
    failed: int


def rates(judgements: Sequence[Judgement], protocol: JudgingProtocol, seed: int = 0) -> list[Rate]:
    """The rate of all, then of each category in the order in which they come.

    Pictures count alike, as in DALL·E 3's 563 of 800; the bootstrap draws prompts with all their pictures, the same for every category.
    """
    return [_rate(name, judgements, protocol, seed) for name in _names(judgements)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDifference:
    """b − a over the pictures that both have a verdict on.

    Attributes:
        low, high: 95 % interval; None of a single prompt.
        n: pictures of each.
    """

    value: float
    low: float | None
    high: float | None
    n: int


def rate_differences(
    a: Sequence[Judgement], b: Sequence[Judgement], protocol: JudgingProtocol, seed: int = 0
) -> dict[str, RateDifference]:
    """b − a, paired by picture and resampled by prompt: of all, and of each category of which any picture has a verdict in both.

    A picture whose verdict is missing in one run counts in neither: a judge fails on some prompts rather than on others.

    Args:
        a, b: judgements of pictures of the same prompts, as many of each.
    """
    pairs = [pair for pair in _pairs(a, b) if all(each.verdict is not None for each in pair)]
    found = {}
    for name in (name for name in _names(a) if name in _names(b)):
        both = [pair for pair in pairs if name in (ALL, pair[0].category)]
        if both:
            one, other = (list(each) for each in zip(*both, strict=True))
            change = _replicates(other, b, protocol, seed) - _replicates(one, a, protocol, seed)
            low, high = percentile_interval(change) or (None, None)
            value = _value(other, protocol) - _value(one, protocol)
            found[name] = RateDifference(value=value, low=low, high=high, n=len(both))
    return found


def _pairs(a: Sequence[Judgement], b: Sequence[Judgement]) -> list[tuple[Judgement, Judgement]]:
    """The pictures of two runs that belong together: those of one name, and where names differ, the first of a prompt with the first."""
    ours, theirs = ({each.id: each for each in judgements} for judgements in (a, b))
    if ours.keys() != theirs.keys():
        ours, theirs = _by_place(a), _by_place(b)
    return [(each, theirs[name]) for name, each in ours.items() if name in theirs]


def _by_place(judgements: Sequence[Judgement]) -> dict[Any, Judgement]:
    """Judgements by their prompt and their place among its pictures."""
    places: Counter[str] = Counter()
    found = {}
    for each in judgements:
        found[each.prompt_id, places[each.prompt_id]] = each
        places[each.prompt_id] += 1
    return found


def _names(judgements: Sequence[Judgement]) -> list[str]:
    return list(dict.fromkeys([ALL, *(each.category for each in judgements if each.category is not None)]))


def _of(judgements: Sequence[Judgement], name: str) -> list[Judgement]:
    return [each for each in judgements if name in (ALL, each.category)]


def _judged(judgements: Sequence[Judgement], name: str) -> list[Judgement]:
    return [each for each in _of(judgements, name) if each.verdict is not None]


def _mean(judged: Sequence[Judgement], protocol: JudgingProtocol) -> Mean:
    return weighted_mean([protocol.verdicts[str(each.verdict)] for each in judged])


def _value(judged: Sequence[Judgement], protocol: JudgingProtocol) -> float:
    return _mean(judged, protocol)(np.ones(len(judged), np.int64))


def _replicates(
    judged: Sequence[Judgement], judgements: Sequence[Judgement], protocol: JudgingProtocol, seed: int
) -> NDArray[np.float64]:
    """The mean in every repetition; none where all are of one prompt."""
    if len({each.prompt_id for each in judged}) < 2:
        return np.array([])
    numbers = {name: number for number, name in enumerate(sorted({each.prompt_id for each in judgements}))}
    prompt_of = np.array([numbers[each.prompt_id] for each in judged], np.int64)
    statistic = Statistic(name=ALL, n=len(judged), value=_mean(judged, protocol))
    return replicate(statistic, prompt_of, len(numbers), seed)


def _rate(name: str, judgements: Sequence[Judgement], protocol: JudgingProtocol, seed: int) -> Rate:
    own, judged = _of(judgements, name), _judged(judgements, name)
    low, high = percentile_interval(_replicates(judged, judgements, protocol, seed)) or (None, None)
    given = Counter(each.verdict for each in judged)
    return Rate(
        name=name,
        value=_value(judged, protocol) if judged else None,
        low=low,
        high=high,
        n=len(judged),
        prompts=len({each.prompt_id for each in judged}),
        verdicts={word: given[word] for word in protocol.verdicts},
        unparsable=sum(each.unparsable for each in own),
        cut=sum(each.unparsable and each.finish_reason == "length" for each in own),
        failed=sum(each.answer is None for each in own),
    )
