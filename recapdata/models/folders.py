"""What a stranger's model folder may hold: files, and links that stay in it. Libraries open whatever lies there under the names they know."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from recapdata.dataset.paths import is_below
from recapdata.errors import ModelNotSupported

INDEX = ".index.json"
"""How the name of a file ends that says in which files weights lie."""
MOST_INDEX = 64 * 2**20
"""Bytes of such a file."""


def check_folder(folder: Path) -> None:
    """Refuse a model folder by which a library would read elsewhere, or wait for ever.

    Links to the blobs of its own repository, of which the Hub's cache is made, are let pass. Hidden files are loaded by nobody.

    Raises:
        ModelNotSupported: a link leads out, something is no regular file, or an index of weights names files elsewhere.
    """
    for path in _entries(folder):
        name = f"{folder}: its {str(path.relative_to(folder))[:200]!a}"
        if path.is_symlink() and not (is_below(folder, path) or _is_blob(folder, path)):
            raise ModelNotSupported(
                f"{name} is a link that leads out of the folder; put the file itself there"
            )
        if not (path.is_file() or path.is_dir()):
            raise ModelNotSupported(f"{name} is no file that can be read")
        if path.name.endswith(INDEX):
            _check_index(path, name)


def _entries(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (Path(above, each) for each in (*folders, *files) if not each.startswith("."))


def _is_blob(folder: Path, path: Path) -> bool:
    """Whether a link is one of the Hub's cache: `snapshots/COMMIT/NAME` → `blobs/HASH`."""
    snapshot = Path(os.path.realpath(folder))
    blobs = snapshot.parent.parent / "blobs"
    return snapshot.parent.name == "snapshots" and not blobs.is_symlink() and is_below(blobs, path)


def _check_index(path: Path, name: str) -> None:
    try:
        if path.stat().st_size > MOST_INDEX:
            raise ModelNotSupported(f"{name} is too large for an index of weights")
        content = json.loads(path.read_text(encoding="utf8"))
        files = set(content["weight_map"].values())
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ModelNotSupported(f"{name} cannot be read as an index of weights") from error
    for each in files:
        if not isinstance(each, str) or each in ("", ".", "..") or {"/", "\\", "\0"} & set(each):
            raise ModelNotSupported(
                f"{name} says that weights lie in {str(each)[:200]!a}, which is no file beside it"
            )
