"""The build of a FiftyOne dataset from a target: new records in, changed ones in place, removed ones out.

A shard whose records, captions and audits are what they were at the last build is passed over, so a build costs what has changed;
one more caption set is a change of every shard. What people added in the App (tags, saved views, fields) stays.
"""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from audits.audited import made_by
from audits.fiftyone import require
from audits.fiftyone.locks import lock_file
from audits.fiftyone.media import Media, media_folder
from audits.fiftyone.naming import PARTS, dataset_name, field_names, identity, revision_prefix
from audits.fiftyone.schema import activate, captions_open, declare
from audits.fiftyone.shards import audit_paths, build_shard, shard_keys, state
from audits.fiftyone.views import save_views, save_workspace
from audits.fiftyone.waiting import waiting
from recapdata.caption_sets.edits import complete_edited
from recapdata.console import progress, say
from recapdata.dataset.audit_files import Identity, read_identity
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shell_word, shown_as_text
from recapdata.errors import DatasetBusy, DatasetExists, OptionError

INFO = TAG = "recapdata"
"""The entry of a dataset's info that says what it shows, and the tag by which such datasets are found among others."""


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
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
            f"audited: {', '.join(self.audited) or 'none; run: audits run ' + shell_word(self.target)}",
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
        DatabaseFailed: FiftyOne's MongoDB does not start, or goes away.
        DatasetExists: a FiftyOne dataset of that name shows something else.
        OptionError: the App cannot open a dataset of that name.
    """
    if name is not None and "/" in name:
        raise OptionError(f"--name {name}: a dataset with a slash in its name has no address in the App")
    target = _current(target).so_far()  # before FiftyOne, which takes its time and starts MongoDB
    name = name or dataset_name(target)
    fo = require()
    from audits.fiftyone.database import database_errors

    with database_errors(), _alone(name):
        return _build(fo, target, name, audits, Media(media or media_folder()), clip)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait for other builds of a FiftyOne dataset, such as the App's after a recaptioning."""
    with open(lock_file(f"build of {name}"), "w") as lock:
        for _ in waiting(f"another build of the FiftyOne dataset {name!r}"):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            raise DatasetBusy(f"another process builds the FiftyOne dataset {name!r}; end it and try again")
        yield


def _build(
    fo: Any, target: Target, name: str, audits: Path | None, shelf: Media, clip: str | None
) -> ViewSummary:
    from audits.fiftyone.similarity import index

    fields = field_names(target.set_names())
    dataset = _open(fo, target, name)
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
    target = open_dataset(target)
    if target.folder is None:
        return target
    try:
        complete_edited(target.folder)
    except DatasetBusy as error:
        say(f"the set of edits is shown as it is: {error}")
    return open_dataset(target.folder)


def _open(fo: Any, target: Target, name: str) -> Any:
    """The dataset of that name, made if it is not there."""
    wanted = identity(target)
    if not fo.dataset_exists(name):
        _notice_move(fo, target, name)
        dataset = fo.Dataset(name, persistent=True)
        dataset.tags = [TAG]
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
    identities: dict[str, list[Identity]] = {}
    with progress("build", _records(target), unit="samples") as advance:
        for shard in target.shards():
            found = audit_paths(target, audits, shard)
            audited |= set(found)
            for name, path in found.items():
                identities.setdefault(name, []).append(cast("Identity", read_identity(path)))
            content = state(target, shard, found)
            if before.get(str(shard)) != content or shelf.missing(shard_keys(target, shard)):
                new, changed = build_shard(dataset, target, shard, found, fields, shelf, advance)
                added, updated = added + new, updated + changed
            else:
                advance(target.rows(shard))
            shards[str(shard)] = content
            _describe(dataset, target, fields, shards, identities)
    return added, updated, audited


def _records(target: Target) -> int:
    return sum(target.rows(shard) for shard in target.shards())


def _describe(
    dataset: Any,
    target: Target,
    fields: Mapping[str, str],
    shards: Mapping[str, str],
    identities: Mapping[str, Sequence[Identity]],
) -> None:
    """Write into the dataset's info where it comes from, who wrote and what audited its sets, and what state it shows."""
    manifest = target.manifest
    dataset.info[INFO] = {
        **identity(target),
        "target": target.resolved,
        "revision": target.revision,
        "version": manifest.version,
        "sets": {name: each.to_dict() for name, each in manifest.sets.items()},
        "fields": dict(fields),
        "audit": target.summary(),
        "made_by": {name: made_by(each) for name, each in identities.items()},
        "shards": dict(shards),
    }
    dataset.save()


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
