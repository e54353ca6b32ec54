"""Operators that take samples further: keys to a file, the selection to a captioner, a caption set to the audit."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fiftyone.operators as operators
import fiftyone.operators.types as types

from audits.fiftyone.dataset import build
from audits.fiftyone.exports import export, export_folder
from audits.fiftyone.plugin import forms
from audits.fiftyone.plugin.runs import latest_captioner
from audits.fiftyone.source import writable
from audits.summary import named_clip
from recapdata.caption_sets.edits import EDITED
from recapdata.caption_sets.resuming import check_set_name
from recapdata.console import PROGRESS, how_far
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import RecapdataError
from recapdata.recaptioning.options import NO_FILL
from recapdata.records import Provenance
from recapdata.versions.changes import counted

CAPTIONED, AUDITED = 0.7, 0.95
"""How much of the work is done when the captions are there, and when they are audited; the rest is to show them."""


class CommandFailed(RecapdataError):
    """A command that captions or audits ended without having done all."""


class ExportKeys(operators.Operator):
    """Keys of samples in a file, as `recapdata` commands take them."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="export_keys",
            label="Export keys",
            description="Write the keys of the selected samples to a file in the folder of exports, for recapdata recaption or remove --keys",
            icon="key",
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Where to."""
        form, prop, about = forms.start(ctx, "Export keys")
        if about is None:
            return prop
        form.view("which", types.Notice(label=f"The keys of {forms.meant(ctx)[1]}, one a line"))
        folder = export_folder(ctx.dataset, about)
        form.str("file", label="File", description=f"In {folder}", default="keys.txt", required=True)
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Write them."""
        about = forms.shown(ctx.dataset)
        if about is None:
            return {}
        keys = forms.meant(ctx)[0].values("key")
        try:
            path = export(export_folder(ctx.dataset, about), str(ctx.params["file"]), lines_of(keys))
        except (RecapdataError, OSError) as error:
            ctx.ops.notify(f"nothing is written: {error}; choose another file", variant="error")
            return {}
        ctx.ops.notify(f"{len(keys):,} keys written to {path}", variant="success")
        return {"keys": len(keys)}


