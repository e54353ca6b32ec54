"""What an experiment showed: tables in RECAP's form, curves over steps, and the audit held against what training yielded.

OUT/results.json   the tables as data
OUT/results.md     the tables for a README
OUT/results.html   all of it, with plots, pictures and every command
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from math import hypot, inf, isfinite
from pathlib import Path

from recapdata.atomic import write_atomic
from recapdata.display import finite, shown_as_text
from recapdata.markdown import as_code, escape
from recapdata.options import command_line
from recapdata.templates import render
from recaptrain.reproduction.analysis import Estimate, Measured, Relation, over_seeds, relate, spread_of
from recaptrain.reproduction.commands import Commands
from recaptrain.reproduction.experiments import BASE, BOTH
from recaptrain.reproduction.plan import Plan
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import PRECISION, Study

REAL = "real images"
FIGURES = ("fid", "soa-c", "soa-i", "ca", "pa", "rp", "clipscore", "claims", "spatial")
"""Columns of the table: RECAP's (Segalis et al. 2023) without O-FID, DALL·E 3's CLIP score, claims and positions of the prompts that hold."""
MOST = {"spatial": 1.0}
"""The most that a figure can be that is no percentage; none is below nought."""
AUDITED = (
    "object precision", "count precision", "color precision", "position precision", "object coverage", "count coverage", "color coverage",
    "position coverage", "object recall", "color recall", "claims per caption", "clipscore",
)  # fmt: skip
"""Audit figures that are held against trained ones."""
TRAINED = (*FIGURES, *(f"claims-{kind}" for kind in ("object", "color", "count", "position")))
"""Trained figures that they are held against."""
ASKED = (
    (PRECISION, "soa-c"), (PRECISION, "soa-i"), (PRECISION, "claims-color"),
    ("object precision", "soa-c"), ("color precision", "claims-color"), ("count precision", "ca"), ("position precision", "spatial"),
    ("object coverage", "soa-c"), ("object recall", "soa-c"), ("clipscore", "clipscore"),
)  # fmt: skip
"""What is asked before anything is measured: does the audit's precision foretell what is drawn, each kind's its own, and what is left unsaid? All
relations are in the tables, but of so many some are strong by chance.
"""
LOWERED = {
    "object": "object precision",
    "color": "color precision",
    "count": "count precision",
    "position": "position precision",
    "vague": "object coverage",
}
"""By kind of the arms of `lies`, the audit's figure that is lowered in them, the others of its sort staying as they are."""
HELD_AGAINST = {
    "recap": [
        ("mix", "alttext"),
        ("long", "alttext"),
        ("short", "alttext"),
        ("alttext", BASE),
        ("mix/unet", "mix"),
        ("mix/text_encoder", "mix"),
    ],
    "blends": [("synthetic-95", "synthetic-0"), ("synthetic-100", "synthetic-95")],
    "lies": [
        *((f"{kind}-30", "true") for kind in ("object", "color", "count", "position")),
        ("vague-75", "true"),
    ],
}
"""By experiment, which arm is held against which in words; of a user's own datasets, each against each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure of one training at one checkpoint, on one kind of prompts; `low` and `high` None where it has no interval."""

    arm: str
    seed: int
    step: int
    prompts: str
    figure: str
    value: float
    low: float | None
    high: float | None
    n: int
    better: str | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Estimate):
    """A figure of an arm over its trainings; `better` and `unit` as its metric says."""

    arm: str
    figure: str
    step: int
    better: str | None
    unit: str

    @property
    def interval(self) -> str:
        """`[78.0, 84.1]`; empty where it is unknown."""
        return f"[{self.low:.4g}, {self.high:.4g}]" if isfinite(self.error) else ""

    def text(self) -> str:
        """`81.2 [78.0, 84.1]`."""
        return f"{self.value:.4g} {self.interval}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class Reproduction:
    """What an experiment showed.

    Attributes:
        cells: figures over all kinds of prompts, by arm and step.
        by_prompts: those of the table by kind of prompts, after the last step.
        findings: what separates and what does not, in sentences.
        relations: audit figures against trained ones; none where fewer than three arms differ in captions.
        seconds: that its commands took, all together.
    """

    out: str
    experiment: str
    certainty: str
    cells: Sequence[Cell]
    by_prompts: Mapping[str, Sequence[Cell]]
    findings: Sequence[str]
    relations: Sequence[Relation]
    seconds: float

    @property
    def final(self) -> list[Cell]:
        """The cells after the last step."""
        last = max(cell.step for cell in self.cells)
        return [cell for cell in self.cells if cell.step == last]

    def text(self) -> str:
        """The closing table for the terminal."""
        lines = [
            _table(self.final),
            "(95 % intervals over prompts and trainings; what chance moves a training is pooled over the arms)",
            *self.findings,
        ]
        if asked := asked_of(self.relations):
            lines.append("the audit before training against what training yielded, Spearman's ρ over arms:")
            lines += [
                f"  {each.audit} – {each.trained}: {each.rank:+.2f} [{each.rank_low:+.2f}, {each.rank_high:+.2f}], {each.arms} arms"
                for each in asked
            ]
        lines += [self.certainty, f"page, tables and commands: {self.out}/results.html"]
        return "\n".join(lines)


