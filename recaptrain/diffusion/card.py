"""The card of a trained diffusion model."""

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

LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate", "peft")


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
    xl = "text_encoder_2" in base.pipeline.components
    first_set = examples.table.column(examples.mixture.sets[0])
    card.write_card(
        out,
        "model.md.j2",
        {
            "library_name": "diffusers",
            "pipeline_tag": "text-to-image",
            "tags": [
                "stable-diffusion-xl" if xl else "stable-diffusion",
                "text-to-image",
                "recapdata",
                *(["lora"] if settings.lora else []),
            ],
        },
        name=name,
        target=target,
        source=base.source,
        settings=settings,
        accelerator=accelerator,
        libraries=LIBRARIES,
        summary=summary,
        base=base,
        kind=type(base.pipeline).__name__,
        kind_name="Stable Diffusion XL" if xl else "Stable Diffusion",
        scheduler=type(base.pipeline.scheduler).__name__,
        rescheduled=bool(settings.prediction_type or settings.zero_terminal_snr),
        examples=examples,
        writers={each: who(target.manifest.sets[each]) for each in examples.mixture.sets},
        example=str(first_set.take(examples.rows[:1])[0].as_py() or ""),
        program="recaptrain diffusion",
    )
