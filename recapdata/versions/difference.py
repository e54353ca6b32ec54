"""`recapdata diff`: two versions, or a folder and a version, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recapdata.dataset.target import open_dataset
from recapdata.display import html_table, shown_as_text
from recapdata.versions.changes import Changes, compare, counted
from recapdata.versions.comparable import Reason
from recapdata.versions.contents import contents_of
from recapdata.versions.figures import FigureChange, compare_figures, incomparable, not_compared

SHOWN_CHARACTERS = 160
FIGURE_WIDTH = 26


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class DiffSummary:
    """What differs between two targets.

    Attributes:
        before, after: names that mean the same data tomorrow (`user/name@commit`).
        fingerprints: of both; equal ones hold the same keys and captions.
        incomparable: figures that the two audits measured differently, by set and name, with the reasons.
    """

    before: str
    after: str
    names: tuple[str, str]
    fingerprints: tuple[str, str]
    changes: Changes
    figures: tuple[FigureChange, ...]
    incomparable: Mapping[tuple[str, str], Sequence[Reason]]

    @property
    def not_compared(self) -> list[str]:
        """A sentence for each caption set with figures that the two audits measured differently: which, why, and what to type."""
        return not_compared(self.incomparable)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        from dataclasses import asdict

        changes = asdict(self.changes)
        figures = [{**asdict(figure), "verdict": self._verdict(figure)} for figure in self.figures]
        return {
            "before": self.before,
            "after": self.after,
            "fingerprints": list(self.fingerprints),
            "level": self.changes.level,
            **changes,
            "figures": figures,
            "figures_comparable": not self.incomparable,
            "not_compared": self.not_compared,
        }

    def text(self) -> str:
        """The difference as the terminal shows it."""
        changes = self.changes
        lines = [
            f"{self.names[0]} → {self.names[1]}",
            "",
            f"Rows        {changes.rows_before:,} → {changes.rows_after:,}  "
            f"(+{changes.added:,} −{changes.removed:,}{', in another order' if changes.moved else ''})",
        ]
        for name in changes.sets_added:
            lines.append(f"Set         + {name}")
        for name in changes.sets_removed:
            lines.append(f"Set         − {name}")
        for sign, names in (
            ("+", changes.columns_added),
            ("−", changes.columns_removed),
            ("~", changes.columns_retyped),
        ):
            lines += [f"Column      {sign} {name}" for name in names]
        if changes.values:
            lines.append("Values      of columns other than captions differ")
        for name, each in changes.captions.items():
            changed = f"{counted(each.changed, 'caption')} changed" if each.changed else "the same"
            lines.append(f"Captions    {name}: {changed}")
            for example in each.examples:
                lines += [
                    f"              {example.key[:12]}  − {_short(example.before)}",
                    f"              {'':12}  + {_short(example.after)}",
                ]
        if changes.level == "none":
            lines += ["", "Rows, columns and captions are the same."]
        else:
            lines += ["", f"A version with these changes is a {changes.level.upper()} one."]
        return "\n".join([*lines, *self._audit()])

    def _repr_html_(self) -> str:
        """Captions that changed, by example, and the audit figures of both, as tables for a notebook."""
        captions = [
            (name, example.key[:12], _short(example.before), _short(example.after))
            for name, change in self.changes.captions.items()
            for example in change.examples
        ]
        figures = [
            (figure.set_name, figure.name, *_texts(figure), self._verdict(figure)) for figure in self.moved
        ]
        phrases = "; ".join(self.changes.phrases()) or "rows, columns and captions are the same"
        level = "" if self.changes.level == "none" else f" ({self.changes.level.upper()})"
        html = html_table(
            ["set", "key", *self.names],
            captions,
            caption=f"{self.names[0]} → {self.names[1]}{level}: {phrases}",
        )
        if not self.figures:
            return html
        return html + html_table(
            ["set", "figure", *self.names, ""], figures, caption=f"Audit: {self._same()}"
        )

    def _audit(self) -> list[str]:
        if not self.figures:
            return ["", "Audit       neither was audited"]
        audited = [any(getattr(figure, side) for figure in self.figures) for side in ("before", "after")]
        title = "Audit"
        if not all(audited):
            title = f"Audit       of {self.names[audited.index(True)]} only"
        lines = ["", title]
        heads = [name if len(name) <= FIGURE_WIDTH else f"…{name[1 - FIGURE_WIDTH :]}" for name in self.names]
        width = max((len(figure.name) for figure in self.moved), default=0)
        shown = ""
        for figure in self.moved:
            if figure.set_name != shown:
                shown = figure.set_name
                lines.append(
                    f"  {shown:<{width + 2}}  {heads[0]:>{FIGURE_WIDTH}}  {heads[1]:>{FIGURE_WIDTH}}"
                )
            before, after = _texts(figure)
            line = f"    {figure.name:<{width}}  {before:>{FIGURE_WIDTH}}  {after:>{FIGURE_WIDTH}}  {self._verdict(figure)}"
            lines.append(line.rstrip())
        return [*lines, f"  {self._same()}", *(f"  {each}" for each in self.not_compared)]

    @property
    def moved(self) -> tuple[FigureChange, ...]:
        """The figures that are not the same in both."""
        return tuple(figure for figure in self.figures if figure.before != figure.after)

    def _same(self) -> str:
        same = len(self.figures) - len(self.moved)
        if not self.moved:
            return "all figures are the same" if same != 1 else "its one figure is the same"
        return (
            f"{counted(same, 'other figure')} {'are' if same != 1 else 'is'} the same"
            if same
            else "every figure differs"
        )

    def _verdict(self, figure: FigureChange) -> str:
        return figure.verdict if (figure.set_name, figure.name) not in self.incomparable else "not compared"


def _texts(figure: FigureChange) -> tuple[str, str]:
    return (
        figure.before.text() if figure.before else "–",
        figure.after.text() if figure.after else "–",
    )


def diff(before: str, after: str) -> DiffSummary:
    """Compare two targets, each a folder or `user/name[@revision]`; images are not downloaded.

    Raises:
        SourceNotFound, NotADataset, HubError: a target cannot be opened.
        CaptionSetNotFound: a caption set of a folder is not finished.
    """
    targets = open_dataset(before), open_dataset(after)
    contents = [contents_of(target) for target in targets]
    summaries = [target.summary() for target in targets]
    figures = compare_figures(*summaries)
    return DiffSummary(
        before=targets[0].resolved,
        after=targets[1].resolved,
        names=(targets[0].name, targets[1].name),
        fingerprints=(contents[0].fingerprint, contents[1].fingerprint),
        changes=compare(*targets, *contents),
        figures=figures,
        incomparable=incomparable(
            figures,
            summaries,
            [target.name for target in targets],
            published=[target.published for target in targets],
        ),
    )


def _short(caption: str | None) -> str:
    if caption is None:
        return "(no caption)"
    line = " ".join(caption.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + " …"
