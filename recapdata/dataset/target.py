"""Opens a target: a dataset to read, a local folder or a published revision `user/name[@revision]`."""

import re
from pathlib import Path

from recapdata.dataset.local import open_folder
from recapdata.dataset.protocol import Target
from recapdata.dataset.revision import DEFAULT_BRANCH, open_revision
from recapdata.errors import OptionError, SourceNotFound

__all__ = ["Target", "open_dataset"]

_REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def open_dataset(target: str | Path | Target, revision: str | None = None) -> Target:
    """Open a dataset to read it: a folder, or a published version, resolved to its commit.

    A folder wins over a repository of the same name; a target that is open already is returned as it is.

    Args:
        target: a dataset folder, or `user/name[@revision]` on the Hub.
        revision: tag, branch or commit, the same as `@revision` in the name; `main` where omitted.

    Raises:
        OptionError: a revision of a local folder, or two revisions.
        NotADataset: the folder or the repository holds no recapdata dataset.
        SourceNotFound: neither a folder nor the name of a repository.
        HubError: no such repository or revision, or the Hub cannot be reached.

    Example:
        >>> import recapdata
        >>> dataset = recapdata.open_dataset("drawn")
        >>> dataset
        drawn: 24 records in 1 shard; caption sets alt, human; columns alt_text, human_short, human_long
        >>> batch = next(dataset.read(0, ["key", "alt"]))
        >>> batch.num_rows, batch.schema.names
        (24, ['key', 'alt'])
    """
    if not isinstance(target, str | Path):
        return target
    text = str(target).strip()
    if revision is not None:
        if Path(text).is_dir():
            raise OptionError(
                f"revision {revision} of {text}: that is a folder, which has no revisions; leave it out, or name a repository"
            )
        if "@" in text:
            raise OptionError(f"{text} at revision {revision}: give the revision once")
        text = f"{text}@{revision}"
    if Path(text).is_dir():
        return open_folder(text)
    match = _REPOSITORY.fullmatch(text)
    if match is None or isinstance(target, Path):
        raise SourceNotFound(
            f"{text}: no such folder, and not a dataset on a Hub (user/name or user/name@v1.0.0)"
        )
    return open_revision(text, match["id"], match["revision"] or DEFAULT_BRANCH)
