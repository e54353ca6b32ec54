"""The one way from a model's name to its pinned revision, for models of transformers, open_clip and diffusers.

A name is `embedded`, a local folder, or `user/name` on the Hub in use; a folder wins over a repository of the same name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.endpoint import configure_client, endpoint, hub_api, hub_errors
from recapdata.errors import CaptionerNotFound, OptionError
from recapdata.models.folders import check_folder
from recapdata.scenes import SIDE
from recapdata.weights import EMBEDDED_MODELS, content_revision, embedded_path

if TYPE_CHECKING:
    from recapdata.dataset.protocol import Target

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model that can be loaded again.

    Attributes:
        name: as the user named it.
        location: what a library's `from_pretrained` takes: a folder's path or a repository id.
        revision: commit on the Hub, or `sha256:…` of a local folder's content.
        commit: the commit for `from_pretrained(revision=)`; None for a folder.
    """

    name: str
    location: str
    revision: str
    commit: str | None = None


def resolve_model(name: str, *, kind: str, revision: str | None = None) -> ModelSource:
    """Find a model and pin its revision, before anything of it is loaded.

    Args:
        kind: the kind of embedded model that the name `embedded` stands for (see `recapdata.weights`).
        revision: branch, tag or commit on the Hub; of a folder only its own content hash.

    Raises:
        CaptionerNotFound: no such folder or repository.
        HubError: the Hub cannot be reached, or does not know the revision.
        OptionError: a folder stands at another content hash than `revision`.
        ModelNotSupported: a folder holds links that lead out of it, or what is no file.
    """
    if name == EMBEDDED or Path(name).is_dir():
        path = embedded_path(kind) if name == EMBEDDED else Path(name)
        if not path.is_relative_to(EMBEDDED_MODELS):  # as an installer laid them out, maybe by links
            check_folder(path)
        content = content_revision(path)
        check_local_revision(name, content, revision)
        return ModelSource(name=name, location=str(path), revision=content)
    return resolve_on_hub(name, revision)


def resolve_on_hub(name: str, revision: str | None = None) -> ModelSource:
    """`resolve_model` of a name that can only mean a repository, whatever folders there are."""
    configure_client()
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    with hub_errors(f"{name} at {revision or 'main'}"):
        try:
            commit = hub_api().resolve_revision(name, revision=revision).resolved
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise CaptionerNotFound(
                f"{name}: no such folder, and no such model on {endpoint()} (or a private one that this token may "
                "not read); check the name, HF_ENDPOINT and HF_TOKEN"
            ) from error
    return ModelSource(name=name, location=name, revision=commit, commit=commit)


def pinned_file(source: ModelSource, name: str) -> Path | None:
    """A file of a model at its revision, from its folder or from the Hub; None where there is none.

    Raises:
        HubError: the Hub cannot be reached.
    """
    if source.commit is None:
        path = Path(source.location) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with hub_errors(f"{source.name} at {source.revision}"):
        try:
            return Path(hf_hub_download(source.location, name, revision=source.commit))
        except EntryNotFoundError:
            return None


def local_folder(source: ModelSource) -> Path | None:
    """Where a model's files lie on this machine under their own names; None where none of them does yet."""
    if source.commit is None:
        return Path(source.location)
    from huggingface_hub import try_to_load_from_cache

    for name in ("config.json", "model_index.json"):
        found = try_to_load_from_cache(source.location, name, revision=source.commit)
        if isinstance(found, str):
            return Path(found).parent
    return None


def file_revision(path: Path) -> str:
    """The revision of a single local file of weights: `sha256:` and the hash of its bytes."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def check_local_revision(name: str, content: str, revision: str | None) -> None:
    """Refuse another revision of local files than the hash of their content.

    Raises:
        OptionError: it is another one.
    """
    if revision not in (None, content):
        raise OptionError(
            f"--revision {revision}: {name} is a local model, whose revision is the hash of its files, {content}; "
            "leave the option out"
        )


def caution(name: str, target: "Target") -> str | None:
    """A warning where an embedded model is to see other pictures than the drawn world's; None where there is none.

    The first pictures of the dataset decide: a scene is 64 × 64 pixels.
    """
    if name != EMBEDDED or not target.shard_numbers:
        return None
    first = next(target.read(target.shard_numbers[0], ["width", "height"]), None)
    if first is None:
        return None
    return unlike_scenes([(row["width"], row["height"]) for row in first.to_pylist()], target.name)


def unlike_scenes(sizes: Sequence[tuple[int, int]], where: str) -> str | None:
    """The warning for an embedded model that is to see pictures of these sizes; None where all are of a drawn scene's.

    Args:
        sizes: widths and heights of the first pictures.
        where: what they are the first pictures of.
    """
    others = [size for size in sizes if size != (SIDE, SIDE)]
    if not others:
        return None
    return (
        f"caution: the model `embedded` knows drawn scenes only, and {len(others):,} of the first {len(sizes):,} pictures of "
        f"{where} are none: what it makes of them shows that the way works and means nothing; name a model trained on photographs"
    )
