"""Runs an experiment: data and captions, trainings, pictures, figures; every step a console command that resumes by itself.

    OUT/reproduction.json    the settings, the plan, and how fast things went in the trial
    OUT/commands.jsonl       every command in the order it ended, with its seconds and its summary
    OUT/measurements.jsonl   a row per arm, training, checkpoint, kind of prompts and figure
    OUT/results.*            what came of it; see `results`

What is finished is not run again. A command that was killed goes on where it was.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from recapdata.atomic import write_atomic
from recapdata.console import progress, say
from recapdata.dataset.folder import check_output, hold
from recapdata.engines.local import available_cores
from recapdata.errors import InputError, OptionError
from recapdata.models.sources import resolve_model
from recapdata.options import identity
from recapdata.outputs import check_own_folder
from recaptrain.diffusion.components import pipeline_class
from recaptrain.reproduction.commands import COMMANDS, Commands
from recaptrain.reproduction.drawn import prepare_drawn
from recaptrain.reproduction.experiments import Arm, choose_arms
from recaptrain.reproduction.own import Compared, open_compared, prepare_own
from recaptrain.reproduction.page import write_page
from recaptrain.reproduction.plan import Plan, Speed, plan_runs
from recaptrain.reproduction.results import REAL, Reproduction, Row, conclude
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import Place, Study, evaluate_words, generate_words, train_words
from recaptrain.training.trackers import say_beside_bar

SETTINGS = "reproduction.json"
MEASUREMENTS = "measurements.jsonl"
GIVEN = ("seeds", "steps", "prompts")
"""Options that a plan is made of, where they are given."""
TRIAL_STEPS, TRIAL_PROMPTS = (1, 4, 24), 16
"""Trainings of the trial, of which the first fills the caches and is not timed; and its prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An experiment under way, with a device for each training at a time: the number of a GPU, or None for the processor."""

    settings: ReproduceSettings
    study: Study
    out: Path
    commands: Commands
    devices: tuple[str | None, ...]


def reproduce(settings: ReproduceSettings, out: Path) -> Reproduction:
    """Run an experiment, or go on with it.

    Raises:
        OptionError: `out` holds another one, or other files, the experiment has no such arm, or the budget is too small.
        CommandFailed: a command failed; what is finished stays.
        DatasetBusy: another process runs it.
    """
    check_own_folder(out, {SETTINGS, COMMANDS}, "reproduction")
    check_output(out, os.listdir(out) if out.is_dir() else ())
    compared = open_compared(settings)
    arms = choose_arms(settings.experiment, settings.arms)
    before = _before(out, settings)
    commit = before["base_commit"] if before else _base_commit(settings)
    out.mkdir(parents=True, exist_ok=True)
    with hold(out):
        before = _before(out, settings)
        return _reproduce(
            replace(settings, **(before["given"] if before else {})), compared, arms, before, commit, out
        )


def _reproduce(
    settings: ReproduceSettings,
    compared: list[Compared],
    arms: Sequence[Arm],
    before: dict[str, Any] | None,
    commit: str | None,
    out: Path,
) -> Reproduction:
    began = time.monotonic()
    devices = _devices(settings)
    commands = Commands(out, {**os.environ, **_threads(1)})
    say("data, captions and their audit")
    study = (
        prepare_own(settings, compared, out, commands)
        if compared
        else prepare_drawn(settings, arms, out, commands)
    )
    pinned = replace(settings, base_revision=commit)
    running = Running(settings=pinned, study=study, out=out, commands=commands, devices=devices)
    plan = Plan(**before["plan"]) if before else _plan(running, settings, began)
    say(
        f"{len(plan.runs(study.arms))} models, {plan.steps:,} steps each, {len(devices)} at a time: {plan.certainty()}"
    )
    prompts = {kind: _first(path, plan.prompts, out / "data") for kind, path in study.prompts.items()}
    running = replace(running, study=replace(study, prompts=prompts))
    rows = _measure_all(running, plan)
    write_atomic(out / MEASUREMENTS, "".join(json.dumps(asdict(row)) + "\n" for row in rows).encode())
    found = conclude(settings, study, plan, rows, commands, out)
    write_page(found, settings, running.study, plan, commands, out)
    return found


def _before(out: Path, settings: ReproduceSettings) -> dict[str, Any] | None:
    """What an earlier call has written of its settings and plan; None where there is none.

    Raises:
        OptionError: its settings are others, or it cannot be read.
    """
    path = out / SETTINGS
    if not path.is_file():
        return None
    try:
        before: dict[str, Any] = json.loads(path.read_bytes())
        plan = Plan(**before["plan"])
        known = dict(before["settings"])
        before.setdefault("base_commit", None)
        if not isinstance(before["base_commit"], str | None):
            raise TypeError("base_commit")
        # What was asked for, of which there may have been less; replacing checks it.
        before["given"] = {name: before.get("given", {}).get(name) for name in GIVEN}
        replace(settings, **before["given"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OptionError) as error:
        raise OptionError(f"{path} cannot be read ({type(error).__name__}); use another folder") from error
    now = json.loads(json.dumps(identity(settings)))
    differing = [name for name in now if known.get(name) != now[name]]
    differing += [
        name
        for name in GIVEN
        if getattr(settings, name) not in (None, before["given"][name], getattr(plan, name))
    ]
    if differing:
        raise OptionError(
            f"{out} holds a reproduction with other settings ({', '.join(differing)}); use the same, or another folder"
        )
    return before


def _devices(settings: ReproduceSettings) -> tuple[str | None, ...]:
    import torch

    gpus = torch.cuda.device_count()
    workers = settings.workers or gpus or available_cores()
    return tuple(str(number % gpus) if gpus else None for number in range(workers))


def _base_commit(settings: ReproduceSettings) -> str | None:
    """The commit of the base on a Hub, so that every arm is trained from the same; None for one on disk.

    Raises:
        CaptionerNotFound: no such model.
        ModelNotSupported: it is no Stable Diffusion pipeline.
    """
    source = resolve_model(settings.base, kind="diffusion", revision=settings.base_revision)
    pipeline_class(source)
    return source.commit


def _plan(running: Running, settings: ReproduceSettings, began: float) -> Plan:
    """Choose how much is run, by a trial where there is a budget, and write it down, beside the settings as they were given."""
    study = running.study
    speed = None if settings.budget is None else _try_speed(running)
    spent = (time.monotonic() - began) / 60
    kinds = tuple(study.prompts)
    plan = plan_runs(settings, study.arms, kinds, speed=speed, spent=spent, workers=len(running.devices))
    there = min(len(path.read_bytes().splitlines()) for path in study.prompts.values())
    if there < plan.prompts:
        say(f"{there:,} prompts of a kind instead of {plan.prompts:,}: there are no more")
        plan = replace(plan, prompts=there)
    content = {
        "settings": identity(settings),
        "given": {name: getattr(settings, name) for name in GIVEN},
        "base_commit": running.settings.base_revision,
        "plan": asdict(plan),
        "speed": speed and asdict(speed),
    }
    write_atomic(running.out / SETTINGS, json.dumps(content, indent=2).encode())
    return plan


def _first(path: Path, count: int, data: Path) -> Path:
    """The first prompts of a file, as a file."""
    chosen = data / f"{path.stem}-{count}.jsonl"
    write_atomic(chosen, b"".join(path.read_bytes().splitlines(keepends=True)[:count]))
    return chosen


def _try_speed(running: Running) -> Speed:
    """Time short trainings and a few pictures, as many at a time as there are devices.

    Raises:
        OptionError: no arm is trained.
    """
    settings, study, commands = running.settings, running.study, running.commands
    arm = next((arm for arm in study.arms if arm.mixture), None)
    if arm is None:
        raise OptionError("--budget needs an arm that is trained; name one with --arms")
    kind = next(iter(study.prompts))
    study = replace(study, prompts={kind: _first(study.prompts[kind], TRIAL_PROMPTS, running.out / "data")})

    def trial(number: int) -> tuple[float, ...]:
        seconds, env = [], _env(running, running.devices[number])
        for steps in TRIAL_STEPS:
            place = Place(out=running.out / "trial" / f"{number}-{steps}")
            place.out.mkdir(parents=True, exist_ok=True)
            words = train_words(settings, study, place, arm, 0, steps)
            commands.run(*words, **env)
            seconds.append(commands.seconds(*words))
        drawn = generate_words(settings, study, place, arm, 0, steps, kind)
        images = {kind: place.images(arm, 0, steps, kind)}
        for words in (drawn, evaluate_words(settings, study, place, images, "trial", study.metrics)):
            commands.run(*words, **env)
            seconds.append(commands.seconds(*words))
        return tuple(seconds)

    say("a trial of how fast it goes")
    with ThreadPoolExecutor(len(running.devices)) as pool:
        trials = list(pool.map(trial, range(len(running.devices))))
    _, few, many, generate, evaluate = (sum(each) / len(trials) for each in zip(*trials, strict=True))
    step = max((many - few) / (TRIAL_STEPS[2] - TRIAL_STEPS[1]), 1e-3)
    start = max(few - TRIAL_STEPS[1] * step, 0.0)
    return Speed(start=start, step=step, picture=max(generate + evaluate - 2 * start, 0.1) / TRIAL_PROMPTS)


def _env(running: Running, device: str | None) -> dict[str, str]:
    """Environment of a worker's commands: its device, and its share of the cores."""
    return {**_threads(len(running.devices)), **({} if device is None else {"CUDA_VISIBLE_DEVICES": device})}


