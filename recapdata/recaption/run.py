"""The recaption run: plan → batches → captions, resumable at any moment, with nothing lost and nothing captioned twice.

The folder is held for writing; what the command means for an existing set is settled and noted in the manifest before the first
caption (`agreement`); each image shard is cut into batches (`batches`), an engine captions them (`engines`), the recorder makes
every finished batch durable (`recorder`). A killed run is continued by the same command and ends with the same bytes.
"""

import shlex
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten

import pyarrow.parquet as pq

from recapdata.agreement import check_set_name, discard, going_on, settle
from recapdata.batches import Batch, Rows, cut, pilot_keys, pilot_quotas
from recapdata.captioners import Captioner, CaptionerOptions, open_captioner, parse_captioner
from recapdata.console import progress, say
from recapdata.engines import Finished, open_engine
from recapdata.errors import CaptionSetNotFound, InputError, ModelNotSupported, OptionError
from recapdata.journal import replay
from recapdata.keys import KeyIndex
from recapdata.recaption.recorder import Recorder, ShardStart, failed_keys, overlay, stored_captions
from recapdata.recaption.state import ShardState, failures_by_type, survey
from recapdata.recaption.summary import RecaptionSummary, images
from recapdata.records import Provenance
from recapdata.remove import finish_removal, read_keys_file
from recapdata.store import DatasetFolder

Selection = Callable[[int, list[str]], Collection[str] | None]
"""Shard number and its keys → the keys that are asked for; None for all."""
_Plan = tuple[ShardStart, list[Batch]]

