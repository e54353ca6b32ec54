"""The build of a FiftyOne dataset from a target: new records in, changed ones in place, removed ones out.

A shard whose records, captions and audits are what they were at the last build is passed over, so a build after one more caption
set, or after nothing at all, costs what has changed. What people added in the App (tags, saved views, fields) stays.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audits.fiftyone import require
from audits.fiftyone.fields import columns, values
from audits.fiftyone.media import Media, media_folder
from audits.fiftyone.naming import PARTS, dataset_name, field_names, identity, revision_prefix
from audits.fiftyone.schema import activate, captions_open, declare
from audits.fiftyone.views import save_views, save_workspace
from audits.tables import read_identity
from recapdata.console import progress, say
from recapdata.edited import complete_edited
from recapdata.errors import DatasetBusy, DatasetExists, OptionError
from recapdata.store import shard_name
from recapdata.targets import Target, aligned, open_target
from recapdata.versions.digest import rows_hash

BUILD = 3
"""Raised when the fields of a sample change, so that datasets of an older build are rebuilt."""
BATCH = 256
INFO = "recapdata"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSummary:
    """The outcome of `audits view`.

    Attributes:
        name: the FiftyOne dataset, as `fiftyone.load_dataset` takes it.
        samples: records in it; of these `added` and `updated` by this build.
        removed: samples whose records the target no longer has.
        fields: field by caption set.
        views: the saved views that it has.
        searched_with: the CLIP model by which pictures are searched; None where there is no index.
    """

    name: str
    target: str
    samples: int
    added: int
    updated: int
    removed: int
    fields: Mapping[str, str]
    audited: Sequence[str]
    views: Sequence[str]
    searched_with: str | None
    media: str

    def text(self) -> str:
        """What was built and how to open it."""
        changed = f"{self.added:,} added, {self.updated:,} updated, {self.removed:,} removed"
        sets = ", ".join(f"{name} (field {field})" for name, field in self.fields.items()) or "none"
        lines = [
            f"FiftyOne dataset {self.name!r} of {self.target}: {self.samples:,} samples ({changed})",
            f"caption sets: {sets}",
            f"audited: {', '.join(self.audited) or 'none; run: audits run ' + self.target}",
            f"saved views: {', '.join(self.views) or 'none without an audit'}",
            f"text search: {self.searched_with or 'none; name a CLIP model with --clip'}",
            f"pictures: {self.media}",
        ]
        return "\n".join(lines)


def build(
    target: str | Path | Target,
    *,
    name: str | None = None,
    audits: Path | None = None,
    media: Path | None = None,
    clip: str | None = None,
) -> ViewSummary:
    """Make or bring up to date the persistent FiftyOne dataset of a target.

    Args:
        name: the dataset's name; one that tells folder, or repository, revision and commit where None.
        audits: where the audit lies (`audits run --out`); that of the target itself where None.
        media: folder for the pictures; one beside FiftyOne's own datasets where None.
        clip: the CLIP model to search pictures with; the one that the audit scored with where None.

    Raises:
        MissingExtra: FiftyOne is not installed.
        DatasetExists: a FiftyOne dataset of that name shows something else.
        OptionError: the App cannot open a dataset of that name.
    """
    fo = require()
    from audits.fiftyone.similarity import index

    if name is not None and "/" in name:
        raise OptionError(f"--name {name}: a dataset with a slash in its name has no address in the App")
    target = _current(target).so_far()
    fields = field_names(target.set_names())
    shelf = Media(media or media_folder())
    dataset = _open(fo, target, name or dataset_name(target))
    known = dataset.info[INFO].get("fields", {})
    with captions_open(dataset, {*known.values(), *fields.values()}):
        _drop(dataset, known, fields)
        declare(dataset, fields)
        added, updated, audited = _fill(dataset, target, audits, fields, shelf)
    removed = _remove(dataset, target)
    activate(dataset, fields)
    save_workspace(dataset)
    searched = index(dataset, target, clip)
    views = save_views(dataset, {name: field for name, field in fields.items() if name in audited})
    return ViewSummary(
        name=dataset.name,
        target=target.resolved,
        samples=dataset.count(),
        added=added,
        updated=updated,
        removed=removed,
        fields=fields,
        audited=[each for each in fields if each in audited],
        views=views,
        searched_with=searched,
        media=str(shelf.folder),
    )


def _current(target: str | Path | Target) -> Target:
    """The target, its set of edits brought up to date with the set that it is based on."""
    target = target if isinstance(target, Target) else open_target(target)
    if target.folder is None:
        return target
    try:
        complete_edited(target.folder)
    except DatasetBusy as error:
        say(f"the set of edits is shown as it is: {error}")
    return open_target(target.folder)


def _open(fo: Any, target: Target, name: str) -> Any:
    """The dataset of that name, made if it is not there."""
    wanted = identity(target)
    if not fo.dataset_exists(name):
        _notice_move(fo, target, name)
        dataset = fo.Dataset(name, persistent=True)
        dataset.info = {INFO: {**wanted, "target": target.resolved}}
        dataset.save()
        return dataset
    dataset = fo.load_dataset(name, reload=True)  # another process may have built since this one last looked
    known = dataset.info.get(INFO, {})
    if any(known.get(key) != value for key, value in wanted.items()):
        shows = known.get("target", "something that recapdata did not make")
        raise DatasetExists(
            f"the FiftyOne dataset {name!r} shows {shows}, not {target.resolved}; choose another with --name"
        )
    return dataset


def _notice_move(fo: Any, target: Target, name: str) -> None:
    """Say so where this revision was another commit when it was last looked at."""
    if target.repo_id is None or target.revision == target.commit:
        return
    for each in fo.list_datasets(f"{revision_prefix(target)}*"):
        before = fo.load_dataset(each).info.get(INFO, {})
        if before.get("revision") == target.revision and before.get("commit") != target.commit:
            say(
                f"{target.repo_id}@{target.revision} has moved: it was {str(before.get('commit'))[:12]} when {each!r} was "
                f"built, and is {str(target.commit)[:12]} now; the earlier one is kept, and this one becomes {name!r}"
            )


def _drop(dataset: Any, before: Mapping[str, str], fields: Mapping[str, str]) -> None:
    """Take out the fields of caption sets that the target no longer has."""
    gone = {f"{each}{part}" for each in set(before.values()) - set(fields.values()) for part in PARTS}
    present = [field for field in gone if dataset.has_field(field)]
    if present:
        dataset.delete_sample_fields(present)


def _fill(
    dataset: Any, target: Target, audits: Path | None, fields: Mapping[str, str], shelf: Media
) -> tuple[int, int, set[str]]:
    """Bring every shard up to date that is not; how many samples were added and updated, and the sets with an audit."""
    known = dataset.info[INFO]
    before = dict(known.get("shards", {})) if known.get("fields") == fields else {}
    shards: dict[str, str] = {}
    added = updated = 0
    audited: set[str] = set()
    with progress("build", _records(target), unit="samples") as advance:
        for shard in target.shards():
            found = _audit_paths(target, audits, shard)
            audited |= set(found)
            state = _state(target, shard, found)
            if before.get(str(shard)) != state or shelf.missing(_keys(target, shard)):
                new, changed = _build_shard(dataset, target, shard, found, fields, shelf, advance)
                added, updated = added + new, updated + changed
            else:
                advance(target.rows(shard))
            shards[str(shard)] = state
            _describe(dataset, target, fields, shards)
    return added, updated, audited


def _records(target: Target) -> int:
    return sum(target.rows(shard) for shard in target.shards())


def _describe(dataset: Any, target: Target, fields: Mapping[str, str], shards: Mapping[str, str]) -> None:
    """Write into the dataset's info where it comes from, who wrote its sets, and what state it shows."""
    manifest = target.manifest
    dataset.info[INFO] = {
        **identity(target),
        "target": target.resolved,
        "revision": target.revision,
        "version": manifest.version,
        "sets": {each.name: each.provenance.to_dict() for each in manifest},
        "fields": dict(fields),
        "audit": target.summary(),
        "shards": dict(shards),
    }
    dataset.save()


