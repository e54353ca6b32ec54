"""Taking whole caption sets out of a dataset folder: captions with their journals, the audit, and the entry in the manifest.

What is to go is written down first, in `removed/.sets`: killed at any moment, the removal is completed by the same command, or
by the next one that writes to the folder, and nothing is published before (see `remove`).
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from recapdata.atomic import write_atomic
from recapdata.dataset.audit_files import SUMMARY
from recapdata.dataset.folder import CORRECTIONS, DatasetFolder, hold
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, OptionError
from recapdata.records import Provenance, valid_set_name


def check_sets(folder: DatasetFolder, names: Sequence[str]) -> list[str]:
    """The caption sets of these names, each once, which can be taken out now.

    Raises:
        CaptionSetNotFound: there is no such set.
        OptionError: another set that stays is made of one of them.
        DatasetBusy: an audit is writing.
    """
    sets = folder.manifest.sets
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in sets:
            raise CaptionSetNotFound(
                f"{folder.path} has no caption set {name!r}; it has {', '.join(sets) or 'none'}"
            )
        if above := _made_of(name, sets, chosen):
            raise OptionError(
                f"caption set {above!r} of {folder.path} is {name!r} with people's edits put in, and is nothing without it; "
                f"to take out both, add --captions {above}"
            )
    with _audits_held(folder):
        return chosen


def _made_of(name: str, sets: Mapping[str, Provenance], chosen: Collection[str]) -> str | None:
    return next((other for other, each in sets.items() if each.base == name and other not in chosen), None)


def remember(folder: DatasetFolder, names: Collection[str]) -> None:
    """Note that these sets are to go; from here on an interruption is known."""
    if names:
        write_atomic(_pending(folder), json.dumps(sorted({*names, *pending_sets(folder)})).encode())


def pending_sets(folder: DatasetFolder) -> list[str]:
    """Sets whose removal was begun and is not finished.

    Raises:
        DatasetDamaged: the note of them names what is no caption set.
    """
    path = _pending(folder)
    if not path.is_file():
        return []
    try:
        names = json.loads(path.read_bytes())
        if not isinstance(names, list):
            raise ValueError("no list")
        return [valid_set_name(name) for name in names]
    except (ValueError, RecursionError) as error:
        raise DatasetDamaged(
            f"{path} is no list of caption sets to take out ({error}); delete it, and take them out again"
        ) from error


def finish_sets(folder: DatasetFolder) -> None:
    """Complete a removal of sets that is under way, if any. Call it with the folder held for writing.

    Raises:
        DatasetBusy: an audit is writing.
    """
    names = pending_sets(folder)
    if not names:
        return
    manifest = folder.manifest
    if gone := manifest.sets.keys() & set(names):
        sets = {name: each for name, each in manifest.sets.items() if name not in gone}
        folder.save_manifest(replace(manifest, sets=sets))
    for name in names:
        delete_files(folder, name)
    _forget_corrections(folder.path / CORRECTIONS, names)
    _pending(folder).unlink()


def delete_files(folder: DatasetFolder, set_name: str) -> None:
    """Delete the captions of a set and their audit. Call it with the folder held for writing; the manifest stays as it is.

    Raises:
        DatasetBusy: an audit is writing.
    """
    with _audits_held(folder):
        _forget_figures(folder.path / SUMMARY, set_name)
        for part in ("audits", "captions"):
            if (path := folder.path / part / set_name).is_dir():
                shutil.rmtree(path)


def _audits_held(folder: DatasetFolder) -> AbstractContextManager[None]:
    """Hold the audits of a folder, if it has any: an audit holds them and not the folder."""
    audits = folder.path / "audits"
    return hold(audits) if audits.is_dir() else nullcontext()


def _pending(folder: DatasetFolder) -> Path:
    return folder.path / "removed" / ".sets"


def _forget_figures(path: Path, set_name: str) -> None:
    """Take a set out of the summary of the audit; a summary of no set is none."""
    try:
        summary = json.loads(path.read_bytes()) if path.is_file() else {}
        if set_name not in summary.get("sets", ()):
            return
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetDamaged(f"{path} is no summary of an audit ({error}); run the audit again") from error
    del summary["sets"][set_name]
    if summary["sets"]:
        write_atomic(path, (json.dumps(summary, ensure_ascii=False, indent=1) + "\n").encode())
    else:
        path.unlink()


def _forget_corrections(path: Path, names: Collection[str]) -> None:
    """Take what people said of these sets out of the corrections of the audit."""
    if not path.is_file():
        return
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    try:
        kept = [line for line in lines if json.loads(line).get("set") not in names]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetDamaged(f"{path}: a line is no correction ({error}); take the line out") from error
    if len(kept) < len(lines):
        write_atomic(path, b"".join(kept))
