"""The panel *Caption audit* beside the grid: the figures of the caption sets in the current view, and what lies behind each.

A click on a figure shows its samples in the grid; the figures stay those of the view that was looked at before, until all of it
is shown again or another view is opened. Which that is can be told from the view in the grid itself: what a click adds to it
begins with a stage that only says what is shown (`MARK`).
"""

from typing import Any

import fiftyone.core.view as views
import fiftyone.operators as operators
import fiftyone.operators.types as types

from audits.fiftyone.distributions import MEASURES, Measure, distribution, within
from audits.fiftyone.figures import figures, lines, shown_by
from audits.fiftyone.plugin import PLUGIN, forms, looks
from audits.fiftyone.plugin.runs import TICK, clear_runs, latest_runs
from audits.fiftyone.schema import grid_fields
from audits.fiftyone.source import shown
from audits.figures import GROUPS
from recapdata.versions.changes import counted

MARK = "caption audit: "
"""What the comment begins with, in the stage that says what a click has shown."""
ACTIONS = (
    (
        ("compare_caption_sets", "Compare sets", "compare_arrows", False),
        ("compare_revisions", "Revisions", "difference", False),
    ),
    (
        ("recaption_selection", "Recaption", "auto_fix_high", True),
        ("export_keys", "Export keys", "key", False),
    ),
)
"""Operators that have a button, row by row: name, label, icon, and whether they write to the dataset folder."""
SERIES = ["#4d8fd6", "#e8a23d", "#3ea85f", "#b07ad9", "#e5484d", "#7a8794"]


