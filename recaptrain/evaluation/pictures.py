"""What is evaluated: the pictures of a `recaptrain generate` folder, or the real images of a dataset against one of its caption sets."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from recapdata.dataset.bounded import read_lines, read_small
from recapdata.dataset.decoding import ImageUnreadable, decode_image
from recapdata.dataset.paths import NotAFile, UnsafePath, is_below, open_inside
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import InputError, OptionError
from recapdata.records import MAX_PIXELS
from recaptrain.generation.generate import METADATA, SETTINGS

READ_ROWS = 32
"""Rows of a dataset that are read at once for their images."""
MOST_BYTES = 2**28
"""Bytes of an image file."""
MOST_LINE = 2**20
"""Bytes of a row of a manifest."""
KEPT_ROWS = 256
"""Encoded images of a dataset that stay in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture and what it is measured against.

    Attributes:
        id: its row in the manifest of `recaptrain generate`, or its record's key.
        prompt_id: the same for all pictures of one prompt: what the bootstrap draws and what two runs are paired by.
        prompt: what it is measured against: what a person asked for, a caption of a real image.
        read: what the model was given, which a language model may have rewritten.
        category: of the benchmark; None where there is none.
        fields: whatever else the prompt's file says: GenEval's objects, GenEval 2's questions, …
        objects: annotated objects of a record; None for generated pictures, and where nobody annotated.
        mark: changes whenever the image may have.
        load: the decoded image, upright, in RGB; raises `ImageUnreadable`. May be called on any thread.
    """

    id: str
    prompt_id: str
    prompt: str
    read: str
    load: Callable[[], Image.Image]
    mark: str
    category: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    objects: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Pictures in their order.

    Attributes:
        name: as they are called in tables.
        source: what they were read from.
        made_with: model, revision and settings of generated pictures; dataset, commit and set of real ones.
    """

    name: str
    source: str
    items: Sequence[Picture]
    made_with: Mapping[str, Any]

    @property
    def prompts(self) -> dict[str, int]:
        """Number of each prompt by its id, the same for every run on these prompts."""
        return {name: number for number, name in enumerate(sorted({each.prompt_id for each in self.items}))}

    @property
    def prompts_digest(self) -> str:
        """A hash over the prompts, their ids, and how many pictures each has: two runs are compared where it is the same."""
        lines = sorted(json.dumps([each.prompt_id, each.prompt], ensure_ascii=False) for each in self.items)
        return hashlib.sha256("\n".join(lines).encode("utf8", "surrogatepass")).hexdigest()[:16]

    def folder(self, out: str | Path) -> Path:
        """Where in a folder what was found out about these pictures is kept."""
        place = hashlib.sha256(str(Path(self.source).absolute()).encode()).hexdigest()[:8]
        return Path(out) / f"{self.name.replace(':', '-')}-{place}"


def read_pictures(
    source: str, *, prompts: str = "original", shuffle: bool = False, seed: int = 0
) -> Pictures:
    """Read what is to be evaluated.

    Args:
        source: `[NAME=]FOLDER` of `recaptrain generate`, or `[NAME=]DATASET[@revision]:SET`, real images against a caption set.
        prompts: what pictures are measured against: `original`, what a person asked for, or `read`, what the model was given.
        shuffle: give each picture the prompt of another one, as a control: no metric of fit should be above chance.

    Raises:
        InputError: a folder without manifest, or one that is damaged or lists no pictures.
        SourceNotFound, NotADataset, CaptionSetNotFound: no such dataset or set.
    """
    name, place = _named(source)
    if Path(place).is_dir() and (Path(place) / METADATA).is_file():
        pictures = _generated(name, Path(place))
    else:
        target, colon, set_name = place.rpartition(":")
        if not colon or (Path(place).is_dir() and not Path(target).is_dir()):
            raise InputError(
                f"{place}: no pictures of recaptrain generate (there is no {METADATA}), and not DATASET:SET, real images "
                "against a caption set"
            )
        pictures = _real(name, target, set_name)
    if not pictures.items:
        raise InputError(f"{place} holds no pictures with a prompt")
    if prompts == "read":
        pictures = replace(pictures, items=[replace(each, prompt=each.read) for each in pictures.items])
    return shuffled(pictures, seed) if shuffle else pictures


