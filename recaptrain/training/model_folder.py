"""The end of a training run: the weights as a model that stock libraries load, and its way to a Hub."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import HubError

if TYPE_CHECKING:
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline

    from recaptrain.training.loop import Training


def save_pipeline(training: "Training", pipeline: "StableDiffusionPipeline", out: Path) -> None:
    """Write the whole pipeline to `out`, the trained parts with their averaged weights."""
    if training.average is not None:
        training.average.copy_to(training.parameters)
    for name, module in training.trained.items():
        plain = training.accelerator.unwrap_model(module, keep_fp32_wrapper=False)
        setattr(pipeline, name, plain.eval())
    pipeline.to("cpu")
    with swapped_in(out) as partial:
        pipeline.save_pretrained(partial)


@contextmanager
def swapped_in(out: Path) -> Iterator[Path]:
    """A folder to save a model into, whose files and folders then take the places of those of `out`, each whole.

    Where the model was loaded from is taken out of its files: it would carry paths of this machine to a Hub, and the card names the base.
    """
    partial = out / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    _forget_paths(partial)
    for part in sorted(partial.iterdir()):
        place = out / part.name
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(part, place)
    partial.rmdir()


def _forget_paths(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf8"))
        if isinstance(values, dict) and values.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf8")


def push_model(out: Path, repo_id: str, *, public: bool, ignore: str) -> str:
    """Upload `out` as a model repository, made (private unless `public`) where there is none; the commit's URL.

    Args:
        ignore: a folder in `out` that stays here.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    api = hub_api()
    if "/" not in repo_id:
        raise HubError(f"--push {repo_id}: it lacks its owner; write user/{repo_id}")
    with hub_errors(f"{repo_id} (model)"):
        api.create_repo(repo_id, private=not public, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=out,
            ignore_patterns=[f"{ignore}/**", ".*", ".*/**"],
            commit_message="Trained with recapdata",
        )
    return f"{endpoint()}/{repo_id}/tree/{commit.oid}"