class CaptionAudit(operators.Panel):
    """Figures of the view."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.PanelConfig(
            name="caption_audit",
            label="Caption audit",
            icon=looks.ICON,
            surfaces="grid",
            help_markdown="Figures of the caption sets in the current view. Click one to see the samples behind it.",
        )

    def on_load(self, ctx: Any) -> None:
        """Look at the current view."""
        self._look_at(ctx)

    def on_change_view(self, ctx: Any) -> None:
        """Look at another view, unless it is one that a click on this panel opened."""
        stages, shows = looked_at(ctx.view)
        if shows is None:
            ctx.panel.set_state("selected", None)
        if stages != ctx.panel.get_state("base"):
            self._look_at(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        """Start anew with another dataset."""
        self._look_at(ctx)

    def on_tick(self, ctx: Any) -> None:
        """Look at what is done in the background; what came of it is shown when the last of it is done."""
        before = ctx.panel.get_state("runs") or []
        found = [(run.words, run.under_way) for run in latest_runs(ctx.dataset)]
        if [list(each) for each in found] == [list(each) for each in before]:
            return
        ctx.panel.set_state("runs", found)
        if any(busy for _, busy in before) and not any(busy for _, busy in found):
            ctx.dataset.reload()
            self._look_at(ctx)
            ctx.ops.reload_dataset()

    def on_clear_runs(self, ctx: Any) -> None:
        """Put away what was said of runs that have ended."""
        clear_runs(ctx.dataset)
        ctx.panel.set_state("runs", [(run.words, run.under_way) for run in latest_runs(ctx.dataset)])

    def on_click_cell(self, ctx: Any) -> None:
        """Show the samples behind a figure."""
        row, column = ctx.params["row"], ctx.params["column"]
        about = shown(ctx.dataset)
        if about is None or row < 0 or column < 1:
            return
        group = str(ctx.params["path"]).rpartition(".")[2]
        name = self._rows(ctx, group)[row][0]
        figure = next(each for each in lines() if each.name == name)
        set_name, field = list(about.fields.items())[column - 1]
        what = f"{set_name}: {figure.behind[1]}"
        found = shown_by(marked(_base(ctx), what), figure, field)
        if _opened(ctx, found, what, field):
            ctx.panel.set_state("selected", {"group": group, "row": row, "column": column})

    def on_show_all(self, ctx: Any) -> None:
        """Show all of the view that is looked at."""
        ctx.panel.set_state("selected", None)
        ctx.ops.set_view(view=_base(ctx))

    def on_pick(self, ctx: Any) -> None:
        """Show the distribution of another number."""
        ctx.panel.set_state("measure", ctx.params.get("value"))
        self._draw(ctx)

    def on_click_bar(self, ctx: Any) -> None:
        """Show the samples of one bar of the distribution."""
        about, measure = shown(ctx.dataset), self._measure(ctx)
        field = (about.fields if about is not None else {}).get(str(ctx.params.get("trace")))
        if field is None or ctx.params.get("x") is None:
            return
        width = ctx.panel.get_state("bar_width")
        low = float(ctx.params["x"]) - width / 2
        what = f"{ctx.params['trace']}: {measure.label.lower()} from {low:,.4g} to {low + width:,.4g}"
        if _opened(ctx, within(marked(_base(ctx), what), measure, field, low, low + width), what, field):
            ctx.panel.set_state("selected", None)

    # -- what is looked at ------------------------------------------------------------------------------------------------

    def _look_at(self, ctx: Any) -> None:
        about = shown(ctx.dataset)
        ctx.panel.set_state({"base": looked_at(ctx.view)[0], "selected": None})
        if about is None:
            ctx.panel.set_state("cells", None)
            return
        base = _base(ctx)
        rows = zip(lines(), figures(base, list(about.fields.values())), strict=True)
        # A figure that no set has, such as a CLIP score without a model, is left out.
        cells = [
            [figure.name, figure.group, figure.behind[1], [[cell.text(), cell.samples] for cell in row]]
            for figure, row in rows
            if any(cell.value is not None for cell in row)
        ]
        ctx.panel.set_state("cells", cells)
        ctx.panel.set_state("samples", base.count())
        self._draw(ctx)

    def _rows(self, ctx: Any, group: str) -> list[Any]:
        """The figures of a group that are shown: name, group, what is behind them, and per set text and number of samples."""
        return [row for row in ctx.panel.get_state("cells") or [] if row[1] == group]

    def _measure(self, ctx: Any) -> Measure:
        wanted = ctx.panel.get_state("measure") or MEASURES[0].name
        return next(each for each in MEASURES if each.name == wanted)

    def _draw(self, ctx: Any) -> None:
        about = shown(ctx.dataset)
        measure = self._measure(ctx)
        bars = distribution(_base(ctx), measure, list(about.fields.values())) if about is not None else None
        ctx.panel.set_state({"drawn": bars is not None, "bar_width": bars.width if bars is not None else 1})
        if about is None or bars is None:
            return
        data = [
            {
                "type": "bar",
                "name": name,
                "x": list(bars.centers),
                "y": list(heights),
                "width": bars.width,
                "opacity": 0.6,
                "marker": {"color": SERIES[place % len(SERIES)]},
                "hovertemplate": "%{y:,} captions around %{x}<extra>" + name + "</extra>",
            }
            for place, (name, heights) in enumerate(zip(about.fields, bars.heights, strict=True))
            if any(heights)
        ]
        ctx.panel.set_state("plot", data)

    # -- how it looks -----------------------------------------------------------------------------------------------------

    def render(self, ctx: Any) -> Any:
        """The layout, from the panel's state."""
        panel = types.Object()
        about = shown(ctx.dataset)
        if about is None:
            looks.text(
                panel,
                "nothing",
                "This dataset was not made by audits view. Make one with: audits view TARGET",
            )
            return types.Property(panel, view=looks.column())
        head = f"{about.label}: {counted(ctx.panel.get_state('samples') or 0, 'sample')} in this view"
        looks.text(panel, "head", head, fontWeight=600)
        if about.read_only:
            looks.text(panel, "read_only", about.read_only, opacity=0.75, fontSize="0.8rem")
        for place, notice in enumerate(about.notices):
            looks.text(panel, f"notice_{place}", notice, color="warning.main", fontSize="0.8rem")
        _actions(panel, read_only=bool(about.read_only))
        if not about.read_only:
            runs = ctx.panel.get_state("runs") or []
            for place, (words, _) in enumerate(runs):
                looks.text(panel, f"run_{place}", words, fontSize="0.8rem", opacity=0.75)
            if not all(busy for _, busy in runs):
                panel.btn("clear_runs", label="Clear", icon="clear_all", on_click=self.on_clear_runs)
            panel.view("ticks", types.TimerView(interval=TICK, on_interval=self.on_tick))
        if (shows := looked_at(ctx.view)[1]) is not None:
            looks.text(panel, "shows", f"In the grid: {shows}", color="primary.main")
            panel.btn(
                "show_all", label="Show all of the view", icon="filter_alt_off", on_click=self.on_show_all
            )
        for group in GROUPS:
            if rows := self._rows(ctx, group):
                self._table(ctx, panel, group, rows)
        self._distributions(ctx, panel)
        return types.Property(panel, view=looks.column())

    def _table(self, ctx: Any, panel: Any, group: str, figures: list[Any]) -> None:
        about = shown(ctx.dataset)
        rows, tooltips = [], {}
        for row, (name, _, behind, cells) in enumerate(figures):
            rows.append([name, *(text for text, _ in cells)])
            for column, (_, samples) in enumerate(cells, 1):
                tooltips[row, column] = f"{counted(samples, 'sample')}: {behind}"
        selected = ctx.panel.get_state("selected") or {}
        word = GROUPS[group].word
        names = [("figure", word)]
        names += [
            (f"set{place}", name) for place, name in enumerate(about.fields if about is not None else ())
        ]
        data = {
            "rows": rows,
            "columns": [key for key, _ in names],
            "selected_cells": [[selected["row"], selected["column"]]]
            if selected.get("group") == group
            else [],
        }
        view = looks.table(
            names, tooltips, numbers=True, on_click_cell=self.on_click_cell, variant="outlined"
        )
        looks.text(panel, f"about_{group}", f"{word}: {GROUPS[group].about}", fontSize="0.8rem", opacity=0.75)
        panel.define_property(group, types.Object(), view=view, default=data)
        ctx.panel.set_state(group, data)

    def _distributions(self, ctx: Any, panel: Any) -> None:
        choices = [(each.name, each.label) for each in MEASURES]
        forms.choose(
            panel, "measure", "Distribution", choices, self._measure(ctx).name, on_change=self.on_pick
        )
        if not ctx.panel.get_state("drawn"):
            looks.text(
                panel, "no_plot", f"No caption of this view has a {self._measure(ctx).label}.", opacity=0.75
            )
            return
        panel.plot(
            "plot",
            on_click=self.on_click_bar,
            height="260px",
            config={"displayModeBar": False, "scrollZoom": False},
            layout={
                "barmode": "overlay",
                "bargap": 0,
                "showlegend": True,
                "legend": {"orientation": "h", "x": 0, "y": 1.15},
                "margin": {"t": 24, "l": 40, "r": 8, "b": 30},
                "xaxis": {"title": {"text": self._measure(ctx).label}, "fixedrange": True},
                "yaxis": {"title": {"text": "captions"}, "fixedrange": True},
            },
        )


