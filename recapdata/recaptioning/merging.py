"""`recapdata merge-captions`: one caption set of several, each caption with whose words it is.

A record gets the caption of the first set that has one, or of the set whose caption the audit contradicts least. The merged set needs
none of its sources any more: its provenance holds theirs. The same command brings it up to date after they have changed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from recapdata.caption_sets.resuming import check_known_set, check_set_name, note_set
from recapdata.dataset.folder import ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import delete_captions, writing
from recapdata.display import shell_line, shown_as_text
from recapdata.errors import CaptionSetExists, OptionError
from recapdata.recaptioning.recorder import taken_over
from recapdata.recaptioning.summary import audit_options
from recapdata.recaptioning.where import Where, open_where
from recapdata.records import CAPTION_SCHEMA, Caption, Provenance, timestamp

FIRST, FEWEST = "first", "fewest contradictions"


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class MergeSummary:
    """What a merge made; `records` = `captions` + `failures`.

    Attributes:
        sources: the sets, in the order in which they were asked.
        choice: `first`, or `fewest contradictions`.
        origins: captions by the set whose words they are.
        failures: records of which no set has a caption.
        audited_by: the options of the folder's audit, which the next one is to be held against.
    """

    directory: str
    set_name: str
    sources: tuple[str, ...]
    choice: str
    records: int
    captions: int
    failures: int
    origins: Mapping[str, int]
    audited_by: tuple[str, ...] = ()

    def text(self) -> str:
        """The summary for a terminal."""
        how = "the first that has one" if self.choice == FIRST else "the one with the fewest contradictions"
        lines = [
            f"Merged {', '.join(self.sources)} of {self.directory} into {self.set_name!r}: of each record {how}.",
            "",
            f"  {'captions':<12}{self.captions:>12,}",
        ]
        lines += [f"    {name:<10}{count:>12,}" for name, count in self.origins.items()]
        lines += [f"  {'without':<12}{self.failures:>12,}", f"  {'records':<12}{self.records:>12,}"]
        audit = shell_line(["audits", "run", self.directory, "--captions", self.set_name, *self.audited_by])
        return "\n".join([*lines, "", "Next", f"  {audit}"])


def merge_captions(
    directory: str | Path,
    set_name: str,
    sources: Sequence[str],
    *,
    fewest_contradictions: bool = False,
    overwrite: bool = False,
) -> MergeSummary:
    """Make a caption set that takes each caption from one of several sets.

    Args:
        sources: the sets, the one that is preferred first; they need not be whole.
        fewest_contradictions: take the caption of which the audit contradicts the fewest claims; among equals the first.
        overwrite: replace a set of that name that was made otherwise.

    Raises:
        CaptionSetNotFound: there is no such set.
        CaptionSetExists: the set was made otherwise, and `overwrite` is not set.
        AuditNotFound: a set is not audited by evidence, or was when its captions were others.
        OptionError: a set is named twice, or is the one to be made.
        DatasetBusy: another process writes to the folder.
    """
    folder = DatasetFolder.open(directory)
    check_set_name(folder, set_name)
    names = tuple(check_known_set(folder, name, "merge-captions") for name in sources)
    if not names or len(set(names)) < len(names) or set_name in names:
        raise OptionError(
            f"merge-captions {set_name} {' '.join(names)}: name the sets to merge, each once, and none of them the set to make"
        )
    choice = FEWEST if fewest_contradictions else FIRST
    audits = _open_audits(folder, names) if fewest_contradictions else None
    with writing(folder):
        _begin(folder, set_name, names, choice, overwrite=overwrite)
        origins: Counter[str] = Counter()
        for shard in folder.shards():
            rows = _merged(folder, names, shard, _contradictions(audits, shard))
            _write(folder, set_name, shard, rows)
            origins.update(str(row.origin) for row in rows.values() if row.caption is not None)
        provenance = _provenance(folder, names, choice)
        parts = {name: part for name, part in provenance.parts.items() if origins[name]}
        counts = {name: origins[name] for name in parts}
        note_set(folder, set_name, replace(provenance, parts=parts, origins=counts))
        records = sum(folder.rows(shard) for shard in folder.shards())
    return MergeSummary(
        directory=str(directory),
        set_name=set_name,
        sources=names,
        choice=choice,
        records=records,
        captions=origins.total(),
        failures=records - origins.total(),
        origins=counts,
        audited_by=audit_options(open_dataset(directory).summary()),
    )


def _open_audits(folder: DatasetFolder, names: Sequence[str]) -> list[Where]:
    """The audits of the sets, each of the captions as they are."""
    asked = "--fewest-contradictions"
    return [open_where(folder, f"{name}: contradicted >= 0", asked=f"{asked}, {name}") for name in names]


def _begin(
    folder: DatasetFolder, set_name: str, names: tuple[str, ...], choice: str, *, overwrite: bool
) -> None:
    """Note the set in the manifest before its first shard; what a set made otherwise held goes."""
    recorded = folder.manifest.sets.get(set_name)
    same = recorded is not None and (recorded.sources, recorded.choice) == (names, choice)
    if recorded is not None and not same and not overwrite:
        made = f"of {', '.join(recorded.sources)} by {recorded.choice}" if recorded.sources else "otherwise"
        raise CaptionSetExists(
            f"caption set {set_name!r} of {folder.path} exists and was made {made}; give another set name, or --overwrite to "
            "replace it"
        )
    if not same:
        if recorded is not None or (folder.path / "captions" / set_name).is_dir():
            delete_captions(folder, set_name)
        note_set(folder, set_name, _provenance(folder, names, choice))


def _provenance(folder: DatasetFolder, names: tuple[str, ...], choice: str) -> Provenance:
    """Who wrote a merged set: the sets whose words may stand in it, those of merged and recaptioned ones among them."""
    sets = folder.manifest.sets
    parts: dict[str, Provenance] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in parts or name not in sets:
            continue
        source = sets[name]
        if source.sources:
            parts = {**source.parts, **parts}
            continue
        parts[name] = source
        waiting += [source.base] if source.base is not None else []
    return Provenance(writer="merge", sources=names, choice=choice, parts=parts, date=timestamp())


def _contradictions(audits: Sequence[Where] | None, shard: int) -> list[dict[str, int]] | None:
    """By set and key, how many claims of a caption are contradicted."""
    if audits is None:
        return None
    found = []
    for audit in audits:
        counts: dict[str, int] = {}
        for keys, columns in audit.batches(shard):
            judged = columns["contradicted"].fill_null(0).to_pylist()
            counts.update(zip(keys.to_pylist(), judged, strict=True))
        found.append(counts)
    return found


def _merged(
    folder: DatasetFolder, names: Sequence[str], shard: int, contradictions: list[dict[str, int]] | None
) -> dict[str, Caption]:
    """The rows of a shard by key, in the order of its records."""
    captions = [taken_over(folder, name, shard) for name in names]
    rows = {}
    for key in folder.read_keys(shard):
        having = [
            place for place, each in enumerate(captions) if key in each and each[key].caption is not None
        ]
        if having and contradictions is not None:
            having.sort(key=lambda place: contradictions[place].get(key, 0))
        rows[key] = captions[having[0]][key] if having else _failure(key, names, captions)
    return rows


def _failure(key: str, names: Sequence[str], captions: Sequence[Mapping[str, Caption]]) -> Caption:
    """The row of a record of which no set has a caption, with the first error that one of them has."""
    errors = [each[key].error for each in captions if key in each]
    return Caption(caption=None, error=errors[0] if errors else f"NoCaption: none in {', '.join(names)}")


def _write(folder: DatasetFolder, set_name: str, shard: int, rows: Mapping[str, Caption]) -> None:
    """Write a shard of the set, where it does not hold these rows already."""
    table = pa.Table.from_pylist(
        [row.to_row(key, set_name) for key, row in rows.items()], schema=CAPTION_SCHEMA
    )
    path = folder.caption_shard(set_name, shard)
    if path.is_file() and folder.read_captions(set_name, shard).combine_chunks() == table.combine_chunks():
        return
    with ShardWriter(path, CAPTION_SCHEMA) as writer:
        for start in range(0, table.num_rows, ROW_GROUP_ROWS):
            writer.write(table.slice(start, ROW_GROUP_ROWS))