class RecaptionSelection(operators.Operator):
    """Samples to a captioner, into a caption set of their own; done in the background."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="recaption_selection",
            label="Recaption the selection",
            description="Caption the selected samples with a model into a caption set of their own, and audit it, in the background",
            icon="auto_fix_high",
            allow_immediate_execution=False,
            allow_delegated_execution=True,
            default_choice_to_delegated=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which set, captioner and style."""
        form, prop, about = forms.start(ctx, "Recaption the selection", writes=True)
        if about is None or about.folder is None:
            return prop
        form.view("which", types.Notice(label=f"Captions {forms.meant(ctx)[1]}"))
        form.str("set", label="New caption set", default=_free_name(about.fields), required=True)
        usual = _usual_captioner(ctx.dataset, about.folder)
        form.str(
            "captioner",
            label="Captioner",
            description=f"the id or folder of a model, the address of a server ({usual.server}), or embedded, which knows drawn scenes only",
            default=usual.name,
            required=True,
        )
        form.str(
            "style",
            label="Style",
            description="short, long, or the text of a prompt",
            default="long",
            required=True,
        )
        form.float("temperature", label="Temperature", description="0 does not sample", default=0.0, min=0)
        if not _is_whole(ctx):
            keep = [(name, f"the captions of {name}") for name in about.fields]
            choices = [*reversed(keep), (NO_FILL, "no captions; such a set cannot be published")]
            forms.choose(
                form, "fill", "All other samples keep", choices, _whole_set(ctx.dataset, about.fields)
            )
        _ask_evidence(form, about.folder)
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Run the commands, and show what came of them.

        Raises:
            RecapdataError: it could not be done; FiftyOne's list of runs shows the message.
        """
        folder = writable(ctx.dataset)
        set_name = ctx.params["set"].strip()
        check_set_name(DatasetFolder(folder), set_name)
        with tempfile.TemporaryDirectory(prefix="recaption-") as place:
            keys_file = Path(place) / "keys.txt"
            keys = write_keys(keys_file, forms.meant(ctx)[0])
            ctx.set_progress(progress=0.0, label=f"captioning {counted(keys, 'sample')}")
            failed = _follow(ctx, recaption_command(folder, set_name, keys_file, ctx.params), 0.0, CAPTIONED)
        # A picture that could not be captioned, or not be judged, takes nothing from what was done with the others.
        if set_name in DatasetFolder(folder).manifest.sets:
            unjudged = _audit(ctx, folder, set_name, CAPTIONED)
            failed = failed or unjudged
        if failed is not None:
            raise failed
        ctx.set_progress(progress=1.0, label=f"{counted(keys, 'sample')} captioned into {set_name}")
        return {"set": set_name, "samples": keys}

    def resolve_output(self, ctx: Any) -> types.Property:
        """What came of it."""
        outputs = types.Object()
        outputs.str("set", label="Caption set")
        outputs.int("samples", label="Samples")
        return types.Property(
            outputs, view=types.View(label="Recaptioned; reload the page to see the new set")
        )


class AuditSet(operators.Operator):
    """Captions that have changed to the audit; done in the background."""

    @property
    def config(self) -> Any:
        """How FiftyOne lists it."""
        return operators.OperatorConfig(
            name="audit_set",
            label="Audit a caption set",
            description="Judge the captions of a set that are not audited as they are now, in the background",
            icon="fact_check",
            allow_immediate_execution=False,
            allow_delegated_execution=True,
            default_choice_to_delegated=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Which set, and by what."""
        form, prop, about = forms.start(ctx, "Audit a caption set", writes=True)
        if about is None or about.folder is None:
            return prop
        start = EDITED if EDITED in about.fields else next(iter(about.fields))
        forms.choose(form, "set", "Caption set", forms.sets(about), ctx.params.get("set") or start)
        _ask_evidence(form, about.folder)
        return prop

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Run the command, and show what came of it.

        Raises:
            RecapdataError: it could not be done; FiftyOne's list of runs shows the message.
        """
        folder, set_name = writable(ctx.dataset), ctx.params["set"]
        if (failed := _audit(ctx, folder, set_name, 0.0)) is not None:
            raise failed
        ctx.set_progress(progress=1.0, label=f"{set_name} audited")
        return {"set": set_name}


def _audit(ctx: Any, folder: Path, set_name: str, start: float) -> "CommandFailed | None":
    """Audit a set and bring the view up to date, as the progress from `start` on; the error of the audit, if it had one."""
    ctx.set_progress(progress=start, label=f"auditing {set_name}")
    failed = _follow(ctx, audit_command(folder, set_name, ctx.params.get("evidence")), start, AUDITED)
    ctx.set_progress(progress=AUDITED, label="bringing the view up to date")
    build(folder, name=ctx.dataset.name)
    return failed


def _ask_evidence(form: types.Object, folder: Path) -> None:
    form.str(
        "evidence",
        label="Judge it by",
        description="as audits run --evidence takes it: annotations, detector:MODEL, colors, ocr; nothing if left empty",
        default=",".join(_usual_evidence(folder)),
    )


def recaption_command(folder: Path, set_name: str, keys_file: Path, params: Any) -> list[str]:
    """The console command that captions the keys of a file."""
    command = [str(Path(sys.executable).with_name("recapdata")), "recaption", str(folder), set_name]
    command += ["--captioner", params["captioner"], "--style", params["style"], "--keys", str(keys_file)]
    if fill := params.get("fill"):
        command += ["--fill", fill]
    return [*command, "--temperature", str(params.get("temperature") or 0.0)]


def audit_command(folder: Path, set_name: str, evidence: str | None) -> list[str]:
    """The console command that audits a set as the others of the folder were audited, by this evidence."""
    command = [str(Path(sys.executable).with_name("audits")), "run", str(folder), "--captions", set_name]
    if evidence and evidence.strip():
        command += ["--evidence", evidence.strip()]
    clip = named_clip(open_dataset(folder).summary())
    return [*command, "--clip", clip] if clip is not None else command


def write_keys(path: Path, samples: Any) -> int:
    """Write the keys of samples, one a line; how many."""
    keys = samples.values("key")
    path.write_text(lines_of(keys), encoding="utf8")
    return len(keys)


def lines_of(keys: Sequence[str]) -> str:
    """Keys as a file of them holds them, one a line."""
    return "".join(f"{key}\n" for key in keys)


def _follow(ctx: Any, command: list[str], start: float, end: float) -> CommandFailed | None:
    """Run a command, its progress shown as that from `start` to `end`; the error that it ended with, if it did."""
    try:
        for line in _run(command):
            done = how_far(line)
            if done is not None:
                ctx.set_progress(progress=start + (end - start) * done, label=line)
    except CommandFailed as error:
        return error
    return None


def _run(command: list[str]) -> Iterator[str]:
    """The lines that a command says, as it says them.

    Raises:
        CommandFailed: it ended with an error; the message is its last words.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    environment[PROGRESS] = "lines"
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None
    said = ["nothing was said"]
    for line in process.stdout:
        if line.strip():
            said.append(line.strip())
            yield line.strip()
    if process.wait():
        last = said[-1].removeprefix("error: ")
        raise CommandFailed(
            f"{last} ({Path(command[0]).name} {command[1]} ended with exit code {process.returncode})"
        )


