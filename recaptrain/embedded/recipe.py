"""Recipe files → dataclasses: every key of the YAML must be a field, so that a misspelled setting is an error."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from recapdata.errors import InputError

RECIPES = Path(__file__).parent.parent / "recipes"
Recipe = TypeVar("Recipe")


def read_recipe(path: Path, kind: type[Recipe], **changes: Any) -> Recipe:
    """Read a recipe of dataclass `kind`, nested dataclasses included; `changes` that are not None win.

    Raises:
        InputError: no such file, no mapping, or a key that the recipe does not have.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a recipe ({error})") from error
    if not isinstance(settings, Mapping):
        raise InputError(f"{path}: expected settings by name, found {settings!r}")
    given = {key: value for key, value in changes.items() if value is not None}
    return _build(kind, {**settings, **given}, str(path))


def _build(kind: type[Recipe], settings: Any, where: str) -> Recipe:
    if not isinstance(settings, Mapping):
        raise InputError(f"{where}: expected settings by name, found {settings!r}")
    types = get_type_hints(kind)
    unknown = sorted(settings.keys() - types.keys())
    if unknown:
        raise InputError(f"{where}: no setting {unknown[0]!r}; there are {', '.join(types)}")
    values = {
        name: _build(types[name], value, f"{where}: {name}")
        if dataclasses.is_dataclass(types[name])
        else value
        for name, value in settings.items()
    }
    return kind(**values)