def read_runs(sources: Sequence[str], *, by_seed: bool = False, **options: Any) -> list[Pictures]:
    """Read what is to be compared; see `read_pictures`.

    Args:
        by_seed: whether several may be called `NAME=` alike, as runs of one model by seed are.

    Raises:
        OptionError: none, two of one name, or of those of one name two that are one folder or hold other prompts.
    """
    if not sources:
        raise OptionError("name a folder of pictures, or DATASET:SET")
    runs = [read_pictures(source, **options) for source in sources]
    names = [run.name for run in runs]
    for name in (name for name in names if names.count(name) > 1):
        alike = [(source, run) for source, run in zip(sources, runs, strict=True) if run.name == name]
        if not by_seed or not all(source.startswith(f"{name}=") for source, _ in alike):
            seeds = f"; runs of one model by seed are named {name}=FOLDER each" if by_seed else ""
            raise OptionError(f"two of the pictures are called {name}; write NAME=FOLDER{seeds}")
        if len({str(Path(run.source).resolve()) for _, run in alike}) < len(alike):
            raise OptionError(f"{name} names one folder twice; runs of one model by seed are a folder each")
        _, first = alike[0]
        for _, other in alike:
            if other.prompts_digest != first.prompts_digest:
                raise OptionError(
                    f"{first.source} and {other.source} are both called {name}, as runs of one model by seed are, and hold other prompts, "
                    "or other numbers of pictures of them; name them apart, or draw the same prompts"
                )
    return runs


def _named(source: str) -> tuple[str, str]:
    """The name of pictures in tables, and where they are: `NAME=PLACE`, else the place's last part."""
    name, equals, place = source.partition("=")
    if equals and name and "/" not in name and not Path(source).exists():
        return name, place
    return source.rstrip("/").rpartition("/")[2], source


def _generated(name: str, folder: Path) -> Pictures:
    for each in (METADATA, SETTINGS):
        if not is_below(folder, folder / each):
            raise InputError(
                f"{folder / each} is a symbolic link out of its folder, which anybody may have made; put the file itself there"
            )
    settings = _json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    items: list[Picture] = []
    seen: set[str] = set()
    try:
        for line in read_lines(folder / METADATA, MOST_LINE):
            picture = _drawn(folder, json.loads(line))
            if picture.id in seen:
                raise ValueError(f"id {picture.id!r} comes twice")
            seen.add(picture.id)
            items.append(picture)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{folder / METADATA}, line {len(items) + 1}: not a row of recaptrain generate "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        ) from error
    return Pictures(name=name, source=str(folder), items=items, made_with=settings)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} is damaged: it holds no settings by name")
    return values


def _drawn(folder: Path, row: Mapping[str, Any]) -> Picture:
    name = row["file_name"]
    if not isinstance(name, str) or not name.strip(".") or set(name) & set("/\\\0"):
        raise ValueError(f"file_name {name!r} lies elsewhere")
    texts = [row.get(each) for each in ("prompt", "original", "read", "category")]
    if not isinstance(texts[0], str) or not all(isinstance(each, str | None) for each in texts):
        raise TypeError("prompt, original, read and category are texts")
    for each in ("id", "prompt_id", "category"):
        str(row.get(each)).encode()  # no file of rows takes lone surrogates
    original = row.get("original") or row["prompt"]
    return Picture(
        id=str(row["id"]),
        prompt_id=str(row.get("prompt_id") or row["id"]),
        prompt=str(original),
        read=str(row.get("read") or row["prompt"]),
        category=row.get("category"),
        fields=_fields(row.get("fields")),
        mark=file_mark(folder / name),
        load=lambda: open_file(folder, name),
    )


def _fields(text: Any) -> dict[str, Any]:
    fields = json.loads(text) if text else {}
    if not isinstance(fields, dict):
        raise TypeError("fields is the text of a JSON object")
    return fields


