"""From the name of a model to where it lies and the exact revision it stands at.

A name is `embedded`, a local folder, or `user/name` on the Hub in use; a folder wins over a repository of the same name.
"""

from dataclasses import dataclass
from pathlib import Path

from recapdata.endpoint import configure_client, endpoint, hub_api, hub_errors
from recapdata.errors import CaptionerNotFound, OptionError
from recapdata.weights import content_revision, embedded_path

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
    """
    if name == EMBEDDED or Path(name).is_dir():
        path = embedded_path(kind) if name == EMBEDDED else Path(name)
        content = content_revision(path)
        if revision not in (None, content):
            raise OptionError(
                f"--revision {revision}: {name} is a local model, whose revision is the hash of its files, {content}; "
                "leave the option out"
            )
        return ModelSource(name=name, location=str(path), revision=content)
    return _resolve_on_hub(name, revision)


def _resolve_on_hub(name: str, revision: str | None) -> ModelSource:
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
