"""Measures pictures: read → rows of each metric → figures with intervals → table, JSON, page, differences between runs."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from math import isfinite
from pathlib import Path

import numpy as np

from recapdata.atomic import check_folder, write_atomic
from recapdata.console import progress, say
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.dataset.folder import check_output
from recapdata.errors import InputError
from recapdata.extras import require
from recapdata.models.sources import EMBEDDED, unlike_scenes
from recapdata.outputs import check_replaceable
from recaptrain.evaluation.ahead import decoded
from recaptrain.evaluation.by_seed import joined
from recaptrain.evaluation.evaluations import (
    Difference,
    EvaluateSummary,
    Evaluation,
    Figure,
    Measured,
    Replicates,
)
from recaptrain.evaluation.intervals import percentile_interval, replicate
from recaptrain.evaluation.measuring import NOTHING, UNREADABLE, Rows, measure
from recaptrain.evaluation.metrics import Metric, Statistic, open_metric, without_pictures
from recaptrain.evaluation.pictures import Pictures, read_runs
from recaptrain.evaluation.reference import FOLDER
from recaptrain.evaluation.seen import EVIDENCE, open_store
from recaptrain.evaluation.settings import EvaluateSettings

FIGURES = "evaluation.json"
LOOKED_AT = 8
"""Pictures of a run whose sizes tell whether they are drawn scenes."""


def evaluate(sources: Sequence[str], settings: EvaluateSettings) -> EvaluateSummary:
    """Measure pictures; with more than one source, compare the others with the first.

    Args:
        sources: see `read_pictures`; those called `NAME=` alike are runs of one model by seed, and taken together (`by_seed`).

    Raises:
        InputError: no pictures.
        OptionError: no such metric, two runs of one name, an option that a metric needs is missing, or the page's path is something else.
        MissingExtra: a metric needs an optional part of the installation.
    """
    require("torch_fidelity", extra="evaluate")
    began = time.monotonic()
    check_folder(Path(settings.out))
    if settings.report is not None:
        from recaptrain.evaluation.reporting import PAGE

        check_replaceable(Path(settings.report), PAGE)
    runs = read_runs(
        sources, by_seed=True, prompts=settings.prompts, shuffle=settings.shuffle, seed=settings.seed
    )
    _check_texts(runs)
    check_output(Path(settings.out), {FOLDER, EVIDENCE, *(run.folder(settings.out).name for run in runs)})
    by_name: dict[str, list[Measured]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(_measured(run, settings))
    measured = joined(list(by_name.values()), settings.out, settings.seed)
    for each in [*chain.from_iterable(by_name.values()), *measured]:
        content = json.dumps(
            asdict(each.evaluation), indent=2, ensure_ascii=False, default=str, allow_nan=False
        )
        write_atomic(each.folder / FIGURES, content.encode())
    differences = [difference for other in measured[1:] for difference in _differences(measured[0], other)]
    if settings.report is not None:
        from recaptrain.evaluation.reporting import write_page

        write_page(measured, differences, Path(settings.report), seed=settings.seed)
    return EvaluateSummary(
        out=settings.out,
        evaluations=[each.evaluation for each in measured],
        differences=differences,
        report=settings.report,
        seconds=round(time.monotonic() - began, 1),
    )


def _check_texts(runs: Sequence[Pictures]) -> None:
    """Refuse prompts that no tokenizer takes.

    Raises:
        InputError: one holds half a surrogate pair.
    """
    for run in runs:
        for each in run.items:
            try:
                f"{each.prompt}{each.read}".encode()
            except UnicodeEncodeError as error:
                raise InputError(
                    f"{run.source}: the prompt of {each.id} holds half a surrogate pair, which is no text; mend it"
                ) from error


def _measured(run: Pictures, settings: EvaluateSettings) -> Measured:
    metrics = [open_metric(name, settings, run) for name in dict.fromkeys(settings.metrics)]
    cautions = _cautions(run, metrics)
    for each in cautions:
        say(each)
    folder = run.folder(settings.out)
    with progress(f"measuring {run.name}", total=len(run.items)) as advance:
        rows = measure(run.items, metrics, folder, advance=advance)
    open_store(settings).save()
    prompts = run.prompts
    errors: dict[str, str] = {}
    figures: list[Figure] = []
    replicates: dict[str, Replicates] = {}
    not_applicable: dict[str, int] = {}
    without: dict[str, str] = {}
    for metric in metrics:
        states = rows[metric.name].states()
        errors, not_applicable[metric.name] = rows[metric.name].errors(), states.count(NOTHING)
        own = dict(_figures(metric, rows[metric.name], states, prompts, settings.seed))
        if not own:
            without[metric.name] = (
                f"it has nothing to say of any of the {len(states):,} pictures"
                if len(errors) < len(states)
                else "no picture can be decoded"
            )
        figures += [figure for figure, _ in own.values()]
        replicates |= {name: made for name, (_, made) in own.items()}
    evaluation = Evaluation(
        name=run.name,
        source=run.source,
        pictures=len(run.items),
        prompts=len(prompts),
        prompts_digest=run.prompts_digest,
        unreadable=len(errors),
        errors=errors,
        not_applicable=not_applicable,
        made_with=run.made_with,
        figures=figures,
        without_figures=without,
        cautions=cautions,
    )
    return Measured(folder=folder, pictures=run, evaluation=evaluation, replicates=replicates)


def _figures(
    metric: Metric, rows: Rows, states: Sequence[str], prompts: Mapping[str, int], seed: int
) -> Iterator[tuple[str, tuple[Figure, Replicates]]]:
    """The figures of a metric by name, with their repetitions; neither rows nor features are kept."""
    own = rows.measured()
    prompt_of = np.array([prompts[name] for name in own.column("prompt_id").to_pylist()], np.int64)
    statistics = metric.figures(own) if len(own) else ()
    del own
    for statistic in statistics:
        values = replicate(statistic, prompt_of, len(prompts), seed) if len(prompts) > 1 else np.array([])
        made = Replicates(statistic=statistic, prompt_of=prompt_of, values=values)
        figure = _figure(metric, made, states)
        yield statistic.name, (figure, replace(made, statistic=without_pictures(statistic)))


def _figure(metric: Metric, made: Replicates, states: Sequence[str]) -> Figure:
    statistic = made.statistic
    value = statistic.value(np.ones(len(made.prompt_of), np.int64))
    low, high = percentile_interval(made.values) or (None, None)
    if low is not None and statistic.least is not None:
        low = max(low, statistic.least)
    there = isfinite(value)
    return Figure(
        name=statistic.name,
        metric=metric.name,
        value=float(value) if there else None,
        low=low if there else None,
        high=high if there else None,
        n=statistic.n,
        not_applicable=states.count(NOTHING),
        unreadable=states.count(UNREADABLE),
        unit=statistic.unit,
        better=statistic.better,
        note=statistic.note,
        identity=metric.identity,
        why="" if there else _why(statistic),
    )


def _why(statistic: Statistic) -> str:
    """Why a figure has no value."""
    return statistic.note or f"none of the {statistic.n:,} pictures that were measured has one"


def _cautions(run: Pictures, metrics: Sequence[Metric]) -> list[str]:
    """A warning where the embedded CLIP is to see other pictures than drawn scenes."""
    uses = [
        metric.name
        for metric in metrics
        if any(str(value).startswith(f"{EMBEDDED}@") for value in metric.identity.values())
    ]
    if not uses:
        return []
    images = [decoded(picture) for picture in run.items[:LOOKED_AT]]
    sizes = [image.size for image in images if not isinstance(image, ImageUnreadable)]
    warning = unlike_scenes(sizes, run.name)
    return [] if warning is None else [f"{warning} ({', '.join(uses)})"]


def _differences(a: Measured, b: Measured) -> Iterator[Difference]:
    """Each figure that both have, b − a, resampled alike."""
    others = {figure.name: figure for figure in b.evaluation.figures}
    for figure in a.evaluation.figures:
        if (other := others.get(figure.name)) is None:
            continue
        why = _incomparable(a, b, figure, other)
        low = high = value = None
        if not why and figure.value is not None and other.value is not None:
            value = other.value - figure.value
            change = b.replicates[figure.name].values - a.replicates[figure.name].values
            low, high = percentile_interval(change) or (None, None)
        yield Difference(
            figure=figure.name,
            a=a.evaluation.name,
            b=b.evaluation.name,
            value=value,
            low=low,
            high=high,
            better=figure.better,
            why=why,
        )


def _incomparable(a: Measured, b: Measured, figure: Figure, other: Figure) -> str:
    """Why a figure of two runs is not compared; empty where it is."""
    for name, each in ((a.evaluation.name, figure), (b.evaluation.name, other)):
        if each.value is None:
            return f"{name} has no value"
    if a.evaluation.prompts_digest != b.evaluation.prompts_digest:
        return "other prompts, or other numbers of pictures of them"
    differing = [
        name
        for name in {**figure.identity, **other.identity}
        if figure.identity.get(name) != other.identity.get(name)
    ]
    return "; ".join(
        f"{name}: {figure.identity.get(name)} there, {other.identity.get(name)} here" for name in differing
    )
