"""What a run leaves behind: a model that transformers loads, its prompts for `recapdata recaption`, its adapter, its card."""

import importlib.metadata
import importlib.util
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.captioners.pretrained import OWN_STYLES
from recapdata.dataset.folder import write_atomic
from recapdata.publishing.card import escape, who
from recapdata.templates import render
from recaptrain.captioner.base import CaptionerBase
from recaptrain.training.saving import swapped_in

if TYPE_CHECKING:
    import torch

    from recapdata.dataset.target import Target
    from recaptrain.captioner.settings import CaptionerSettings, CaptionerSummary

TEMPLATE = "captioner.md.j2"
ADAPTER = "adapter"
LIBRARIES = ("recapdata", "torch", "transformers", "accelerate", "peft")


def save_captioner(model: Any, base: CaptionerBase, out: Path, dtype: "torch.dtype") -> None:
    """Write the model with any adapter merged into it, the adapter by itself, processor and prompts.

    Args:
        model: without the wrappers of Accelerate.
        dtype: of the weights written.
    """
    from transformers.utils import logging as library

    library.disable_progress_bar()
    with swapped_in(out) as partial:
        if hasattr(model, "merge_and_unload"):
            _save_adapter(model, base, partial / ADAPTER)
            model = model.to("cpu").float().merge_and_unload()
        model.to("cpu", dtype).eval().save_pretrained(partial)
        base.pretrained.processor.save_pretrained(partial)
        styles = json.dumps({"styles": base.styles}, indent=2, ensure_ascii=False)
        (partial / OWN_STYLES).write_text(styles + "\n", encoding="utf8")
        for path in partial.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes for the owner alone


def _save_adapter(model: Any, base: CaptionerBase, folder: Path) -> None:
    """The adapter alone; it names its base by its name on the Hub, not by a path of this machine."""
    for each in model.peft_config.values():
        each.base_model_name_or_path = base_name(base)
        each.revision = base.source.commit
    model.save_pretrained(folder, save_embedding_layers=False)  # they are not trained
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form; the card says it all


def base_name(base: CaptionerBase) -> str:
    """What a card calls the base: a repository id, `embedded`, or a folder's own name without its way on this machine."""
    path = Path(base.source.name)
    return path.resolve().name if path.is_dir() else base.source.name


def libraries() -> dict[str, str]:
    """Versions of what decides the weights."""
    there = [name for name in LIBRARIES if importlib.util.find_spec(name)]  # peft is only needed for --lora
    return {name: importlib.metadata.version(name) for name in there}


def command(settings: "CaptionerSettings", target: "Target", base: CaptionerBase) -> str:
    """The command line that makes the model again, with dataset and base at their resolved revisions."""
    optimization = settings.optimization
    words = ["recaptrain", "captioner", "--dataset", target.repo_id or target.manifest.name]
    words += ["--revision", target.commit] if target.commit else []
    words += ["--captions", ",".join(f"{style}={name}" for style, name in settings.captions.items())]
    words += ["--base", base_name(base)]
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
    summary: "CaptionerSummary",
    *,
    name: str,
    settings: "CaptionerSettings",
    target: "Target",
    base: CaptionerBase,
    samples: list[dict[str, Any]],
    facts: Mapping[str, Any],
) -> None:
    """Write `out`/README.md: a YAML head that the Hub validates, then what was learned from what and how.

    Args:
        name: how the model will be called: its repository, or the folder's name.
        samples: captions of held-out pictures at the step that was kept.
        facts: precision, processes and device of the run.
    """
    from huggingface_hub import ModelCardData

    head = ModelCardData(
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        base_model=base_name(base) if base.source.commit else None,
        datasets=[target.repo_id] if target.repo_id else None,
        tags=["image-captioning", "recapdata"],
    )
    writers = {
        style: who(target.manifest.sets[column]) if column in target.manifest.sets else f"column {column}"
        for style, column in settings.captions.items()
    }
    body = render(
        TEMPLATE,
        name=name,
        summary=summary,
        settings=settings,
        optimization=settings.optimization,
        target=target,
        base=base,
        base_name=base_name(base),
        writers=writers,
        samples=samples,
        libraries=libraries(),
        command=command(settings, target, base),
        text=escape,
        **facts,
    )
    write_atomic(out / "README.md", f"---\n{head.to_yaml()}\n---\n\n{body}".encode())