def _threads(shares: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, available_cores() // shares))}


def _measure_all(running: Running, plan: Plan) -> list[Row]:
    """Train and measure every arm and seed, as many at a time as there are devices; the rows by arm."""
    free: SimpleQueue[str | None] = SimpleQueue()
    for device in running.devices:
        free.put(device)

    # Seed by seed, so that a run that is stopped early has whole comparisons.
    runs: list[tuple[Arm | None, int]] = [
        *plan.runs(running.study.arms),
        *([(None, 0)] if running.study.real else []),
    ]
    total = sum(len(plan.checkpoints) if arm is not None and arm.mixture else 1 for arm, _ in runs)
    with (
        progress("trained and measured", total, unit="checkpoints") as advance,
        ThreadPoolExecutor(len(running.devices)) as pool,
    ):

        def one(arm: Arm | None, seed: int) -> list[Row]:
            device = free.get()
            try:
                env, rows = _env(running, device), []
                measured = (
                    _measure_real(running, env)
                    if arm is None
                    else _measure_arm(running, plan, arm, seed, env)
                )
                for checkpoint in measured:
                    rows += checkpoint
                    advance()
                return rows
            finally:
                free.put(device)

        futures = [pool.submit(one, *run) for run in runs]
        _, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    names = [arm.name for arm in running.study.arms]
    rows = [row for future in futures if not future.cancelled() for row in future.result()]
    return sorted(rows, key=lambda row: names.index(row.arm) if row.arm in names else len(names))


def _measure_arm(
    running: Running, plan: Plan, arm: Arm, seed: int, env: Mapping[str, str]
) -> Iterator[list[Row]]:
    """The rows of each checkpoint as it is measured."""
    settings, study, place, commands = (
        running.settings,
        running.study,
        Place(out=running.out),
        running.commands,
    )
    for step in plan.checkpoints if arm.mixture else (0,):
        if arm.mixture:
            commands.run(*train_words(settings, study, place, arm, seed, step), **env)
        for kind in study.prompts:
            commands.run(*generate_words(settings, study, place, arm, seed, step, kind), **env)
        images = {kind: place.images(arm, seed, step, kind) for kind in study.prompts}
        name = f"{arm.folder}-{seed}-{step}"
        summary = commands.run(*evaluate_words(settings, study, place, images, name, study.metrics), **env)
        say_beside_bar(f"{arm.name}, training {seed + 1}: measured after {step:,} steps")
        yield list(_rows(summary, arm.name, seed, step))


def _measure_real(running: Running, env: Mapping[str, str]) -> Iterator[list[Row]]:
    """The rows of real images: unseen pictures against their own captions; they are more than are drawn, so no FID of them is comparable."""
    metrics = tuple(name for name in running.study.metrics if name != "fid")
    place, real = Place(out=running.out), running.study.real
    words = evaluate_words(running.settings, running.study, place, real, "real", metrics)
    yield list(_rows(running.commands.run(*words, **env), REAL, 0, 0))


def _rows(summary: Mapping[str, Any], arm: str, seed: int, step: int) -> Iterator[Row]:
    try:
        for run in summary["evaluations"]:
            for each in run["figures"]:
                if each["value"] is not None:
                    known = {name: each[name] for name in ("n", "better", "unit")}
                    known |= {
                        name: each[name] if each[name] is None else float(each[name])
                        for name in ("value", "low", "high")
                    }
                    yield Row(
                        arm=arm, seed=seed, step=step, prompts=run["name"], figure=each["name"], **known
                    )
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{COMMANDS} holds a summary of recaptrain evaluate that is none ({type(error).__name__}); use another folder"
        ) from error
