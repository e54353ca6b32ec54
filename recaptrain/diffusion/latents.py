"""Pictures as the base model's latents, encoded once and kept: the autoencoder is not trained, so they never change.

The cache (`recaptrain.caches`) is of an autoencoder's weights; an entry is of a picture's key, a size, and how it was fitted. So runs
that differ in captions alone share one, and so do versions of a dataset that have pictures in common.
"""

import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recapdata.dataset.decoding import ImageUnreadable, decode_image
from recapdata.dataset.target import Target
from recaptrain.caches import Cache, model_digest, open_cache
from recaptrain.diffusion.buckets import Size
from recaptrain.diffusion.fitting import Fitted, Fitting, fit_picture

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL

FORMAT = 2
ENTRIES = 512
"""Latents of one file of the cache."""
BATCH_PIXELS = 8 * 512**2
"""Pixels that are encoded at once, at the most."""
READ_ROWS = 32
AHEAD = 4
"""Batches of rows that are decoded while the autoencoder works on an earlier one."""
THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The autoencoder, and how fast it works.

    Attributes:
        model: what a person calls it.
        batch_pixels: pixels that are encoded at once.
        autocast: makes the context manager that the autoencoder runs under; `precision` is what it computes in.
    """

    vae: "AutoencoderKL"
    model: str = ""
    batch_pixels: int = BATCH_PIXELS
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    precision: str = "no"

    @property
    def in_full(self) -> bool:
        """Whether it must run in float32: SDXL's numbers overflow in half precision, and its autoencoder says so."""
        return bool(self.vae.config.get("force_upcast"))

    def cache(self, root: Path) -> Cache:
        """The cache of this autoencoder under `root`."""
        about = {
            "format": FORMAT,
            "autoencoder": model_digest(self.vae),
            "precision": "no" if self.in_full else self.precision,
            "dtype": "float16",
            "_model": self.model,
        }
        return open_cache(root, "latents", about)

    def shape(self, size: Size) -> tuple[int, int, int]:
        """Channels, height and width of the latents of a size."""
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return int(self.vae.config.latent_channels), size[1] // factor, size[0] // factor

    def bytes_of(self, size: Size) -> int:
        """Disk that the latents of one picture take: mean and standard deviation, two bytes each."""
        channels, height, width = self.shape(size)
        return 2 * 2 * channels * height * width

    def moments(self, pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Mean and standard deviation of the latents of pictures (N, height, width, 3), in the denoiser's scale."""
        import torch

        images = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0)
        with torch.no_grad(), nullcontext() if self.in_full else self.autocast():
            posterior = self.vae.encode(images.to(self.vae.device)).latent_dist
        moments = torch.stack([posterior.mean, posterior.std], dim=1).float()
        moments[:, 0] -= self.vae.config.get("shift_factor") or 0.0
        return (moments * self.vae.config.scaling_factor).to("cpu", torch.float16).numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """The latents of a dataset's pictures, read from disk on demand.

    Attributes:
        moments: the cache's files: (entries, 2, channels, height, width) of float16 each, mean and standard deviation in the
            denoiser's scale.
        corners: of each file's entries, (entries, 2): top and left of what was cut out, in the scaled picture.
        places: (rows, fittings, 2): file and entry of each row; -1 where there is none.
        fittings: how pictures were brought to their sizes; see `fittings`.
    """

    moments: Sequence[NDArray[np.float16]]
    corners: Sequence[NDArray[np.int32]]
    places: NDArray[np.int64]
    fittings: Sequence[Fitting]

    def missing(self) -> NDArray[np.int64]:
        """Rows without latents: their pictures could not be decoded."""
        return np.flatnonzero((self.places[:, :, 0] < 0).any(1))

    def read(
        self, rows: NDArray[np.int64], chosen: Sequence[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Moments (N, 2, channels, height, width) and corners (N, 2) of some rows of one size.

        Args:
            chosen: number of the fitting for each of them.
        """
        places = [self.places[row, number] for row, number in zip(rows, chosen, strict=True)]
        moments = np.stack([self.moments[file][entry] for file, entry in places]).astype(np.float32)
        return moments, np.stack([self.corners[file][entry] for file, entry in places])


def sample(moments: "torch.Tensor", noise: "torch.Tensor") -> "torch.Tensor":
    """Latents drawn from their distributions, (N, channels, height, width), of moments (N, 2, …) and standard normal noise."""
    mean, spread = moments.unbind(1)
    return mean + spread * noise


def encode_dataset(
    target: Target,
    encoder: Encoder,
    root: Path,
    sizes: Sequence[Size | None],
    ways: Sequence[Fitting] = (Fitting(),),
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> Latents:
    """Encode what the cache under `root` does not hold yet, and open it all.

    Args:
        sizes: of every row of the dataset; None for one that is not needed.
        ways: how each picture is brought to its size.
        advance: called with numbers of pictures done.
    """
    cache = encoder.cache(root)
    cache.note_use(target.name)
    keys = [
        key
        for shard in target.shards()
        for batch in target.read(shard, ["key"])
        for key in batch.column("key").to_pylist()
    ]
    known = {(name, shape) for table, shape in _entries(cache) for name in table.column("name").to_pylist()}
    wanted = [
        [way for way in ways if size is not None and _entry(encoder, key, size, way) not in known]
        for key, size in zip(keys, sizes, strict=True)
    ]
    advance(sum(not each for each in wanted))
    if any(wanted):
        _encode(target, encoder, cache, keys, sizes, wanted, advance)
    return _open(cache, encoder, keys, sizes, ways)


def _name(key: str, size: Size, fitting: Fitting) -> str:
    return f"{key}/{fitting.name(size)}"


def _entry(encoder: Encoder, key: str, size: Size, fitting: Fitting) -> tuple[str, tuple[int, ...]]:
    """Name and shape of the entry of a picture."""
    return _name(key, size, fitting), (2, *encoder.shape(size))


def _entries(cache: Cache) -> Iterator[tuple[pa.Table, tuple[int, ...]]]:
    """The files of the cache with the shape of their entries; one that is of another form is left out, and its entries are made again."""
    for table in cache.tables():
        try:
            shape = tuple(int(each) for each in json.loads((table.schema.metadata or {})[b"shape"]))
            own = table.schema.remove_metadata() == _schema(math.prod(shape))
        except (KeyError, ValueError, TypeError, RecursionError, OverflowError):
            continue
        if own and table.num_rows and not any(column.null_count for column in table.columns):
            yield table, shape


def _schema(width: int) -> pa.Schema:
    return pa.schema(
        [
            ("name", pa.string()),
            ("moments", pa.list_(pa.float16(), width)),
            ("top", pa.int32()),
            ("left", pa.int32()),
        ]
    )


def _open(
    cache: Cache, encoder: Encoder, keys: Sequence[str], sizes: Sequence[Size | None], ways: Sequence[Fitting]
) -> Latents:
    """The entries of all rows, each file memory-mapped."""
    moments, corners = [], []
    found: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = {}
    for number, (table, shape) in enumerate(_entries(cache)):
        column = table.column("moments").combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        moments.append(column.flatten().to_numpy(zero_copy_only=True).reshape(-1, *shape))
        corners.append(np.stack([table.column(side).to_numpy() for side in ("top", "left")], 1))
        names = table.column("name").to_pylist()
        found |= {(name, shape): (number, entry) for entry, name in enumerate(names)}
    places = np.full((len(keys), len(ways), 2), -1, np.int64)
    for row, (key, size) in enumerate(zip(keys, sizes, strict=True)):
        for way, fitting in enumerate(ways):
            if size is not None and (place := found.get(_entry(encoder, key, size, fitting))) is not None:
                places[row, way] = place
    return Latents(moments=moments, corners=corners, places=places, fittings=tuple(ways))


@dataclass(slots=True)
class _Pending:
    """Pictures of one size that wait for the autoencoder, and latents that wait for a file of their own."""

    names: list[str] = field(default_factory=list)
    pictures: list[Fitted] = field(default_factory=list)
    done: list[NDArray[np.float16]] = field(default_factory=list)
    written: list[tuple[str, tuple[int, int]]] = field(default_factory=list)


def _encode(
    target: Target,
    encoder: Encoder,
    cache: Cache,
    keys: Sequence[str],
    sizes: Sequence[Size | None],
    wanted: Sequence[Sequence[Fitting]],
    advance: Callable[[int], None],
) -> None:
    """Decode on threads, encode by size, write files of many entries."""
    waiting: dict[Size, _Pending] = {}
    for row, fitted in _decoded(target, keys, sizes, wanted):
        size = sizes[row]
        assert size is not None
        pending = waiting.setdefault(size, _Pending())
        for way, picture in fitted:
            pending.names.append(_name(keys[row], size, way))
            pending.pictures.append(picture)
        if len(pending.pictures) >= max(1, encoder.batch_pixels // (size[0] * size[1])):
            _encode_pending(encoder, pending)
        if len(pending.written) >= ENTRIES:
            _write(cache, pending)
        advance(1)
    for pending in waiting.values():
        _encode_pending(encoder, pending)
        _write(cache, pending)


def _encode_pending(encoder: Encoder, pending: _Pending) -> None:
    if pending.pictures:
        pending.done.append(encoder.moments(np.stack([each.pixels for each in pending.pictures])))
        pending.written += zip(pending.names, [each.corner for each in pending.pictures], strict=True)
        pending.names, pending.pictures = [], []


def _write(cache: Cache, pending: _Pending) -> None:
    if not pending.written:
        return
    moments = np.concatenate(pending.done)
    names, corners = zip(*pending.written, strict=True)
    width = int(np.prod(moments.shape[1:]))
    table = pa.table(
        {
            "name": pa.array(names, pa.string()),
            "moments": pa.FixedSizeListArray.from_arrays(pa.array(moments.reshape(-1), pa.float16()), width),
            "top": pa.array([top for top, _ in corners], pa.int32()),
            "left": pa.array([left for _, left in corners], pa.int32()),
        }
    )
    cache.add(table.replace_schema_metadata({"shape": json.dumps(moments.shape[1:])}))
    pending.done, pending.written = [], []


def _decoded(
    target: Target,
    keys: Sequence[str],
    sizes: Sequence[Size | None],
    wanted: Sequence[Sequence[Fitting]],
) -> Iterator[tuple[int, list[tuple[Fitting, Fitted]]]]:
    """Rows whose latents are wanted, each with its picture in every way that is; none of a picture that cannot be decoded."""

    def fit(row: int, image: Mapping[str, Any] | None) -> list[tuple[Fitting, Fitted]]:
        size = sizes[row]
        assert size is not None
        try:
            decoded = decode_image(image["bytes"] if image else None, max_pixels=target.max_pixels)
        except ImageUnreadable:  # the run counts and names those without latents
            return []
        return [(way, fit_picture(decoded, size, way, keys[row])) for way in wanted[row]]

    with ThreadPoolExecutor(THREADS, thread_name_prefix="decode") as pool:
        queue: deque[list[tuple[int, Future[list[tuple[Fitting, Fitted]]]]]] = deque()
        for batch in _wanted_rows(target, wanted):
            queue.append([(row, pool.submit(fit, row, image)) for row, image in batch])
            if len(queue) > AHEAD:
                yield from _results(queue.popleft())
        for each in queue:
            yield from _results(each)


def _results(
    batch: Iterable[tuple[int, "Future[list[tuple[Fitting, Fitted]]]"]],
) -> Iterator[tuple[int, list[tuple[Fitting, Fitted]]]]:
    for row, future in batch:
        yield row, future.result()


def _wanted_rows(
    target: Target, wanted: Sequence[Sequence[Fitting]]
) -> Iterator[list[tuple[int, Mapping[str, Any] | None]]]:
    """Encoded images of the rows that are wanted; shards of which none is are not read."""
    row = 0
    for shard in target.shards():
        rows = target.rows(shard)
        if any(wanted[row : row + rows]):
            place = row
            for batch in target.read(shard, ["image"], batch_rows=READ_ROWS):
                images = batch.column("image").to_pylist()
                yield [
                    (place + number, image) for number, image in enumerate(images) if wanted[place + number]
                ]
                place += len(images)
        row += rows
