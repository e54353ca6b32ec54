"""The recaption run: plan → batches → captions, resumable at any moment, with nothing lost and nothing captioned twice.

The folder is held for writing; what the command means for an existing set is settled and noted in the manifest before the first
caption (`recapdata.caption_sets.resuming`); each image shard is cut into batches (`batches`), which are captioned here or on a
cluster (`local`, `cluster`), and the recorder makes every finished batch durable (`recorder`). A killed run is continued by the same
command and ends with the same bytes.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Protocol

from recapdata.caption_sets.resuming import (
    begin_set,
    check_known_set,
    check_set_name,
    keep_revision,
    note_set,
)
from recapdata.captioners import Captioner, CaptionerOptions, check_style, parse_captioner, template_columns
from recapdata.console import progress, say
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.keys import read_keys_file
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import writing
from recapdata.engines import EngineOptions, check_engine
from recapdata.errors import CaptionSetNotFound, ModelNotSupported, OptionError
from recapdata.models.sources import caution
from recapdata.options import command_line, outcome_of
from recapdata.recaptioning.batches import Batch, Finished
from recapdata.recaptioning.options import NO_FILL, RunOptions
from recapdata.recaptioning.plan import (
    Plan,
    Task,
    check_columns,
    plan_shard,
    selection_of,
    total_of,
)
from recapdata.recaptioning.recorder import Recorder, ShardState, failures_by_type, fill, survey
from recapdata.recaptioning.summary import RecaptionSummary, audit_options, images, machine
from recapdata.recaptioning.where import Where, open_where
from recapdata.records import Provenance, timestamp
from recapdata.registry import load_attribute

CAPTIONING = {
    "local": "recapdata.recaptioning.local:LocalCaptioning",
    "ray": "recapdata.recaptioning.cluster:ClusterCaptioning",
}
"""By engine, a `Captioning`."""
EXAMPLES = 3
MAX_FAILED_BATCHES = 3
"""After so many batches in a row without one caption the run stops: the model, not the pictures, is at fault."""


class Captioning(AbstractContextManager["Captioning"], Protocol):
    """Where the batches of a run are read, prepared and captioned; used as a context manager around one run.

    Attributes:
        batch_size: the largest batch that fits in memory as far as it knows; None until one did not.
        load_seconds: how long loading the model took.
    """

    load_seconds: float

    def __init__(self, folder: DatasetFolder, captioner: Captioner, how: EngineOptions) -> None: ...

    @property
    def batch_size(self) -> int | None: ...

    @staticmethod
    def open_captioner(name: str, options: CaptionerOptions, how: EngineOptions) -> Captioner:
        """The captioner as it will be where the batches are captioned: its dtype is that of the cluster's machines, say.

        Raises:
            OptionError: an option that is not for this engine.
            ClusterError: there is no cluster.
            CaptionerNotFound, ModelNotSupported, HubError: see `captioners.open_captioner`.
        """
        ...

    def run(self, batches: Iterable[Batch]) -> Iterator[Finished]:
        """Caption every batch exactly once, in any order, one caption per key; what is held at a time is bounded.

        An image that cannot be captioned comes back as a caption with an error.
        """
        ...


def open_captioning(engine: str) -> type[Captioning]:
    """How batches are captioned by the engine of that name.

    Raises:
        OptionError: no such engine.
    """
    found: type[Captioning] = load_attribute(CAPTIONING[check_engine(engine)])
    return found


def recaption(
    directory: str | Path,
    set_name: str,
    *,
    captioner: str,
    options: CaptionerOptions | None = None,
    run: RunOptions | None = None,
) -> RecaptionSummary:
    """Caption every record of a dataset folder that the set does not have yet.

    Args:
        captioner: a name of the table of captioners, `NAME:MODEL`, or a model id or folder.

    Raises:
        DatasetEmpty: there is no record.
        CaptionSetExists: the set was made with other settings.
        CaptionerNotFound, ModelNotSupported, OptionError, HubError: see `open_captioner`.
        DatasetBusy: another process writes to the folder.
    """
    began = time.monotonic()
    run = run or RunOptions()
    folder = DatasetFolder.open(directory)
    folder.check_records()
    check_set_name(folder, set_name)
    name, model = parse_captioner(captioner)
    asked = replace(options or CaptionerOptions(), model=model)
    check_style(asked.style)
    columns = template_columns(asked.style)
    check_columns(folder, columns, asked.style)
    if run.keys is not None:
        read_keys_file(run.keys)
    where = open_where(folder, run.where) if run.where is not None else None
    base = base_of(folder, set_name, run, where)
    agreed = keep_revision(folder.manifest.sets.get(set_name), asked, overwrite=run.overwrite)
    if warning := caution(name, open_dataset(directory)):
        say(warning)
    captioning = open_captioning(run.engine)
    opened = captioning.open_captioner(name, agreed, run)
    with writing(folder):
        new = set_name not in folder.manifest.sets
        task = Task(folder, set_name, _settle(folder, set_name, opened, run, base), run, columns, where)
        try:
            done = _execute(task, captioning, opened, survey(folder, set_name))
        except BaseException:
            if new:
                _withdraw(folder, set_name)
            raise
        if new and run.where is not None:
            _withdraw(folder, set_name)  # where it chose nothing
        provenance = _fill(task)
        after = survey(folder, set_name)
        kinds = failures_by_type(folder, set_name, after)
        written_bytes = sum(_size(folder, set_name, state.shard) for state in after)
    return RecaptionSummary(
        directory=str(directory),
        set_name=set_name,
        provenance=provenance,
        device=opened.device,
        records=sum(state.rows for state in after),
        captions=sum(state.captioned + state.filled for state in after),
        failures=sum(state.failures for state in after),
        failures_by_type=kinds,
        lacking=sum(state.lacking - state.filled for state in after),
        filled=sum(state.filled for state in after),
        first_error=done.first_error,
        audited_by=audit_options(open_dataset(directory).summary()),
        done=done.images,
        done_failures=done.failures,
        examples=done.examples,
        asked=task.kind,
        where=run.where,
        among=done.among,
        seconds=round(time.monotonic() - began, 2),
        caption_seconds=round(done.seconds, 4),
        caption_bytes=written_bytes,
        largest_batch=done.largest_batch,
        command=command_line(
            "recapdata recaption",
            [directory, set_name, "--captioner", captioner],
            asked,
            replace(outcome_of(run), batch_size=provenance.batch_size),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Done:
    """What a run itself did: images, failures among them, the first few captions, and how it went."""

    images: int = 0
    failures: int = 0
    among: int = 0
    examples: tuple[str, ...] = ()
    first_error: str | None = None
    seconds: float = 0.0
    largest_batch: int | None = None

    def with_batch(self, finished: Finished) -> "_Done":
        """The same with one more batch."""
        missing = EXAMPLES - len(self.examples)
        new = (
            [caption.caption for caption in finished.captions if caption.caption is not None]
            if missing
            else []
        )
        return replace(
            self,
            images=self.images + len(finished.captions),
            failures=self.failures + finished.failures,
            examples=(*self.examples, *new[:missing]),
            first_error=self.first_error
            or next((caption.error for caption in finished.captions if caption.error), None),
        )


def base_of(folder: DatasetFolder, set_name: str, run: RunOptions, where: Where | None) -> str | None:
    """The set whose captions stand where a selection leaves gaps; None where none do.

    Raises:
        CaptionSetNotFound: --fill names no set.
        OptionError: it names the set itself, or one that is made of it.
    """
    sets = folder.manifest.sets
    recorded = None if run.overwrite else sets.get(set_name)
    if run.fill is None:
        if recorded is not None:
            return recorded.base
        return where.set_name if where is not None and where.set_name != set_name else None
    if run.fill == NO_FILL:
        return None
    below: str | None = check_known_set(folder, run.fill, "--fill")
    while below is not None and below in sets:
        if below == set_name:
            raise OptionError(f"--fill {run.fill}: it is {set_name!r}, or made of it; name another set")
        below = sets[below].base
    return run.fill


def _fill(task: Task) -> Provenance:
    """Put the base's captions into the gaps that a selection left, and note how many were written anew.

    A pilot leaves them: what it was drawn from is captioned later.
    """
    folder, set_name, provenance = task.folder, task.set_name, task.provenance
    states = survey(folder, set_name)
    begun = any(state.captioned or state.failures for state in states)
    if provenance.base is None or not begun:
        return provenance
    if task.run.limit is None or any(state.filled for state in states):
        fill(folder, set_name, provenance.base)
    provenance = replace(provenance, edits=sum(state.captioned for state in states))
    note_set(folder, set_name, provenance)
    return provenance


def _settle(
    folder: DatasetFolder, set_name: str, captioner: Captioner, run: RunOptions, base: str | None
) -> Provenance:
    """Agree with the manifest on the set's provenance, and note it there before anything is captioned."""
    recorded = folder.manifest.sets.get(set_name)
    if run.retry_failed and recorded is None:
        raise CaptionSetNotFound(
            f"{folder.path} has no caption set {set_name!r}, so nothing of it failed; leave out --retry-failed"
        )
    batch_size = run.batch_size or (recorded.batch_size if recorded else None) or captioner.batch_size
    now = replace(captioner.provenance, batch_size=batch_size, base=base, date=timestamp())
    return begin_set(folder, set_name, now, overwrite=run.overwrite)