def _is_whole(ctx: Any) -> bool:
    """Whether an operator is for all samples, so that nothing is left to fill."""
    return bool(forms.meant(ctx)[0].count() == ctx.dataset.count())


def _whole_set(dataset: Any, fields: dict[str, str]) -> str:
    """The latest set that has a caption of every sample; where there is none, gaps are left."""
    whole = (name for name in reversed(fields) if dataset.exists(fields[name]).count() == dataset.count())
    return next(whole, NO_FILL)


def _free_name(sets: dict[str, str]) -> str:
    """A name that no set has yet."""
    base = f"recap-{datetime.now(UTC):%m%d}"
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 1000))) if name not in sets)


def _usual_evidence(folder: Path) -> list[str]:
    """The evidence of the folder's audit, as `audits run` takes it; annotations where there is no audit."""
    named = (open_dataset(folder).summary() or {}).get("evidence", ["annotations"])
    return [each.partition(":")[0] if each.startswith("ocr:") else each for each in named]


@dataclass(frozen=True, slots=True)
class Usual:
    """What the form offers as a captioner.

    Attributes:
        name: as `--captioner` takes it; empty where only the person knows it.
        server: what the address of a server looks like.
    """

    name: str
    server: str = "http://HOST/v1#MODEL"


def _usual_captioner(dataset: Any, folder: Path) -> Usual:
    """The captioner that was last named here; else the one of the latest set that a model wrote, if it can be named in full."""
    if (named := latest_captioner(dataset)) is not None:
        return Usual(named)
    models = [each for each in DatasetFolder(folder).manifest.sets.values() if each.writer == "model"]
    if not models:
        return Usual("embedded")
    match models[-1]:
        case Provenance(captioner="embedded"):
            return Usual("embedded")
        case Provenance(captioner="server", model=model):  # whose address is not kept
            return Usual("", f"http://HOST/v1#{model}")
        case Provenance(captioner="vlm", model=str(model)) if is_there(model):
            return Usual(model)
        case Provenance(captioner="coca", model=str(model)) if is_there(model):
            return Usual(f"coca:{model}")
    return Usual("")  # code from outside, which its name alone does not open


def is_there(model: str) -> bool:
    """Whether a model is the name of one, or a folder that still exists."""
    return Path(model).is_dir() or not (Path(model).is_absolute() or model.startswith("."))


REGISTERED = (ExportKeys, RecaptionSelection, AuditSet)
