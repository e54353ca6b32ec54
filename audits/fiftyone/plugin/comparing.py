"""Operators that compare two caption sets of what is shown, or two revisions of it, and open what changed most."""

from collections.abc import Sequence
from typing import Any

import fiftyone.operators as operators
import fiftyone.operators.types as types

from audits.fiftyone.plugin import forms, looks
from audits.fiftyone.source import same_pictures, shown
from recapdata.errors import RecapdataError

COLUMNS = [("figure", "Figure"), ("a", "A"), ("b", "B"), ("difference", "Difference (95 %)")]
CHANGED = 100
"""Samples that a comparison opens: those that changed most for the worse, then for the better."""


class CompareSets(operators.Operator):
    """Two caption sets, record by record."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="compare_caption_sets",
            label="Compare two caption sets",
            description="The audit's figures of two sets with their differences; opens the samples that differ most",
            icon="compare_arrows",
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which two."""
        form, prop, about = forms.start(ctx, "Compare two caption sets")
        if about is None:
            return prop
        names = list(about.fields)
        if len(names) < 2:
            return forms.refuse(form, prop, "There is only one caption set.")
        forms.choose(form, "a", "From", forms.sets(about), names[0])
        forms.choose(form, "b", "To", forms.sets(about), names[1])
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Compare them."""
        about = shown(ctx.dataset)
        if about is None:
            return {}
        names = list(about.fields)
        return _compared(
            ctx, about.target, ctx.params.get("a") or names[0], about.target, ctx.params.get("b") or names[1]
        )

    def resolve_output(self, ctx: Any) -> types.Property:
        """The figures side by side."""
        return _output(ctx)


class CompareRevisions(operators.Operator):
    """One caption set in two revisions of a dataset."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="compare_revisions",
            label="Compare with another revision",
            description="The figures of a caption set here and in another view of the same dataset; opens what changed most",
            icon="difference",
            dynamic=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which revision, and which set of both."""
        form, prop, about = forms.start(ctx, "Compare with another revision")
        if about is None:
            return prop
        others = same_pictures(ctx.dataset)
        if not others:
            reason = (
                "There is no view of another revision; make one with: audits view user/name@revision --no-app"
            )
            return forms.refuse(form, prop, reason)
        first = next(iter(others))
        forms.choose(form, "other", "With", [(name, each.label) for name, each in others.items()], first)
        there = others.get(ctx.params.get("other") or first)
        common = [(name, name) for name in about.fields if there is not None and name in there.fields]
        if not common:
            return forms.refuse(form, prop, "The two have no caption set in common.")
        forms.choose(form, "set", "Caption set", common, common[0][0])
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Compare the other revision, as A, with this one, as B."""
        about, others = shown(ctx.dataset), same_pictures(ctx.dataset)
        other = others.get(ctx.params.get("other") or next(iter(others), ""))
        if about is None or other is None:
            return {}
        chosen = ctx.params.get("set") or next(name for name in about.fields if name in other.fields)
        return _compared(ctx, other.target, chosen, about.target, chosen)

    def resolve_output(self, ctx: Any) -> types.Property:
        """The figures side by side."""
        return _output(ctx)


def _compared(ctx: Any, target_a: str, set_a: str, target_b: str, set_b: str) -> dict[str, Any]:
    """The figures of both and their differences; the samples that changed most are opened in the grid."""
    from audits.comparison import compare

    try:
        found = compare(target_a, set_a, target_b, set_b, rows=CHANGED // 2).sets[0]
    except (RecapdataError, OSError) as error:
        ctx.ops.notify(str(error), variant="error")
        return {"rows": [], "title": str(error)}
    rows = [
        [
            each.name,
            each.a.text() if each.a is not None else "–",
            each.b.text() if each.b is not None else "–",
            f"{each.text()} {each.verdict}" if each.difference is not None else each.reason or "–",
        ]
        for each in found.figures
    ]
    keys = [row.key for row in found.rows]
    _open(ctx, keys)
    title = f"A: {set_a}" + (f" of {target_a}" if target_a != target_b else "") + f" · B: {set_b}"
    return {"rows": rows, "title": title, "opened": len(keys)}


def _open(ctx: Any, keys: Sequence[str]) -> None:
    """Show the samples of some keys, in their order."""
    if keys:
        ctx.ops.set_view(view=ctx.dataset.select_by("key", list(keys), ordered=True))


def _output(ctx: Any) -> types.Property:
    outputs = types.Object()
    results = ctx.results or {}
    looks.text(outputs, "heading", results.get("title") or "")
    data = {"rows": results.get("rows") or [], "columns": [key for key, _ in COLUMNS]}
    outputs.define_property("figures", types.Object(), view=looks.table(COLUMNS), default=data)
    if opened := results.get("opened"):
        looks.text(
            outputs, "opened", f"The {opened:,} samples that changed most are in the grid, the worst first."
        )
    return types.Property(outputs, view=types.View(label="Comparison"))


REGISTERED = (CompareSets, CompareRevisions)
