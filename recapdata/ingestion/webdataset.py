"""The source `wds:GLOB`: WebDataset tars. The image comes with its `.txt` (column txt), `.cls` (cls) and `.json` (a column a key).

The tars are gone through once beforehand, headers and small members only, so that the columns are known, and so is where to go
on. A second image of a sample and members of other kinds are left aside, and counted.
"""

import glob
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.errors import SourceNotFound
from recapdata.ingestion.columns import Columns, plan_columns
from recapdata.ingestion.images import EXTENSIONS
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.ingestion.tables import BATCH_ROWS, fit, merge_types, plain_type
from recapdata.ingestion.tars import Sample, read_samples
from recapdata.records import Item

TEXTS = ("txt", "text", "caption")
"""Extensions of captions; the first that a sample has is its column txt."""
OWN = ("txt", "cls")
"""Columns that are no keys of the JSON; such a key comes along as `json_<key>`."""


class WebDataset:
    """The samples of some tars, in the order of the tars' names."""

    def __init__(self, name: str, paths: list[Path], options: IngestOptions) -> None:
        self._paths = paths
        self._max_bytes = options.max_bytes
        self._aside: Counter[str] = Counter()
        self._samples: list[int] = []
        self.name = f"wds:{name}"
        self.labels = True
        self._types = self._survey()
        self._columns: Columns = plan_columns(self._types)
        self.columns = self._columns.types
        self.captions = self._columns.captions
        self.total: int | None = sum(self._samples)
        self.stamp = stamp_of(f"{path.name}:{path.stat().st_size}" for path in paths)

    def items(self, start: int) -> Iterator[Item]:
        """Samples from number `start` on; tars before it are not opened."""
        position = 0
        for path, count in zip(self._paths, self._samples, strict=True):
            if position + count > start:
                skip = max(0, start - position)
                for number, sample in enumerate(read_samples(path, _is_wanted, self._max_bytes)):
                    if number >= skip:
                        yield self._item(path, sample)
            position += count

    def notes(self) -> list[str]:
        """Which members were left aside."""
        if not self._aside:
            return []
        kinds = ", ".join(f"{count:,} .{extension}" for extension, count in self._aside.most_common(8))
        return [f"members of other kinds, and second images, were left aside ({kinds})"]

    def _survey(self) -> dict[str, pa.DataType]:
        """Count samples and what is left aside, and find the columns with their types."""
        types: dict[str, pa.DataType] = {}
        batch: list[Mapping[str, Any]] = []
        for path in self._paths:
            count = 0
            for sample in read_samples(path, _is_small, self._max_bytes):
                count += 1
                self._aside.update(_left_aside(sample))
                if sample.error is None:
                    batch.append(_values(sample)[0])
                if len(batch) >= BATCH_ROWS:
                    merge_types(types, batch)
                    batch = []
            self._samples.append(count)
        merge_types(types, batch)
        return {name: plain_type(kind) for name, kind in types.items()}

    def _item(self, path: Path, sample: Sample) -> Item:
        image = _image_of(sample)
        source = "/".join(part for part in (path.name, sample.name) if part) + (f".{image}" if image else "")
        if sample.error is not None:
            return failed(source, *sample.error)
        if image is None:
            members = ", ".join(f".{extension}" for extension in sample.members)
            return failed(source, "NoImage", f"the sample has only {members}")
        values, problem = _values(sample)
        if problem is not None:
            return failed(source, "BadMetadata", problem)
        values = {name: fit(value, self._types[name]) for name, value in values.items()}
        row = self._columns.row(values)
        content = sample.members[image]
        return Item(
            source=source, image=content, license=row.license, objects=row.objects, columns=row.columns
        )


def open_webdataset(argument: str, options: IngestOptions) -> WebDataset:
    """The source of a pattern of tar files.

    Raises:
        SourceNotFound: no file matches.
    """
    pattern = str(Path(argument).expanduser())
    paths = sorted(Path(each) for each in glob.glob(pattern, recursive=True))
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise SourceNotFound(
            f"wds:{argument}: no file matches; give the tars by a pattern in quotes, such as 'wds:data/*.tar'"
        )
    return WebDataset("/".join(Path(pattern).parts[-2:]), paths, options)


def _is_small(extension: str) -> bool:
    return extension in ("json", "cls")


def _is_wanted(extension: str) -> bool:
    return f".{extension}" in EXTENSIONS or extension in ("json", "cls", *TEXTS)


def _image_of(sample: Sample) -> str | None:
    """The extension of a sample's image."""
    return next((each for each in sample.members if f".{each}" in EXTENSIONS), None)


def _left_aside(sample: Sample) -> Iterator[str]:
    """Extensions of the members that nothing is made of."""
    taken = {_image_of(sample), _text_of(sample), "json", "cls"}
    return (extension for extension in sample.members if extension not in taken)


def _text_of(sample: Sample) -> str | None:
    return next((each for each in TEXTS if each in sample.members), None)


def _values(sample: Sample) -> tuple[dict[str, Any], str | None]:
    """What came with an image, by column; and what is wrong with its JSON."""
    values: dict[str, Any] = {}
    text, number, json_text = (sample.members.get(each) for each in (_text_of(sample) or "", "cls", "json"))
    if _text_of(sample) is not None:
        values["txt"] = (text or b"").decode("utf-8-sig", "surrogateescape").strip()
    if number is not None:
        label = number.decode("utf8", "surrogateescape").strip()
        values["cls"] = int(label) if label.isascii() and label.isdecimal() and len(label) < 19 else label
    if json_text is not None:
        try:
            members = json.loads(json_text.decode("utf-8-sig", "surrogateescape"))
        except (ValueError, RecursionError) as error:
            return values, f"its .json is no JSON: {error}"
        if not isinstance(members, dict):
            return values, "its .json is no object"
        values |= {f"json_{name}" if name in OWN else name: value for name, value in members.items()}
    return values, None
