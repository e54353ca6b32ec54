"""The learning curve: how right a captioner is after tuning on 30, 100, 300, … human captions, so that one sees how many to write.

Scenes with human captions are ingested as a dataset, the base is tuned on the first N of them by the very code of
`recaptrain captioner`, short and long together, and each outcome is measured on new scenes of another world.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recapdata.atomic import write_atomic
from recapdata.console import say
from recapdata.errors import OptionError
from recapdata.models.sources import resolve_model
from recaptrain.captioner.base import KIND

STYLES = ("short", "long")
BATCH = 24
RATE = 1e-3
SHOWN = {
    "objects_recall": "objects, recall",
    "objects_precision": "objects, precision",
    "counts": "counts right",
    "positions": "positions true",
    "words": "words read",
    "unread": "unread sentences",
}
"""Figures of the table, in `accuracy.Accuracy`, with their heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveSettings:
    """What is measured.

    Attributes:
        base: as `recaptrain captioner --base`.
        captions: how many captioned scenes to tune on, a run each; before tuning is always measured.
        test: how many new scenes to measure on, of the world `seed`; `world` is that of the captioned ones.
    """

    base: str
    captions: tuple[int, ...] = (30, 100, 300, 1000, 3000)
    test: int = 2000
    seed: int = 777
    world: int = 2024

    def __post_init__(self) -> None:
        if not self.captions or min(self.captions) < 1:
            raise OptionError("--captions: numbers above 0, separated by commas, such as 30,100,300")
        if self.test < 1:
            raise OptionError(f"--test {self.test}: it must be at least 1")
        if self.seed == self.world:
            raise OptionError(f"--seed {self.seed}: the captioned scenes are of that world; test on another")


def steps_for(captions: int) -> int:
    """Most steps of 24 captions for so many captioned scenes: 100 for 30, and four times as many for ten times as many."""
    return round(100 * (captions / 30) ** 0.6)


def learning_curve(settings: CurveSettings, out: Path, work: Path) -> dict[str, Any]:
    """Tune and measure each number of captions; what `out` holds already of the same settings is not done again.

    Args:
        out: JSON file, written anew after each number.
        work: folder for dataset and models.

    Raises:
        OptionError: `out` holds a curve of another base or world.
    """
    base = resolve_model(settings.base, kind=KIND)
    head = {"base": base.revision, "test": settings.test, "seed": settings.seed, "world": settings.world}
    curve = _begin(out, head)
    points: dict[str, Any] = curve["points"]
    dataset = _draw(settings, work)
    for count in (0, *sorted(settings.captions)):
        if str(count) in points:
            continue
        began = time.process_time()
        point: dict[str, Any] = {}
        model = Path(base.location)
        if count:
            model = work / f"{base.revision.removeprefix('sha256:')[:8]}-{count}"
            point = _tune(settings, dataset, model, count)
        point |= {style: asdict(_measure(settings, model, style)) for style in STYLES}
        points[str(count)] = point | {"cpu_seconds": round(time.process_time() - began, 1)}
        write_atomic(out, (json.dumps(curve, indent=2) + "\n").encode())
        say(f"{count:,} captions: " + ", ".join(f"{SHOWN[key]} {point['long'][key]:.3f}" for key in SHOWN))
    return curve


def _begin(out: Path, head: Mapping[str, Any]) -> dict[str, Any]:
    if not out.is_file():
        return {**head, "points": {}}
    curve: dict[str, Any] = json.loads(out.read_text(encoding="utf8"))
    differing = [name for name in head if curve.get(name) != head[name]]
    if differing:
        told = "; ".join(f"{name}: {curve.get(name)} there, {head[name]} now" for name in differing)
        raise OptionError(f"{out} holds another curve ({told}); name another file")
    return curve


def _draw(settings: CurveSettings, work: Path) -> Path:
    """A dataset of scenes with human captions, brought in as any user's would be."""
    from recapdata.caption_sets.importing import import_captions
    from recapdata.ingestion.run import ingest

    count = max(settings.captions)
    folder = work / f"scenes-{settings.world}-{count}"
    ingest(f"scenes:{count},seed={settings.world},human={count}", folder)
    for style in STYLES:
        import_captions(folder, style, f"human_{style}", writer="human")
    return folder


def _tune(settings: CurveSettings, dataset: Path, model: Path, count: int) -> dict[str, Any]:
    from recaptrain.captioner.run import RUN, tune_captioner
    from recaptrain.captioner.settings import CaptionerSettings

    run = CaptionerSettings(
        dataset=str(dataset),
        captions={style: style for style in STYLES},
        base=settings.base,
        examples=count,
        freeze=("vision",),
        steps=steps_for(count),
        batch_size=BATCH,
        lr=RATE,
        samples=0,
        resume=(model / RUN).is_dir(),
    )
    summary = tune_captioner(run, model)
    assert summary is not None, "one process"
    keep = ("captions", "held_out", "steps", "best_step", "loss_before", "loss", "seconds")
    return {name: value for name, value in asdict(summary).items() if name in keep}


def _measure(settings: CurveSettings, model: Path, style: str) -> Any:
    from recaptrain.embedded.accuracy import evaluate_captioner

    return evaluate_captioner(model, count=settings.test, seed=settings.seed, style=style)[0]


def table(curve: Mapping[str, Any], styles: Sequence[str] = ("long", "short")) -> str:
    """A Markdown table for each style: a row per number of captions."""
    points = sorted(curve["points"].items(), key=lambda each: int(each[0]))
    parts = []
    for style in styles:
        lines = [
            f"| {style} captions, tuned on | steps kept | " + " | ".join(SHOWN.values()) + " |",
            "|---:|---:|" + "---:|" * len(SHOWN),
        ]
        for count, point in points:
            values = " | ".join(f"{point[style][key]:.3f}" for key in SHOWN)
            lines.append(f"| {int(count):,} | {point.get('best_step', '–')} | {values} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
