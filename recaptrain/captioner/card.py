"""The card of a tuned captioner."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.dataset.target import Target
from recapdata.publishing.card import who
from recaptrain.captioner.base import CaptionerBase
from recaptrain.captioner.settings import CaptionerSettings, CaptionerSummary
from recaptrain.training import card
from recaptrain.training.card import base_name

if TYPE_CHECKING:
    from accelerate import Accelerator

LIBRARIES = ("recapdata", "torch", "transformers", "accelerate", "peft")


def command(settings: CaptionerSettings, target: Target, base: CaptionerBase) -> str:
    """The command line that makes the model again, with dataset and base at their resolved revisions."""
    optimization = settings.optimization
    words = ["recaptrain", "captioner", "--dataset", target.repo_id or target.manifest.name]
    words += ["--revision", target.commit] if target.commit else []
    words += ["--captions", ",".join(f"{style}={name}" for style, name in settings.captions.items())]
    words += ["--base", base_name(base.source)]
    words += ["--base-revision", base.source.commit] if base.source.commit else []
    for style, prompt in settings.prompts.items():
        words += ["--prompt", f"{style}={prompt}"]
    words += ["--examples", str(settings.examples)] if settings.examples is not None else []
    words += ["--validation", f"{settings.validation:g}"]
    words += ["--lora", str(settings.lora)] if settings.lora is not None else []
    words += ["--freeze", ",".join(settings.freeze)] if settings.freeze else []
    words += ["--steps", str(optimization.steps), "--batch-size", str(optimization.batch_size)]
    words += ["--accumulate", str(optimization.accumulate), "--lr", f"{optimization.learning_rate:g}"]
    words += ["--lr-course", optimization.course, "--warmup", str(optimization.warmup)]
    words += ["--validate-every", str(settings.validate_every), "--patience", str(settings.patience or 0)]
    words += ["--seed", str(optimization.seed), "OUT"]
    return shlex.join(words)


def write_card(
    out: Path,
    summary: CaptionerSummary,
    *,
    name: str,
    settings: CaptionerSettings,
    target: Target,
    base: CaptionerBase,
    samples: list[dict[str, Any]],
    accelerator: "Accelerator",
) -> None:
    """Write `out`/README.md.

    Args:
        name: how the model will be called: its repository, or the folder's name.
        samples: captions of held-out pictures at the step that was kept.
    """
    writers = {
        style: who(target.manifest.sets[column]) if column in target.manifest.sets else f"column {column}"
        for style, column in settings.captions.items()
    }
    card.write_card(
        out,
        "captioner.md.j2",
        {
            "library_name": "transformers",
            "pipeline_tag": "image-text-to-text",
            "tags": ["image-captioning", "recapdata"],
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
        writers=writers,
        samples=samples,
        command=command(settings, target, base),
    )