def _actions(panel: Any, *, read_only: bool) -> None:
    """Buttons for the operators that are of the view or the selection, so that nobody has to know their names."""
    for row, operators_ in enumerate(ACTIONS):
        buttons = panel.btn_group(f"actions_{row}", gap=1)
        for operator, label, icon, writes in operators_:
            if not (writes and read_only):
                buttons.btn(operator, label=label, icon=icon, on_click=f"{PLUGIN}/{operator}", prompt=True)


def looked_at(view: Any) -> tuple[list[Any], str | None]:
    """The stages of the view that the figures are of, without what differs between two equal ones; and what a click has shown of it."""
    # Stages as plain values, which FiftyOne has no public form of, since the panel's state is JSON.
    stages = list(view._serialize(include_uuids=False)) if isinstance(view, views.DatasetView) else []
    for place, stage in enumerate(stages):
        comment = _comment(dict(stage["kwargs"]).get("filter"))
        if comment.startswith(MARK):
            return stages[:place], comment.removeprefix(MARK)
    return stages, None


def _comment(condition: Any) -> str:
    return str(condition.get("$comment", "")) if isinstance(condition, dict) else ""


def _base(ctx: Any) -> Any:
    """The view that the figures are of."""
    return views.DatasetView._build(ctx.dataset, looked_at(ctx.view)[0])


def marked(base: Any, what: str) -> Any:
    """A view with a stage more that takes nothing away and says what is shown of it."""
    return base.match({"$comment": f"{MARK}{what}"})


def _opened(ctx: Any, found: Any, what: str, field: str) -> bool:
    """Show samples in the grid with the captions in a field, if there are any."""
    if found.limit(1).count():
        ctx.ops.set_active_fields(grid_fields(ctx.dataset, field))
        ctx.ops.set_view(view=found)
        return True
    ctx.ops.notify(f"No samples: {what}", variant="info")
    return False


REGISTERED = (CaptionAudit,)