def conclude(
    settings: ReproduceSettings, study: Study, plan: Plan, rows: Sequence[Row], commands: Commands, out: Path
) -> Reproduction:
    """Make the tables of an experiment's measurements and write them."""
    alike = alike_kinds({kind: _ids(path) for kind, path in study.prompts.items()})
    cells = [cell for step in plan.checkpoints for cell in tabulate(rows, step, plan.kinds, alike)]
    final = {(cell.arm, cell.figure): cell for cell in cells if cell.step == plan.steps}
    found = Reproduction(
        out=str(out),
        experiment="datasets" if settings.datasets else settings.experiment,
        certainty=plan.certainty(),
        cells=cells,
        by_prompts={
            kind: [cell for cell in tabulate(rows, plan.steps, (kind,)) if cell.figure in FIGURES]
            for kind in plan.kinds
        },
        findings=_findings(settings, study, final),
        relations=relations(study, final),
        seconds=round(sum(each["seconds"] for each in commands.done.values()), 1),
    )
    content = json.loads(
        json.dumps(finite(asdict(found))), parse_float=lambda digits: float(f"{float(digits):.6g}")
    )
    write_atomic(out / "results.json", json.dumps(content, allow_nan=False).encode() + b"\n")
    values = {
        "text": escape,
        "code": as_code,
        "result": found,
        "asked": asked_of(found.relations),
        "costs": costs_of(found.relations),
        "figures": [name for name in FIGURES if any(cell.figure == name for cell in cells)],
        "plan": plan,
        "command": again(settings, plan, out),
    }
    write_atomic(out / "results.md", render("reproduction.md.j2", **values).encode())
    return found


def again(settings: ReproduceSettings, plan: Plan, out: Path) -> str:
    """The command that runs as much again, wherever: a budget allows more or less on another machine."""
    planned = replace(settings, budget=None, seeds=plan.seeds, steps=plan.steps, prompts=plan.prompts)
    return command_line("recaptrain reproduce", [out.name], planned)


def alike_kinds(ids: Mapping[str, Collection[str]]) -> list[frozenset[str]]:
    """Kinds of prompts, put together where they are captions of the same pictures: such prompts are hard or easy together.

    In three trainings of `recap`, verdicts on SOA of short and long captions of one picture correlated by 0.3 to 0.6; those of alt text, a part of which
    is of the same pictures, by -0.2 to 0.2 with either.
    """
    kinds: dict[frozenset[str], list[str]] = {}
    for kind, own in ids.items():
        kinds.setdefault(frozenset(own), []).append(kind)
    return [frozenset(alike) for alike in kinds.values()]


def _ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def tabulate(
    rows: Sequence[Row], step: int, kinds: Sequence[str], alike: Collection[frozenset[str]] = ()
) -> list[Cell]:
    """Figures by arm at a step; what has no steps (base, real images) is the same at each.

    A figure is the mean over the kinds of prompts that it applies to, each counting by its pictures: of RMSE (CA) and FID, too. Of a kind that a
    figure of one training lacks, those of the arm's others do not count either.

    Args:
        alike: kinds whose prompts are hard or easy together; of others they are so independently.
    """
    measured: dict[tuple[str, str], dict[int, list[Row]]] = {}
    for row in rows:
        if row.step in (step, 0) and row.prompts in kinds and isfinite(row.value):
            measured.setdefault((row.figure, row.arm), {}).setdefault(row.seed, []).append(row)
    runs = {key: list(_runs(by_seed, alike)) for key, by_seed in measured.items()}
    runs = {key: mine for key, mine in runs.items() if mine}
    spread = {
        name: spread_of(runs[figure, arm] for figure, arm in runs if figure == name) for name, _ in runs
    }
    cells = []
    for (figure, arm), mine in runs.items():
        one = next(iter(measured[figure, arm].values()))[0]
        most = 100.0 if one.unit == "%" else MOST.get(figure, inf)
        found = over_seeds(mine, spread[figure] if one.step else None, least=0.0, most=most)
        known = {each.name: getattr(found, each.name) for each in fields(found)}
        cells.append(Cell(**known, arm=arm, figure=figure, step=step, better=one.better, unit=one.unit))
    return cells


def _runs(by_seed: Mapping[int, Sequence[Row]], alike: Collection[frozenset[str]]) -> Iterator[Measured]:
    """A figure of each training of an arm, over the kinds of prompts that all of them have.

    Kinds are put together before trainings are: what chance does in a training moves all of them alike. Weights are numbers of pictures.
    The errors over prompts of kinds that are alike are added up, as if they were one: the bound; the others' squares.
    """
    common = set.intersection(*({row.prompts for row in rows} for rows in by_seed.values()))
    for seed, own in by_seed.items():
        rows = [row for row in own if row.prompts in common]
        total = sum(row.n for row in rows)
        if not total:
            continue
        halves: dict[frozenset[str], float] = {}
        for row in rows:
            half = inf if row.low is None or row.high is None else (row.high - row.low) / 2
            group = next((group for group in alike if row.prompts in group), frozenset({row.prompts}))
            halves[group] = halves.get(group, 0.0) + row.n * half
        value = sum(row.n * row.value for row in rows) / total
        half = hypot(*halves.values()) / total
        yield Measured(seed=seed, value=value, low=value - half, high=value + half)


