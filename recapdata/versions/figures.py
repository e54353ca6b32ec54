"""Audit figures as the summary holds them: read, put side by side, and judged, with no knowledge of any one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recapdata.versions.comparable import Made, Reason, affected, comparable, sentence

Better = Literal["higher", "lower"]
MINUS = "−"
FEW = 30
"""Below this many captions a figure is shown with their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureValue:
    """One measured number with its confidence interval.

    Attributes:
        low, high: bounds of the interval; None where there is none.
        unit: `share` is shown as a percentage, any other as the number.
        better: which way is better; None where neither is.
        n: captions (or claims) it was measured on.
        rests_on: the parts of the audit that it depends on, names of `recapdata.versions.comparable.PARTS`; empty where that is
            not known.
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    better: Better | None = None
    n: int | None = None
    rests_on: tuple[str, ...] = ()

    def text(self) -> str:
        """The number as a person reads it: with its interval, and n where it is small: `41.2 % (39.0–43.1)`, `−0.4 (−1.2 to 0.3)`."""
        text = self._number(self.value) + (" %" if self.unit == "share" else "")
        if self.low is not None and self.high is not None:
            to = " to " if self.low < 0 else "–"  # a dash beside a minus is read as another
            text += f" ({self._number(self.low)}{to}{self._number(self.high)})"
        return text if self.n is None or self.n >= FEW else f"{text}, n = {self.n}"

    def _number(self, value: float) -> str:
        """One form for the value and its bounds: whole numbers only where all three are."""
        if self.unit == "share":
            return f"{100 * value:.1f}"
        return self._plain_number(value).replace("-", MINUS)

    def _plain_number(self, value: float) -> str:
        bounds = [bound for bound in (self.value, self.low, self.high) if bound is not None]
        if all(bound == round(bound) or abs(bound) >= 1000 for bound in bounds):
            return f"{value:,.0f}"
        return f"{value:.2g}" if max(map(abs, bounds)) < 0.1 else f"{value:.2f}"

    def apart(self, other: "FigureValue") -> bool:
        """Whether the two intervals do not overlap."""
        bounds = (self.low, self.high, other.low, other.high)
        if any(bound is None for bound in bounds):
            return False
        return self.low > other.high or self.high < other.low  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureChange:
    """A figure of one caption set in two versions; None where a version lacks it."""

    set_name: str
    name: str
    before: FigureValue | None
    after: FigureValue | None

    @property
    def verdict(self) -> Literal["better", "worse", "changed", ""]:
        """Empty unless the intervals lie apart."""
        if self.before is None or self.after is None or not self.before.apart(self.after):
            return ""
        if self.after.better is None:
            return "changed"
        rose = self.after.value > self.before.value
        return "better" if rose == (self.after.better == "higher") else "worse"

    def text(self) -> str:
        """One line: `recap-short: object precision 91.0 % (90.2–91.8) → 80.1 % (79.0–81.2)`."""
        before = self.before.text() if self.before else "–"
        after = self.after.text() if self.after else "–"
        return f"{self.set_name}: {self.name} {before} → {after}"


def read_figures(summary: Mapping[str, Any] | None) -> dict[str, dict[str, FigureValue]]:
    """The figures of an audit summary: set → figure name → figure, in reading order; nothing for None."""
    known = ("value", "low", "high", "unit", "better", "n")
    return {
        set_name: {
            name: FigureValue(
                rests_on=tuple(values.get("rests_on") or ()),
                **{field: values[field] for field in known if values.get(field) is not None},
            )
            for name, values in each.get("figures", {}).items()
            if values.get("value") is not None
        }
        for set_name, each in (summary or {}).get("sets", {}).items()
    }


def compare_figures(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[FigureChange, ...]:
    """Every figure of the sets that either summary has, in the order of the later summary."""
    old, new = read_figures(before), read_figures(after)
    changes = []
    for set_name in [*new, *(name for name in old if name not in new)]:
        mine, theirs = old.get(set_name, {}), new.get(set_name, {})
        for name in [*theirs, *(name for name in mine if name not in theirs)]:
            changes.append(
                FigureChange(set_name=set_name, name=name, before=mine.get(name), after=theirs.get(name))
            )
    return tuple(changes)


def incomparable(
    changes: Sequence[FigureChange],
    summaries: Sequence[Mapping[str, Any] | None],
    targets: Sequence[str],
    *,
    published: Sequence[bool],
) -> dict[tuple[str, str], list[Reason]]:
    """The figures of two summaries that were measured differently, by set and name, with the reasons.

    Args:
        targets: the folders or `user/name@revision` that the summaries are of; `published` the latter.
    """
    found: dict[tuple[str, str], list[Reason]] = {}
    reasons: dict[str, list[Reason]] = {}
    for change in changes:
        if change.before is None or change.after is None:
            continue
        name = change.set_name
        if name not in reasons:
            before, after = (
                Made.from_summary(summary or {}, name, target, published=fixed)
                for summary, target, fixed in zip(summaries, targets, published, strict=True)
            )
            reasons[name] = comparable(before, after)
        mine = affected(reasons[name], {*change.before.rests_on, *change.after.rests_on})
        if mine:
            found[name, change.name] = mine
    return found


def not_compared(found: Mapping[tuple[str, str], Sequence[Reason]]) -> list[str]:
    """A sentence for each caption set with figures that `incomparable` found."""
    sentences = []
    for set_name in dict.fromkeys(name for name, _ in found):
        mine = {figure: reasons for (name, figure), reasons in found.items() if name == set_name}
        reasons = [reason for each in mine.values() for reason in each]
        sentences.append(f"{set_name}: {sentence(list(mine), reasons)}")
    return sentences
