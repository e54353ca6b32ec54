"""The real images that FID and its kind compare with, and their features, kept so that they are made once.

    OUT/reference/NAME-<hash>/features-…/00000.parquet    rows as of any pictures (see `measuring`)

A reference is known by its dataset's commit and its pictures, its features by the extractor with its weights and its resize: the same
reference serves every run into OUT, and another one, or another extractor, gets rows of its own.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.dataset.target import open_dataset
from recapdata.errors import InputError, NotADataset, OptionError
from recapdata.ingestion.images import is_image_name
from recaptrain.evaluation.pictures import DatasetImages, Picture, file_mark, open_file

if TYPE_CHECKING:
    from recaptrain.evaluation.settings import EvaluateSettings

FOLDER = "reference"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Real images.

    Attributes:
        name: `user/name@commit`, or a folder's last part.
        digest: a hash over the pictures.
        folder: where their rows are kept.
    """

    name: str
    pictures: tuple[Picture, ...]
    digest: str
    folder: Path

    @property
    def identity(self) -> dict[str, Any]:
        """What figures rest on of it."""
        return {"reference": f"{self.name} ({len(self.pictures):,} pictures, {self.digest})"}


def open_reference(settings: "EvaluateSettings", metric: str) -> Reference:
    """The real images that the settings name.

    Args:
        metric: its name, for the message.

    Raises:
        OptionError: none are named.
        InputError: a folder without pictures.
        SourceNotFound, HubError: no such dataset.
    """
    text = settings.reference
    if text is None:
        raise OptionError(
            f"{metric} needs real images to compare with: give --reference, a dataset folder, user/name[@revision], or a folder of images"
        )
    name, pictures = _read(text)
    if not pictures:
        raise InputError(f"--reference {text} holds no pictures")
    digest = hashlib.sha256("\n".join(f"{each.id} {each.mark}" for each in pictures).encode()).hexdigest()
    place = f"{Path(name).name.replace(':', '-')}-{digest[:12]}"
    return Reference(
        name=name, pictures=pictures, digest=digest[:12], folder=Path(settings.out) / FOLDER / place
    )


def _read(text: str) -> tuple[str, tuple[Picture, ...]]:
    try:
        dataset = open_dataset(text)
    except NotADataset:
        folder = Path(text)
        if not folder.is_dir():
            raise
        return folder.resolve().name, tuple(_files(folder))
    images = DatasetImages(dataset)
    pictures = []
    for shard in dataset.shards():
        row = 0
        for batch in dataset.read(shard, ["key"]):
            for key in batch.column("key").to_pylist():
                pictures.append(_picture(key, key, images.loader(shard, row)))
                row += 1
    name = dataset.resolved if dataset.published else Path(text).resolve().name
    return name, tuple(pictures)


def _files(folder: Path) -> Iterator[Picture]:
    """The images of a folder and those below it, by their paths."""
    for path in sorted(each for each in folder.rglob("*") if is_image_name(each.name) and each.is_file()):
        yield _picture(
            path.relative_to(folder).as_posix(),
            file_mark(path),
            lambda path=path: open_file(folder, path.relative_to(folder).as_posix()),
        )  # type: ignore[misc]


def _picture(name: str, mark: str, load: Any) -> Picture:
    return Picture(id=name, prompt_id=name, prompt="", read="", mark=mark, load=load)
