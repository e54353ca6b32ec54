"""Results of a study: figures of models, pairs and raters, and their tables for the terminal and the page."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recapdata.display import finite, one_line, shown_as_text
from recaptrain.evaluation.humans.estimates import Estimate
from recaptrain.evaluation.humans.protocols import PROTOCOLS, ProtocolName

if TYPE_CHECKING:
    import pandas as pd


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

    protocol: ProtocolName
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

    @property
    def table(self) -> "pd.DataFrame":
        """A row per model: model, ratings, and of rate, strength, elo, majority those of the protocol, with `_low` and `_high`."""
        import pandas as pd

        rows = []
        for each in self.models:
            row: dict[str, Any] = {"model": each.name, "ratings": each.ratings}
            for name in ("rate", "strength", "elo", "majority"):
                own = getattr(each, name)
                if own is not None:
                    row |= {name: own.value, f"{name}_low": own.low, f"{name}_high": own.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON takes them: null where a figure is not finite."""
        found = finite(asdict(self))
        assert isinstance(found, dict)
        return found

    def text(self) -> str:
        """The tables for a terminal."""
        return "\n".join(_lines(self))


def table(results: HumansResults) -> list[list[str]]:
    """Rows of the table of models, the header first."""
    if not PROTOCOLS[results.protocol].pairwise:
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
    if not PROTOCOLS[results.protocol].pairwise:
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
    if not PROTOCOLS[results.protocol].pairwise:
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
        yield f"questions that a rater skipped: {results.skipped:,}"
    if results.unreadable:
        yield f"questions not asked, since a picture cannot be shown: {results.unreadable:,}"
    if any(each.elo is not None and each.elo.infinite for each in results.models):
        yield "∞: a model won, or lost, all comparisons with another, of all votes or of those that the bootstrap drew"


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
