"""Pictures → the rows of each metric, chunk by chunk, kept as Parquet, so that nothing is measured twice.

    FOLDER/METRIC/00000.parquet    rows of the first pictures: id, prompt_id, state, unreadable, and the metric's own columns

Metrics that share their rows are measured once.

A file says in its metadata which pictures and which identity of the metric it is of; one of others is measured anew. Images are decoded
while the models work on those before (`ahead`); rows are read back when they are asked for.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from recapdata.atomic import replacing
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.errors import InputError
from recaptrain.evaluation.ahead import Decoded, decoded_groups
from recaptrain.evaluation.metrics import Metric, rows_identity, rows_name
from recaptrain.evaluation.pictures import Picture

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 128
"""Pictures of a file."""
MEASURED, NOTHING, UNREADABLE = "measured", "not applicable", "unreadable"
"""States of a row: measured; the metric has nothing to say of its prompt; the image cannot be decoded."""
ABOUT = ("id", "prompt_id", "state", "unreadable")
"""Columns of every metric's rows, none of its own; `unreadable` is why an image cannot be decoded, `Type: message`."""
_CONTENT = b"recapdata.content"

Found = dict[int, Mapping[str, Any] | ImageUnreadable | None]
"""Rows by the places of their pictures in a chunk; None of one that the metric has nothing to say of."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one metric on disk, in the order of the pictures."""

    paths: Sequence[Path]

    def chunks(self) -> "Iterator[pa.Table]":
        """File by file.

        Raises:
            InputError: one is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in self.paths:
            try:
                table = pq.read_table(path)
            except (OSError, pa.ArrowException) as error:
                raise InputError(
                    f"{path} is damaged ({' '.join(str(error).split())[:200]}); delete it, and its pictures are measured again"
                ) from error
            yield table.replace_schema_metadata(None)

    def table(self) -> "pa.Table":
        """All of them."""
        import pyarrow as pa

        return pa.concat_tables(self.chunks())

    def states(self) -> list[str]:
        """The state of each picture."""
        import pyarrow.parquet as pq

        columns = (pq.read_table(path, columns=["state"]).column(0).to_pylist() for path in self.paths)
        return [state for column in columns for state in column]

    def errors(self) -> dict[str, str]:
        """Why images cannot be decoded, by their pictures' ids."""
        import pyarrow.parquet as pq

        found: dict[str, str] = {}
        for path in self.paths:
            ids, errors = pq.read_table(path, columns=["id", "unreadable"]).to_pydict().values()
            found |= {name: error for name, error in zip(ids, errors, strict=True) if error is not None}
        return found

    def measured(self) -> "pa.Table":
        """Those of pictures that were measured."""
        import pyarrow as pa

        return pa.concat_tables(measured(chunk) for chunk in self.chunks())


def measured(rows: "pa.Table") -> "pa.Table":
    """The rows of pictures that were measured."""
    states = [state == MEASURED for state in rows.column("state").to_pylist()]
    return rows if all(states) else rows.filter(states)


def measure(
    pictures: Sequence[Picture],
    metrics: Sequence[Metric],
    folder: Path,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Rows]:
    """The rows of each metric by its name; what the folder does not hold is measured first.

    Args:
        advance: called with numbers of pictures done.
    """
    sharing = {rows_name(each): each for each in reversed(metrics)}
    chunks = [pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)]
    todo = {}
    for number, chunk in enumerate(chunks):
        lacking = [each for each in sharing.values() if not _is_there(folder, each, number, chunk)]
        if lacking:
            todo[number] = lacking
        else:
            advance(len(chunk))
    numbers = list(todo)
    found: dict[str, Found] = {}
    for each, first, images in decoded_groups([chunks[number] for number in numbers]):
        number = numbers[each]
        chunk = chunks[number]
        for metric in todo[number]:
            own = found.setdefault(metric.name, {})
            own |= _measure_group(metric, chunk[first : first + len(images)], images, first)
        if first + len(images) == len(chunk):
            for metric in todo[number]:
                _write_chunk(folder, metric, number, chunk, found.pop(metric.name))
            advance(len(chunk))
    rows = {
        name: Rows([_path(folder, metric, number) for number in range(len(chunks))])
        for name, metric in sharing.items()
    }
    return {metric.name: rows[rows_name(metric)] for metric in metrics}


def _measure_group(
    metric: Metric, pictures: Sequence[Picture], images: Sequence[Decoded], first: int
) -> Found:
    """What a metric says of the pictures, by their places in the chunk; `first` is that of the first."""
    readable = [(place, image) for place, image in enumerate(images) if isinstance(image, Image.Image)]
    found: Found = {
        first + place: image for place, image in enumerate(images) if isinstance(image, ImageUnreadable)
    }
    for start in range(0, len(readable), metric.batch_size):
        places, decoded = zip(*readable[start : start + metric.batch_size], strict=True)
        rows = metric.measure([pictures[place] for place in places], list(decoded))
        found |= {first + place: row for place, row in zip(places, rows, strict=True)}
    return found


def _write_chunk(folder: Path, metric: Metric, number: int, chunk: Sequence[Picture], found: Found) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for place, picture in enumerate(chunk):
        row = found[place]
        about = {"id": picture.id, "prompt_id": picture.prompt_id}
        if isinstance(row, ImageUnreadable):
            error = str(row).encode("utf8", "replace").decode()
            rows.append({**about, "state": UNREADABLE, "unreadable": error})
        elif row is None:
            rows.append({**about, "state": NOTHING})
        else:
            rows.append({**about, "state": MEASURED, **row})
    schema = _schema(metric).with_metadata({_CONTENT: _content(metric, chunk)})
    with replacing(_path(folder, metric, number)) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary)


def _schema(metric: Metric) -> "pa.Schema":
    import pyarrow as pa

    own = [field.with_nullable(True) for field in metric.schema]
    return pa.schema([(name, pa.string()) for name in ABOUT] + own)


def _path(folder: Path, metric: Metric, number: int) -> Path:
    return folder / rows_name(metric).replace("/", "-").replace(":", "-") / f"{number:05d}.parquet"


def _is_there(folder: Path, metric: Metric, number: int, chunk: Sequence[Picture]) -> bool:
    """Whether the rows of a chunk are there, of these pictures and this identity."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        path = _path(folder, metric, number)
        schema = pq.read_schema(path)
        if (schema.metadata or {}).get(_CONTENT) != _content(metric, chunk) or schema != _schema(metric):
            return False
        rows = pq.read_table(path, columns=list(ABOUT)).to_pylist()
    except (OSError, ValueError, pa.ArrowException):
        return False
    whose = [(row["id"], row["prompt_id"]) for row in rows]
    states = {row["state"] for row in rows}
    return whose == [(each.id, each.prompt_id) for each in chunk] and states <= {
        MEASURED,
        NOTHING,
        UNREADABLE,
    }


def _content(metric: Metric, chunk: Sequence[Picture]) -> bytes:
    """A hash of what the rows of a chunk depend on."""
    digest = hashlib.sha256(json.dumps(rows_identity(metric), sort_keys=True, default=str).encode())
    for line in _lines(chunk):
        digest.update(line.encode())
    return digest.hexdigest().encode()


def _lines(chunk: Sequence[Picture]) -> Iterator[str]:
    for each in chunk:
        yield json.dumps(
            [
                each.id,
                each.prompt_id,
                each.prompt,
                each.read,
                each.category,
                each.fields,
                each.objects,
                each.mark,
            ],
            sort_keys=True,
            default=str,
        )