def _withdraw(folder: DatasetFolder, set_name: str) -> None:
    """Take a set that ended before its first caption out of the manifest again, so that the next attempt may be another."""
    captions = folder.path / "captions" / set_name
    if captions.is_dir() and any(captions.iterdir()):
        return
    manifest = folder.manifest
    sets = {name: provenance for name, provenance in manifest.sets.items() if name != set_name}
    folder.save_manifest(replace(manifest, sets=sets))


# -- the run -----------------------------------------------------------------------------------------------------------


def _execute(
    task: Task, captioning: type[Captioning], captioner: Captioner, states: list[ShardState]
) -> _Done:
    """Do what is to be done."""
    selection = selection_of(task, states)
    nothing = _Done(among=selection.among)
    plans = (plan for state in states if (plan := plan_shard(task, state, selection)) is not None)
    first = next(plans, None)
    if first is None:
        return nothing
    total = total_of(task, selection, states)
    say(_opening(task, captioner, total))
    with (
        captioning(task.folder, captioner, task.run) as engine,
        Recorder(task.folder, task.set_name) as recorder,
    ):

        def batches() -> Iterator[Batch]:
            plan: Plan | None = first
            while plan is not None:
                recorder.begin(plan[0])
                yield from plan[1]
                plan = next(plans, None)

        began = time.monotonic()
        done = nothing
        with progress(task.set_name, total) as advance:
            for finished in _stop_when_all_fail(engine.run(batches()), captioner):
                recorder.record(finished)
                done = done.with_batch(finished)
                advance(len(finished.captions), failed=finished.failures)
        seconds = time.monotonic() - began - engine.load_seconds
        return replace(done, seconds=seconds, largest_batch=engine.batch_size)


