"""An interpreter in which only the core of recapdata is installed: `import tests.core_only` hides every other package from it.

The core is what `pyproject.toml` lists under `dependencies`, with all that those need in turn, by their own metadata.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def with_dependencies(requirements: Iterable[str]) -> set[str]:
    """The installed distributions that requirements ask for, directly or through others; extras of recapdata are followed."""
    open_ones = [Requirement(text) for text in requirements]
    known: set[tuple[str, str]] = set()
    while open_ones:
        requirement = open_ones.pop()
        name = canonical(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in known:
                continue
            known.add((name, extra))
            if name == "recapdata":
                needed = PROJECT["optional-dependencies"].get(extra, PROJECT["dependencies"])
            else:
                needed = _requires(name)
            open_ones += [
                each
                for each in map(Requirement, needed)
                if each.marker is None or each.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in known}


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # for another platform


def modules_of(distributions: set[str]) -> set[str]:
    """The top-level modules that distributions bring."""
    installed = metadata.packages_distributions()
    return {module for module, names in installed.items() if distributions & set(map(canonical, names))}


class CoreFinder(PathFinder):
    """Finds on the path what the core brings, and nothing of other distributions."""

    hidden: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        return None if fullname.partition(".")[0] in cls.hidden else super().find_spec(fullname, path, target)


def restrict() -> None:
    """Hide everything but the core from this interpreter."""
    core = modules_of(with_dependencies(PROJECT["dependencies"]))
    own = {"recapdata", "audits", "recaptrain", "tests"}
    CoreFinder.hidden = frozenset(metadata.packages_distributions()) - core - own
    sys.meta_path[sys.meta_path.index(PathFinder)] = CoreFinder
