"""The source `hf:user/name[@rev][,config=NAME][,split=NAME]`: any image dataset of a Hub, streamed at one commit.

An image that a row does not hold but names is read inside the repository only (see `repository`).
Parquet files are read by row groups, so that an interrupted ingest goes on without reading what it has, and Arrow files by batches
that are looked at before they are unpacked; other layouts are streamed by `datasets`. Columns other than the image come along; classes by their names. A dataset that this project published
keeps its objects, licenses and sources.
"""

import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recapdata.dataset.image_columns import has_image_type
from recapdata.endpoint import configure_client, endpoint, hub_api, hub_errors
from recapdata.errors import OptionError, SourceError, SourceNotFound
from recapdata.ingestion.arrow import arrow_rows, arrow_schema
from recapdata.ingestion.columns import bytes_column, plan_columns
from recapdata.ingestion.repository import BUILDERS, RepositoryFiles, check_card
from recapdata.ingestion.source import IngestOptions, arguments_of, failed
from recapdata.ingestion.tables import BUFFER, DAMAGED, check_footer, is_damage, parquet_rows, plain_type
from recapdata.records import RECORD_SCHEMA, Item

if TYPE_CHECKING:
    from datasets import DatasetBuilder, Features

_REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+|[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile("[0-9a-f]{40}")
_RECOMPUTED = ("key", "width", "height", "source")
SPLIT = "split"
_STRANGE = (RuntimeError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What `datasets` raises of a card that is not as it expects, and of a repository with code."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of which dataset, at which commit."""

    repo_id: str
    commit: str
    config: str | None
    split: str | None

    def __str__(self) -> str:
        parts = [f"hf:{self.repo_id}@{self.commit}"]
        parts += [
            f"{name}={value}" for name, value in (("config", self.config), ("split", self.split)) if value
        ]
        return ",".join(parts)


class HubDataset:
    """The rows of a dataset's splits, one after the other."""

    def __init__(self, place: Place, builder: "DatasetBuilder", options: IngestOptions) -> None:
        self._place = place
        self._builder = builder
        self._files = RepositoryFiles(place.repo_id, place.commit)
        self._max_bytes = options.max_bytes
        self._splits = _splits(place, builder)
        features = _features(place, builder, self._splits)
        self._image = _image_column(place, features)
        self._classes = _class_names(features)
        self._pictures = frozenset(
            field.name for field in features.arrow_schema if has_image_type(plain_type(field.type))
        ) - {self._image}
        self._published = set(RECORD_SCHEMA.names) <= set(features)
        types = {name: plain_type(kind) for name, kind in _types(features, self._classes).items()}
        self._has_splits = len(self._splits) > 1 and SPLIT not in types
        if self._has_splits:
            types[SPLIT] = pa.string()
        leave = (self._image, *(_RECOMPUTED if self._published else ()))
        self._columns = plan_columns(types, leave=leave, categories=_nested_names(features.get("objects")))
        self.name = str(place)
        self.stamp = ""
        self.labels = False
        self.columns = self._columns.types
        self.captions = self._columns.captions
        known = builder.info.splits or {}
        sizes = [known[split].num_examples if split in known else None for split in self._splits]
        self.total: int | None = sum(size or 0 for size in sizes) if all(sizes) else None

    def items(self, start: int) -> Iterator[Item]:
        """Rows from number `start` on.

        Raises:
            HubError: the Hub cannot be reached any more; the same command goes on later.
        """
        with hub_errors(self.name):
            readers = {"parquet": self._read_parquet, "arrow": self._read_arrow}
            yield from readers.get(self._builder.name, self._stream)(start)

    def notes(self) -> list[str]:
        """Nothing beyond the rows' own failures."""
        return []

    def _read_parquet(self, start: int) -> Iterator[Item]:
        for split in self._splits:
            number = 0
            for path in self._builder.config.data_files[split]:
                with _open_remote(str(path)) as file:
                    rows = file.metadata.num_rows
                    if rows > start:
                        for row in parquet_rows(file, start):
                            yield self._item(split, number + row.number, row.values, row.problem)
                start = max(0, start - rows)
                number += rows

    def _read_arrow(self, start: int) -> Iterator[Item]:
        for split in self._splits:
            number = 0
            for path in self._builder.config.data_files[split]:
                with _open_file(str(path)) as file:
                    for row in arrow_rows(file, file.size):
                        number += 1
                        if number > start:
                            yield self._item(split, number, row.values, row.problem)
            start = max(0, start - number)

    def _stream(self, start: int) -> Iterator[Item]:
        for split in self._splits:
            stream = self._builder.as_streaming_dataset(split).decode(False)
            number = 0
            try:
                for row in stream:
                    number += 1
                    if number > start:
                        yield self._item(split, number, row)
            except (ValueError, TypeError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
                # A stream that raised is at its end: what is left of the split is one item that says so.
                number += 1
                if number > start:
                    what = " ".join(str(error).split())[:300]
                    source = self._source(split, number)
                    yield failed(source, "BrokenRow", f"the rest of the split cannot be read: {what}")
            start = max(0, start - number)

    def _item(self, split: str, number: int, values: Mapping[str, Any], problem: str | None = None) -> Item:
        source = self._source(split, number)
        if problem is not None:
            return failed(source, "BrokenRow", f"the row {problem}")
        if self._published and values.get("source"):
            source = str(values["source"])
        image = self._image_bytes(values.get(self._image), source)
        if isinstance(image, Item):
            return image
        named = dict(values)
        for name, value in values.items():
            if name in self._classes:
                named[name] = self._class_name(name, value)
            elif name in self._pictures:
                held = self._held(value, source)
                if isinstance(held, Item):
                    return held
                named[name] = held
        return self._columns.item(source, image, {**named, SPLIT: split} if self._has_splits else named)

    def _source(self, split: str, number: int) -> str:
        return f"{self._place.repo_id}@{self._place.commit[:12]}/{split}#{number}"

    def _held(self, value: Any, source: str) -> Any:
        """An image of another column, or a list of them, by its bytes; or the failure of the row that names one."""
        if isinstance(value, list):
            held = [self._held(each, source) for each in value]
            return next((each for each in held if isinstance(each, Item)), held)
        if not isinstance(value, Mapping) or value.get("bytes") is not None:
            return value
        if not value.get("path"):
            return None
        content = self._image_bytes(value, source)
        return content if isinstance(content, Item) else {"bytes": content, "path": None}

    def _image_bytes(self, value: Any, source: str) -> bytes | Item:
        """The original bytes of an image that was not decoded, in the row or in the repository; or the row's failure."""
        content, path = (
            (value.get("bytes"), value.get("path")) if isinstance(value, Mapping) else (value, None)
        )
        if isinstance(content, bytes):
            return content
        if content is None and isinstance(path, str) and path:
            return self._files.read(path, source, self._max_bytes)
        return failed(source, "MissingImage", f"column {self._image!r} holds no image")

    def _class_name(self, column: str, value: Any) -> str | None:
        names = self._classes[column]
        return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def open_hub(argument: str, options: IngestOptions) -> HubDataset:
    """The source of a dataset on the Hub in use, its revision resolved to a commit once.

    Raises:
        SourceNotFound: the text is no dataset's name.
        HubError: no such dataset or revision, or the Hub cannot be reached.
        SourceError: it has several configurations, no such one or split, or no images.
    """
    first, named = arguments_of(argument, "hf", ("config", "split"))
    match = _REPOSITORY.fullmatch(first)
    if match is None:
        raise SourceNotFound(
            f"hf:{argument}: not a dataset's name; write hf:user/name or hf:user/name@revision"
        )
    configure_client()
    with hub_errors(f"hf:{argument}"):
        revision = match["revision"] or "main"
        commit = hub_api().resolve_revision(match["id"], repo_type="dataset", revision=revision).resolved
        place = Place(match["id"], commit, named.get("config"), named.get("split"))
        return HubDataset(place, _builder(place), options)


def as_begun(source: str, under_way: str) -> str:
    """The text of the ingest under way, where the source means the same dataset and names no commit of its own."""
    typed, *parts = source.removeprefix("hf:").split(",")
    begun, *begun_parts = under_way.removeprefix("hf:").split(",")
    match, pinned = _REPOSITORY.fullmatch(typed), _REPOSITORY.fullmatch(begun)
    if match is None or pinned is None or sorted(parts) != sorted(begun_parts):
        return source
    commit = match["revision"] or ""
    return under_way if match["id"] == pinned["id"] and not _COMMIT.fullmatch(commit) else source


def _builder(place: Place) -> "DatasetBuilder":
    from datasets import load_dataset_builder
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
    from datasets.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    check_card(place.repo_id, place.commit)
    try:
        builder = load_dataset_builder(place.repo_id, name=place.config, revision=place.commit)
    except (DataFilesNotFoundError, DatasetNotFoundError) as error:
        raise SourceError(f"{place}: no data files that `datasets` can read on {endpoint()}") from error
    except _STRANGE as error:
        what = " ".join(str(error).split())[:300]
        raise SourceError(f"{place}: `datasets` cannot read its card and its files' names: {what}") from error
    except ValueError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise SourceError(f"{place}: {' '.join(lines[:2])[:400]} (choose with ,config=NAME)") from error
    if builder.name not in BUILDERS:
        raise SourceError(
            f"{place}: its data are of the layout {builder.name!r}; read are {', '.join(sorted(BUILDERS))}"
        )
    files = RepositoryFiles(place.repo_id, place.commit)
    for path in (str(each) for split in (builder.config.data_files or {}).values() for each in split):
        if files.locate(path) is None:
            raise SourceError(f"{place}: a data file lies outside of the repository: {path[:200]!a}")
    return builder


def _splits(place: Place, builder: "DatasetBuilder") -> list[str]:
    files = builder.config.data_files
    splits = [str(each) for each in (files or builder.info.splits or {})]
    if place.split is None:
        return splits
    if place.split not in splits:
        raise OptionError(f"{place}: no split {place.split!r}; there are: {', '.join(splits)}")
    return [place.split]


def _features(place: Place, builder: "DatasetBuilder", splits: list[str]) -> "Features":
    from datasets import Features

    # Before anything is read, and whatever its card says of its columns.
    schema = _arrow_schema(str(builder.config.data_files[splits[0]][0])) if builder.name == "arrow" else None
    if builder.info.features is not None:
        return builder.info.features
    if builder.name == "parquet":
        with _open_remote(str(builder.config.data_files[splits[0]][0])) as file:
            schema = file.schema_arrow
    if schema is not None:
        return Features.from_arrow_schema(schema)
    features = builder.as_streaming_dataset(splits[0])._resolve_features().features
    if features is None:
        raise SourceError(f"{place}: its columns cannot be told without reading all of it")
    return features


def _image_column(place: Place, features: "Features") -> str:
    """The column of images: one that says so, else one that holds bytes as images are kept."""
    from datasets import Image

    images = [name for name, feature in features.items() if isinstance(feature, Image)]
    if images:
        return "image" if "image" in images else images[0]
    column = bytes_column({field.name: plain_type(field.type) for field in features.arrow_schema})
    if column is None:
        raise SourceError(f"{place} has no column of images (columns: {', '.join(features)})")
    return column


def _class_names(features: "Features") -> dict[str, list[str]]:
    from datasets import ClassLabel

    return {name: list(each.names) for name, each in features.items() if isinstance(each, ClassLabel)}


def _nested_names(feature: Any) -> list[str]:
    """Names of the classes somewhere inside a feature of annotations."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return list(feature.names)
    if isinstance(feature, Mapping):
        inner: list[Any] = list(feature.values())
    elif isinstance(feature, list):
        inner = feature
    else:
        inner = [feature.feature] if hasattr(feature, "feature") else []
    return next((names for each in inner if (names := _nested_names(each))), [])


def _types(features: "Features", classes: Mapping[str, list[str]]) -> dict[str, pa.DataType]:
    return {
        field.name: pa.string() if field.name in classes else field.type for field in features.arrow_schema
    }


def _arrow_schema(path: str) -> pa.Schema:
    with _open_file(path) as file:
        try:
            return arrow_schema(file, file.size)
        except (*DAMAGED, OSError, ValueError) as error:
            if not is_damage(error):
                raise
            what = " ".join(str(error).split())[:300]
            raise SourceError(f"{path[:300]} cannot be read as Arrow: {what}") from error


def _open_file(path: str) -> Any:
    from huggingface_hub import HfFileSystem

    return HfFileSystem(endpoint=endpoint()).open(path, "rb")


def _open_remote(path: str) -> pq.ParquetFile:
    file = _open_file(path)
    try:
        opened = pq.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
        check_footer(opened.metadata, file.size)
    except (*DAMAGED, OSError, ValueError) as error:
        if not is_damage(error):
            raise
        what = " ".join(str(error).split())[:300]
        raise SourceError(f"{path[:300]} cannot be read as Parquet: {what}") from error
    return opened
