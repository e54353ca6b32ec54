"""One shard of a target as samples: what of it is shown, and writing that into a FiftyOne dataset, a batch at a time."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from audits.fiftyone import require
from audits.fiftyone.fields import columns, values
from audits.fiftyone.figures import kept, kept_values
from audits.fiftyone.media import Media
from recapdata.console import say
from recapdata.dataset.audit_files import read_audit, read_identity
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import shard_name
from recapdata.dataset.shards import ShardFile, aligned
from recapdata.dataset.target import Target
from recapdata.display import shell_word

BUILD = 4
"""Raised when the fields of a sample change, so that datasets of an older build are rebuilt."""
BATCH = 256


def audit_paths(target: Target, audits: Path | None, shard: int) -> dict[str, Path]:
    """The audit shard of each set, where there is one and it is of the captions as they are now."""
    found = {}
    for name in target.set_names():
        inside = f"{name}/{shard_name(shard)}"
        path = audits / inside if audits is not None else target.file(f"audits/{inside}")
        known = read_identity(path) if path is not None else None
        if path is None or known is None:
            continue
        if known.captions == target.captions_hash(name, shard):
            found[name] = path
        else:
            say(
                f"{name}, shard {shard}: its audit is of other captions and is not shown; run: audits run {shell_word(str(target.name))}"
            )
    return found


def state(target: Target, shard: int, audits: Mapping[str, Path]) -> str:
    """A hash of all that a build of this shard shows."""
    content = rows_hash(
        target.read(shard, ["key", "source", "license", *target.set_names()], batch_rows=8192)
    )
    identities = {name: repr(read_identity(path)) for name, path in audits.items()}
    objects = hashlib.sha256()
    for batch in target.read(shard, ["objects"], batch_rows=4096):
        objects.update(json.dumps(batch.column("objects").to_pylist()).encode())
    # Nothing of figures where none is from outside, so that a dataset of that time stays current.
    shown = json.dumps(
        [BUILD, content, identities, objects.hexdigest(), *([list(kept())] if kept() else [])], sort_keys=True
    )
    return hashlib.sha256(shown.encode()).hexdigest()


def build_shard(
    dataset: Any,
    target: Target,
    shard: int,
    audits: Mapping[str, Path],
    fields: Mapping[str, str],
    shelf: Media,
    advance: Any,
) -> tuple[int, int]:
    """Add the shard's new records and bring all of them up to date; how many were new, and how many were not."""
    added = updated = 0
    for rows in _rows(target, shard, audits, list(fields), shelf):
        paths = {record["key"]: str(shelf.path(record["key"])) for record, _ in rows}
        present = dataset.match(require().ViewField("key").is_in(list(paths)))
        ids = dict(zip(*present.values(["key", "id"]), strict=True))
        fresh = [key for key in paths if key not in ids]
        if ids:
            _set(dataset, {sample: {"filepath": paths[key]} for key, sample in ids.items()})
        ids |= _add(dataset, {key: paths[key] for key in fresh})
        _set(dataset, {ids[row[0]["key"]]: values(*row, fields) for row in rows})
        added, updated = added + len(fresh), updated + len(rows) - len(fresh)
        advance(len(rows))
    return added, updated


def _add(dataset: Any, paths: Mapping[str, str]) -> dict[str, str]:
    """Add samples that have a key and a picture so far; the ids by key.

    None of them is held any longer: FiftyOne reads again every sample in memory that something is written to.
    """
    samples = [require().Sample(filepath=path, key=key) for key, path in paths.items()]
    return dict(zip(paths, dataset.add_samples(samples, dynamic=False, progress=False), strict=True))


def _set(dataset: Any, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the values of fields by the samples' ids, each field of all samples at once.

    They are in the form in which FiftyOne stores them, for which it has no check.
    """
    for field in next(iter(found.values())):
        column = {sample: row[field] for sample, row in found.items()}
        dataset.set_values(field, column, key_field="id", expand_schema=False, validate=False)


Row = tuple[dict[str, Any], dict[str, dict[str, Any] | None]]


def _rows(
    target: Target, shard: int, audits: Mapping[str, Path], sets: Sequence[str], shelf: Media
) -> Iterator[list[Row]]:
    """Records with their audit rows, batch by batch; pictures that are not on disk yet are put there on the way."""
    pictures = ["image"] if shelf.missing(shard_keys(target, shard)) else []
    streams = [target.read(shard, [*columns(sets), *pictures], batch_rows=BATCH)]
    streams += [_stream(path) for path in audits.values()]
    for main, *others in aligned(streams, where=f"{target.name}, {shard_name(shard)}"):
        audit_rows = {
            name: [
                {**row, "kept": kept}
                for row, kept in zip(batch.to_pylist(), kept_values(batch, main.column(name)), strict=True)
            ]
            for name, batch in zip(audits, others, strict=True)
        }
        records = main.to_pylist()
        for record in records if pictures else ():
            shelf.write(record["key"], (record.pop("image") or {}).get("bytes"))
        yield [
            (record, {name: rows[place] for name, rows in audit_rows.items()})
            for place, record in enumerate(records)
        ]


def shard_keys(target: Target, shard: int) -> list[str]:
    """The keys of its records, in order."""
    return [key for batch in target.read(shard, ["key"]) for key in batch.column("key").to_pylist()]


def _stream(path: Path) -> Iterator[pa.RecordBatch]:
    with ShardFile(path) as file:
        yield from read_audit(file, ["key", "claims", "scores", "detections"], batch_rows=BATCH)
