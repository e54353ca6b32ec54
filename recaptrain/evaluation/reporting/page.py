"""The page: tables, curves and grids, into one template, into one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recapdata.atomic import write_atomic
from recapdata.console import progress
from recapdata.outputs import page_kind
from recapdata.templates import render
from recaptrain.evaluation.evaluations import (
    Difference,
    Evaluation,
    Measured,
    counts,
    intervals,
    not_compared,
    notes,
)
from recaptrain.evaluation.reporting.curves import checkpoint, colors, curves, legend
from recaptrain.evaluation.reporting.grids import grids
from recaptrain.evaluation.reporting.tables import groups, made_with, overview

TEMPLATE = "evaluation.html.j2"
PAGE, GENERATOR = page_kind("recaptrain evaluate", "page.html")


def write_page(
    measured: Sequence[Measured], differences: Sequence[Difference], path: Path, *, seed: int = 0
) -> None:
    """Write the page of an evaluation as one HTML file that asks for nothing else; the same evaluation gives the same bytes.

    Args:
        measured: the runs in the order of the rows; the first is what the others are compared with.
        seed: of the prompts that are shown by chance.
    """
    runs = [each.evaluation for each in measured]
    with progress("pictures") as advance:
        shown = grids(measured, seed, advance)
    found = curves(runs)
    page = render(
        TEMPLATE,
        generator=GENERATOR,
        runs=runs,
        made=[made_with(run.made_with, run.runs) for run in runs],
        colors=colors(runs),
        cautions=list(dict.fromkeys(each for run in runs for each in run.cautions)),
        refused=not_compared(differences),
        counts=[counts(run) for run in runs],
        intervals=intervals(runs),
        by_seed=[run.name for run in runs if run.runs > 1],
        notes=notes(runs),
        overview=overview(runs, differences),
        groups=groups(runs, differences),
        compared=any(each.value is not None for each in differences),
        measured_with=_measured_with(runs),
        curves=found,
        legend=legend(runs) if found else {},
        steps=[step[1] if (step := checkpoint(run)) else None for run in runs],
        grids=shown,
    )
    write_atomic(path, page.encode("utf8", "replace"))


def _measured_with(runs: Sequence[Evaluation]) -> Mapping[str, str]:
    """By metric what its figures rest on: models with revisions, thresholds, reference."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        for figure in run.figures:
            found.setdefault(figure.metric, dict(figure.identity))
    return {
        metric: ", ".join(f"{name} {value}" for name, value in identity.items() if name != "version")
        for metric, identity in found.items()
    }