def _findings(settings: ReproduceSettings, study: Study, final: Mapping[tuple[str, str], Cell]) -> list[str]:
    """What separates from what it is held against, and by how much, in sentences."""
    if settings.datasets:
        trained = [arm.name for arm in study.arms if arm.mixture]
        pairs = [(after, before) for before, after in combinations(trained, 2)] + [
            (name, BASE) for name in trained
        ]
    else:
        there = {arm for arm, _ in final}
        pairs = [pair for pair in HELD_AGAINST[settings.experiment] if there.issuperset(pair)]
        first, *others = [arm.name for arm in study.arms]
        pairs = pairs or [(name, first) for name in others]
    sentences = []
    for arm, other in pairs:
        verdicts = compare(final, arm, other)
        for what, parts in verdicts.items():
            if parts:
                sentences.append(f"{arm} against {other}, {what}: {'; '.join(parts)}")
        if settings.datasets and other != BASE:
            sentences.append(_foretold(study, arm, other))
    return sentences


def compare(final: Mapping[tuple[str, str], Cell], arm: str, other: str) -> dict[str, list[str]]:
    """Figures of two arms by whether the first is better, worse, or not apart (their intervals overlap), each with the difference.

    The difference's own interval is over trainings, on the prompts that both were asked for: it may leave out nought where the two overlap.
    """
    verdicts: dict[str, list[str]] = {"better": [], "worse": [], "not apart": []}
    for figure in FIGURES:
        a, b = final.get((arm, figure)), final.get((other, figure))
        if a is None or b is None:
            continue
        apart = a.separate_from(b)
        better = (a.value > b.value) == (a.better == "higher")
        half, difference = a.half_interval(b), f"{a.value - b.value:+.3g}"
        verdicts["not apart" if not apart else "better" if better else "worse"].append(
            f"{figure} {a.value:.4g} ({difference})"
            if half is None
            else f"{figure} {a.value:.4g} ({difference} ± {half:.2g})"
        )
    return verdicts


def _foretold(study: Study, arm: str, other: str) -> str:
    """What the audit had said of two arms' captions."""
    a, b = study.audit[arm], study.audit[other]
    named = [name for name in AUDITED if name in a and name in b]
    parts = [f"{name} {a[name]:.3g} against {b[name]:.3g}" for name in named]
    return (
        f"the audit had said of {arm} against {other}: {'; '.join(parts) or 'nothing that can be compared'}"
    )


def relations(study: Study, final: Mapping[tuple[str, str], Cell]) -> list[Relation]:
    """Audit figures of what arms were trained on, against their trained figures; of arms that train the same parts, and differ in both.

    Over all arms each audit figure; over those of one kind, and the arm of no kind, the figure that is lowered in them.
    """
    arms = [arm for arm in study.arms if arm.mixture and arm.train == BOTH]
    there = {arm.kind for arm in arms}
    wanted = [("", name) for name in (PRECISION, *AUDITED)]
    wanted += [(kind, name) for kind, name in LOWERED.items() if kind in there]
    found = []
    for kind, name in wanted:
        figures = {
            arm.name: study.audit.get(arm.name, {}) for arm in arms if not kind or arm.kind in ("", kind)
        }
        known = {arm: own[name] for arm, own in figures.items() if name in own}
        if len(set(known.values())) < 2:
            continue
        for figure in TRAINED:
            measured = {arm: final[arm, figure] for arm in known if (arm, figure) in final}
            if len(measured) >= 3:
                found.append(relate(name, figure, known, measured, kind=kind))
    return [each for each in found if isfinite(each.rank) and isfinite(each.rank_low)]


def asked_of(found: Sequence[Relation]) -> list[Relation]:
    """Those that were asked about, in that order, where the arms differ in both figures."""
    known = {(each.audit, each.trained): each for each in found if not each.kind}
    return [known[pair] for pair in ASKED if pair in known]


def costs_of(found: Sequence[Relation]) -> dict[str, dict[str, Relation]]:
    """By kind of arms, the relation of the audit's figure that is lowered in them to each trained figure."""
    return {
        kind: {each.trained: each for each in found if each.kind == kind}
        for kind in dict.fromkeys(each.kind for each in found if each.kind)
    }


def _table(cells: Sequence[Cell]) -> str:
    """A row per arm, a column per figure."""
    final = {(cell.arm, cell.figure): cell for cell in cells}
    figures = [name for name in FIGURES if any(figure == name for _, figure in final)]
    arms = list(dict.fromkeys(arm for arm, _ in final))
    columns = [["", *arms]]
    columns += [
        [figure, *(final[arm, figure].text() if (arm, figure) in final else "–" for arm in arms)]
        for figure in figures
    ]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )
