"""The card of a tuned captioner."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.dataset.target import Target
from recapdata.publishing.card import who
from recaptrain.captioner.base import CaptionerBase
from recaptrain.captioner.settings import CaptionerSettings, CaptionerSummary
from recaptrain.training import card

if TYPE_CHECKING:
    from accelerate import Accelerator

LIBRARIES = ("recapdata", "torch", "transformers", "accelerate", "peft")


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
        settings=settings,
        accelerator=accelerator,
        libraries=LIBRARIES,
        summary=summary,
        base=base,
        writers=writers,
        samples=samples,
        program="recaptrain captioner",
    )
