"""The card of a trained diffusion model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.atomic import write_atomic
from recapdata.dataset.target import Target
from recapdata.publishing.card import who
from recaptrain.diffusion.base import Base
from recaptrain.diffusion.data import Examples
from recaptrain.diffusion.samples import GUIDANCE, sample_steps
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.diffusion.validation import VALIDATION
from recaptrain.training import card
from recaptrain.training.audits import CaptionAudit
from recaptrain.training.curve import loss_curve
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    from accelerate import Accelerator

PICTURES = "validation.png"
"""The grid of pictures on the card."""
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
    audits: Mapping[str, CaptionAudit],
    run: RunFolder,
    accelerator: "Accelerator",
) -> None:
    """Write `out`/README.md, and beside it the pictures that were drawn with the saved weights.

    Args:
        name: how the model will be called: its repository, or the folder's name.
        run: whose logs and pictures are shown.
    """
    drawn = _copy_samples(run, summary.saved_step, out)
    validation = run.rows(VALIDATION)
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
            **(
                {"base_model_relation": "adapter" if settings.lora else "finetune"}
                if base.source.commit
                else {}
            ),
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
        audits=audits,
        figures=list(dict.fromkeys(name for each in audits.values() for name in each.figures)),
        curve=loss_curve(run.rows(), validation),
        drawn_step=drawn,
        pictures=PICTURES,
        guidance=GUIDANCE,
        example=str(first_set.take(examples.rows[:1])[0].as_py() or ""),
        program="recaptrain diffusion",
    )


def _copy_samples(run: RunFolder, step: int, out: Path) -> int | None:
    """Put the last grid drawn up to a step beside the card; the step that it is of, None where none was drawn."""
    drawn = {number: path for number, path in sample_steps(run.path).items() if number <= step}
    if not drawn:
        (out / PICTURES).unlink(missing_ok=True)  # of an earlier run into this folder
        return None
    latest = max(drawn)
    write_atomic(out / PICTURES, drawn[latest].read_bytes())
    return latest
