"""The panel *Caption audit* beside the open sample: its captions in the colors of their verdicts, and what they leave out."""

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as operators
import fiftyone.operators.types as types

from audits.fiftyone.changes import claims_of, decided, mark, subject, words_of_people
from audits.fiftyone.fields import audit_field
from audits.fiftyone.plugin import PLUGIN, forms, looks
from audits.fiftyone.plugin.runs import TICK, latest_runs
from audits.fiftyone.source import Shown, same_pictures, shown
from audits.fiftyone.views import sampled
from audits.grounding.recall import things_and_words
from audits.spans import phrase, pieces
from recapdata.errors import RecapdataError
from recapdata.versions.changes import counted

NOTHING = "nothing"
THINGS, WORDS = 8, 5
"""Things and words that a caption leaves out, listed until all are asked for."""
ROWS = 60
"""Verdicts listed under a caption; more than these nobody judges one by one."""
COLUMNS = [("claim", "Claim"), ("verdict", "Audit"), ("person", "You")]
SIGNS = {"supported": "✓", "contradicted": "✗"}


class CaptionVerdicts(operators.Panel):
    """The captions of the open sample."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.PanelConfig(
            name="caption_verdicts",
            label="Caption audit",
            icon=looks.ICON,
            surfaces="modal",
            help_markdown="The captions of this sample, colored by what the evidence says of their claims.",
        )

    def on_load(self, ctx: Any) -> None:
        """Find out which other datasets show these pictures; all else is read from the sample."""
        others = same_pictures(ctx.dataset)
        ctx.panel.set_state("others", {name: about.label for name, about in others.items()})

    def on_change_current_sample(self, ctx: Any) -> None:
        """Drawn anew for another sample."""

    def on_beside(self, ctx: Any) -> None:
        """Show the captions of another revision too."""
        ctx.panel.set_state("beside", ctx.params.get("value"))

    def on_right(self, ctx: Any) -> None:
        """Write down that a person agrees with a verdict."""
        self._mark(ctx, right=True)

    def on_wrong(self, ctx: Any) -> None:
        """Write down that a person disagrees with a verdict."""
        self._mark(ctx, right=False)

    def on_all_right(self, ctx: Any) -> None:
        """Write down that a person agrees with all verdicts on a caption on which nothing was said yet."""
        sample, set_name = ctx.dataset[ctx.current_sample], ctx.params["set"]
        said = words_of_people(ctx.dataset, sample["key"])
        claims = claims_of(ctx.dataset, sample, set_name)
        places = [p for p in decided(claims) if subject(sample["key"], set_name, claims[p]) not in said]
        self._write(ctx, sample, set_name, places, right=True)

    def on_all(self, ctx: Any) -> None:
        """Show all that a caption leaves out, or the first of it again."""
        state = f"lists_all_{ctx.params['place']}"
        ctx.panel.set_state(state, not ctx.panel.get_state(state))

    def on_audit(self, ctx: Any) -> None:
        """Ask how the captions of a set that are not audited are to be judged."""
        ctx.prompt(f"{PLUGIN}/audit_set", params={"set": ctx.params["set"]})

    def on_tick(self, ctx: Any) -> None:
        """Look at what is done in the background; what came of it is shown when it is done."""
        found = [run.words for run in latest_runs(ctx.dataset)]
        if found != (ctx.panel.get_state("runs") or []):
            ctx.dataset.reload()
            ctx.panel.set_state("runs", found)

    def on_edit(self, ctx: Any) -> None:
        """Ask for the new words of a caption."""
        params = {name: ctx.params[name] for name in ("sample", "set")}
        ctx.prompt(f"{PLUGIN}/edit_caption", params=params, on_success=self.on_edited)

    def on_edited(self, ctx: Any) -> None:
        """Show what was saved."""
        ctx.dataset.reload()
        # A change of state, so that the panel is drawn anew.
        ctx.panel.set_state("edits", (ctx.panel.get_state("edits") or 0) + 1)

    def _mark(self, ctx: Any, *, right: bool) -> None:
        about = shown(ctx.dataset)
        place = int(str(ctx.params["path"]).rpartition("_")[2])
        if about is not None:
            sample, set_name = ctx.dataset[ctx.current_sample], list(about.fields)[place]
            row = decided(claims_of(ctx.dataset, sample, set_name))[ctx.params["row"]]
            self._write(ctx, sample, set_name, [row], right=right)

    def _write(self, ctx: Any, sample: Any, set_name: str, places: list[int], *, right: bool) -> None:
        try:
            count = mark(ctx.dataset, sample, set_name, places, right=right)
        except (RecapdataError, OSError) as error:
            ctx.ops.notify(str(error), variant="error")
        else:
            word = "agree" if right else "disagree"
            ctx.ops.notify(f"noted that you {word} with {counted(count, 'verdict')}", variant="success")

    # -- how it looks -----------------------------------------------------------------------------------------------------

    def render(self, ctx: Any) -> Any:
        """The captions of the sample one under the other."""
        panel = types.Object()
        about = shown(ctx.dataset)
        column = looks.column(beside_arrow=True)
        if about is None or ctx.current_sample is None:
            words = "Open a sample" if about is not None else "This dataset was not made by audits view"
            looks.text(panel, "nothing", words)
            return types.Property(panel, view=column)
        sample = ctx.dataset[ctx.current_sample]
        looks.legend(panel, "legend")
        if sampled(ctx.dataset, sample.id):
            text = "One of the random hundred: what you say here counts for how far the audit agrees with people."
            looks.text(panel, "drawn", text, fontSize="0.8rem", opacity=0.75)
        if about.read_only:
            looks.text(panel, "read_only", about.read_only, fontSize="0.8rem", opacity=0.75)
        beside = self._choose_beside(ctx, panel)
        said = words_of_people(ctx.dataset, sample["key"])
        if not about.read_only and any(
            sample[field] is not None and sample[audit_field(field)] is None
            for field in about.fields.values()
        ):
            for place, words in enumerate(ctx.panel.get_state("runs") or []):
                looks.text(panel, f"run_{place}", words, fontSize="0.8rem", opacity=0.75)
            panel.view("ticks", types.TimerView(interval=TICK, on_interval=self.on_tick))
        for place, set_name in enumerate(about.fields):
            self._caption(ctx, panel, about, sample, place, set_name, said)
            if beside:
                _elsewhere(panel, place, set_name, sample, about, fo.load_dataset(beside))
        return types.Property(panel, view=column)

    def _choose_beside(self, ctx: Any, panel: Any) -> str | None:
        """Offer the other revisions of these pictures; the one that was chosen."""
        others = ctx.panel.get_state("others") or {}
        chosen = str(ctx.panel.get_state("beside") or NOTHING)
        if others:
            forms.choose(
                panel,
                "beside",
                "Beside it, the captions of",
                [(NOTHING, "nothing else"), *others.items()],
                chosen,
                on_change=self.on_beside,
            )
        return chosen if chosen in others else None

    def _caption(
        self,
        ctx: Any,
        panel: Any,
        about: Shown,
        sample: Any,
        place: int,
        set_name: str,
        said: Mapping[Any, bool],
    ) -> None:
        field = about.fields[set_name]
        caption, audit = sample[field], sample[audit_field(field)]
        looks.text(panel, f"set_{place}", set_name, fontWeight=600, mt=1)
        if caption is None:
            looks.text(panel, f"none_{place}", "There is no caption.", opacity=0.75)
            return
        claims = claims_of(ctx.dataset, sample, set_name)
        parts = pieces(caption, claims)
        looks.flowing(panel, f"caption_{place}", parts)
        if len(parts) > looks.MARKED:
            words = "Only the beginning of this caption is marked."
            looks.text(panel, f"cut_{place}", words, fontSize="0.8rem", opacity=0.75)
        looks.text(panel, f"counts_{place}", _counts(caption, audit), fontSize="0.8rem", opacity=0.75)
        if audit is not None and audit["missed"]:
            self._left_out(ctx, panel, place, audit["missed"])
        judged = decided(claims)
        if judged:
            self._verdicts(ctx, panel, about, sample, place, set_name, said)
        if not about.read_only:
            buttons = panel.btn_group(f"buttons_{place}", gap=1)
            if judged:
                buttons.btn(
                    f"all_right_{place}",
                    label="Agree with the rest",
                    icon="done_all",
                    on_click=self.on_all_right,
                    params={"set": set_name},
                )
            if audit is None:
                buttons.btn(
                    f"audit_{place}",
                    label="Audit",
                    icon="fact_check",
                    on_click=self.on_audit,
                    params={"set": set_name},
                )
            buttons.btn(
                f"edit_{place}",
                label="Edit",
                icon="edit",
                on_click=self.on_edit,
                params={"sample": sample.id, "set": set_name},
            )

    def _left_out(self, ctx: Any, panel: Any, place: int, missed: Sequence[str]) -> None:
        """What the caption does not say: things and words apart, the first of each until all are asked for."""
        things, words = things_and_words(missed)
        all_of_it = bool(ctx.panel.get_state(f"lists_all_{place}"))
        parts = [("things", "Leaves out", things, THINGS), ("words", "Words not quoted", words, WORDS)]
        for name, label, found, most in parts:
            if found:
                listed = found if all_of_it else found[:most]
                more = f", and {len(found) - len(listed)} more" if len(found) > len(listed) else ""
                line = f"{label}: {', '.join(listed)}{more}"
                looks.text(panel, f"left_out_{name}_{place}", line, fontSize="0.8rem", opacity=0.75)
        if len(things) > THINGS or len(words) > WORDS:
            label = "Less" if all_of_it else "All that it leaves out"
            panel.btn(f"all_{place}", label=label, on_click=self.on_all, params={"place": place})

    def _verdicts(
        self,
        ctx: Any,
        panel: Any,
        about: Shown,
        sample: Any,
        place: int,
        set_name: str,
        said: Mapping[Any, bool],
    ) -> None:
        claims = claims_of(ctx.dataset, sample, set_name)
        rows = []
        for index in decided(claims)[:ROWS]:
            claim = claims[index]
            word = said.get(subject(sample["key"], set_name, claim))
            person = "" if word is None else "agree" if word else "disagree"
            rows.append([phrase(claim), f"{SIGNS[claim['verdict']]} {claim.get('evidence') or ''}", person])
        view = looks.table(COLUMNS, actions_label=" ", max_inline_actions=2, variant="outlined")
        if not about.read_only:
            view.add_row_action(
                "right", self.on_right, icon="thumb_up", tooltip="I agree: the audit is right here"
            )
            view.add_row_action(
                "wrong", self.on_wrong, icon="thumb_down", tooltip="I disagree: the audit is wrong here"
            )
        data = {"rows": rows, "columns": [key for key, _ in COLUMNS]}
        panel.define_property(f"verdicts_{place}", types.Object(), view=view, default=data)
        ctx.panel.set_state(f"verdicts_{place}", data)
        if more := len(decided(claims)) - len(rows):
            words = f"and {counted(more, 'verdict')} more; to say something of them: Mark a verdict right or wrong"
            looks.text(panel, f"more_{place}", words, fontSize="0.8rem", opacity=0.75)


def _elsewhere(panel: Any, place: int, set_name: str, sample: Any, about: Shown, other: Any) -> None:
    """The caption of the same picture and set in another revision, unless it is the same."""
    there = shown(other)
    if there is None:
        return
    found = next(iter(other.match({"key": sample["key"]})), None)
    field = there.fields.get(set_name)
    caption = found[field] if found is not None and field is not None else None
    name = f"elsewhere_{place}"
    if found is None or field is None:
        missing = "picture" if found is None else "caption set"
        looks.text(panel, name, f"{there.label} has no such {missing}.", opacity=0.75)
    elif caption == sample[about.fields[set_name]]:
        looks.text(panel, name, f"The same in {there.label}.", opacity=0.75)
    elif caption is None:
        looks.text(panel, name, f"No caption in {there.label}.", opacity=0.75)
    else:
        looks.text(panel, name, f"{set_name} in {there.label}", fontWeight=600)
        looks.flowing(panel, f"{name}_caption", pieces(caption, claims_of(other, found, set_name)))
        looks.text(
            panel,
            f"{name}_counts",
            _counts(caption, found[audit_field(field)]),
            fontSize="0.8rem",
            opacity=0.75,
        )


def _counts(caption: str, audit: Any) -> str:
    """One line about a caption: its length, its claims, and what is odd about it."""
    if audit is None:
        return f"{len(caption):,} characters; not audited as it is now"
    parts = [
        counted(audit["words"], "word"),
        counted(audit["clip_tokens"], "CLIP token"),
        counted(audit["claims_total"], "claim"),
    ]
    if audit["supported"] is not None:
        parts.append(
            f"{audit['supported']} supported, {audit['contradicted']} contradicted, {audit['unknown']} unknown"
        )
    for name, label in (("clip_score", "CLIP"), ("clip_margin", "margin")):
        if audit[name] is not None:
            parts.append(f"{label} {audit[name]:.1f}")
    if audit["flags"]:
        parts.append(f"flags: {', '.join(audit['flags'])}")
    if audit["error"]:
        parts.append(str(audit["error"]))
    return " · ".join(parts)


REGISTERED = (CaptionVerdicts,)
