"""Where operators of the App may write: a folder of the dataset, or the one named on the command line, and plain files in it."""

import os
import re
from pathlib import Path
from typing import Any

from audits.fiftyone.media import media_folder
from audits.fiftyone.source import Shown
from recapdata.atomic import write_atomic
from recapdata.errors import OptionError

EXPORTS = "RECAPDATA_EXPORTS"
"""The variable by which the command tells the App's server the folder that it was given."""
FOLDER = "exports"
_NAME = re.compile(r"[\w][\w. -]{0,99}")


def export_folder(dataset: Any, about: Shown) -> Path:
    """The folder that was named on the command line; else that of the dataset folder, or one beside the pictures."""
    if named := os.environ.get(EXPORTS):
        return Path(named)
    if about.folder is not None:
        return about.folder / FOLDER
    return media_folder().parent / "recapdata-exports" / dataset.slug


def export(folder: Path, name: str, content: str) -> Path:
    """Write a file into the folder of exports, in place of an earlier one of that name; where it is.

    Raises:
        OptionError: the name is not that of a file in the folder, or the folder is a link to another.
        OSError: it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(f"{name[:100]!r} is not the name of a file: use letters, digits, dots, - and _")
    if folder.is_symlink():
        raise OptionError(f"{folder} is a symbolic link; name a folder with: audits view --exports DIR")
    path = folder / name
    if path.is_dir():
        raise OptionError(f"{path} is a folder; choose another name")
    write_atomic(path, content.encode())
    return path
