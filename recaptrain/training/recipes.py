"""Recipes: YAML files of options, by name or path, that a command line adds to and wins over."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from recapdata.dataset.bounded import read_small
from recapdata.errors import InputError
from recapdata.options import OPTION
from recapdata.suggestions import did_you_mean

MOST = 2**18
"""Bytes of a recipe."""
PERSONAL = ("push_to_hub", "public", "resume", "latent_cache")
"""Options that say where something is sent or kept: they belong to whoever runs a recipe, not to who wrote it."""
RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, slots=True)
class Recipes:
    """The recipes of one command: the files of a folder of this package.

    Attributes:
        folder: below `recaptrain/recipes`.
        options: the dataclass whose fields they set.
    """

    folder: str
    options: type

    def names(self) -> list[str]:
        """Their names."""
        return sorted(path.stem for path in (RECIPES / self.folder).glob("*.yaml"))

    def path(self, name: str) -> Path:
        """The file of a recipe's name, or of a path.

        Raises:
            InputError: no such recipe.
        """
        if name in self.names():
            return RECIPES / self.folder / f"{name}.yaml"
        if Path(name).is_file():
            return Path(name)
        raise InputError(
            f"--recipe {name}: no such file, and no recipe of that name{did_you_mean(name, self.names())}; there are "
            f"{', '.join(self.names())}"
        )

    def purpose(self, name: str) -> str:
        """What the head of a recipe says that it is for."""
        lines = self.path(name).read_text(encoding="utf8").splitlines()
        said: list[str] = []
        for line in lines:
            words = line.removeprefix("#").strip()
            if said and not line.startswith("#      "):
                break
            if said or words.startswith("Purpose"):
                said.append(words.removeprefix("Purpose").strip())
        return " ".join(said)

    def identity(self, name: str) -> dict[str, str]:
        """The name of a recipe and a hash over its file, for the notes of a run."""
        return {"name": name, "sha256": hashlib.sha256(self.path(name).read_bytes()).hexdigest()}

    def text(self, name: str) -> str:
        """What is written in a recipe.

        Raises:
            InputError: no such recipe, or it is no text.
        """
        path = self.path(name)
        try:
            return read_small(path, MOST).decode("utf8")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: it cannot be read ({error})") from error

    def read(self, name: str) -> dict[str, Any]:
        """The options that a recipe sets, by field, as a command line or `train_diffusion` takes them.

        Raises:
            InputError: no such recipe, it is no mapping, or it sets what is no option.
        """
        path = self.path(name)
        try:
            given = yaml.safe_load(read_small(path, MOST))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise InputError(
                f"--recipe {path}: it cannot be read ({' '.join(str(error).split())})"
            ) from error
        if not isinstance(given, Mapping):
            raise InputError(f"--recipe {path}: expected options by name, one a line (steps: 1000)")
        known = self._known()
        options: dict[str, Any] = {}
        for key, value in given.items():
            field = known.get(str(key).replace("-", "_"))
            if field is None:
                raise InputError(f"--recipe {path}: no option {key!r}{did_you_mean(str(key), known)}")
            if field in options:
                raise InputError(f"--recipe {path}: {field} is set twice")
            if field in PERSONAL:
                raise InputError(
                    f"--recipe {path}: {field} is none of a recipe's options; give it on the command line: a recipe may be anybody's"
                )
            if value is not None:
                options[field] = _text(value, f"--recipe {path}: {field}")
        return options

    def _known(self) -> dict[str, str]:
        """Field by each of its names."""
        options = [each for each in fields(self.options) if OPTION in each.metadata]
        names = {each.name: each.name for each in options}
        return names | {alias: each.name for each in options for alias in each.metadata[OPTION].aliases}


def _text(value: Any, where: str) -> Any:
    """Lists and mappings as the command line takes them.

    Raises:
        InputError: they hold lists or mappings, of which a few aliases make more text than there is memory.
    """
    if not isinstance(value, Mapping | list | set):
        return value
    for each in (*value, *value.values()) if isinstance(value, Mapping) else value:
        if isinstance(each, Mapping | list | set | tuple):
            raise InputError(
                f"{where} holds lists within lists; write a=1,b=2 or a list of words and numbers"
            )
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    return ",".join(map(str, value))