def file_mark(path: Path) -> str:
    """What changes whenever the image of a file may have."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{found.st_size}-{found.st_mtime_ns}"


def open_file(folder: Path, name: str) -> Image.Image:
    """The decoded image of a file of a folder; a link that leads out of it, a FIFO or a device is none.

    Raises:
        ImageUnreadable: it cannot be decoded, or is too large.
    """
    try:
        with open_inside(folder, name) as file:
            content = file.read(MOST_BYTES + 1)
    except (UnsafePath, NotAFile) as error:
        raise ImageUnreadable(f"{type(error).__name__}: {error}") from error
    except (OSError, ValueError) as error:
        raise ImageUnreadable(f"{type(error).__name__}: {name}: {error}") from error
    if len(content) > MOST_BYTES:
        raise ImageUnreadable(f"TooLarge: {name} has more than {MOST_BYTES:,} bytes")
    return decode_image(content, max_pixels=MAX_PIXELS)


def _real(name: str, target: str, set_name: str) -> Pictures:
    dataset = open_dataset(target)
    if set_name not in dataset.set_names():
        from recapdata.caption_sets.mixture import Mixture

        Mixture.parse(set_name).require(dataset.set_names(), where=dataset.name)
    images = DatasetImages(dataset)
    items = []
    for shard in dataset.shards():
        row = 0
        for batch in dataset.read(shard, ["key", set_name, "objects"]):
            for key, caption, objects in zip(*(column.to_pylist() for column in batch), strict=True):
                if caption:
                    items.append(
                        Picture(
                            id=key,
                            prompt_id=key,
                            prompt=caption,
                            read=caption,
                            mark=key,
                            objects=objects,
                            load=images.loader(shard, row),
                        )
                    )
                row += 1
    made_with = {"dataset": dataset.name, "commit": dataset.commit, "set": set_name}
    return Pictures(name=name, source=f"{target}:{set_name}", items=items, made_with=made_with)


class DatasetImages:
    """Images of a dataset by shard and row, asked for nearly in order: some batches of rows are read ahead and kept."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = Lock()
        self._shard, self._row = -1, 0
        self._batches: Iterator[Any] = iter(())
        self._kept: dict[tuple[int, int], bytes | None] = {}

    def loader(self, shard: int, row: int) -> Callable[[], Image.Image]:
        """A function that decodes the image of a row."""
        return lambda: decode_image(self._content(shard, row), max_pixels=self._target.max_pixels)

    def _content(self, shard: int, row: int) -> bytes | None:
        with self._lock:
            if (shard, row) not in self._kept and (shard != self._shard or row < self._row):
                self._shard, self._row = shard, 0
                self._batches = iter(self._target.read(shard, ["image"], batch_rows=READ_ROWS))
            while (shard, row) not in self._kept:
                for image in next(self._batches).column("image").to_pylist():
                    self._kept[self._shard, self._row] = image["bytes"] if image else None
                    self._row += 1
            while len(self._kept) > KEPT_ROWS and (oldest := next(iter(self._kept))) != (shard, row):
                del self._kept[oldest]
            return self._kept[shard, row]


def shuffled(pictures: Pictures, seed: int) -> Pictures:
    """Each picture with another picture's prompt: all prompts are moved on by one place of a random order.

    Raises:
        OptionError: fewer than two prompts.
    """
    import numpy as np

    by_prompt: dict[str, Picture] = {}
    for each in pictures.items:
        by_prompt.setdefault(each.prompt_id, each)
    names = list(by_prompt)
    if len(names) < 2:
        raise OptionError(
            f"--shuffle: {pictures.source} has one prompt, which cannot be exchanged for another"
        )
    order = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    other = dict(zip(order, [*order[1:], order[0]], strict=True))
    items = [
        replace(
            each,
            prompt=given.prompt,
            read=given.read,
            category=given.category,
            fields=given.fields,
            objects=None,
        )
        for each in pictures.items
        for given in [by_prompt[other[each.prompt_id]]]
    ]
    return replace(pictures, items=items, made_with={**pictures.made_with, "shuffled": seed})
