"""What an existing caption set means for a command: it starts the set, goes on with it, replaces it, or is refused.

Nothing is overwritten unasked, and captions of different settings never mix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from recapdata.captioners import CaptionerOptions
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.writing import delete_captions
from recapdata.errors import CaptionSetExists, CaptionSetNotFound, OptionError
from recapdata.records import RECORD_SCHEMA, SET_NAME, Provenance
from recapdata.suggestions import did_you_mean


def check_set_name(folder: DatasetFolder, set_name: str) -> None:
    """Refuse a name that could not become a column of the published dataset.

    Raises:
        OptionError: it is malformed, or taken by a column.
    """
    if not SET_NAME.fullmatch(set_name):
        raise OptionError(
            f"{set_name!r} cannot name a caption set: use lowercase letters, digits, - and _, beginning with a letter or digit"
        )
    columns = (*RECORD_SCHEMA.names, *folder.manifest.columns)
    if set_name in columns:
        raise OptionError(
            f"{set_name!r} is a column of {folder.path}, and a set becomes a column of that name; call it otherwise, "
            f"for example recap-{set_name.replace('_', '-')}"
        )


def check_known_set(folder: DatasetFolder, set_name: str, where: str) -> str:
    """The name of a caption set that the folder has.

    Args:
        where: what it was given for, as the message opens.

    Raises:
        CaptionSetNotFound: there is no such set.
    """
    sets = folder.manifest.sets
    if set_name not in sets:
        raise CaptionSetNotFound(
            f"{where} {set_name}: {folder.path} has no caption set {set_name!r}{did_you_mean(set_name, sets)}; it has "
            f"{', '.join(sets) or 'none'}"
        )
    return set_name


def keep_revision(
    recorded: Provenance | None, options: CaptionerOptions, *, overwrite: bool
) -> CaptionerOptions:
    """Options that take the model's revision from the set under way, where the user names the same model and no revision.

    A branch moves; a run that takes nights must not change its model between them.
    """
    if recorded is None or overwrite or options.revision is not None or recorded.model != options.model:
        return options
    if recorded.revision is None or recorded.revision.startswith("sha256:"):
        return options
    return replace(options, revision=recorded.revision)


def begin_set(folder: DatasetFolder, set_name: str, provenance: Provenance, *, overwrite: bool) -> Provenance:
    """Agree with the manifest on a set and note it there, before its first caption; what it held goes where it is replaced.

    The folder must be held for writing. A crash between leaves nothing mixed, since the manifest is written last.

    Returns:
        The provenance that the set goes on under: date and libraries may differ from what is recorded, and the libraries of all runs are
        kept.

    Raises:
        CaptionSetExists: the set was written with other settings, and overwriting was not asked for.
        DatasetBusy: it is replaced while an audit is writing.
    """
    recorded = folder.manifest.sets.get(set_name)
    differences = [] if recorded is None else list(_differences(recorded, provenance))
    if differences and not overwrite:
        raise CaptionSetExists(
            f"caption set {set_name!r} of {folder.path} exists and was made otherwise: {'; '.join(differences)}. "
            f"Give another set name, the same settings, or --overwrite to replace it"
        )
    if recorded is not None and not differences:
        base = provenance.base or recorded.base
        provenance = replace(_with_libraries(recorded, provenance), base=base)
    else:
        stray = folder.path / "captions" / set_name
        if differences or (stray.is_dir() and any(stray.iterdir())):
            delete_captions(folder, set_name)
    note_set(folder, set_name, provenance)
    return provenance


def note_set(folder: DatasetFolder, set_name: str, provenance: Provenance) -> None:
    """Write the provenance of a set into the manifest, where it is not there already."""
    manifest = folder.manifest
    if manifest.sets.get(set_name) != provenance:
        folder.save_manifest(replace(manifest, sets={**manifest.sets, set_name: provenance}))


def _differences(recorded: Provenance, now: Provenance) -> Iterator[str]:
    if recorded.writer != now.writer:
        column = f" from column {recorded.column}" if recorded.column else ""
        yield f"it is a {recorded.writer} set{column}"
        return
    # A folder that was moved, or is named from elsewhere, is the same model as long as its content is.
    moved = (
        now.revision is not None and now.revision.startswith("sha256:") and now.revision == recorded.revision
    )
    for name in (f.name for f in fields(Provenance)):
        if name == "model" and moved:
            continue
        before, after = getattr(recorded, name), getattr(now, name)
        if name in ("date", "libraries", "prompt_hash", "edits") or before == after:
            continue
        if name == "base" and before is None:  # its gaps may be filled later on
            continue
        yield f"{name.replace('_', ' ')} was {_shown(before)}, now {_shown(after)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting}" for name, setting in value.items()) or "nothing"
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) and " " in value else str(value)


def _with_libraries(recorded: Provenance, now: Provenance) -> Provenance:
    """The recorded provenance, with library versions of this run beside earlier ones (`2.15.0, 2.16.0`)."""
    libraries = dict(recorded.libraries)
    for name, version in now.libraries.items():
        known = libraries[name].split(", ") if libraries.get(name) else []
        libraries[name] = ", ".join(dict.fromkeys([*known, version]))
    return replace(recorded, libraries=libraries)
