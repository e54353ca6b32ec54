"""Pictures on disk for the App: the original bytes, once, under their key, shared by all revisions that hold them."""

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from audits.fiftyone import require
from recapdata.dataset.paths import is_below
from recapdata.errors import DatasetDamaged
from recapdata.records import KEY

EXTENSIONS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


_NAME = re.compile(rf"(?P<key>{KEY.pattern})\.(?:png|jpg|gif|bmp|tif|webp|avif|img)")


def media_folder() -> Path:
    """Where pictures go unless told otherwise: beside FiftyOne's own datasets."""
    return Path(require().config.default_dataset_dir) / "recapdata-media"


class Media:
    """A folder of pictures `<two digits>/<key><extension>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known = cache(self._list)

    def path(self, key: str) -> Path | None:
        """Where the picture of a key lies; None while it is not there.

        Raises:
            DatasetDamaged: it is no key, and would name another file.
        """
        if not KEY.fullmatch(key):
            raise DatasetDamaged(
                f"a record has the key {key[:80]!a}, which is no SHA-256 in 64 hexadecimal digits; ingest the dataset again"
            )
        name = self._known(key[:2]).get(key)
        return self.folder / key[:2] / name if name is not None else None

    def missing(self, keys: Iterable[str]) -> bool:
        """Whether any picture is not there yet."""
        return any(self.path(key) is None for key in keys)

    def write(self, key: str, image: bytes | None) -> Path:
        """Put a picture there, unless it is; a reader never sees a part of it. None, a record without one, is an empty file."""
        found = self.path(key)
        if found is not None:
            return found
        image = image or b""
        path = self.folder / key[:2] / f"{key}{_extension(image)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(image)
        os.replace(temporary, path)
        self._known(key[:2])[key] = path.name
        return path

    def holds(self, path: str) -> bool:
        """Whether a path is that of a picture in this folder, and of no file that lies elsewhere or is something else."""
        name = Path(path)
        match = _NAME.fullmatch(name.name)
        return (
            match is not None
            and name == Path(os.path.abspath(self.folder)) / match["key"][:2] / name.name
            and is_below(self.folder, name)
            and name.is_file()
        )

    def _list(self, prefix: str) -> dict[str, str]:
        try:
            entries = os.listdir(self.folder / prefix)
        except FileNotFoundError:
            return {}
        return {name.partition(".")[0]: name for name in entries if not name.endswith(".tmp")}


def _extension(image: bytes) -> str:
    """The extension by which a web server tells the kind of picture."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return ".webp"
    if image[4:12] in (b"ftypavif", b"ftypavis"):
        return ".avif"
    return next((extension for start, extension in EXTENSIONS if image.startswith(start)), ".img")
