"""The page of an experiment: tables, curves over steps, the audit against training, pictures of the same prompts, and the commands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from audits.reporting.pictures import Picture, thumbnail
from recapdata.atomic import write_atomic
from recapdata.display import shell_line
from recapdata.templates import render
from recaptrain.evaluation.evaluations import Evaluation, Figure
from recaptrain.evaluation.reporting.axes import Axis
from recaptrain.evaluation.reporting.curves import PALETTE, colors, curves, legend
from recaptrain.evaluation.reporting.tables import ARROWS, RECAP
from recaptrain.reproduction.analysis import Relation
from recaptrain.reproduction.commands import Commands
from recaptrain.reproduction.experiments import BASE
from recaptrain.reproduction.plan import Plan
from recaptrain.reproduction.results import (
    FIGURES,
    HELD_AGAINST,
    REAL,
    Cell,
    Reproduction,
    again,
    asked_of,
    costs_of,
)
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import Place, Study

TEMPLATE = "reproduction.html.j2"
SHOWN_PROMPTS = 6
"""Prompts of each kind whose pictures are shown."""
THUMBNAIL_BYTES = 12_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """An arm in a plot: where it stands, its color, and its numbers."""

    color: int
    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """An audit figure (across) and a trained one (up) over arms."""

    title: str
    note: str
    dots: Sequence[Dot]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A prompt and its picture by each arm."""

    prompt: str
    pictures: Sequence[Picture | None]


def write_page(
    found: Reproduction, settings: ReproduceSettings, study: Study, plan: Plan, commands: Commands, out: Path
) -> None:
    """Write the page as one HTML file that asks for nothing else."""
    runs = _runs(followed(found), study, plan)
    drawn = curves(runs) if len(plan.checkpoints) > 1 else []
    names = [name for name in FIGURES if any(cell.figure == name for cell in found.final)]
    values = {
        "found": found,
        "study": study,
        "plan": plan,
        "titles": [_title(name, found.final) for name in names],
        "tables": {
            "all prompts": _rows(found.final, names),
            **{kind: _rows(cells, names) for kind, cells in found.by_prompts.items()},
        },
        "curves": drawn,
        "legend": legend(runs) if drawn else {},
        "plots": [plot(each, study, found.final) for each in asked_of(found.relations)],
        "costs": costs_of(found.relations),
        "kinds": _kinds(study),
        "arms": list(study.arms),
        "colors": colors(runs),
        "pictures": {kind: _shown(study, plan, out, kind) for kind in study.prompts},
        "command": again(settings, plan, out),
        "commands": [(shell_line(each["command"]), each["seconds"]) for each in commands.done.values()],
    }
    write_atomic(out / "results.html", render(TEMPLATE, **values).encode("utf8", "replace"))


def followed(found: Reproduction) -> Sequence[Cell]:
    """The cells of all arms, or of those that are held against one another where there are more than colors."""
    arms = {cell.arm for cell in found.cells}
    held = {name for pair in HELD_AGAINST.get(found.experiment, ()) for name in pair} & arms - {BASE}
    if len(arms) <= PALETTE or not held:
        return found.cells
    return [cell for cell in found.cells if cell.arm in {*held, BASE, REAL}]


def _runs(cells: Sequence[Cell], study: Study, plan: Plan) -> list[Evaluation]:
    """The cells as evaluations, so that they are drawn as those are: an arm's steps as checkpoints, what has no steps as itself."""
    by_run: dict[str, list[Cell]] = {}
    trained = {arm.name for arm in study.arms if arm.mixture}
    for cell in cells:
        if cell.figure in FIGURES and (cell.arm in trained or cell.step == plan.steps):
            by_run.setdefault(f"{cell.arm}@{cell.step}" if cell.arm in trained else cell.arm, []).append(cell)
    return [
        Evaluation(
            name=name, source="", pictures=0, prompts=0, prompts_digest="", unreadable=0, not_applicable={}, made_with={},
            figures=[_figure(cell) for cell in own], without_figures={},
        )
        for name, own in by_run.items()
    ]  # fmt: skip


