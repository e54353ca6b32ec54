"""Verdicts → rates with intervals: in all, by category, and of pictures under another picture's prompt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recaptrain.evaluation.intervals import percentile_interval, replicate, weighted_mean
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
        unparsable: answers without a verdict; `failed` pictures without an answer. Neither counts in the value.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    prompts: int
    verdicts: Mapping[str, int]
    unparsable: int
    failed: int


def values(judgements: Sequence[Judgement], protocol: JudgingProtocol) -> Sequence[float]:
    """The value of each verdict; NaN where there is none."""
    return [float("nan") if each.verdict is None else protocol.verdicts[each.verdict] for each in judgements]


def rates(judgements: Sequence[Judgement], protocol: JudgingProtocol, seed: int = 0) -> list[Rate]:
    """The rate of all, then of each category in the order in which they come.

    Pictures count alike, as in DALL·E 3's 563 of 800; the bootstrap draws prompts with all their pictures, the same for every category.
    """
    categories = dict.fromkeys(each.category for each in judgements if each.category is not None)
    return [
        _rate(name, judgements, protocol, seed, None if name == ALL else name)
        for name in (ALL, *(name for name in categories if name != ALL))
    ]


def _rate(
    name: str, judgements: Sequence[Judgement], protocol: JudgingProtocol, seed: int, category: str | None
) -> Rate:
    numbers = {
        prompt: number for number, prompt in enumerate(sorted({each.prompt_id for each in judgements}))
    }
    own = [each for each in judgements if category is None or each.category == category]
    judged = [each for each in own if each.verdict is not None]
    value = low = high = None
    if judged:
        mean = weighted_mean(values(judged, protocol))
        value = mean(np.ones(len(judged), np.int64))
        if len({each.prompt_id for each in judged}) > 1:
            statistic = Statistic(name=name, n=len(judged), value=mean)
            prompt_of = np.array([numbers[each.prompt_id] for each in judged], np.int64)
            found = percentile_interval(replicate(statistic, prompt_of, len(numbers), seed))
            low, high = found or (None, None)
    given = Counter(each.verdict for each in judged)
    return Rate(
        name=name,
        value=value,
        low=low,
        high=high,
        n=len(judged),
        prompts=len({each.prompt_id for each in judged}),
        verdicts={word: given[word] for word in protocol.verdicts},
        unparsable=sum(each.unparsable for each in own),
        failed=sum(each.answer is None for each in own),
    )
