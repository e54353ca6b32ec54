"""The summary of a training, which its card and the command line show."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from recapdata.dataset.target import Target
from recaptrain.diffusion.base import Base
from recaptrain.diffusion.encoding import Data
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.diffusion.validation import ValidationResult
from recaptrain.training.model_folder import first_and_last


def summarize(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    data: Data,
    log: Sequence[Mapping[str, float]],
    out: Path,
    result: ValidationResult,
) -> DiffusionSummary:
    """What a run came to, by its log and its validations; how long it took is not in them."""
    examples, held_out = data.examples, len(data.held_out)
    first, last = first_and_last([row["loss"] for row in log])
    saved = result.best_step if settings.saves_best and result.best_step else result.steps
    shares = {name: [row.get(f"drawn/{name}", 0.0) for row in log] for name in examples.mixture.sets}
    return DiffusionSummary(
        out=str(out),
        dataset=target.name,
        commit=target.commit,
        mixture=str(settings.caption_mixture),
        base=base.source.name,
        base_revision=base.source.revision,
        steps=result.steps,
        examples=len(examples.rows),
        left_out=examples.table.num_rows - len(examples.rows) - held_out,
        unreadable=len(data.unreadable),
        over_length=examples.over_length_share,
        first_loss=first,
        last_loss=last,
        seconds=0.0,
        drawn={name: math.fsum(each) / len(each) for name, each in shares.items()},
        dropped=math.fsum(row.get("dropped", 0.0) for row in log) / len(log),
        held_out=held_out,
        validation_before=result.before,
        validation_best=result.best,
        best_step=result.best_step,
        saved_step=saved,
        figures_before=result.figures.get(0, {}),
        figures=result.figures.get(saved, {}),
        lora=settings.lora,
    )