# --- one shard -----------------------------------------------------------------------------------------------------------


def _audit_paths(target: Target, audits: Path | None, shard: int) -> dict[str, Path]:
    """The audit shard of each set, where there is one and it is of the captions as they are now."""
    found = {}
    for name in target.set_names():
        inside = f"{name}/{shard_name(shard)}"
        path = audits / inside if audits is not None else target.file(f"audits/{inside}")
        known = read_identity(path) if path is not None else None
        if path is None or known is None:
            continue
        if known.captions == rows_hash(target.read(shard, ["key", name], batch_rows=8192)):
            found[name] = path
        else:
            say(
                f"{name}, shard {shard}: its audit is of other captions and is not shown; run: audits run {target.name}"
            )
    return found


def _state(target: Target, shard: int, audits: Mapping[str, Path]) -> str:
    """A hash of all that a build of this shard shows."""
    content = rows_hash(
        target.read(shard, ["key", "source", "license", *target.set_names()], batch_rows=8192)
    )
    identities = {name: repr(read_identity(path)) for name, path in audits.items()}
    objects = hashlib.sha256()
    for batch in target.read(shard, ["objects"], batch_rows=4096):
        objects.update(json.dumps(batch.column("objects").to_pylist()).encode())
    state = json.dumps([BUILD, content, identities, objects.hexdigest()], sort_keys=True)
    return hashlib.sha256(state.encode()).hexdigest()


def _build_shard(
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
    pictures = ["image"] if shelf.missing(_keys(target, shard)) else []
    streams = [target.read(shard, [*columns(sets), *pictures], batch_rows=BATCH)]
    streams += [_stream(path) for path in audits.values()]
    for main, *others in aligned(streams, where=f"{target.name}, {shard_name(shard)}"):
        audit_rows = {name: batch.to_pylist() for name, batch in zip(audits, others, strict=True)}
        records = main.to_pylist()
        for record in records if pictures else ():
            shelf.write(record["key"], (record.pop("image") or {}).get("bytes"))
        yield [
            (record, {name: rows[place] for name, rows in audit_rows.items()})
            for place, record in enumerate(records)
        ]


def _keys(target: Target, shard: int) -> list[str]:
    return [key for batch in target.read(shard, ["key"]) for key in batch.column("key").to_pylist()]


def _stream(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(
            BATCH, columns=["key", "claims", "scores", "detections"], use_threads=False
        )


def _remove(dataset: Any, target: Target) -> int:
    """Take out samples whose records the target no longer has; how many."""
    if dataset.count() == _records(target):
        return 0
    fo = require()
    kept: set[str] = set()
    for shard in target.shards():
        for batch in target.read(shard, ["key"]):
            kept.update(batch.column("key").to_pylist())
    gone = [key for key in dataset.values("key") if key not in kept]
    dataset.delete_samples(dataset.match(fo.ViewField("key").is_in(gone)))
    return len(gone)