def _figure(cell: Cell) -> Figure:
    low, high = (cell.low, cell.high) if isfinite(cell.error) else (None, None)
    return Figure(
        name=cell.figure, metric=cell.figure, value=cell.value, low=low, high=high, n=0, not_applicable=0, unreadable=0,
        unit=cell.unit, better=cell.better, note="", identity={},
    )  # fmt: skip


def _title(name: str, cells: Sequence[Cell]) -> str:
    cell = next(cell for cell in cells if cell.figure == name)
    return " ".join(filter(None, (RECAP.get(name, name), cell.unit, ARROWS[cell.better])))


def _rows(cells: Sequence[Cell], names: Sequence[str]) -> list[tuple[str, list[Cell | None]]]:
    """Arm and its cells, a figure each."""
    by_name = {(cell.arm, cell.figure): cell for cell in cells}
    return [
        (arm, [by_name.get((arm, name)) for name in names])
        for arm in dict.fromkeys(cell.arm for cell in cells)
    ]


def plot(relation: Relation, study: Study, final: Sequence[Cell]) -> Plot:
    """A relation as a drawing; `final` are the cells after the last step."""
    audited: Mapping[str, float] = {
        arm: own[relation.audit] for arm, own in study.audit.items() if relation.audit in own
    }
    cells = {cell.arm: cell for cell in final if cell.figure == relation.trained and cell.arm in audited}
    across = Axis.over([audited[arm] for arm in cells])
    ends = {arm: _ends(cell) for arm, cell in cells.items()}
    up = Axis.over([end for both in ends.values() for end in both])
    shades, kinds = _kinds(study), {arm.name: arm.kind or arm.name for arm in study.arms}
    dots = [
        Dot(
            color=shades[kinds[arm]],
            x=across.along(audited[arm]),
            y=up.up(cell.value),
            low=up.up(ends[arm][0]),
            high=up.up(ends[arm][1]),
            told=f"{arm}: {relation.audit} {audited[arm]:.3g}, {relation.trained} {cell.text()}",
        )
        for arm, cell in cells.items()
    ]
    return Plot(
        title=f"{RECAP.get(relation.trained, relation.trained)} by {relation.audit}",
        note=f"ρ {relation.rank:+.2f} [{relation.rank_low:+.2f}, {relation.rank_high:+.2f}] over {relation.arms} arms",
        dots=dots,
        across=across.labels_along,
        up=up.labels_up,
    )


def _ends(cell: Cell) -> tuple[float, float]:
    """What is drawn of a cell's uncertainty: over trainings, since every arm is asked for the same prompts; where that is unknown, all of it."""
    half = cell.half_interval()
    if half is not None:
        return cell.value - half, cell.value + half
    return (cell.low, cell.high) if isfinite(cell.error) else (cell.value, cell.value)


def _kinds(study: Study) -> dict[str, int]:
    """The color of each kind of arms that are trained."""
    kinds = dict.fromkeys(arm.kind or arm.name for arm in study.arms if arm.mixture)
    return {kind: number % PALETTE for number, kind in enumerate(kinds)}


def _shown(study: Study, plan: Plan, out: Path, kind: str) -> list[Shown]:
    """The first prompts of a kind, with the picture of each arm's first training after its last step."""
    place = Place(out=out)
    folders = [place.images(arm, 0, plan.steps if arm.mixture else 0, kind) for arm in study.arms]
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in study.prompts[kind].read_bytes().splitlines()[:SHOWN_PROMPTS]
    ]
    return [
        Shown(prompt=row["prompt"], pictures=[_picture(folder / f"{row['id']}.png") for folder in folders])
        for row in rows
    ]


def _picture(path: Path) -> Picture | None:
    return thumbnail(path.read_bytes(), THUMBNAIL_BYTES) if path.is_file() else None
