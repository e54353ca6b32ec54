"""The card of a trained diffusion model: which data, captions, base and settings made it, so that it can be made again."""

import importlib.metadata
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.dataset.folder import write_atomic
from recapdata.publishing.card import escape, who
from recapdata.templates import render

if TYPE_CHECKING:
    from recapdata.dataset.target import Target
    from recaptrain.diffusion.base import Base
    from recaptrain.diffusion.run import DiffusionSettings, DiffusionSummary
    from recaptrain.training.data import Examples

TEMPLATE = "model.md.j2"
LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate")


def libraries() -> dict[str, str]:
    """Versions of what decides the weights."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def command(settings: "DiffusionSettings", target: "Target", base: "Base") -> str:
    """The command line that makes the model again, with dataset and base at their resolved revisions."""
    optimization = settings.optimization
    words = ["recaptrain", "diffusion", "--dataset", target.repo_id or target.manifest.name]
    words += ["--revision", target.commit] if target.commit else []
    words += ["--mixture", str(settings.mixture), "--base", base.name]
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
    summary: "DiffusionSummary",
    *,
    name: str,
    settings: "DiffusionSettings",
    target: "Target",
    base: "Base",
    examples: "Examples",
    precision: str,
    processes: int,
    device: str,
) -> None:
    """Write `out`/README.md: a YAML head that the Hub validates, then what was trained on what and how.

    Args:
        name: how the model will be called: its repository, or the folder's name.
    """
    from huggingface_hub import ModelCardData

    head = ModelCardData(
        library_name="diffusers",
        pipeline_tag="text-to-image",
        base_model=base.name if base.source.commit else None,
        datasets=[target.repo_id] if target.repo_id else None,
        tags=["stable-diffusion", "text-to-image", "recapdata"],
    )
    body = render(
        TEMPLATE,
        name=name,
        summary=summary,
        settings=settings,
        optimization=settings.optimization,
        target=target,
        base=base,
        examples=examples,
        writers={each: who(target.manifest.sets[each]) for each in examples.mixture.sets},
        precision=precision,
        processes=processes,
        device=device,
        example=_example(examples),
        libraries=libraries(),
        command=command(settings, target, base),
        text=escape,
    )
    write_atomic(out / "README.md", f"---\n{head.to_yaml()}\n---\n\n{body}".encode())


def _example(examples: "Examples") -> str:
    """A prompt to try: the first caption that the mixture's first set has."""
    column = examples.table.column(examples.mixture.sets[0]).take(examples.rows[:1])
    return str(column[0].as_py() or "")
