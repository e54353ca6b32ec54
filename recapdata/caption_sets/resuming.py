"""Does a command start a caption set, go on with it, or contradict it: nothing is overwritten unasked, nothing mixed."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from recapdata.captioners import CaptionerOptions
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.writing import delete_captions
from recapdata.errors import CaptionSetExists, OptionError
from recapdata.records import RECORD_SCHEMA, SET_NAME, Provenance


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


def going_on(recorded: Provenance | None, options: CaptionerOptions, *, overwrite: bool) -> CaptionerOptions:
    """Options that take the model's revision from the set under way, where the user names the same model and no revision.

    A branch moves; a run that takes nights must not change its model between them.
    """
    if recorded is None or overwrite or options.revision is not None or recorded.model != options.model:
        return options
    if recorded.revision is None or recorded.revision.startswith("sha256:"):
        return options
    return replace(options, revision=recorded.revision)


def settle(
    folder: DatasetFolder, set_name: str, provenance: Provenance, *, overwrite: bool
) -> tuple[Provenance, bool]:
    """The provenance that the set goes on under, and whether what it holds must go first.

    Date and library versions may differ from what is recorded; the libraries of all runs are then kept.

    Raises:
        CaptionSetExists: the set was written with other settings, and overwriting was not asked for.
    """
    recorded = folder.manifest.sets.get(set_name)
    if recorded is None:
        stray = folder.path / "captions" / set_name
        return provenance, stray.is_dir() and any(stray.iterdir())
    differences = list(_differences(recorded, provenance))
    if not differences:
        return _with_libraries(recorded, provenance), False
    if overwrite:
        return provenance, True
    raise CaptionSetExists(
        f"caption set {set_name!r} of {folder.path} exists and was made otherwise: {'; '.join(differences)}. "
        f"Give another set name, the same settings, or --overwrite to replace it"
    )


def _differences(recorded: Provenance, now: Provenance) -> Iterator[str]:
    if recorded.writer != now.writer:
        yield f"it is a {recorded.writer} set" + (
            f" from column {recorded.column}" if recorded.column else ""
        )
        return
    # A folder that was moved, or is named from elsewhere, is the same model as long as its content is.
    moved = (
        now.revision is not None and now.revision.startswith("sha256:") and now.revision == recorded.revision
    )
    for name in (f.name for f in fields(Provenance)):
        if name == "model" and moved:
            continue
        before, after = getattr(recorded, name), getattr(now, name)
        if name in ("date", "libraries", "prompt_hash") or _plain(before) == _plain(after):
            continue
        yield f"{name.replace('_', ' ')} was {_shown(before)}, now {_shown(after)}"


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "items") else value


def _shown(value: Any) -> str:
    if hasattr(value, "items"):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "nothing"
    return (
        "nothing" if value is None else repr(value) if isinstance(value, str) and " " in value else str(value)
    )


def _with_libraries(recorded: Provenance, now: Provenance) -> Provenance:
    """The recorded provenance, with library versions of this run beside earlier ones (`2.15.0, 2.16.0`)."""
    libraries = dict(recorded.libraries)
    for name, version in now.libraries.items():
        known = libraries.get(name, "").split(", ") if libraries.get(name) else []
        libraries[name] = ", ".join([*known, *([version] if version not in known else [])])
    return replace(recorded, libraries=libraries)


def discard(folder: DatasetFolder, set_name: str) -> None:
    """Delete the captions of a set and their audit; the manifest is told afterwards, so that a crash between leaves nothing mixed.

    Raises:
        DatasetBusy: an audit is writing.
    """
    delete_captions(folder, set_name)
