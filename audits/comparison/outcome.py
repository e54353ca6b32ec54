"""What a comparison hands back, as plain data and as the terminal shows it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recapdata.versions.comparable import Reason, sentence
from recapdata.versions.figures import FEW, FigureValue

Direction = Literal["worse", "better", "changed"]
Verdict = Literal["better", "worse", "different", "no difference", "not compared"]
SYMBOLS: dict[Verdict, str] = {
    "better": "▲",
    "worse": "▼",
    "different": "◆",
    "no difference": "·",
    "not compared": " ",
}
SHOWN_CHARACTERS = 240
SHOWN_ROWS = 5
SHOWN_CLAIMS = 4
BRIEF_SETS, BRIEF_FIGURES = 3, 8
"""Caption sets, and of either the figures that differ, in the short form of a comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureDifference:
    """One figure on the records that both sides have a caption for.

    Attributes:
        a, b: the figure of either side with its own interval; None where a side has none.
        difference: b − a in the figure's unit; None where the two may not be compared.
        low, high: 95 % interval of the difference.
        n: captions or claims that the smaller side was measured on.
        reasons: why the two may not be compared; empty where they may.
    """

    name: str
    a: FigureValue | None
    b: FigureValue | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def reason(self) -> str:
        """Why the two may not be compared and what to type, a sentence; empty where they may."""
        return sentence([self.name], self.reasons) if self.reasons else ""

    @property
    def verdict(self) -> Verdict:
        """In a word: whether the interval of the difference leaves out nought, and which way is better."""
        if self.difference is None or self.low is None or self.high is None or self.a is None:
            return "not compared"
        if self.low <= 0 <= self.high:
            return "no difference"
        if self.a.better is None:
            return "different"
        return "better" if (self.difference > 0) == (self.a.better == "higher") else "worse"

    def text(self) -> str:
        """The difference as a person reads it: `+12.3 points (+10.0 to +14.6)` of a share, `−0.41 (…)` of a number."""
        if self.difference is None or self.low is None or self.high is None or self.a is None:
            return "–"
        scale, places = (100, 1) if self.a.unit == "share" else (1, 2)
        if self.a.unit == "words":
            places = 0
        value, low, high = (_signed(scale * each, places) for each in (self.difference, self.low, self.high))
        unit = " points" if self.a.unit == "share" else ""
        few = f", n = {self.n}" if self.n is not None and self.n < FEW else ""
        return f"{value}{unit} ({low} to {high}){few}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSide:
    """One record's caption on one side.

    Attributes:
        claims, contradicted: as short phrases, the latter with the evidence against them.
    """

    caption: str
    words: int
    clip_score: float | None
    claims: tuple[str, ...]
    contradicted: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A record that changed much.

    Attributes:
        source: the file or row that its image came from.
        direction: `changed` where neither evidence nor CLIP can tell which way is better.
        now_wrong: contradicted claims that only the second side makes; `no_longer_wrong` only the first.
    """

    key: str
    source: str
    direction: Direction
    a: RowSide
    b: RowSide
    now_wrong: tuple[str, ...]
    no_longer_wrong: tuple[str, ...]

    @property
    def clip_change(self) -> float | None:
        """Gain in 100·cos; None where a side has no score."""
        if self.a.clip_score is None or self.b.clip_score is None:
            return None
        return self.b.clip_score - self.a.clip_score

    def what(self) -> list[str]:
        """What changed, a phrase each."""
        found = [f"now wrong: {_few(self.now_wrong)}"] if self.now_wrong else []
        found += [f"no longer wrong: {_few(self.no_longer_wrong)}"] if self.no_longer_wrong else []
        if self.clip_change is not None:
            found.append(f"CLIP score {_signed(self.clip_change, 1)}")
        return [*found, f"{self.a.words} → {self.b.words} words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetComparison:
    """Two caption sets record by record.

    Attributes:
        pairs: records with a caption on either side, on which every figure and difference rests.
        only: records that the other side does not hold at all, by side.
        without: records that both hold but for which a side has no caption, by side.
    """

    sets: tuple[str, str]
    pairs: int
    only: tuple[int, int]
    without: tuple[int, int]
    figures: tuple[FigureDifference, ...]
    rows: tuple[RowChange, ...]

    def __repr__(self) -> str:
        a, b = self.sets
        return f"<{a} → {b}: {self.pairs:,} pairs, {len(self.figures)} figures, {len(self.rows)} rows that changed most>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome of `audits compare`.

    Attributes:
        targets: names that mean the same data tomorrow; `names` are those that were typed.
        left_out: caption sets of either target that were not compared.
    """

    targets: tuple[str, str]
    names: tuple[str, str]
    sets: tuple[SetComparison, ...]
    left_out: Sequence[str] = ()

    @property
    def figures(self) -> tuple[FigureDifference, ...]:
        """The differences of all compared sets."""
        return tuple(figure for each in self.sets for figure in each.figures)

    @property
    def rows(self) -> tuple[RowChange, ...]:
        """The rows of all compared sets that changed most."""
        return tuple(row for each in self.sets for row in each.rows)

    def __repr__(self) -> str:
        return self.brief()

    def brief(self) -> str:
        """What differs between the first sets, figure by figure, and how many rows changed: what a notebook shows of it."""
        lines: list[str] = []
        for each in self.sets[:BRIEF_SETS]:
            lines += [*self._head(each), *_differing(each), ""]
        more = len(self.sets) - BRIEF_SETS
        lines += (
            [f"and {more} more caption sets" if more > 1 else "and one more caption set"] if more > 0 else []
        )
        return "\n".join([*lines, "all of it: print(difference.text()); tables: difference.figures, .rows"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        values = asdict(self)
        for each, found in zip(self.sets, values["sets"], strict=True):
            for figure, plain in zip(each.figures, found["figures"], strict=True):
                plain |= {"verdict": figure.verdict, "reason": figure.reason}
            for row, plain in zip(each.rows, found["rows"], strict=True):
                plain["clip_change"] = row.clip_change
        return values

    def text(self) -> str:
        """Tables of figures and the rows that changed most, set by set."""
        lines: list[str] = []
        for each in self.sets:
            lines += [*self._head(each), "", *_table(each), "", *_rows(each), ""]
        if self.left_out:
            lines.append(f"not compared: {', '.join(self.left_out)}")
        return "\n".join(lines).rstrip()

    def _head(self, each: SetComparison) -> Iterator[str]:
        same = self.names[0] == self.names[1]
        sides = [
            name if same else f"{name} of {target}"
            for name, target in zip(each.sets, self.names, strict=True)
        ]
        yield f"a: {sides[0]}{f' of {self.names[0]}' if same else ''}"
        yield f"b: {sides[1]}{f' of {self.names[1]}' if same else ''}"
        yield f"{each.pairs:,} records with a caption in both"
        for side, only, without in zip("ab", each.only, each.without, strict=True):
            if only:
                yield f"  {only:,} records only in {side}, left out"
            if without:
                yield f"  {without:,} records without a caption in {side}, left out"


def _differing(each: SetComparison) -> Iterator[str]:
    """The figures that differ, the first of them by name, and how many do not."""
    verdicts = [figure.verdict for figure in each.figures]
    differing = [figure for figure in each.figures if figure.verdict in ("better", "worse", "different")]
    for figure in differing[:BRIEF_FIGURES]:
        yield f"  {SYMBOLS[figure.verdict]} {figure.name}: {figure.text()}"
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in SYMBOLS if verdict in verdicts]
    yield f"  figures: {', '.join(counts)}; {len(each.rows)} rows that changed most"


def _table(each: SetComparison) -> Iterator[str]:
    rows = [("", "a", "b", "b − a", "")]
    for figure in each.figures:
        a, b = (side.text() if side is not None else "–" for side in (figure.a, figure.b))
        rows.append((figure.name, a, b, figure.text(), f"{SYMBOLS[figure.verdict]} {figure.verdict}"))
    widths = [max(len(row[place]) for row in rows if len(row[place]) <= 40) for place in range(4)]
    for name, a, b, change, verdict in rows:
        line = f"{name:<{widths[0]}}  {a:>{widths[1]}}  {b:>{widths[2]}}  {change:>{widths[3]}}  {verdict}"
        yield line.rstrip()
    compared = [figure for figure in each.figures if figure.verdict != "not compared"]
    yield from _not_compared(each)
    yield (
        "(95 % paired bootstrap intervals; a difference is called one where its interval leaves out nought, which "
        f"chance alone would do for about {max(round(0.05 * len(compared)), 1)} of these {len(compared)})"
    )


def _not_compared(each: SetComparison) -> Iterator[str]:
    """What cannot be compared, why, and what to type, in one sentence; nothing where all can."""
    unlike = [figure for figure in each.figures if figure.reasons]
    if unlike:
        reasons = [reason for figure in unlike for reason in figure.reasons]
        yield f"not compared: {sentence([figure.name for figure in unlike], reasons)}"


def _rows(each: SetComparison) -> Iterator[str]:
    titles = {
        "worse": "Changed most for the worse",
        "better": "Changed most for the better",
        "changed": "Changed most in length (no evidence and no CLIP score tells which is better)",
    }
    for direction, title in titles.items():
        rows = [row for row in each.rows if row.direction == direction]
        if not rows:
            continue
        shown = rows[:SHOWN_ROWS]
        more = f" (the first {len(shown)} of {len(rows)}; all with --json)" if len(rows) > len(shown) else ""
        yield f"{title}{more}:"
        for row in shown:
            yield f"  {row.key[:12]}  {row.source}  {'; '.join(row.what())}"
            yield f"    a  {_short(row.a.caption)}"
            yield f"    b  {_short(row.b.caption)}"


def _signed(value: float, places: int) -> str:
    text = f"{value:+.{places}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{places}f}"


def _few(phrases: Sequence[str]) -> str:
    shown = ", ".join(phrases[:SHOWN_CLAIMS])
    more = len(phrases) - SHOWN_CLAIMS
    return f"{shown} and {more} more" if more > 0 else shown


def _short(caption: str) -> str:
    line = " ".join(caption.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + " …"
