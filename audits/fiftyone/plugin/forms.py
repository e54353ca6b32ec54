"""What the operators' forms share: choices of caption sets, the sample they speak of, and reasons why they cannot be used."""

from collections.abc import Iterable
from typing import Any

import fiftyone.operators.types as types

from audits.fiftyone.source import Shown, shown


def start(ctx: Any, label: str, *, writes: bool = False) -> tuple[types.Object, types.Property, Shown | None]:
    """A form, with the reason and no way to submit it where the operator cannot be used.

    Args:
        writes: whether the operator changes the dataset folder.

    Returns:
        The form, its property, and what is shown; None for the last where it cannot be used.
    """
    form = types.Object()
    prop = types.Property(form, view=types.View(label=label))
    about = shown(ctx.dataset)
    reason = (
        "This dataset was not made by audits view." if about is None else about.read_only if writes else ""
    )
    if about is not None and not about.fields:
        reason = "There are no caption sets in this dataset."
    if reason:
        refuse(form, prop, reason)
        return form, prop, None
    return form, prop, about


def refuse(form: types.Object, prop: types.Property, reason: str) -> types.Property:
    """Say why there is nothing to submit."""
    form.view("reason", types.Warning(label=reason))
    prop.invalid = True
    return prop


def choose(
    form: types.Object,
    name: str,
    label: str,
    choices: Iterable[tuple[str, str]],
    default: str | None = None,
    **more: Any,
) -> None:
    """A choice of one among (value, label) pairs."""
    view = types.DropdownView(componentsProps={"select": {"autoFocus": False}})
    for value, words in choices:
        view.add_choice(value, label=words)
    form.enum(name, values=view.values(), view=view, label=label, default=default, **more)


def sets(about: Shown) -> list[tuple[str, str]]:
    """The caption sets as choices."""
    return [(name, name) for name in about.fields]


def sample_of(ctx: Any) -> Any:
    """The sample that is meant: the one named, the one that is open, or the only one selected; None where none is."""
    found = ctx.params.get("sample") or ctx.current_sample
    if found is None and len(ctx.selected) == 1:
        found = ctx.selected[0]
    return ctx.dataset[found] if found is not None else None


def meant(ctx: Any) -> tuple[Any, str]:
    """The samples an operator is for: those selected, else all of the current view; and in words which they are."""
    if ctx.selected:
        return ctx.dataset.select(ctx.selected), f"{len(ctx.selected):,} selected samples"
    return ctx.view, f"all {ctx.view.count():,} samples of this view"
