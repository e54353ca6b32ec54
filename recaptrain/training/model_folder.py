"""The folder that a run leaves: a model that stock libraries load, its card, and its way to a Hub."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.atomic import remove
from recapdata.console import say
from recapdata.dataset.folder import MANIFEST, check_output
from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import HubError, OptionError
from recapdata.outputs import check_own_folder
from recapdata.weights import RUN

if TYPE_CHECKING:
    from accelerate import Accelerator

PARTIAL = ".model.partial"
"""The folder inside OUT that a model is saved to before it takes its place."""


def check_out(out: Path) -> None:
    """Check, before anything is loaded, that a model may be written to a folder.

    Raises:
        OptionError: it is a file or lies below one, in a dataset folder, or holds what no run has written.
        DatasetDamaged: what an earlier run left there is, or holds, a symbolic link, a FIFO or a device.
    """
    check_output(out, {RUN, PARTIAL})
    place = out.resolve()
    for folder in (place, *place.parents):
        if (folder / MANIFEST).is_file():
            raise OptionError(
                f"{out} lies in the dataset folder {folder}; name a folder outside it for what is trained"
            )
    check_own_folder(out, {RUN}, "trained model")


def finish_run(
    accelerator: "Accelerator",
    out: Path,
    save: Callable[[], None],
    *,
    push: str | None,
    public: bool,
) -> str | None:
    """Save the model and push it, on the main process; the URL of the pushed commit, if any. Call on every process.

    Args:
        save: writes model and card to `out`.
        push: `user/model` to upload `out` to; a new repository is private unless `public`.
    """
    accelerator.wait_for_everyone()
    pushed = None
    if accelerator.is_main_process:
        save()
        if push:
            pushed = push_model(out, push, public=public)
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return pushed


def first_and_last(losses: Sequence[float]) -> tuple[float, float]:
    """The mean loss over the first and over the last tenth of the steps."""
    tenth = max(1, len(losses) // 10)
    return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth


@contextmanager
def swapped_in(out: Path) -> Iterator[Path]:
    """A folder to save a model into, whose files and folders then take the places of those of `out`, each whole.

    Where the model was loaded from is taken out of its files: it would carry paths of this machine to a Hub, and the card names the base.
    """
    partial = out / PARTIAL
    remove(partial)
    partial.mkdir(parents=True)
    yield partial
    forget_origins(partial)
    for part in sorted(partial.iterdir()):
        place = out / part.name
        if place.is_dir():
            remove(place)
        os.replace(part, place)
    partial.rmdir()


def forget_origins(folder: Path) -> None:
    """Take out of a model's JSON files where its parts were loaded from."""
    for path in folder.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf8"))
        if isinstance(values, dict) and values.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf8")


def push_model(out: Path, repo_id: str, *, public: bool) -> str:
    """Upload `out` as a model repository, made (private unless `public`) where there is none; the commit's URL.

    What is hidden stays, and so do symbolic links, which may lead to anything, and what is no file; links are said.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd

    api = hub_api()
    if "/" not in repo_id:
        raise HubError(f"--push {repo_id}: it lacks its owner; write user/{repo_id}")
    files = [CommitOperationAdd(name, out / name) for name in _own_files(out)]
    with hub_errors(f"{repo_id} (model)"):
        api.create_repo(repo_id, private=not public, exist_ok=True)
        commit = api.create_commit(repo_id, files, commit_message="Trained with recapdata")
    return f"{endpoint()}/{repo_id}/tree/{commit.oid}"


def _own_files(out: Path) -> list[str]:
    """Paths of the regular files of a model's folder, less those of the run and hidden ones."""
    found: list[str] = []
    for folder, folders, files in os.walk(out):
        below = Path(folder).relative_to(out)
        linked = [name for name in (*folders, *files) if (Path(folder) / name).is_symlink()]
        for name in linked:
            say(f"not pushed: {below / name} is a symbolic link; put the file itself there to push it")
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (name == RUN and below == Path()) and name not in linked
        )
        found += [
            (below / name).as_posix()
            for name in sorted(files)
            if not name.startswith(".") and name not in linked and (Path(folder) / name).is_file()
        ]
    return found
