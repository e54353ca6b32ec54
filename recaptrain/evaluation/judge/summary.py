"""What the judge made of runs: rates, comparisons, and the table for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recapdata.display import one_line, shown_as_text
from recaptrain.evaluation.evaluations import Difference
from recaptrain.evaluation.judge.scoring import Rate

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = "verdicts.jsonl"
SHUFFLED = "shuffled"
"""Name of the rate of pictures under another picture's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """What the judge made of one run.

    Attributes:
        prompts_digest: a hash over the prompts and how many pictures each has.
        made_with: what the pictures were made with; `judge` and `protocol` who judged them, and by what.
        rates: of all pictures, then of each category.
        shuffled: of pictures under another picture's prompt, which shows none of what it is judged by: the judge's floor.
        folder: of answers and verdicts.
    """

    name: str
    source: str
    pictures: int
    prompts: int
    prompts_digest: str
    made_with: Mapping[str, Any]
    judge: Mapping[str, Any]
    protocol: Mapping[str, Any]
    unit: str
    asked: int
    rates: Sequence[Rate]
    shuffled: Rate | None
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class JudgeSummary:
    """The verdicts on all runs; `complete` is false where the judge gave no answer about some picture."""

    out: str
    runs: Sequence[JudgedRun]
    differences: Sequence[Difference]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every picture has an answer."""
        return not any(rate.failed for run in self.runs for rate in _all_rates(run))

    @property
    def table(self) -> "pd.DataFrame":
        """A row per run and category: images, category, value, low, high, n, prompts, unparsable, cut, failed."""
        import pandas as pd

        names = ("value", "low", "high", "n", "prompts", "unparsable", "cut", "failed")
        return pd.DataFrame(
            [
                {"images": run.name, "category": each.name, **{name: getattr(each, name) for name in names}}
                for run in self.runs
                for each in _all_rates(run)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complete": self.complete}

    def text(self) -> str:
        """The closing table for the terminal."""
        return "\n".join(_lines(self))


def _all_rates(run: JudgedRun) -> list[Rate]:
    return [*run.rates, *([run.shuffled] if run.shuffled else [])]


def _cell(rate: Rate | None, unit: str) -> str:
    """`70.4 % [64.9, 75.8], n 800`."""
    if rate is None or rate.value is None:
        return "–"
    shown = f"{rate.value:.{1 if unit else 2}f}{f' {unit}' if unit else ''}"
    interval = (
        "" if rate.low is None else f" [{rate.low:.{1 if unit else 2}f}, {rate.high:.{1 if unit else 2}f}]"
    )
    return f"{shown}{interval}, n {rate.n:,}"


def _lines(summary: JudgeSummary) -> Iterator[str]:
    runs = summary.runs
    by_run = [{rate.name: rate for rate in run.rates} for run in runs]
    names = list(dict.fromkeys(name for own in by_run for name in own))
    columns = [
        ["", *map(one_line, names)]
    ]  # categories are a stranger's words; one may be called as the floor is
    columns += [
        [one_line(run.name), *(_cell(own.get(name), run.unit) for name in names)]
        for run, own in zip(runs, by_run, strict=True)
    ]
    shuffled = any(run.shuffled for run in runs)
    if shuffled:
        floors = [SHUFFLED, *(_cell(run.shuffled, run.unit) for run in runs)]
        columns = [[*column, floor] for column, floor in zip(columns, floors, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    floor = "; shuffled: pictures under another picture's prompt" if shuffled else ""
    yield f"(95 % intervals by a bootstrap over prompts{floor})"
    for run in runs:
        parts = [
            f"{run.name}: {run.pictures:,} pictures of {run.prompts:,} prompts, {run.asked:,} asked about now"
        ]
        for what, count in _trouble(run):
            parts.append(f"{count:,} {what}")
        yield "; ".join(parts)
    for each in summary.differences:
        if each.value is None:
            yield f"{each.b} and {each.a} are not compared: {each.why}"
        else:
            digits = 1 if runs[0].unit else 2
            interval = "" if each.low is None else f" [{each.low:+.{digits}f}, {each.high:+.{digits}f}]"
            n = f" (n {each.n:,}, with a verdict in both)"
            yield f"{one_line(each.figure)}: {each.b} − {each.a} {each.value:+.{digits}f}{interval}{n}, {each.verdict()}"
    judge = runs[0].judge
    at = f"@{judge['revision']}" if judge.get("revision") else " (of no known revision)"
    yield f"judged by {judge['model']}{at}, protocol {runs[0].protocol['name']}"
    yield f"answers, verdicts and figures in {', '.join(run.folder for run in runs)}"


def _trouble(run: JudgedRun) -> Iterator[tuple[str, int]]:
    """What counts in no rate."""
    everything = [run.rates[0], *([run.shuffled] if run.shuffled else [])]
    unparsable, cut, failed = (
        sum(getattr(rate, name) for rate in everything) for name in ("unparsable", "cut", "failed")
    )
    if unparsable:
        advice = f" ({cut:,} of them were cut off: raise --max-tokens)" if cut else ""
        yield f"answers without a verdict, which count nowhere{advice}", unparsable
    if failed:
        yield f"without an answer (why stands in {VERDICTS}); the same command asks about them again", failed
