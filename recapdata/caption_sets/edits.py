"""Captions that a person changed: the caption set `edited`, which is another set with the edits put in.

The set is complete from the first edit on, so that it can be audited, compared, published and trained on like any other: where
nobody edited anything it holds the caption of its base set (`origin` says whose words they are), and the row of an edit says so
(`finish_reason` is `edit`). No other set is ever written to. An edit rewrites one shard of captions whole and renames it, so it is there or it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recapdata.caption_sets.resuming import note_set
from recapdata.dataset.folder import ROW_GROUP_ROWS, DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.writing import writing
from recapdata.errors import CaptionSetExists, CaptionSetNotFound, OptionError, RecapdataError
from recapdata.records import CAPTION_SCHEMA, Caption, Provenance, timestamp
from recapdata.suggestions import did_you_mean

EDITED = "edited"
EDIT = "edit"
"""The `finish_reason` of a caption that a person changed."""


class RecordNotFound(RecapdataError):
    """No record of that key in the dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSummary:
    """What an edit did.

    Attributes:
        base: the set whose captions stand where nobody edited anything.
        edits: captions of the set `edited` that a person changed.
        caption: what stands there now.
    """

    key: str
    base: str
    edits: int
    caption: str

    def text(self) -> str:
        """The summary for a person."""
        return f"saved in the caption set {EDITED!r}: {self.base} with {self.edits:,} edited"


def edit_caption(directory: Any, key: str, caption: str, *, of: str) -> EditSummary:
    """Write what a person makes of a caption into the set `edited`; the first edit makes the set.

    An edit of an edited caption replaces it; the very words of the base set take the edit back.

    Args:
        directory: the dataset folder.
        of: the set whose caption was edited. The first edit makes it the base; later ones may start from any set.

    Raises:
        NotADataset: there is no dataset folder.
        RecordNotFound: no record of that key.
        CaptionSetNotFound: no such set, or the base is not finished where a caption of it is needed.
        CaptionSetExists: a set `edited` was written otherwise, by a model or an import.
        OptionError: the caption is empty or no text.
        DatasetBusy: another process writes to the folder.
    """
    folder = DatasetFolder.open(directory)
    text = caption.strip()
    if not text:
        raise OptionError("an empty caption cannot be saved; write one, or leave the caption as it is")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"the caption is no text that can be stored ({error.reason}); type it again"
        ) from error
    with writing(folder):
        provenance = _provenance(folder, of)
        base = str(provenance.base)
        edited = _shard_of(folder, key)
        folder.finished_shard(base, edited)  # raises where it is not finished
        note_set(folder, EDITED, provenance)
        edits = 0
        for shard in folder.finished_captions(base):
            rows = _edits(folder, shard)
            if shard == edited:
                rows[key] = text
            if shard == edited or not folder.caption_shard(EDITED, shard).is_file():
                edits += _write(folder, _with_edits(folder, base, shard, rows), shard)
            else:
                edits += len(rows)
        note_set(folder, EDITED, replace(provenance, edits=edits, date=timestamp()))
    return EditSummary(key=key, base=base, edits=edits, caption=text)


def complete_edited(directory: Any) -> int:
    """Bring the set `edited` up to date with its base, which may have been captioned further since; shards written anew.

    Shards that the base itself has not finished are left for later. Nothing is done where there are no edits.

    Raises:
        DatasetBusy: another process writes to the folder.
    """
    folder = DatasetFolder.open(directory)
    provenance = folder.manifest.sets.get(EDITED)
    if provenance is None or provenance.base is None or not is_of_edits(provenance):
        return 0
    base = provenance.base
    stale = []
    for shard in folder.finished_captions(base):
        rows = _with_edits(folder, base, shard, _edits(folder, shard))
        if (
            not folder.caption_shard(EDITED, shard).is_file()
            or folder.read_captions(EDITED, shard).combine_chunks() != rows
        ):
            stale.append(shard)
    if stale:
        with writing(folder):
            if folder.manifest.sets.get(EDITED) != provenance:
                return 0  # taken out by a removal that had been interrupted
            for shard in stale:
                _write(folder, _with_edits(folder, base, shard, _edits(folder, shard)), shard)
            edits = sum(len(_edits(folder, shard)) for shard in folder.finished_captions(EDITED))
            note_set(folder, EDITED, replace(provenance, edits=edits))
    return len(stale)


def is_of_edits(provenance: Provenance | None) -> bool:
    """Whether a set of this provenance takes edits: it is not there yet, or is the set of edits."""
    return provenance is None or (provenance.writer == "human" and provenance.base is not None)


def _provenance(folder: DatasetFolder, of: str) -> Provenance:
    sets = folder.manifest.sets
    if of not in sets:
        raise CaptionSetNotFound(
            f"{folder.path} has no caption set {of!r}{did_you_mean(of, sets)}; it has {', '.join(sets) or 'none'}"
        )
    known = sets.get(EDITED)
    if not is_of_edits(known):
        raise CaptionSetExists(
            f"{folder.path} has a caption set {EDITED!r} that was not made by editing, and nothing is written over it; "
            "publish or copy the dataset without that set to edit captions"
        )
    return known or Provenance(writer="human", base=of, edits=0, date=timestamp())


def _shard_of(folder: DatasetFolder, key: str) -> int:
    for shard in folder.shards():
        if key in folder.read_keys(shard):
            return shard
    raise RecordNotFound(
        f"{folder.path} holds no record with the key {key}; build the view again: audits view"
    )


def _edits(folder: DatasetFolder, shard: int) -> dict[str, str]:
    """What people wrote in a shard, by key."""
    if not folder.caption_shard(EDITED, shard).is_file():
        return {}
    rows = folder.read_captions(EDITED, shard, ["key", "caption", "finish_reason"])
    edited = rows.filter(pc.equal(rows.column("finish_reason"), EDIT))
    return dict(zip(edited.column("key").to_pylist(), edited.column("caption").to_pylist(), strict=True))


def _with_edits(folder: DatasetFolder, base: str, shard: int, edits: Mapping[str, str]) -> pa.Table:
    """The rows of the base with the edits in their places; one that says what the base says is none."""
    rows = folder.read_captions(base, shard)
    names = pa.array([EDITED] * rows.num_rows, pa.string())
    rows = rows.set_column(CAPTION_SCHEMA.get_field_index("set"), CAPTION_SCHEMA.field("set"), names)
    origins = pc.fill_null(rows.column("origin"), base)
    rows = rows.set_column(CAPTION_SCHEMA.get_field_index("origin"), CAPTION_SCHEMA.field("origin"), origins)
    parts, start = [], 0
    for index, key in enumerate(rows.column("key").to_pylist() if edits else ()):
        text = edits.get(key)
        if text is not None and text != rows.column("caption")[index].as_py():
            row = Caption(caption=text, finish_reason=EDIT).to_row(key, EDITED)
            parts += [rows.slice(start, index - start), pa.Table.from_pylist([row], schema=CAPTION_SCHEMA)]
            start = index + 1
    return pa.concat_tables([*parts, rows.slice(start)]).combine_chunks()


def _write(folder: DatasetFolder, rows: pa.Table, shard: int) -> int:
    """Write a shard of the set; how many edits it holds."""
    with ShardWriter(folder.caption_shard(EDITED, shard), CAPTION_SCHEMA) as writer:
        for start in range(0, rows.num_rows, ROW_GROUP_ROWS):
            writer.write(rows.slice(start, ROW_GROUP_ROWS))
    return pc.sum(pc.equal(rows.column("finish_reason"), EDIT)).as_py() or 0
