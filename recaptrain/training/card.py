"""The card of a trained model: which data, captions, base and settings made it, so that it can be made again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import write_atomic
from recapdata.display import shell_word
from recapdata.markdown import as_code, escape
from recapdata.models.sources import ModelSource
from recapdata.options import command_line, outcome_of, table
from recapdata.templates import render
from recaptrain.training.run_folder import library_versions

if TYPE_CHECKING:
    from accelerate import Accelerator

    from recapdata.dataset.target import Target


def base_name(source: ModelSource) -> str:
    """What a card calls a base: a repository id, `embedded`, or a folder's own name without its path on this machine."""
    path = Path(source.name)
    return path.resolve().name if path.is_dir() else source.name


def write_card(
    out: Path,
    template: str,
    head: Mapping[str, Any],
    *,
    name: str,
    target: "Target",
    source: ModelSource,
    settings: Any,
    program: str,
    accelerator: "Accelerator",
    libraries: Sequence[str],
    **values: Any,
) -> None:
    """Write `out`/README.md: a YAML head that the Hub validates, then what was trained on what and how.

    Args:
        head: what the kind of model adds to the YAML head.
        name: how the model will be called: its repository, or the folder's name.
        source: of the base.
        settings: options of the run.
        program: the command that takes them.
        libraries: whose versions decide the weights.
        values: whatever else the template shows.
    """
    from huggingface_hub import ModelCardData

    yaml_head = ModelCardData(
        base_model=base_name(source) if source.commit else None,
        datasets=[target.repo_id] if target.repo_id else None,
        **head,
    )
    settings = replace(settings, lr=settings.optimization.learning_rate)  # a default may depend on others
    resolved = {
        "dataset": target.repo_id or target.manifest.name,
        "revision": target.commit,
        "base": base_name(source),
        "base_revision": source.commit,
    }
    body = render(
        template,
        name=name,
        target=target,
        base_name=base_name(source),
        settings=settings,
        optimization=settings.optimization,
        command=command_line(program, ["OUT"], replace(outcome_of(settings), **resolved)),
        options=table(settings, without=resolved),
        precision=accelerator.mixed_precision,
        processes=accelerator.num_processes,
        device=str(accelerator.device),
        libraries=library_versions(libraries),
        text=escape,
        code=as_code,
        word=shell_word,
        **values,
    )
    write_atomic(out / "README.md", f"---\n{yaml_head.to_yaml()}\n---\n\n{body}".encode())
