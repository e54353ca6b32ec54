"""The card of a trained diffusion model."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.dataset.target import Target
from recapdata.publishing.card import who
from recaptrain.diffusion.base import Base
from recaptrain.diffusion.data import Examples
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.training import card

if TYPE_CHECKING:
    from accelerate import Accelerator

LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate")


def command(settings: DiffusionSettings, target: Target, base: Base) -> str:
    """The command line that makes the model again, with dataset and base at their resolved revisions."""
    optimization = settings.optimization
    words = ["recaptrain", "diffusion", "--dataset", target.repo_id or target.manifest.name]
    words += ["--revision", target.commit] if target.commit else []
    words += ["--mixture", str(settings.mixture), "--base", card.base_name(base.source)]
    words += ["--base-revision", base.source.commit] if base.source.commit else []
    words += ["--train", ",".join(settings.parts), "--steps", str(optimization.steps)]
    words += ["--batch-size", str(optimization.batch_size), "--accumulate", str(optimization.accumulate)]
    words += ["--lr", f"{optimization.learning_rate:g}", "--lr-course", optimization.course]
    words += ["--warmup", str(optimization.warmup), "--snr-gamma", f"{settings.snr_gamma or 0:g}"]
    words += ["--ema-decay", f"{optimization.ema_decay or 0:g}", "--seed", str(optimization.seed)]
    words += ["--resolution", str(settings.resolution)] if settings.resolution else []
    words += ["--fit", settings.fit, "OUT"]
    return shlex.join(words)


def write_card(
    out: Path,
    summary: DiffusionSummary,
    *,
    name: str,
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    accelerator: "Accelerator",
) -> None:
    """Write `out`/README.md.

    Args:
        name: how the model will be called: its repository, or the folder's name.
    """
    first_set = examples.table.column(examples.mixture.sets[0])
    card.write_card(
        out,
        "model.md.j2",
        {
            "library_name": "diffusers",
            "pipeline_tag": "text-to-image",
            "tags": ["stable-diffusion", "text-to-image", "recapdata"],
        },
        name=name,
        target=target,
        source=base.source,
        optimization=settings.optimization,
        accelerator=accelerator,
        libraries=LIBRARIES,
        summary=summary,
        settings=settings,
        base=base,
        examples=examples,
        writers={each: who(target.manifest.sets[each]) for each in examples.mixture.sets},
        example=str(first_set.take(examples.rows[:1])[0].as_py() or ""),
        command=command(settings, target, base),
    )