HOPELESS = 3
"""After so many batches in a row without one caption the run stops: the model, not the pictures, is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a user may ask of the run, apart from the captioner.

    Attributes:
        batch_size: images at once; what suits captioner and machine where None.
        limit: a pilot of so many images, a sample over all shards.
        keys_file: caption only the keys in this text file, one a line.
        retry_failed: caption again what failed, and nothing else.
        overwrite: replace the set where it was made with other settings.
        workers: preparing processes; by itself where None.
    """

    batch_size: int | None = None
    limit: int | None = None
    keys_file: Path | None = None
    retry_failed: bool = False
    overwrite: bool = False
    engine: str = "local"
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("limit", 1), ("workers", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
        asked = [name for name in ("limit", "keys_file", "retry_failed") if getattr(self, name)]
        if len(asked) > 1:
            names = " and ".join("--" + name.removesuffix("_file").replace("_", "-") for name in asked)
            raise OptionError(f"{names} each choose what is captioned; give one of them")


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
        CaptionSetExists: the set was made with other settings.
        CaptionerNotFound, ModelNotSupported, OptionError, HubError: see `open_captioner`.
        DatasetBusy: another process writes to the folder.
    """
    began = time.monotonic()
    run = run or RunOptions()
    folder = DatasetFolder.open(directory)
    check_set_name(folder, set_name)
    name, model = parse_captioner(captioner)
    asked = replace(options or CaptionerOptions(), model=model)
    opened = open_captioner(
        name, going_on(folder.manifest.sets.get(set_name), asked, overwrite=run.overwrite)
    )
    with folder.writing():
        finish_removal(folder)
        new = set_name not in folder.manifest.sets
        provenance = _settle(folder, set_name, opened, run)
        task = _Task(folder, set_name, provenance, run)
        try:
            seconds, written, failed, fits = _execute(task, opened, survey(folder, set_name))
        except BaseException:
            if new:
                _withdraw(folder, set_name)
            raise
        after = survey(folder, set_name)
        kinds = failures_by_type(folder, set_name, after)
        written_bytes = sum(_size(folder, set_name, state.shard) for state in after)
    return RecaptionSummary(
        directory=str(directory),
        set_name=set_name,
        provenance=provenance,
        device=opened.device,
        records=sum(state.rows for state in after),
        captions=sum(state.captioned for state in after),
        failures=sum(state.failures for state in after),
        failures_by_type=kinds,
        lacking=sum(state.lacking for state in after),
        done=written,
        done_failures=failed,
        asked=task.kind,
        seconds=round(time.monotonic() - began, 2),
        caption_seconds=round(seconds, 4),
        caption_bytes=written_bytes,
        largest_batch=fits,
        command=_command(directory, set_name, captioner, asked, provenance),
    )


def _command(
    directory: str | Path, set_name: str, captioner: str, options: CaptionerOptions, provenance: Provenance
) -> str:
    """The command that goes on with this set, every setting spelled out that is not a default."""
    words = ["recapdata", "recaption", str(directory), set_name, "--captioner", captioner]
    for option, value, default in (
        ("--revision", options.revision, None),
        ("--style", options.style, "short"),
        ("--temperature", options.temperature, 0.0),
        ("--top-p", options.top_p, 1.0),
        ("--seed", options.seed, 0),
        ("--max-tokens", options.max_tokens, None),
        ("--candidates", options.candidates, 1),
        ("--batch-size", provenance.batch_size, None),
    ):
        if value != default:
            words += [option, str(value)]
    return shlex.join(words)


@dataclass(frozen=True, slots=True)
class _Task:
    """One run: where, which set, under which settings, and what of it."""

    folder: DatasetFolder
    set_name: str
    provenance: Provenance
    run: RunOptions

    @property
    def kind(self) -> str:
        """`all`, `pilot`, `keys` or `retry`."""
        if self.run.limit is not None:
            return "pilot"
        if self.run.keys_file is not None:
            return "keys"
        return "retry" if self.run.retry_failed else "all"


def _settle(folder: DatasetFolder, set_name: str, captioner: Captioner, run: RunOptions) -> Provenance:
    """Agree with the manifest on the set's provenance, and note it there before anything is captioned."""
    recorded = folder.manifest.sets.get(set_name)
    if run.retry_failed and recorded is None:
        raise CaptionSetNotFound(
            f"{folder.path} has no caption set {set_name!r}, so nothing of it failed; leave out --retry-failed"
        )
    batch_size = run.batch_size or (recorded.batch_size if recorded else None) or captioner.batch_size
    now = replace(
        captioner.provenance,
        batch_size=batch_size,
        date=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    provenance, replaced = settle(folder, set_name, now, overwrite=run.overwrite)
    if replaced:
        discard(folder, set_name)
    manifest = folder.manifest
    if manifest.sets.get(set_name) != provenance:
        folder.save_manifest(replace(manifest, sets={**manifest.sets, set_name: provenance}))
    return provenance


def _withdraw(folder: DatasetFolder, set_name: str) -> None:
    """Take a set that ended before its first caption out of the manifest again, so that the next attempt may be another."""
    captions = folder.path / "captions" / set_name
    if captions.is_dir() and any(captions.iterdir()):
        return
    manifest = folder.manifest
    sets = {name: provenance for name, provenance in manifest.sets.items() if name != set_name}
    folder.save_manifest(replace(manifest, sets=sets))


# -- planning ----------------------------------------------------------------------------------------------------------


def _selection(task: _Task, states: list[ShardState]) -> Selection:
    """Which keys of a shard are asked for."""
    if task.run.limit is not None:
        quotas = pilot_quotas([state.rows for state in states], task.run.limit)
        return lambda shard, keys: pilot_keys(keys, quotas[shard])
    if task.run.keys_file is not None:
        wanted = _read_keys(task.folder, task.run.keys_file)
        return lambda shard, keys: wanted.intersection(keys)
    if task.run.retry_failed:
        return lambda shard, keys: failed_keys(task.folder, task.set_name, shard)
    return lambda shard, keys: None


def _read_keys(folder: DatasetFolder, path: Path) -> set[str]:
    keys = read_keys_file(path)
    with KeyIndex(folder) as index:
        known = index.records([bytes.fromhex(key) for key in keys])
    unknown = sorted(key for key in keys if bytes.fromhex(key) not in known)
    if unknown:
        raise InputError(
            f"--keys {path}: {len(unknown):,} of {len(keys):,} keys are not in {folder.path}, the first is {unknown[0]}"
        )
    return keys


def _plan_shard(task: _Task, state: ShardState, selection: Selection) -> _Plan | None:
    """What is to be done in one shard; None for nothing at all."""
    if state.settled and not (task.run.retry_failed and state.failures):
        return None
    path = task.folder.image_shard(state.shard)
    table = pq.read_table(path, columns=["key", "width", "height"])
    keys = table["key"].to_pylist()
    journal = replay(task.folder.journal(task.set_name, state.shard))
    has = overlay(stored_captions(task.folder, task.set_name, state.shard), journal).keys()
    selected = selection(state.shard, keys)
    retry = sorted(set(selected or ()) - journal.wanted) if task.run.retry_failed else []
    missing = {key for key in keys if key not in has} | set(retry)
    areas = [w * h for w, h in zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)]
    rows = Rows(shard=state.shard, keys=keys, areas=areas, groups=_row_groups(path))
    assert task.provenance.batch_size is not None
    planned = (batch.only(missing) for batch in cut(rows, task.provenance.batch_size, selected))
    batches = [batch for batch in planned if batch.keys]
    if missing and not batches:
        return None
    return ShardStart(shard=state.shard, lacking=len(missing), retry=retry), batches


def _row_groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _total(task: _Task, states: list[ShardState]) -> int:
    """How many images the run will caption at most, as far as that is known without reading all keys."""
    lacking = sum(state.lacking for state in states)
    if task.kind == "retry":
        return sum(state.failures + (state.lacking if state.finished else 0) for state in states)
    return min(lacking, task.run.limit or lacking)


# -- the run -----------------------------------------------------------------------------------------------------------


def _execute(
    task: _Task, captioner: Captioner, states: list[ShardState]
) -> tuple[float, int, int, int | None]:
    """Do what is to be done: seconds of captioning, images done, failures among them, largest batch that fits."""
    selection = _selection(task, states)
    plans = (plan for state in states if (plan := _plan_shard(task, state, selection)) is not None)
    first = next(plans, None)
    if first is None:
        return 0.0, 0, 0, None
    say(_opening(task, captioner, states))
    with (
        open_engine(task.run.engine, task.folder, captioner, task.run.workers) as engine,
        Recorder(task.folder, task.set_name) as recorder,
    ):

        def batches() -> Iterator[Batch]:
            plan: _Plan | None = first
            while plan is not None:
                recorder.begin(plan[0])
                yield from plan[1]
                plan = next(plans, None)

        began = time.monotonic()
        written = failed = 0
        with progress(task.set_name, _total(task, states)) as advance:
            for finished in _hopeful(engine.run(batches()), captioner):
                recorder.record(finished)
                written += len(finished.captions)
                failed += finished.failures
                advance(len(finished.captions), failed=finished.failures)
        seconds = time.monotonic() - began - engine.load_seconds
        return seconds, written, failed, engine.batch_size


def _hopeful(results: Iterator[Finished], captioner: Captioner) -> Iterator[Finished]:
    """Hand results on, but stop a run whose every batch fails before it turns a dataset into failures.

    Raises:
        ModelNotSupported: `HOPELESS` batches in a row gave no caption; they were not recorded.
    """
    held: list[Finished] = []
    for finished in results:
        held.append(finished)
        if finished.failures < len(finished.captions):
            yield from held
            held.clear()
        elif len(held) == HOPELESS:
            raise ModelNotSupported(
                f"{captioner.provenance.model} failed on every image of {HOPELESS} batches in a row, and the run was "
                f"stopped; the last error: {finished.captions[-1].error}"
            )
    yield from held


def _opening(task: _Task, captioner: Captioner, states: list[ShardState]) -> str:
    provenance = task.provenance
    return (
        f"{task.set_name}: {images(_total(task, states))} with {provenance.model}"
        f"{' at ' + provenance.revision[:19] if provenance.revision else ''}, prompt {shorten(repr(provenance.prompt), 60, placeholder='…')}, batches of {provenance.batch_size}, "
        f"{provenance.dtype} on {captioner.device}"
    )


def _size(folder: DatasetFolder, set_name: str, shard: int) -> int:
    paths = (folder.caption_shard(set_name, shard), folder.journal(set_name, shard))
    return sum(path.stat().st_size for path in paths if path.is_file())