def _stop_when_all_fail(results: Iterator[Finished], captioner: Captioner) -> Iterator[Finished]:
    """Hand results on, but stop a run whose every batch fails before it turns a dataset into failures.

    Raises:
        ModelNotSupported: `MAX_FAILED_BATCHES` batches in a row gave no caption; they were not recorded.
    """
    held: list[Finished] = []
    for finished in results:
        held.append(finished)
        if finished.failures < len(finished.captions):
            yield from held
            held.clear()
        elif len(held) == MAX_FAILED_BATCHES:
            raise ModelNotSupported(
                f"{captioner.provenance.model} failed on every image of {MAX_FAILED_BATCHES} batches in a row, and the run was "
                f"stopped; the last error: {finished.captions[-1].error}"
            )
    yield from held


def _opening(task: Task, captioner: Captioner, total: int) -> str:
    provenance = task.provenance
    revision = f" at {provenance.revision[:19]}" if provenance.revision else ""
    prompt = shorten(repr(provenance.prompt), 60, placeholder="…") if provenance.prompt else "none"
    return (
        f"{task.set_name}: {images(total)} with {provenance.model}{revision}, prompt {prompt}, "
        f"batches of {provenance.batch_size}, {machine(provenance, captioner.device)}"
    )


def _size(folder: DatasetFolder, set_name: str, shard: int) -> int:
    paths = (folder.caption_shard(set_name, shard), folder.journal(set_name, shard))
    return sum(path.stat().st_size for path in paths if path.is_file())
