"""Operators that write to the dataset folder: verdicts marked right or wrong, captions edited."""

from typing import Any

import fiftyone.operators as operators
import fiftyone.operators.types as types

from audits.fiftyone.changes import claims_of, decided, mark, save_edit
from audits.fiftyone.plugin import forms
from audits.spans import phrase
from recapdata.caption_sets.edits import EDITED
from recapdata.errors import RecapdataError

ALL = "all"


class EditCaption(operators.Operator):
    """Change a caption; the set it stands in stays as it is."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="edit_caption",
            label="Edit a caption",
            description="Write a caption of the open or selected sample anew, into the caption set 'edited'",
            icon="edit",
            dynamic=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which caption, and its words."""
        form, prop, about = forms.start(ctx, "Edit a caption", writes=True)
        if about is None:
            return prop
        sample = forms.sample_of(ctx)
        if sample is None:
            return forms.refuse(form, prop, "Open the sample, or select exactly one.")
        start = EDITED if EDITED in about.fields else next(iter(about.fields))
        forms.choose(form, "set", "Start from", forms.sets(about), start)
        chosen = ctx.params.get("set") or start
        # A field of its own per set, so that another start brings other words, and what was typed is kept.
        form.str(
            f"caption_{list(about.fields).index(chosen)}",
            label="Caption",
            description="Saved in the caption set 'edited'; no other set is changed",
            default=sample[about.fields[chosen]] or "",
            required=True,
            view=types.TextFieldView(multiline=True, rows=6),
        )
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Save it."""
        about = forms.shown(ctx.dataset)
        sample = forms.sample_of(ctx)
        if about is None or sample is None:
            return {}
        chosen = ctx.params.get("set") or (EDITED if EDITED in about.fields else next(iter(about.fields)))
        caption = ctx.params.get(f"caption_{list(about.fields).index(chosen)}") or ""
        try:
            summary = save_edit(ctx.dataset, sample, chosen, caption)
        except (RecapdataError, OSError) as error:
            ctx.ops.notify(str(error), variant="error")
            return {}
        if EDITED not in about.fields:
            ctx.ops.reload_dataset()
        ctx.ops.reload_samples()
        ctx.ops.notify(summary.text(), variant="success")
        return {"edits": summary.edits}


class MarkVerdicts(operators.Operator):
    """Say whether the audit is right."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="mark_verdicts",
            label="Mark a verdict right or wrong",
            description="Say whether you agree with what the audit says of a claim of the open or selected sample",
            icon="rule",
            dynamic=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which caption, which claim, right or wrong."""
        form, prop, about = forms.start(ctx, "Mark a verdict right or wrong", writes=True)
        if about is None:
            return prop
        sample = forms.sample_of(ctx)
        if sample is None:
            return forms.refuse(form, prop, "Open the sample, or select exactly one.")
        first = next(iter(about.fields))
        forms.choose(form, "set", "Caption set", forms.sets(about), first)
        claims = claims_of(ctx.dataset, sample, ctx.params.get("set") or first)
        places = decided(claims)
        if not places:
            return forms.refuse(form, prop, "The audit decided nothing about this caption.")
        choices = [
            (str(p), f"{phrase(claims[p])}: {claims[p]['verdict']} ({claims[p].get('evidence')})")
            for p in places
        ]
        forms.choose(form, "claim", "Verdict", [*choices, (ALL, "all of them")], str(places[0]))
        choices = [("right", "I agree: the audit is right"), ("wrong", "I disagree: the audit is wrong")]
        forms.choose(form, "word", "You", choices, "right")
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Write it down."""
        about = forms.shown(ctx.dataset)
        sample = forms.sample_of(ctx)
        if about is None or sample is None:
            return {}
        chosen = ctx.params.get("set") or next(iter(about.fields))
        claim = ctx.params.get("claim")
        places = decided(claims_of(ctx.dataset, sample, chosen)) if claim == ALL else [int(claim or 0)]
        try:
            count = mark(ctx.dataset, sample, chosen, places, right=ctx.params.get("word") == "right")
        except (RecapdataError, OSError) as error:
            ctx.ops.notify(str(error), variant="error")
            return {}
        ctx.ops.notify(
            f"{count} verdict{'s' if count != 1 else ''} marked {ctx.params.get('word')}", variant="success"
        )
        return {"marked": count}


REGISTERED = (EditCaption, MarkVerdicts)
