"""What runs on the nodes of a Ray cluster: tasks that read and decode batches, and actors that hold a model."""

import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.captioners import Captioner, CaptionerOptions, Preparer
from recapdata.dataset.folder import MANIFEST, DatasetFolder
from recapdata.engines.batches import Batch
from recapdata.engines.captioning import BatchCaptioner
from recapdata.engines.preparing import DECODER_CRASHED, ImageReader, Part, Prepared, prepare_batch
from recapdata.errors import ClusterError
from recapdata.records import CAPTION_SCHEMA, Caption, Provenance
from recapdata.registry import load_dotted

_CAPTION = [field.name for field in fields(Caption)]
PLAN_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("number", pa.int32()),
        ("rows", pa.list_(pa.int32())),
        ("keys", pa.list_(pa.binary(32))),
        ("values", pa.binary()),
    ]
)
"""Batches as they travel to the nodes, 36 bytes an image, and what their prompts need, pickled; a column `at` beside them is the place in the driver's table."""
DONE_SCHEMA = pa.schema(
    [
        ("at", pa.int64()),
        ("captions", pa.list_(pa.struct([CAPTION_SCHEMA.field(name) for name in _CAPTION]))),
        ("fits", pa.int32()),
        ("load_seconds", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Work:
    """What every task and actor of a run is told.

    Attributes:
        folder: the dataset, by a path that is the same on all nodes.
        preparer: reference to the pickled half of the captioner that prepares.
        opener: `module:attribute` that opens the captioner, `options` what it is given, its revision pinned.
        provenance: what the captioner of every node has to say of itself.
        careful: decode in a process of its own, whose death an image can be blamed for.
    """

    folder: Path
    preparer: Any
    opener: str
    options: CaptionerOptions
    provenance: Provenance
    environment: tuple[tuple[str, str], ...]
    careful: bool = False


def prepare_batches(plans: pa.Table, *, work: Work) -> Iterator[pa.Table]:
    """Rows of `PLAN_SCHEMA`, with `at` → the same with a column `prepared`, one row at a time."""
    check_folder(work.folder)
    reader, preparer = _reader(work.folder), _preparer(work.preparer)
    for start in range(plans.num_rows):
        plan = plans.slice(start, 1)
        batch = batch_of(plan)
        if work.careful:
            prepared = _one_by_one(work.folder, preparer, batch)
        else:
            prepared = prepare_batch(reader, preparer, batch)
        packed = pickle.dumps(prepared, protocol=5)
        yield plan.append_column("prepared", pa.array([packed], pa.large_binary()))


class Model:
    """An actor: one copy of the model, loaded once."""

    def __init__(self, work: Work) -> None:
        os.environ.update(work.environment)
        began = time.monotonic()
        self._folder = check_folder(work.folder)
        self._captioner = open_again(work)
        self._captioner.load()
        self._model = BatchCaptioner(self._captioner)
        self._readers = threading.local()  # a server is asked from several threads
        self._load_seconds = time.monotonic() - began

    def __call__(self, prepared: pa.Table) -> pa.Table:
        """Rows of what `prepare_batches` gave → rows of `DONE_SCHEMA`."""
        rows = []
        for start in range(prepared.num_rows):
            row = prepared.slice(start, 1)
            batch = batch_of(row)

            def again(places: Any, size: int, batch: Batch = batch) -> Prepared:
                if not hasattr(self._readers, "reader"):
                    self._readers.reader = ImageReader(self._folder)
                return prepare_batch(self._readers.reader, self._captioner.prepare, batch, size, places)

            captions = self._model(pickle.loads(row["prepared"][0].as_py()), batch.keys, again)
            rows.append(
                {
                    "at": row["at"][0].as_py(),
                    "captions": [{name: getattr(each, name) for name in _CAPTION} for each in captions],
                    "fits": self._model.fits,
                    "load_seconds": self._load_seconds,
                }
            )
        return pa.Table.from_pylist(rows, schema=DONE_SCHEMA)


def open_captioner_here(opener: str, options: CaptionerOptions, env: dict[str, str]) -> Captioner:
    """Open a captioner on the node this runs on, under the driver's environment."""
    os.environ.update(env)
    captioner: Captioner = load_dotted(opener)(options)
    return captioner


def open_again(work: Work) -> Captioner:
    """The run's captioner on this node.

    Raises:
        ClusterError: it is another one here: other libraries, other weights, another kind of GPU.
    """
    captioner = open_captioner_here(work.opener, work.options, dict(work.environment))
    theirs, ours = work.provenance, captioner.provenance
    if _is_folder(work.options):  # named by another path here
        ours = replace(ours, model=theirs.model)
    if ours != theirs:
        name = next(
            field.name for field in fields(ours) if getattr(ours, field.name) != getattr(theirs, field.name)
        )
        raise ClusterError(
            f"node {socket.gethostname()} would write other captions than the set says: its {name} is "
            f"{getattr(ours, name)!r}, not {getattr(theirs, name)!r}; install the same on all nodes, and use one kind of GPU"
        )
    return captioner


def check_folder(path: Path) -> DatasetFolder:
    """The dataset as this node sees it.

    Raises:
        ClusterError: it does not.
    """
    if not (path / MANIFEST).is_file():
        raise ClusterError(
            f"node {socket.gethostname()} does not see {path}; the dataset must lie on a file system that all nodes "
            "share, under the same path"
        )
    return DatasetFolder(path)


def plan_rows(batches: Sequence[Batch]) -> pa.Table:
    """Batches as rows of `PLAN_SCHEMA`."""
    rows = [
        {
            "shard": batch.shard,
            "number": batch.number,
            "rows": batch.rows,
            "keys": [bytes.fromhex(key) for key in batch.keys],
            "values": pickle.dumps(batch.values) if batch.values else None,
        }
        for batch in batches
    ]
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)


def batch_of(row: pa.Table) -> Batch:
    """The batch of a table's first row."""
    values = row["values"][0].as_py()
    return Batch(
        shard=row["shard"][0].as_py(),
        number=row["number"][0].as_py(),
        rows=tuple(row["rows"][0].as_py()),
        keys=tuple(key.hex() for key in row["keys"][0].as_py()),
        values=pickle.loads(values) if values is not None else (),
    )


def captions_of(row: dict[str, Any]) -> list[Caption]:
    """The captions of a row of `DONE_SCHEMA`."""
    return [Caption(**caption) for caption in row["captions"]]


# Ray keeps its worker processes between tasks, and with them the last row groups read and the preparer.


@lru_cache(maxsize=1)
def _reader(folder: Path) -> ImageReader:
    return ImageReader(DatasetFolder(folder))


@lru_cache(maxsize=1)
def _preparer(reference: Any) -> Preparer:
    import ray

    preparer: Preparer = pickle.loads(ray.get(reference))
    return preparer


def _one_by_one(folder: Path, preparer: Preparer, batch: Batch) -> Prepared:
    """Prepare each picture by itself in a process that may die of it."""
    parts: list[Part] = []
    errors: dict[int, str] = {}
    pool: ProcessPoolExecutor | None = None
    for place, key in enumerate(batch.keys):
        pool = pool or ProcessPoolExecutor(1, get_context("spawn"))
        try:
            prepared = pool.submit(_alone, folder, preparer, batch.only({key})).result()
        except BrokenProcessPool:
            errors[place] = DECODER_CRASHED
            pool = None
            continue
        parts += [Part((place,), part.prepared) for part in prepared.parts]
        errors.update((place, text) for text in prepared.errors.values())
    if pool is not None:
        pool.shutdown()
    return Prepared(tuple(parts), errors)


def _alone(folder: Path, preparer: Preparer, batch: Batch) -> Prepared:
    return prepare_batch(_reader(folder), preparer, batch)


def pinned(options: CaptionerOptions, provenance: Provenance) -> CaptionerOptions:
    """The options that open the same captioner again, wherever: its revision fixed, a folder by its full path."""
    model = str(Path(str(options.model)).resolve()) if _is_folder(options) else options.model
    return replace(options, model=model, revision=provenance.revision)


def _is_folder(options: CaptionerOptions) -> bool:
    return options.model is not None and Path(options.model).is_dir()
